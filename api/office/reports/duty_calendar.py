"""The calendar of duties that people subscribe to: iCalendar (RFC 5545).

The feed is the same text for the same duties and stamp, and an event keeps its UID while its state
and time change. Written here and not by the library `icalendar`: that one (7.3.2) folds lines of
exactly 75 octets, passes control characters on, and takes five times as long.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from policies.duties import STATE_ZH, Duty, DutyState, in_order
from policies.time.calendar import ONE_DAY, county_day, is_end_of_day
from policies.time.wording import day_and_clock

_LINE_OCTETS = 75
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def format_calendar(entries: Iterable[Duty], stamp: datetime, name: str = "留痕:到期事项") -> str:
    """Return an iCalendar (RFC 5545) of what is still to be done and has a known time.

    `stamp` is when it was asked for. What is done leaves the feed, and so the reader's calendar.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Liuhen//Duties//ZH",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escape_text(name)}",
    ]
    for duty in in_order(entries):
        if duty.due_at is not None and duty.state is not DutyState.COMPLETED:
            lines += _format_event(duty, duty.due_at, stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{_fold_line(line)}\r\n" for line in lines)


def _format_event(duty: Duty, due_at: datetime, stamp: datetime) -> Sequence[str]:
    identity = "\n".join((duty.rule, duty.subject, duty.person or ""))
    told_zh = f"{STATE_ZH[duty.state]},最迟 {day_and_clock(due_at)},规则 {duty.rule}"
    told_en = f"{duty.what_en}: {duty.state.value}, due by {day_and_clock(due_at)}"
    details = f"{told_zh}。\n{told_en}.\n{duty.subject}"
    return (
        "BEGIN:VEVENT",
        f"UID:{sha256(identity.encode()).hexdigest()[:32]}@liuhen",
        f"DTSTAMP:{_format_utc(stamp)}",
        *_format_event_times(due_at),
        f"SUMMARY:{_escape_text(f'{duty.township} {duty.what_zh}({STATE_ZH[duty.state]})')}",
        f"DESCRIPTION:{_escape_text(details)}",
        f"CATEGORIES:{_escape_text(duty.state.value)}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    )


def _format_event_times(due_at: datetime) -> tuple[str, ...]:
    """Return the times of an event: a whole day where the duty has that day."""
    if not is_end_of_day(due_at):
        return (f"DTSTART:{_format_utc(due_at)}",)
    day = county_day(due_at)
    return (
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"DTEND;VALUE=DATE:{day + ONE_DAY:%Y%m%d}",
    )


def _format_utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _escape_text(text: str) -> str:
    """Escape a TEXT value (RFC 5545 3.3.11): no value can end its line or begin a property."""
    plain = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    for char in ("\\", ";", ","):
        plain = plain.replace(char, f"\\{char}")
    return plain.replace("\n", "\\n")


def _fold_line(line: str) -> str:
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
