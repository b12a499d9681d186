"""Wording of times and lengths for people: local time of the county, to the second.

A span is told from its start rounded down to its end rounded up, so that the told interval never
hides a part of a gap. Short lengths keep one decimal: a gap of 1.4 s is not "1 second".
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from policies.time.intervals import Span

COUNTY_TIME = ZoneInfo("Asia/Shanghai")
EXACT_BELOW_S = 10.0


def format_clock(at: datetime) -> str:
    """Return `09:43:00` in county time."""
    return at.astimezone(COUNTY_TIME).strftime("%H:%M:%S")


def day_and_clock(at: datetime) -> str:
    """Return `2026-01-21 09:43:00` in county time."""
    return at.astimezone(COUNTY_TIME).strftime("%Y-%m-%d %H:%M:%S")


def interval_zh(span: Span, day: datetime | None = None) -> str:
    """Return `2026-01-21 09:43:00 至 09:53:00`; the day is told only where it is not `day`'s."""
    return _format_interval(span, day, " 至 ")


def interval_en(span: Span, day: datetime | None = None) -> str:
    """Return `2026-01-21 09:43:00 to 09:53:00`; the day is told only where it is not `day`'s."""
    return _format_interval(span, day, " to ")


def length_zh(seconds: float) -> str:
    """Return `2分05秒`, `1.4秒`."""
    if short := _format_short(seconds):
        return f"{short}秒"
    hours, minutes, remainder = _split_seconds(seconds)
    if hours:
        return f"{hours}小时{minutes:02}分{remainder:02}秒"
    return f"{minutes}分{remainder:02}秒" if minutes else f"{remainder}秒"


def length_en(seconds: float) -> str:
    """Return `2 min 05 s`, `1.4 s`."""
    if short := _format_short(seconds):
        return f"{short} s"
    hours, minutes, remainder = _split_seconds(seconds)
    if hours:
        return f"{hours} h {minutes:02} min {remainder:02} s"
    return f"{minutes} min {remainder:02} s" if minutes else f"{remainder} s"


def format_percent(share: float) -> str:
    """Return `99.9%`, rounded down: what is not whole never reads as 100 %."""
    return f"{int(share * 1000 + 1e-9) / 10:.1f}%"


def _format_short(seconds: float) -> str:
    # Rounded first: 9.96 becomes "10.0", and is told as a whole number like 10 itself.
    text = f"{seconds:.1f}"
    return text if seconds < EXACT_BELOW_S and not text.endswith(".0") else ""


def _split_seconds(seconds: float) -> tuple[int, int, int]:
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return hours, minutes, remainder


def _format_interval(span: Span, day: datetime | None, to: str) -> str:
    start = span.start.astimezone(COUNTY_TIME).replace(microsecond=0)
    # Up to the next whole second, for what is printed is cut; whole seconds stay what they are.
    end = (span.end + timedelta(microseconds=999_999)).astimezone(COUNTY_TIME)
    reference_day = day.astimezone(COUNTY_TIME).date() if day else None
    first = format_clock(start) if start.date() == reference_day else day_and_clock(start)
    last = format_clock(end) if end.date() == start.date() else day_and_clock(end)
    return f"{first}{to}{last}"


def national_rules_only(area: str) -> tuple[str, str]:
    """Return the sentence that a county is judged by national rules alone: Chinese, English."""
    zh = f"只适用国家规则:规则库里没有“{area}”的版本,本县文件的要求没有检查。"
    en = f"Only national rules apply: no edition for {area}; the county's own text is not checked."
    return zh, en
