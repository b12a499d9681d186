"""How times and lengths are told to people: local time of the county, to the second."""

from datetime import datetime
from zoneinfo import ZoneInfo

COUNTY_TIME = ZoneInfo("Asia/Shanghai")


def clock(at: datetime) -> str:
    """Return `09:43:00` in county time."""
    return at.astimezone(COUNTY_TIME).strftime("%H:%M:%S")


def day_and_clock(at: datetime) -> str:
    """Return `2026-01-21 09:43:00` in county time."""
    return at.astimezone(COUNTY_TIME).strftime("%Y-%m-%d %H:%M:%S")


def length_zh(seconds: float) -> str:
    """Return `2分05秒`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}小时{minutes:02}分{left:02}秒"
    if minutes:
        return f"{minutes}分{left:02}秒"
    return f"{left}秒" if whole else f"{seconds:.1f}秒"


def length_en(seconds: float) -> str:
    """Return `2 min 05 s`."""
    whole = round(seconds)
    minutes, left = divmod(whole, 60)
    if minutes:
        return f"{minutes} min {left:02} s"
    return f"{left} s" if whole else f"{seconds:.1f} s"
