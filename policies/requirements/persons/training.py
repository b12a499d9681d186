"""Training: every officer's hours of public law, and special trainings, in a calendar year.

Source: 兴隆县指导意见 第五条: at least 40 hours a year by the county's justice department, and at
least one special training a year. The year is the county's; what is not met before its last day
is due, not failed.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from policies.facts.facts import TownshipFacts, Trained
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.calendar import county_day, end_of_day


@dataclass(frozen=True, slots=True)
class Training:
    """Parameters: hours and special trainings for each officer in a year."""

    scope: ClassVar[Scope] = Scope.TOWNSHIP
    hours: float = 40
    special: int = 1

    def find_deadline(self, facts: TownshipFacts) -> Deadline | None:
        """Return the year's end; done, as far as anyone sees today, when nobody lacks anything."""
        if not facts.officers:
            return None
        return Deadline(_year_end(facts), None if self._list_lacking(facts) else facts.at)

    def list_deadlines(self, facts: TownshipFacts) -> tuple[tuple[Trained, Deadline], ...]:
        """Return the same for every officer."""
        return tuple(
            (officer, Deadline(_year_end(facts), facts.at if self._is_met_by(officer) else None))
            for officer in facts.officers
        )

    def check_facts(self, facts: TownshipFacts) -> Outcome:
        """Name who lacks hours or a special training; failed only once the year is over."""
        lacking = self._list_lacking(facts)
        day = county_day(facts.at)
        over = day == _last_day(day)
        details = {
            "year": day.year,
            "officers": len(facts.officers),
            "lacking": {officer.id: [officer.hours, officer.special] for officer in lacking},
        }
        if not lacking:
            return Outcome(
                passed=True,
                message_zh=f"{day.year} 年 {len(facts.officers)} 名执法人员的培训均已达标。",
                message_en=f"All {len(facts.officers)} officers are trained for {day.year}.",
                facts=details,
            )
        names_zh = "、".join(self._told_zh(officer) for officer in lacking)
        names_en = ", ".join(self._told_en(officer) for officer in lacking)
        requirement_zh = f"公共法律知识 {self.hours:g} 学时、专题培训 {self.special} 次"
        return Outcome(
            passed=not over,
            message_zh=f"{day.year} 年应完成{requirement_zh},"
            f"{'没有达标' if over else '年底前还需完成'}:{names_zh}。",
            message_en=f"{'Not met' if over else 'Still to be done'} in {day.year} "
            f"({self.hours:g} h, {self.special} special): {names_en}.",
            mend_zh="请安排培训,或者补登已经完成的培训。",
            mend_en="Arrange the training, or enter what was done.",
            facts=details,
        )

    def _list_lacking(self, facts: TownshipFacts) -> list[Trained]:
        return [officer for officer in facts.officers if not self._is_met_by(officer)]

    def _is_met_by(self, officer: Trained) -> bool:
        return officer.hours >= self.hours and officer.special >= self.special

    def _told_zh(self, officer: Trained) -> str:
        return f"{officer.name}(已 {officer.hours:g} 学时、{officer.special} 次)"

    def _told_en(self, officer: Trained) -> str:
        return f"{officer.name} ({officer.hours:g} h, {officer.special} special)"


def _last_day(day: date) -> date:
    return date(day.year, 12, 31)


def _year_end(facts: TownshipFacts) -> datetime:
    return end_of_day(_last_day(county_day(facts.at)))
