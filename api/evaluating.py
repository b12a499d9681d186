"""Count what a township did in a year, for the evaluation (执法评议考核, 第十七条).

Counts only: what was fined or taken is nowhere looked at (第二十一条).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from policies.evaluation import Evaluation, RuleCount, Share, TownshipYear, evaluate
from policies.facts import ActionFacts, Trained
from policies.findings import Finding
from policies.requirements.coverage import Coverage
from policies.requirements.premises import Premises
from policies.requirements.staffing import Staffing
from policies.requirements.training import Training
from policies.rulebook import explain
from policies.rules import Rulebook
from policies.stages import ActionKind
from policies.wording import COUNTY_TIME
from storage.catalogue import (
    cases,
    checks,
    people,
    proceedings,
    recordings,
    register,
    waivers,
)
from storage.catalogue.facts import case_facts_of, proceeding_facts
from storage.catalogue.tables import RecordingRow
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
        self._findings: list[Finding] = []
        self._covered: list[float] = []
        self._kinds: Counter[ActionKind] = Counter()

    def year_of(self) -> TownshipYear:
        """Count, and return what was counted."""
        session, at = self._session, self._at
        for row in cases.cases(session, township=self._township):
            facts = case_facts_of(session, row.id, at)
            if any(self._mine(one.start) for one in facts.actions) or self._mine(row.opened_at):
                self._findings += self._rulebook.evaluate(facts).findings
            for action in facts.actions:
                if self._mine(action.start):
                    self._action(action)
        for one in proceedings.proceedings(session, township=self._township):
            if self._mine(one.received_at):
                self._findings += self._rulebook.evaluate(proceeding_facts(one, at)).findings
        staff = register.township_facts(session, self._township, at)
        self._findings += self._rulebook.evaluate(staff).findings
        mine = [row for row in self._recordings() if row.start_at and self._mine(row.start_at)]
        found = checks.checks_of(session, [row.id for row in mine])
        linked = sum(bool(self._confirmed(row)) for row in mine)
        explained = [
            one
            for row in cases.cases(session, township=self._township)
            for one in waivers.waivers(session, row.id)
            if self._mine(one.at)
        ]
        certified = [one for one in staff.officers if self._certified(one.id)]
        return TownshipYear(
            township=self._township,
            year=self._year,
            actions=dict(self._kinds),
            covered=tuple(self._covered),
            uploaded_in_time=self._share("upload_within"),
            linked=Share(linked, len(mine)),
            disclosed_in_time=self._share("disclose_within"),
            decided_in_time=self._share("decide_within"),
            answered_in_time=self._share("answer_within"),
            trained=Share(self._trained(staff.officers), len(staff.officers)),
            certified=Share(len(certified), len(staff.officers)),
            reviewed=Share(sum(one.good for one in found), len(found)),
            waivers_approved=Share(
                sum(one.state == "approved" for one in explained), len(explained)
            ),
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

    def _recordings(self) -> list[RecordingRow]:
        rows = recordings.everything(self._session)
        return [row for row in rows if row.township == self._township]

    def _confirmed(self, row: RecordingRow) -> bool:
        links = cases.exhibits_of(self._session, row.id)
        return any(one.state == "confirmed" for one in links)

    def _certified(self, person_id: str) -> bool:
        row = people.person(self._session, person_id)
        return register.qualification(self._session, row, self._at).certified

    def _mine(self, moment: datetime) -> bool:
        return moment.astimezone(COUNTY_TIME).year == self._year
