"""Count what a township did in a year, for the evaluation (执法评议考核, 第十七条).

Counts only: what was fined or taken is nowhere looked at (第二十一条).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, datetime

from policies.evaluation import Evaluation, RuleCount, Share, TownshipYear, evaluate
from policies.facts.facts import ActionFacts, Trained
from policies.facts.findings import Finding
from policies.facts.stages import ActionKind
from policies.requirements.footage.coverage import Coverage
from policies.requirements.footage.premises import Premises
from policies.requirements.persons.staffing import Staffing
from policies.requirements.persons.training import Training
from policies.rules.rulebook import explain
from policies.rules.rules import Rulebook
from policies.time.wording import COUNTY_TIME
from storage.catalogue.cases import waivers
from storage.catalogue.holds import proceedings
from storage.catalogue.oversight import random_checks
from storage.catalogue.people import people, register
from storage.catalogue.reading import case_queries
from storage.catalogue.reading.rule_facts import case_facts_of, proceeding_facts
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import View


def evaluation(
    session: View, rulebook: Rulebook, township: str, year: int, at: datetime
) -> Evaluation:
    """Return every figure of one township's calendar year (county time), as of a moment."""
    counted = _Counted(session, rulebook, township, year, at)
    return evaluate(counted.year_of())


class _Counted:
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
        for row in case_queries.cases_of(session, self._township, *year):
            facts = case_facts_of(session, row.id, at)
            self._findings += self._rulebook.evaluate(facts).findings
            for action in facts.actions:
                if self._mine(action.start):
                    self._action(action)
        for one in proceedings.proceedings(session, township=self._township, received=year):
            self._findings += self._rulebook.evaluate(proceeding_facts(one, at)).findings
        staff = register.township_facts(session, self._township, at)
        self._findings += self._rulebook.evaluate(staff).findings
        filmed, linked = recordings.count_linked(session, self._township, *year)
        checked, good = random_checks.count_checks(session, self._township, *year)
        explained, approved = waivers.count_waivers(session, self._township, *year)
        certified = [one for one in staff.officers if self._certified(one.id)]
        return TownshipYear(
            township=self._township,
            year=self._year,
            actions=dict(self._kinds),
            covered=tuple(self._covered),
            uploaded_in_time=self._share("upload_within"),
            linked=Share(linked, filmed),
            disclosed_in_time=self._share("disclose_within"),
            decided_in_time=self._share("decide_within"),
            answered_in_time=self._share("answer_within"),
            trained=Share(self._trained(staff.officers), len(staff.officers)),
            certified=Share(len(certified), len(staff.officers)),
            reviewed=Share(good, checked),
            waivers_approved=Share(approved, explained),
            full_time=staff.full_time,
            full_time_required=self._required(),
            rules=tuple(self._rules()),
        )

    def _action(self, facts: ActionFacts) -> None:
        self._kinds[facts.kind] += 1
        findings = self._rulebook.evaluate(facts).findings
        self._findings += findings
        for one in findings:
            asked = self._requirement(one.rule)
            if isinstance(asked, Coverage | Premises) and "share" in one.facts:
                self._covered.append(float(one.facts["share"]))

    def _share(self, requirement: str) -> Share:
        asked = [one for one in self._findings if self._named(one.rule) == requirement]
        return Share(sum(one.passed for one in asked), len(asked))

    def _trained(self, officers: tuple[Trained, ...]) -> int:
        found = [
            rule.requirement
            for rule in self._rulebook.in_force(self._at)
            if isinstance(rule.requirement, Training)
        ]
        if not found:
            return 0
        asked = found[0]
        return sum(one.hours >= asked.hours and one.special >= asked.special for one in officers)

    def _required(self) -> int:
        found = [
            rule.requirement.required(self._township)
            for rule in self._rulebook.in_force(self._at)
            if isinstance(rule.requirement, Staffing)
        ]
        return max(found, default=0)

    def _rules(self) -> Iterator[RuleCount]:
        for rule in sorted({one.rule for one in self._findings}):
            asked = [one for one in self._findings if one.rule == rule]
            yield RuleCount(
                rule=rule,
                severity=asked[0].severity,
                asked=len(asked),
                failed=sum(not one.passed for one in asked),
                waived=sum(one.waived is not None for one in asked),
            )

    def _requirement(self, rule_id: str) -> object:
        rule = self._rulebook.rule(rule_id)
        return rule.requirement if rule else None

    def _named(self, rule_id: str) -> str:
        told = explain(self._rulebook, rule_id)
        return str(told["requirement"]) if told else ""

    def _certified(self, person_id: str) -> bool:
        row = people.person(self._session, person_id)
        return register.qualification(self._session, row, self._at).certified

    def _mine(self, moment: datetime) -> bool:
        since, until = self._span
        return since <= moment < until


def _start_of(year: int) -> datetime:
    """Return the first moment of a year of the county; of one past the calendar, its last."""
    if year > MAXYEAR:
        return datetime.max.replace(tzinfo=UTC)
    return datetime(year, 1, 1, tzinfo=COUNTY_TIME).astimezone(UTC)
