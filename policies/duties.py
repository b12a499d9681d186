"""Duties: one list of what is due, until when, and by whom.

It asks every requirement that has a clock (`due`), and those that know persons for each of them
(`each`). Which rules apply to which facts is chosen by whoever calls; storing or sending the list
is left to others.

An `Obligation` is a duty without the moment of asking: it may be stored, for as long as `steady`
says that the same entries bring the same obligations. How it stands is asked anew each time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from policies.facts.facts import ActionFacts, CaseFacts, ProceedingFacts, TownshipFacts
from policies.identifiers import PersonId
from policies.requirements.outcome import Deadline
from policies.rules.rules import SCOPES, AnyFacts, Rule, Rulebook
from policies.time.calendar import ONE_DAY, county_day, start_of_day

ClockedRule = tuple[str, str, str, Any]  # rule id, title in Chinese and English, requirement
Place = tuple[int, datetime, str, str, str]  # group, due time, subject, rule, person or ""

SOON_DAYS = 3.0


class DutyState(StrEnum):
    """How a duty stands; UNKNOWN where nobody can say until when (an unpublished year)."""

    OVERDUE = "overdue"
    UNKNOWN = "unknown"
    SOON = "soon"
    OPEN = "open"
    COMPLETED = "done"


STATE_ZH = {
    DutyState.OVERDUE: "已逾期",
    DutyState.UNKNOWN: "期限不明",
    DutyState.SOON: "即将到期",
    DutyState.OPEN: "未到期",
    DutyState.COMPLETED: "已完成",
}
_ORDER = list(DutyState)


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing to be done. `person` is whose it is alone; `persons` are all whom it concerns."""

    subject: str
    township: str
    person: PersonId | None
    what_zh: str
    what_en: str
    rule: str
    due_at: datetime | None
    done_at: datetime | None
    state: DutyState
    persons: tuple[PersonId, ...] = ()

    @property
    def is_late(self) -> bool:
        """Whether the duty missed its deadline, fulfilled since or not."""
        if self.due_at is None:
            return False
        return self.state is DutyState.OVERDUE or (
            self.done_at is not None and self.done_at > self.due_at
        )


@dataclass(frozen=True, slots=True)
class Obligation:
    """One thing to be done, whatever the time. `soon_at` is from when on it is soon.

    The other fields are those of `Duty`.
    """

    subject: str
    township: str
    person: PersonId | None
    what_zh: str
    what_en: str
    rule: str
    due_at: datetime | None
    done_at: datetime | None
    soon_at: datetime | None
    persons: tuple[PersonId, ...] = ()

    def duty_at(self, at: datetime) -> Duty:
        """Return the duty with its state at a moment."""
        return Duty(
            subject=self.subject,
            township=self.township,
            person=self.person,
            what_zh=self.what_zh,
            what_en=self.what_en,
            rule=self.rule,
            due_at=self.due_at,
            done_at=self.done_at,
            state=self._state_at(at),
            persons=self.persons,
        )

    def _state_at(self, at: datetime) -> DutyState:
        if self.done_at is not None:
            return DutyState.COMPLETED
        if self.due_at is None or self.soon_at is None:
            return DutyState.UNKNOWN
        if self.due_at < at:
            return DutyState.OVERDUE
        return DutyState.SOON if self.soon_at <= at else DutyState.OPEN


@dataclass(frozen=True, slots=True)
class Window:
    """The moments from `first` up to, not including, `until`."""

    first: datetime
    until: datetime

    def narrow_to(self, first: datetime, until: datetime) -> "Window":
        """Return the part of it that lies within two moments."""
        return Window(max(self.first, first), min(self.until, until))


EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_DAY_S = 86_400.0
_MARGIN_S = 0.01  # a suspension counts in seconds with fractions: around midnight nothing is sure


class Asking:
    """A rulebook as it asks for duties: what is in force on a day is found out once."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self._days: dict[date, tuple[Rule, ...]] = {}

    def find_clocked_rules(self, facts: AnyFacts) -> tuple[ClockedRule, ...]:
        """Return the rules with a clock that ask: of the day of `judged_at`."""
        at = facts.judged_at
        # Rules begin and end with a day of the county: all moments of a day share what is in force.
        day = county_day(at)
        if day not in self._days:
            self._days[day] = tuple(
                rule for rule in self.rulebook.in_force(at) if has_clock(rule.requirement)
            )
        scope, major = SCOPES[type(facts)], self.rulebook.is_major(facts, at)
        return tuple(
            (rule.id, rule.title_zh, rule.title_en, rule.requirement)
            for rule in self._days[day]
            if rule.scope is scope and rule.when.applies_to(facts, major=major)
        )


def has_clock(requirement: object) -> bool:
    """Tell whether a requirement may bring duties."""
    return hasattr(requirement, "find_deadline") or hasattr(requirement, "list_deadlines")


def find_steady_window(
    rulebook: Rulebook, facts: CaseFacts | ProceedingFacts | TownshipFacts, *, suspended: bool
) -> Window:
    """Return the window in which the same entries bring the same obligations.

    It lies around `facts.at`, or is empty. Rules begin and end with a day; a township is asked
    about its day; and while a case is `suspended` its time to decide grows, day by day.
    """
    edges = [start_of_day(day) for day in rulebook.list_changes()]
    window = Window(
        max((edge for edge in edges if edge <= facts.at), default=EARLIEST),
        min((edge for edge in edges if edge > facts.at), default=LATEST),
    )
    # Certificates and a year's hours of training are judged by the day.
    if isinstance(facts, TownshipFacts):
        today = county_day(facts.at)
        return window.narrow_to(start_of_day(today), start_of_day(today + ONE_DAY))
    if suspended and isinstance(facts, CaseFacts):
        # Whole days are added to the time to decide, so that the next step lies where the part of a
        # day that is suspended so far has become whole.
        passed = facts.suspended_s % _DAY_S
        return window.narrow_to(
            facts.at - timedelta(seconds=passed - _MARGIN_S),
            facts.at + timedelta(seconds=_DAY_S - passed - _MARGIN_S),
        )
    return window


def derive_obligations(
    rules: Iterable[ClockedRule], facts: AnyFacts, soon_days: float = SOON_DAYS
) -> tuple[Obligation, ...]:
    """Derive the obligations of one action, case, proceeding or township from rules.

    Requirements of another scope, and those without a clock, bring none. A requirement's own
    `warn_days` says from when on it is soon.
    """
    scope = SCOPES[type(facts)]
    return tuple(
        _build_obligation(rule, facts, person, deadline, _warning_period(rule[3], soon_days))
        for rule in rules
        if rule[3].scope is scope
        for person, deadline in _list_deadlines(rule[3], facts)
    )


def derive_duties(
    rules: Iterable[ClockedRule], facts: AnyFacts, at: datetime, soon_days: float = SOON_DAYS
) -> tuple[Duty, ...]:
    """Return how `obligations` stand at a moment, in order."""
    return in_order(
        obligation.duty_at(at) for obligation in derive_obligations(rules, facts, soon_days)
    )


def in_order(entries: Iterable[Duty]) -> tuple[Duty, ...]:
    """Return duties, of whatever origin, the most pressing first: overdue, then by time."""
    return tuple(sorted(entries, key=rank_duty))


def rank_duty(duty: Duty) -> Place:
    """Return where a duty stands in the order: each has its own place at one moment of asking."""
    # Open and soon are one group by time: a warning of 60 days must not hide what ends tomorrow.
    group = DutyState.SOON if duty.state is DutyState.OPEN else duty.state
    when = duty.due_at or EARLIEST
    return _ORDER.index(group), when, duty.subject, duty.rule, duty.person or ""


def _list_deadlines(
    requirement: Any, facts: AnyFacts
) -> Iterator[tuple[tuple[PersonId, str] | None, Deadline]]:
    if each := getattr(requirement, "list_deadlines", None):
        yield from (((person.id, person.name), deadline) for person, deadline in each(facts))
    elif find_deadline := getattr(requirement, "find_deadline", None):
        deadline = find_deadline(facts)
        if deadline is not None:
            yield None, deadline


def _build_obligation(
    rule: ClockedRule,
    facts: AnyFacts,
    person: tuple[PersonId, str] | None,
    deadline: Deadline,
    warned: timedelta,
) -> Obligation:
    rule_id, zh, en, _ = rule
    return Obligation(
        subject=facts.subject,
        township=facts.township,
        person=person[0] if person else None,
        what_zh=f"{zh}:{person[1]}" if person else zh,
        what_en=f"{en}: {person[1]}" if person else en,
        rule=rule_id,
        due_at=deadline.at,
        done_at=deadline.done_at,
        soon_at=deadline.at - warned if deadline.at else None,
        persons=(person[0],) if person else _concerned_persons(facts),
    )


def _warning_period(requirement: Any, soon_days: float) -> timedelta:
    return timedelta(days=getattr(requirement, "warn_days", soon_days))


def _concerned_persons(facts: AnyFacts) -> tuple[PersonId, ...]:
    if isinstance(facts, ActionFacts):
        return tuple(sorted(officer.id for officer in facts.officers))
    return facts.handlers if isinstance(facts, CaseFacts) else ()
