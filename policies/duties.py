"""Duties: one list of what is due, until when, and by whom; and a calendar people subscribe to.

It asks every requirement that has a clock (`due`), and those that know persons for each of them
(`each`). Which rules apply to which facts is chosen by whoever calls; storing or sending the list
is left to others. The feed follows RFC 5545 and is the same text for the same duties and stamp.

An `Obligation` is a duty without the moment of asking: it may be stored, for as long as `steady`
says that the same entries bring the same obligations. How it stands is asked anew each time.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from policies.facts.facts import ActionFacts, CaseFacts, ProceedingFacts, TownshipFacts
from policies.requirements.outcome import Due, Scope
from policies.rules.rules import SCOPES, Rule, Rulebook
from policies.time.calendar import ONE_DAY, county_day, is_end_of_day, start_of_day
from policies.time.wording import day_and_clock

AnyFacts = ActionFacts | CaseFacts | ProceedingFacts | TownshipFacts
Asked = tuple[str, str, str, Any]  # rule id, title in Chinese and English, requirement
Place = tuple[int, datetime, str, str, str]  # group, due time, subject, rule, person or ""

SOON_DAYS = 3.0
_SUBJECT: dict[type[Any], tuple[Scope, str]] = {
    ActionFacts: (Scope.ACTION, "action"),
    CaseFacts: (Scope.CASE, "case"),
    ProceedingFacts: (Scope.PROCEEDING, "proceeding"),
    TownshipFacts: (Scope.TOWNSHIP, "township"),
}
_LINE_OCTETS = 75
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class DutyState(StrEnum):
    """How a duty stands; UNKNOWN where nobody can say until when (an unpublished year)."""

    OVERDUE = "overdue"
    UNKNOWN = "unknown"
    SOON = "soon"
    OPEN = "open"
    DONE = "done"


STATE_ZH = {
    DutyState.OVERDUE: "已逾期",
    DutyState.UNKNOWN: "期限不明",
    DutyState.SOON: "即将到期",
    DutyState.OPEN: "未到期",
    DutyState.DONE: "已完成",
}
_ORDER = list(DutyState)


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing to be done. `person` is whose it is alone; `persons` are all whom it concerns."""

    subject: str
    township: str
    person: str | None
    what_zh: str
    what_en: str
    rule: str
    due_at: datetime | None
    done_at: datetime | None
    state: DutyState
    persons: tuple[str, ...] = ()

    @property
    def late(self) -> bool:
        """Whether it was not done in time, be it done by now or not."""
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
    person: str | None
    what_zh: str
    what_en: str
    rule: str
    due_at: datetime | None
    done_at: datetime | None
    soon_at: datetime | None
    persons: tuple[str, ...] = ()

    def stands(self, at: datetime) -> Duty:
        """Return how it stands at a moment."""
        return Duty(
            subject=self.subject,
            township=self.township,
            person=self.person,
            what_zh=self.what_zh,
            what_en=self.what_en,
            rule=self.rule,
            due_at=self.due_at,
            done_at=self.done_at,
            state=self._state(at),
            persons=self.persons,
        )

    def _state(self, at: datetime) -> DutyState:
        if self.done_at is not None:
            return DutyState.DONE
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

    def cut(self, first: datetime, until: datetime) -> "Window":
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

    def asked(self, facts: AnyFacts) -> tuple[Asked, ...]:
        """Return the rules with a clock that ask: of an action by its day, else by `at`."""
        at = facts.start if isinstance(facts, ActionFacts) else facts.at
        day = county_day(at)
        if day not in self._days:
            self._days[day] = tuple(
                rule for rule in self.rulebook.in_force(at) if has_clock(rule.requirement)
            )
        scope, major = SCOPES[type(facts)], self.rulebook.is_major(facts, at)
        return tuple(
            (rule.id, rule.title_zh, rule.title_en, rule.requirement)
            for rule in self._days[day]
            if rule.scope is scope and rule.when.holds(facts, major=major)
        )


def has_clock(requirement: object) -> bool:
    """Tell whether a requirement may bring duties."""
    return hasattr(requirement, "due") or hasattr(requirement, "each")


def steady(
    rulebook: Rulebook, facts: CaseFacts | ProceedingFacts | TownshipFacts, *, suspended: bool
) -> Window:
    """Return during which moments of asking the same entries bring the same obligations.

    It lies around `facts.at`, or is empty. Rules begin and end with a day; a township is asked
    about its day; and while a case is `suspended` its time to decide grows, day by day.
    """
    edges = [start_of_day(day) for day in rulebook.changes()]
    window = Window(
        max((one for one in edges if one <= facts.at), default=EARLIEST),
        min((one for one in edges if one > facts.at), default=LATEST),
    )
    if isinstance(facts, TownshipFacts):
        today = county_day(facts.at)
        return window.cut(start_of_day(today), start_of_day(today + ONE_DAY))
    if suspended and isinstance(facts, CaseFacts):
        passed = facts.suspended_s % _DAY_S
        return window.cut(
            facts.at - timedelta(seconds=passed - _MARGIN_S),
            facts.at + timedelta(seconds=_DAY_S - passed - _MARGIN_S),
        )
    return window


def obligations(
    rules: Iterable[Asked], facts: AnyFacts, soon_days: float = SOON_DAYS
) -> tuple[Obligation, ...]:
    """Return what these rules ask of one action, case, proceeding or township.

    Requirements of another scope, and those without a clock, bring none. A requirement's own
    `warn_days` says from when on it is soon.
    """
    scope, _ = _SUBJECT[type(facts)]
    return tuple(
        _obligation(rule, facts, who, due, _warned(rule[3], soon_days))
        for rule in rules
        if rule[3].scope is scope
        for who, due in _dues(rule[3], facts)
    )


def duties(
    rules: Iterable[Asked], facts: AnyFacts, at: datetime, soon_days: float = SOON_DAYS
) -> tuple[Duty, ...]:
    """Return how `obligations` stand at a moment, in order."""
    return in_order(one.stands(at) for one in obligations(rules, facts, soon_days))


def in_order(found: Iterable[Duty]) -> tuple[Duty, ...]:
    """Return duties, of whatever origin, the most pressing first: overdue, then by time."""
    return tuple(sorted(found, key=place))


def place(duty: Duty) -> Place:
    """Return where a duty stands in the order: each has its own place at one moment of asking."""
    # Open and soon are one group by time: a warning of 60 days must not hide what ends tomorrow.
    group = DutyState.SOON if duty.state is DutyState.OPEN else duty.state
    when = duty.due_at or EARLIEST
    return _ORDER.index(group), when, duty.subject, duty.rule, duty.person or ""


def feed(found: Iterable[Duty], stamp: datetime, name: str = "留痕:到期事项") -> str:
    """Return an iCalendar (RFC 5545) of what is still to be done and has a known time.

    `stamp` is when it was asked for. What is done leaves the feed, and so the reader's calendar.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Liuhen//Duties//ZH",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_text(name)}",
    ]
    for duty in in_order(found):
        if duty.due_at is not None and duty.state is not DutyState.DONE:
            lines += _event(duty, duty.due_at, stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _dues(requirement: Any, facts: AnyFacts) -> Iterator[tuple[tuple[str, str] | None, Due]]:
    if each := getattr(requirement, "each", None):
        yield from (((one.id, one.name), due) for one, due in each(facts))
    elif asked := getattr(requirement, "due", None):
        due = asked(facts)
        if due is not None:
            yield None, due


def _obligation(
    rule: Asked, facts: AnyFacts, who: tuple[str, str] | None, due: Due, warned: timedelta
) -> Obligation:
    rule_id, zh, en, _ = rule
    _, name = _SUBJECT[type(facts)]
    return Obligation(
        subject=f"{name}:{getattr(facts, name)}",
        township=facts.township,
        person=who[0] if who else None,
        what_zh=f"{zh}:{who[1]}" if who else zh,
        what_en=f"{en}: {who[1]}" if who else en,
        rule=rule_id,
        due_at=due.at,
        done_at=due.done_at,
        soon_at=due.at - warned if due.at else None,
        persons=(who[0],) if who else _persons(facts),
    )


def _warned(requirement: Any, soon_days: float) -> timedelta:
    return timedelta(days=getattr(requirement, "warn_days", soon_days))


def _persons(facts: AnyFacts) -> tuple[str, ...]:
    if isinstance(facts, ActionFacts):
        return tuple(sorted(one.id for one in facts.officers))
    return facts.handlers if isinstance(facts, CaseFacts) else ()


def _event(duty: Duty, due_at: datetime, stamp: datetime) -> Sequence[str]:
    identity = "\n".join((duty.rule, duty.subject, duty.person or ""))
    told_zh = f"{STATE_ZH[duty.state]},最迟 {day_and_clock(due_at)},规则 {duty.rule}"
    told_en = f"{duty.what_en}: {duty.state.value}, due by {day_and_clock(due_at)}"
    details = f"{told_zh}。\n{told_en}.\n{duty.subject}"
    return (
        "BEGIN:VEVENT",
        f"UID:{sha256(identity.encode()).hexdigest()[:32]}@liuhen",
        f"DTSTAMP:{_utc(stamp)}",
        *_when(due_at),
        f"SUMMARY:{_text(f'{duty.township} {duty.what_zh}({STATE_ZH[duty.state]})')}",
        f"DESCRIPTION:{_text(details)}",
        f"CATEGORIES:{_text(duty.state.value)}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    )


def _when(due_at: datetime) -> tuple[str, ...]:
    """Return the times of an event: a whole day where the duty has that day."""
    if not is_end_of_day(due_at):
        return (f"DTSTART:{_utc(due_at)}",)
    day = county_day(due_at)
    return (
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"DTEND;VALUE=DATE:{day + ONE_DAY:%Y%m%d}",
    )


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(told: str) -> str:
    """Escape a TEXT value (RFC 5545 3.3.11): no value can end its line or begin a property."""
    plain = _CONTROLS.sub("", told.replace("\r\n", "\n").replace("\r", "\n"))
    for char in ("\\", ";", ","):
        plain = plain.replace(char, f"\\{char}")
    return plain.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Fold at 75 octets (RFC 5545 3.1), never within a character."""
    parts: list[str] = []
    part, octets = "", 0
    for char in line:
        size = len(char.encode())
        if octets + size > _LINE_OCTETS:
            parts.append(part)
            part, octets = "", 1  # the space that begins a continued line
        part += char
        octets += size
    return "\r\n ".join([*parts, part])
