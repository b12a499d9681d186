"""Count what a township did in a year, for the evaluation (执法评议考核, 第十七条).

Counts only: what was fined or taken is nowhere looked at (第二十一条).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, datetime

from policies.evaluation import Evaluation, Ratio, RuleCount, TownshipYear, evaluate_year
from policies.facts.facts import ActionFacts, Trained
from policies.facts.findings import Finding
from policies.facts.stages import ActionKind
from policies.identifiers import PersonId
from policies.requirements.footage.coverage import Coverage
from policies.requirements.footage.premises import Premises
from policies.requirements.persons.staffing import Staffing
from policies.requirements.persons.training import Training
from policies.rules.rulebook import explain_rule
from policies.rules.rules import Rulebook
from policies.time.wording import COUNTY_TIME
from storage.catalogue.cases import waivers
from storage.catalogue.holds import proceedings
from storage.catalogue.oversight import random_checks
from storage.catalogue.people import people, register
from storage.catalogue.reading import case_queries
from storage.catalogue.reading.rule_facts import case_facts_of, proceeding_facts
from storage.catalogue.recordings import recording_search
from storage.catalogue.unit_of_work import View


def evaluate_township(
    session: View, rulebook: Rulebook, township: str, year: int, at: datetime
) -> Evaluation:
    """Return every figure of one township's calendar year (county time), as of a moment."""
    count = _TownshipCount(session, rulebook, township, year, at)
    return evaluate_year(count.year_of())


class _TownshipCount:
    """One township's year, counted case by case."""

    def __init__(
        self, session: View, rulebook: Rulebook, township: str, year: int, at: datetime
    ) -> None:
        self._session, self._rulebook = session, rulebook
        self._township, self._year, self._at = township, year, at
        self._span = _start_of(year), _start_of(year + 1)
        self._findings: list[Finding] = []
        self._covered: list[float] = []
        self._kinds: Counter[ActionKind] = Counter()

    def year_of(self) -> TownshipYear:
        """Count, and return what was counted."""
        session, at, year = self._session, self._at, self._span
        # One pass over the cases: each is judged once, and every figure comes from the same
        # findings.
        for row in case_queries.cases_of(session, self._township, *year):
            facts = case_facts_of(session, row.id, at)
            self._findings += self._rulebook.judge_facts(facts).findings
            for action in facts.actions:
                # A case that is of this year may have actions of the last one.
                if self._in_year(action.start):
                    self._count_action(action)
        for proceeding in proceedings.list_proceedings(
            session, township=self._township, received=year
        ):
            self._findings += self._rulebook.judge_facts(proceeding_facts(proceeding, at)).findings
        # As it stands when asked: the register has no figures of each past day.
        staff = register.township_facts(session, self._township, at)
        self._findings += self._rulebook.judge_facts(staff).findings
        filmed, linked = recording_search.count_linked(session, self._township, *year)
        checked, good = random_checks.count_checks(session, self._township, *year)
        explained, approved = waivers.count_waivers(session, self._township, *year)
        certified = [officer for officer in staff.officers if self._is_certified(officer.id)]
        return TownshipYear(
            township=self._township,
            year=self._year,
            actions=dict(self._kinds),
            covered=tuple(self._covered),
            uploaded_in_time=self._share_passed("upload_within"),
            linked=Ratio(linked, filmed),
            disclosed_in_time=self._share_passed("disclose_within"),
            decided_in_time=self._share_passed("decide_within"),
            answered_in_time=self._share_passed("answer_within"),
            trained=Ratio(self._count_trained(staff.officers), len(staff.officers)),
            certified=Ratio(len(certified), len(staff.officers)),
            reviewed=Ratio(good, checked),
            waivers_approved=Ratio(approved, explained),
            full_time=staff.full_time,
            full_time_required=self._count_required_staff(),
            rules=tuple(self._count_rules()),
        )

    def _count_action(self, facts: ActionFacts) -> None:
        self._kinds[facts.kind] += 1
        findings = self._rulebook.judge_facts(facts).findings
        self._findings += findings
        for finding in findings:
            requirement = self._find_requirement(finding.rule)
            # Only what must be recorded has a share: others would lift or lower the mean for
            # nothing.
            if isinstance(requirement, Coverage | Premises) and "share" in finding.facts:
                self._covered.append(float(finding.facts["share"]))

    def _share_passed(self, requirement: str) -> Ratio:
        findings = [
            finding
            for finding in self._findings
            if self._requirement_name(finding.rule) == requirement
        ]
        return Ratio(sum(finding.passed for finding in findings), len(findings))

    def _count_trained(self, officers: tuple[Trained, ...]) -> int:
        trainings = [
            rule.requirement
            for rule in self._rulebook.in_force(self._at)
            if isinstance(rule.requirement, Training)
        ]
        # Nothing is demanded, so that nobody counts as having met it.
        if not trainings:
            return 0
        training = trainings[0]
        return sum(
            officer.hours >= training.hours and officer.special >= training.special
            for officer in officers
        )

    def _count_required_staff(self) -> int:
        numbers = [
            rule.requirement.count_required(self._township)
            for rule in self._rulebook.in_force(self._at)
            if isinstance(rule.requirement, Staffing)
        ]
        # Several staffing rules may be in force at once; the largest number counts.
        return max(numbers, default=0)

    def _count_rules(self) -> Iterator[RuleCount]:
        for rule in sorted({finding.rule for finding in self._findings}):
            findings = [finding for finding in self._findings if finding.rule == rule]
            yield RuleCount(
                rule=rule,
                severity=findings[0].severity,
                evaluations=len(findings),
                failed=sum(not finding.passed for finding in findings),
                waived=sum(finding.waived is not None for finding in findings),
            )

    def _find_requirement(self, rule_id: str) -> object:
        rule = self._rulebook.find_rule(rule_id)
        return rule.requirement if rule else None

    def _requirement_name(self, rule_id: str) -> str:
        explanation = explain_rule(self._rulebook, rule_id)
        return str(explanation["requirement"]) if explanation else ""

    def _is_certified(self, person_id: PersonId) -> bool:
        row = people.get_person(self._session, person_id)
        return register.judge_qualification(self._session, row, self._at).certified

    def _in_year(self, moment: datetime) -> bool:
        since, until = self._span
        return since <= moment < until


def _start_of(year: int) -> datetime:
    """Return the first moment of a year of the county; of one past the calendar, its last."""
    if year > MAXYEAR:
        return datetime.max.replace(tzinfo=UTC)
    return datetime(year, 1, 1, tzinfo=COUNTY_TIME).astimezone(UTC)
