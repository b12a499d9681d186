"""Duties: one list of what is due, until when, and by whom; and a calendar people subscribe to.

It asks every requirement that has a clock (`due`), and those that know persons for each of them
(`each`). Which rules apply to which facts is chosen by whoever calls; storing or sending the list
is left to others. The feed follows RFC 5545 and is the same text for the same duties and stamp.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from policies.calendar import ONE_DAY, county_day, is_end_of_day
from policies.facts import ActionFacts, CaseFacts, ProceedingFacts, TownshipFacts
from policies.requirements.outcome import Due, Scope
from policies.wording import day_and_clock

AnyFacts = ActionFacts | CaseFacts | ProceedingFacts | TownshipFacts
Asked = tuple[str, str, str, Any]  # rule id, title in Chinese and English, requirement

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


def duties(
    rules: Iterable[Asked], facts: AnyFacts, at: datetime, soon_days: float = SOON_DAYS
) -> tuple[Duty, ...]:
    """Return what these rules ask of one action, case, proceeding or township, in order.

    Requirements of another scope, and those without a clock, bring no duty. A requirement's own
    `warn_days` says from when on it is soon.
    """
    scope, _ = _SUBJECT[type(facts)]
    return in_order(
        _duty(rule, facts, who, _state(due, at, _warned(rule[3], soon_days)), due)
        for rule in rules
        if rule[3].scope is scope
        for who, due in _dues(rule[3], facts)
    )


def in_order(found: Iterable[Duty]) -> tuple[Duty, ...]:
    """Return duties, of whatever origin, the most pressing first: overdue, then by time."""
    return tuple(sorted(found, key=_pressing))


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


def _duty(
    rule: Asked, facts: AnyFacts, who: tuple[str, str] | None, state: DutyState, due: Due
) -> Duty:
    rule_id, zh, en, _ = rule
    _, name = _SUBJECT[type(facts)]
    return Duty(
        subject=f"{name}:{getattr(facts, name)}",
        township=facts.township,
        person=who[0] if who else None,
        what_zh=f"{zh}:{who[1]}" if who else zh,
        what_en=f"{en}: {who[1]}" if who else en,
        rule=rule_id,
        due_at=due.at,
        done_at=due.done_at,
        state=state,
        persons=(who[0],) if who else _persons(facts),
    )


def _warned(requirement: Any, soon_days: float) -> timedelta:
    return timedelta(days=getattr(requirement, "warn_days", soon_days))


def _persons(facts: AnyFacts) -> tuple[str, ...]:
    if isinstance(facts, ActionFacts):
        return tuple(one.id for one in facts.officers)
    return facts.handlers if isinstance(facts, CaseFacts) else ()


def _state(due: Due, at: datetime, warned: timedelta) -> DutyState:
    if due.done_at is not None:
        return DutyState.DONE
    if due.at is None:
        return DutyState.UNKNOWN
    if due.at < at:
        return DutyState.OVERDUE
    return DutyState.SOON if due.at - at <= warned else DutyState.OPEN


def _pressing(duty: Duty) -> tuple[int, float, str, str, str]:
    # Open and soon are one group by time: a warning of 60 days must not hide what ends tomorrow.
    group = DutyState.SOON if duty.state is DutyState.OPEN else duty.state
    when = duty.due_at.timestamp() if duty.due_at else 0.0
    return _ORDER.index(group), when, duty.subject, duty.rule, duty.person or ""


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
