"""The county's calendar: weekends worked, weekends off, nights, leap days, years nobody knows."""

from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.time import calendar
from policies.time.calendar import (
    Day,
    add_working_days,
    county_day,
    days_of,
    end_of_day,
    find_nights,
    holiday_names,
    is_end_of_day,
    is_legal_holiday,
    is_night,
    is_rest_day,
    kind_of_day,
    last_known_day,
    start_of_day,
    surely_within,
    unpublished_zh,
    working_deadline,
)
from policies.time.intervals import Span, sum_span_seconds
from policies.time.wording import COUNTY_TIME

KNOWN = st.dates(date(2004, 1, 1), last_known_day())


def county(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=COUNTY_TIME).astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 1, 21), Day.WORKING),
        (date(2026, 1, 24), Day.WEEKEND),
        (date(2026, 2, 17), Day.HOLIDAY),  # 春节
        (date(2026, 2, 14), Day.MAKE_UP),  # a Saturday, worked for 春节
        (date(2026, 2, 20), Day.HOLIDAY),  # a Friday given in exchange
        (date(2026, 1, 4), Day.MAKE_UP),  # a Sunday, worked for 元旦
        (date(2024, 2, 29), Day.WORKING),
        (date(2025, 10, 6), Day.HOLIDAY),  # 国庆 and 中秋 in one
    ],
)
def test_days_are_what_the_state_council_announced(day, kind):
    assert kind_of_day(day) is kind


def test_a_weekend_worked_in_exchange_is_no_rest_day():
    assert is_rest_day(date(2026, 2, 14)) is False
    assert is_legal_holiday(date(2026, 2, 14)) is False


def test_an_ordinary_weekend_is_a_rest_day_but_no_legal_holiday():
    assert is_rest_day(date(2026, 1, 24)) is True
    assert is_legal_holiday(date(2026, 1, 24)) is False


def test_a_year_that_is_not_published_is_unknown_and_never_guessed():
    beyond = date(last_known_day().year + 1, 5, 13)
    assert kind_of_day(beyond) is is_rest_day(beyond) is is_legal_holiday(beyond) is None
    assert str(beyond.year) in unpublished_zh(beyond)
    assert kind_of_day(date(2003, 12, 31)) is None
    assert "2003" in unpublished_zh(date(2003, 12, 31))


def test_days_that_the_next_notice_may_still_move_are_unknown():
    last = last_known_day()
    assert kind_of_day(last) is not None
    assert kind_of_day(last + timedelta(days=1)) is None
    assert str(last.year + 1) in unpublished_zh(last + timedelta(days=1))


def test_no_notice_has_ever_moved_a_day_earlier_in_december():
    moved = [*chinese_calendar.holidays, *chinese_calendar.workdays]
    december = [(day.month, day.day) for day in moved if day.month == 12]
    assert min(december) >= calendar._TOUCHED_BY_NEXT_YEAR


@given(KNOWN)
def test_rest_days_are_those_of_the_published_calendar(day):
    assert is_rest_day(day) is chinese_calendar.is_holiday(day)


def test_twenty_working_days_skip_the_spring_festival_and_count_its_worked_weekends():
    # 2026-02-02 (Mon) + 10: 3-6 (4), 9-13 (9), Sat 14 is worked (10).
    assert add_working_days(date(2026, 2, 2), 10) == date(2026, 2, 14)
    # The 11th is the first working day after the holiday of 15 to 23 February.
    assert add_working_days(date(2026, 2, 2), 11) == date(2026, 2, 24)


def test_the_day_itself_is_not_counted():
    assert add_working_days(date(2026, 1, 21), 0) == date(2026, 1, 21)
    assert add_working_days(date(2026, 1, 21), 1) == date(2026, 1, 22)


def test_a_leap_day_is_counted_like_any_other():
    assert add_working_days(date(2024, 2, 28), 1) == date(2024, 2, 29)
    assert add_working_days(date(2024, 2, 28), 2) == date(2024, 3, 1)
    assert add_working_days(date(2025, 2, 28), 1) == date(2025, 3, 3)


def test_working_days_are_not_counted_into_a_year_that_nobody_knows():
    assert add_working_days(last_known_day() - timedelta(days=3), 20) is None
    assert working_deadline(end_of_day(last_known_day()), 1) is None


def test_days_are_never_counted_backwards():
    with pytest.raises(ValueError):
        add_working_days(date(2026, 1, 21), -1)


@given(st.dates(date(2004, 1, 1), date(2025, 6, 1)), st.integers(0, 90))
def test_working_days_counted_agree_with_days_looked_at_one_by_one(day, count):
    last = add_working_days(day, count)
    passed = [day + timedelta(days=n) for n in range(1, (last - day).days + 1)]
    assert sum(chinese_calendar.is_workday(one) for one in passed) == count
    assert not passed or chinese_calendar.is_workday(last)


def test_a_day_of_the_county_begins_at_sixteen_utc():
    assert county_day(datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC)) == date(2025, 12, 31)
    assert county_day(datetime(2025, 12, 31, 16, tzinfo=UTC)) == date(2026, 1, 1)
    assert start_of_day(date(2026, 1, 1)) == datetime(2025, 12, 31, 16, tzinfo=UTC)


@given(KNOWN)
def test_the_end_of_a_day_is_its_last_moment(day):
    last = end_of_day(day)
    assert county_day(last) == day
    assert is_end_of_day(last)
    assert last + timedelta(microseconds=1) == start_of_day(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("hour", "minute", "night"),
    [(21, 59, False), (22, 0, True), (0, 0, True), (5, 59, True), (6, 0, False), (12, 0, False)],
)
def test_night_is_from_ten_to_six(hour, minute, night):
    assert is_night(county(2026, 1, 21, hour, minute)) is night


def test_hours_of_night_within_one_day_are_understood():
    assert is_night(county(2026, 1, 21, 2), 1, 5)
    assert not is_night(county(2026, 1, 21, 23), 1, 5)
    whole = Span(county(2026, 1, 21), county(2026, 1, 23))
    assert find_nights(whole, 1, 5) == (
        Span(county(2026, 1, 21, 1), county(2026, 1, 21, 5)),
        Span(county(2026, 1, 22, 1), county(2026, 1, 22, 5)),
    )


def test_hours_that_are_the_same_leave_no_night():
    assert not is_night(county(2026, 1, 21, 12), 0, 0)
    assert find_nights(Span(county(2026, 1, 21), county(2026, 1, 23)), 0, 0) == ()


def test_a_span_that_ends_at_midnight_does_not_touch_the_next_day():
    evening = Span(county(2025, 12, 31, 20), county(2026, 1, 1))
    assert list(days_of(evening)) == [date(2025, 12, 31)]


def test_only_a_holiday_has_a_name():
    assert holiday_names(date(2026, 2, 17)) == ("春节", "Spring Festival")
    assert holiday_names(date(2026, 2, 14)) is None  # worked for 春节
    assert holiday_names(date(2026, 1, 24)) is None


@pytest.mark.parametrize(("hours", "sure"), [(0, True), (34, True), (62, True), (63, False)])
def test_days_that_surely_have_not_passed_end_with_the_countys_day(hours, sure):
    since = county(2026, 1, 21, 9)
    assert surely_within(since, since + timedelta(hours=hours), 2) is sure


def test_the_night_of_a_years_change_is_one_night():
    evening = Span(county(2025, 12, 31, 21), county(2026, 1, 1, 9))
    assert find_nights(evening) == (Span(county(2025, 12, 31, 22), county(2026, 1, 1, 6)),)


def test_an_action_from_six_to_ten_is_never_at_night():
    assert find_nights(Span(county(2026, 1, 21, 6), county(2026, 1, 21, 22))) == ()


def test_one_second_after_ten_is_at_night():
    late = Span(county(2026, 1, 21, 21), county(2026, 1, 21, 22, 0, 1))
    assert [part.seconds for part in find_nights(late)] == [1.0]


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, st.integers(1, 200_000))
def test_nights_of_a_span_agree_with_a_look_at_every_quarter(start, seconds):
    start = start.replace(minute=0, second=0, microsecond=0)
    quarters = seconds // 900 + 1
    span = Span(start, start + timedelta(seconds=900 * quarters))
    dark = sum(900 for n in range(quarters) if is_night(start + timedelta(seconds=900 * n)))
    assert sum_span_seconds(find_nights(span)) == dark


@given(MOMENTS, st.integers(0, 400_000))
def test_every_day_that_a_span_touches_is_named_once_and_in_order(start, seconds):
    span = Span(start, start + timedelta(seconds=seconds))
    named = list(days_of(span))
    assert named == sorted(set(named))
    assert named[0] == county_day(start)
    last = max(span.start, span.end - timedelta(microseconds=1))
    assert named[-1] == county_day(last)
