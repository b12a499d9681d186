"""The county's days: night, rest days and holidays, and counting days and working days.

A day is one of Asia/Shanghai, which has had no summer time since 1991. Which days are holidays
and which weekends are worked in exchange (调休上班) is what the State Council announces each
autumn for the next year; `chinese_calendar` holds it. Beyond what it holds every answer is None,
never a guess, and the last days of the last year it knows count as beyond: the next year's notice
has moved them often enough (New Year's holiday begins in December).
What a duty counts, and from when, is left to the requirements.
Sources: 国务院办公厅 yearly notices; 行政强制法 第四十三条 (night, 法定节假日).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

import chinese_calendar as published  # type: ignore[import-untyped]

from policies.time.intervals import Span
from policies.time.wording import COUNTY_TIME

ONE_DAY = timedelta(days=1)
NIGHT_FROM = 22
NIGHT_TO = 6
# The earliest day that a notice for the year after has ever touched is 29 December (2007, 2018).
_TOUCHED_BY_NEXT_YEAR = (12, 29)
_SATURDAY = 5
_FIRST_YEAR = min(published.holidays).year
_LAST_YEAR = max(published.holidays).year
MEND_ZH = "请更新节假日数据(chinesecalendar 软件包)后重新核对。"
MEND_EN = "Update the calendar data (package chinesecalendar), then check again."
_ZH = {holiday.value: str(holiday.chinese) for holiday in published.Holiday}


class Day(StrEnum):
    """What kind of day it is; MAKE_UP is a weekend day on which people work."""

    WORKING = "working"
    MAKE_UP = "make-up"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


def county_day(at: datetime) -> date:
    """Return the day of the county in which that moment lies."""
    return at.astimezone(COUNTY_TIME).date()


def start_of_day(day: date) -> datetime:
    """Return the day's first moment, in UTC."""
    return datetime.combine(day, time.min, COUNTY_TIME).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """Return the day's last moment, in UTC: what is due on a day may be done until then."""
    # The last microsecond, not midnight: midnight would be shown to people as the day after.
    # `is_end_of_day` knows such a moment again.
    return datetime.combine(day, time.max, COUNTY_TIME).astimezone(UTC)


def is_end_of_day(at: datetime) -> bool:
    """Tell whether a moment stands for its whole day."""
    return at.astimezone(COUNTY_TIME).time() == time.max


def last_known_day() -> date:
    """Return the last day whose kind is published for certain."""
    month, day = _TOUCHED_BY_NEXT_YEAR
    return date(_LAST_YEAR, month, day) - ONE_DAY


def published_days() -> str:
    """Return everything that was published, as one text: it differs when any day differs."""
    return repr((sorted(published.holidays.items()), sorted(published.workdays.items())))


def unpublished_zh(since: date) -> str:
    """Say which year's arrangement is missing for days from `since` on."""
    return f"{_missing_year(since)} 年节假日安排尚未收录"


def unpublished_en(since: date) -> str:
    """Say which year's arrangement is missing for days from `since` on."""
    return f"The holidays of {_missing_year(since)} are not known yet"


def _missing_year(since: date) -> int:
    return since.year if since.year < _FIRST_YEAR else max(since.year, _LAST_YEAR + 1)


def kind_of_day(day: date) -> Day | None:
    """Return what kind of day it is, or None where that is not published."""
    if not date(_FIRST_YEAR, 1, 1) <= day <= last_known_day():
        return None
    # What was announced is asked before the weekday: a Saturday may be worked, a Tuesday free.
    if day in published.workdays:
        return Day.MAKE_UP
    if day in published.holidays:
        return Day.HOLIDAY
    return Day.WEEKEND if day.weekday() >= _SATURDAY else Day.WORKING


def is_rest_day(day: date) -> bool | None:
    """Tell whether nobody works: a weekend or holiday that is not worked; None: not published."""
    kind = kind_of_day(day)
    return None if kind is None else kind in {Day.WEEKEND, Day.HOLIDAY}


def is_legal_holiday(day: date) -> bool | None:
    """Tell whether the day lies within an announced holiday (放假), ordinary weekends excepted.

    That is the festival itself with the days that the notice exchanges for it. The announcement
    does not say which of them is the festival proper, and whoever is protected from enforcement
    on a holiday is at home on all of them.
    """
    kind = kind_of_day(day)
    return None if kind is None else kind is Day.HOLIDAY


def holiday_names(day: date) -> tuple[str, str] | None:
    """Return a holiday's Chinese and English name, or None on other or unknown days."""
    if kind_of_day(day) is not Day.HOLIDAY:
        return None
    name = published.holidays[day]
    return _ZH[name], name


def add_working_days(day: date, count: int) -> date | None:
    """Return the `count`-th working day after a day, which is itself not counted.

    None where the calendar on the way is not published. Raises: ValueError below 0.
    """
    if count < 0:
        raise ValueError("days are counted forwards")
    days_left = count
    while days_left:
        day += ONE_DAY
        resting = is_rest_day(day)
        # One unpublished day makes the end unknown, however few are left: it may be a holiday.
        if resting is None:
            return None
        days_left -= not resting
    return day


def day_after(since: datetime, days: int) -> date:
    """Return the last of so many calendar days after the day of `since`."""
    return county_day(since) + timedelta(days=days)


def working_deadline(since: datetime, days: int) -> datetime | None:
    """Return the last moment of so many working days after the day of `since`.

    None where the calendar on the way is not published.
    """
    last = add_working_days(county_day(since), days)
    return None if last is None else end_of_day(last)


def surely_within(since: datetime, end: datetime, days: int) -> bool:
    """Tell whether so many days cannot have passed, whatever a calendar says.

    Working days last no shorter than days do: this needs no published year.
    """
    return county_day(end) <= county_day(since) + timedelta(days=days)


def is_night(at: datetime, from_h: int = NIGHT_FROM, to_h: int = NIGHT_TO) -> bool:
    """Tell whether a moment lies at night: from `from_h` up to, not including, `to_h`."""
    hour = at.astimezone(COUNTY_TIME).hour
    # An edition may set hours that do not cross midnight.
    if from_h <= to_h:
        return from_h <= hour < to_h
    return hour >= from_h or hour < to_h


def find_nights(span: Span, from_h: int = NIGHT_FROM, to_h: int = NIGHT_TO) -> tuple[Span, ...]:
    """Return the parts of a span that lie at night, in order; a night over midnight is one part."""
    across = ONE_DAY if from_h > to_h else timedelta(0)
    parts = []
    # The night that began on the evening before reaches into the span's first morning.
    for day in days_of(Span(span.start - ONE_DAY, span.end)):
        night = Span(
            datetime.combine(day, time(from_h), COUNTY_TIME).astimezone(UTC),
            datetime.combine(day + across, time(to_h), COUNTY_TIME).astimezone(UTC),
        )
        if part := night.intersection(span):
            parts.append(part)
    return tuple(parts)


def days_of(span: Span) -> Iterator[date]:
    """Yield every day of the county that a span touches; an empty span touches its start's."""
    day = county_day(span.start)
    yield day
    # A span is half-open: one that ends at midnight does not touch the day that begins there.
    while start_of_day(day + ONE_DAY) < span.end:
        day += ONE_DAY
        yield day
