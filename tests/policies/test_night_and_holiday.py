"""Forced execution at night and on holidays (行政强制法 第四十三条), to the second."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.facts.facts import ActionFacts
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import Feature
from policies.requirements.procedure.not_at_night_or_holiday import NotAtNightOrHoliday
from policies.time.calendar import is_legal_holiday, is_night, last_known_day
from policies.time.wording import COUNTY_TIME

RULE = NotAtNightOrHoliday()


def county(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=COUNTY_TIME).astimezone(UTC)


def demolition(start: datetime, end: datetime | None, *features: Feature) -> ActionFacts:
    return ActionFacts(
        action="a",
        case="c",
        kind=ActionKind.DEMOLITION,
        stage=Stage.EXECUTION,
        start=start,
        end=end,
        township="x",
        features=features,
    )


def judged(start, end, *features, rule=RULE):
    return rule.check_facts(demolition(start, end, *features))


def test_a_working_day_from_six_to_ten_at_night_is_allowed():
    assert judged(county(2026, 1, 21, 6), county(2026, 1, 21, 22)).passed


def test_one_second_into_the_night_is_refused_and_told():
    outcome = judged(county(2026, 1, 21, 9), county(2026, 1, 21, 22, 0, 1))
    assert not outcome.passed
    assert "夜间 2026-01-21 22:00:00 至 22:00:01" in outcome.message_zh
    assert "night, 2026-01-21 22:00:00 to 22:00:01" in outcome.message_en
    assert outcome.mend_zh
    assert outcome.mend_en


def test_one_second_before_six_is_refused():
    assert not judged(county(2026, 1, 21, 5, 59, 59), county(2026, 1, 21, 9)).passed


def test_over_midnight_is_one_night():
    outcome = judged(county(2026, 1, 21, 20), county(2026, 1, 22, 8))
    assert len(outcome.facts["night"]) == 1
    assert "2026-01-21 22:00:00 至 2026-01-22 06:00:00" in outcome.message_zh


def test_several_days_name_each_night():
    outcome = judged(county(2026, 1, 20, 9), county(2026, 1, 23, 9))
    assert len(outcome.facts["night"]) == 3


def test_a_holiday_is_refused_by_its_name():
    outcome = judged(county(2026, 10, 1, 9), county(2026, 10, 1, 10))
    assert not outcome.passed
    assert "2026-10-01 国庆节" in outcome.message_zh
    assert "National Day" in outcome.message_en


def test_a_weekday_given_in_exchange_belongs_to_the_holiday():
    assert not judged(county(2026, 2, 20, 9), county(2026, 2, 20, 10)).passed


def test_a_weekend_worked_in_exchange_is_a_working_day():
    strict = NotAtNightOrHoliday(weekends=True)
    assert judged(county(2026, 2, 14, 9), county(2026, 2, 14, 10), rule=strict).passed


def test_an_ordinary_weekend_is_refused_only_where_the_rule_says_so():
    saturday = county(2026, 1, 24, 9), county(2026, 1, 24, 10)
    assert judged(*saturday).passed
    outcome = judged(*saturday, rule=NotAtNightOrHoliday(weekends=True))
    assert not outcome.passed
    assert "周末" in outcome.message_zh


def test_the_night_of_a_years_change_is_both_night_and_holiday():
    outcome = judged(county(2025, 12, 31, 23), county(2026, 1, 1, 1))
    assert not outcome.passed
    assert "夜间 2025-12-31 23:00:00 至 2026-01-01 01:00:00" in outcome.message_zh
    assert outcome.facts["holidays"] == ["2026-01-01"]


def test_an_action_that_ends_at_midnight_does_not_touch_the_holiday():
    outcome = judged(county(2025, 12, 31, 20), county(2026, 1, 1, 0))
    assert outcome.facts["holidays"] == []
    assert not outcome.passed  # the night began at ten


def test_a_leap_day_is_judged_like_any_other():
    assert judged(county(2024, 2, 29, 9), county(2024, 2, 29, 10)).passed
    assert not judged(county(2024, 2, 29, 23), county(2024, 3, 1, 0)).passed


def test_urgency_excuses_and_says_what_it_excused():
    outcome = judged(county(2026, 10, 1, 23), county(2026, 10, 1, 23, 30), Feature.URGENT)
    assert outcome.passed
    assert "情况紧急" in outcome.message_zh
    assert "国庆节" in outcome.message_zh
    assert outcome.facts["exempt"] == "urgent"


def test_urgency_does_not_excuse_where_the_rule_knows_no_exception():
    strict = NotAtNightOrHoliday(except_urgent=False)
    night = county(2026, 1, 21, 23), county(2026, 1, 21, 23, 30)
    assert not judged(*night, Feature.URGENT, rule=strict).passed


def test_an_urgent_action_by_day_does_not_lean_on_its_urgency():
    outcome = judged(county(2026, 1, 21, 9), county(2026, 1, 21, 10), Feature.URGENT)
    assert outcome.passed
    assert "exempt" not in outcome.facts


def test_a_year_that_nobody_knows_is_not_passed_and_says_what_is_missing():
    day = date(last_known_day().year + 1, 5, 13)
    start = datetime.combine(day, time(9), COUNTY_TIME)
    outcome = judged(start, start + timedelta(hours=1))
    assert not outcome.passed
    assert f"{day.year} 年节假日安排尚未收录" in outcome.message_zh
    assert "更新节假日数据" in outcome.mend_zh
    assert "夜间" not in outcome.message_zh
    assert outcome.facts["unknown_days"] == [day.isoformat()]


def test_a_night_in_an_unknown_year_is_told_as_a_night_too():
    day = date(last_known_day().year + 1, 5, 13)
    start = datetime.combine(day, time(23), COUNTY_TIME)
    outcome = judged(start, start + timedelta(minutes=1))
    assert "夜间" in outcome.message_zh
    assert "尚未收录" in outcome.message_zh


def test_an_urgent_action_in_an_unknown_year_passes_and_says_so():
    day = date(last_known_day().year + 1, 5, 13)
    start = datetime.combine(day, time(9), COUNTY_TIME)
    outcome = judged(start, start + timedelta(hours=1), Feature.URGENT)
    assert outcome.passed
    assert "尚未收录" in outcome.message_zh


def test_an_action_without_an_end_is_judged_by_its_start_and_says_so():
    by_day = judged(county(2026, 1, 21, 21, 59), None)
    assert by_day.passed
    assert "按开始时间判断" in by_day.message_zh
    assert not judged(county(2026, 1, 21, 22), None).passed
    assert not judged(county(2026, 10, 1, 9), None).passed


def test_an_action_that_ends_before_it_starts_is_not_judged_silently():
    outcome = judged(county(2026, 1, 21, 10), county(2026, 1, 21, 9))
    assert not outcome.passed
    assert "结束时间早于开始时间" in outcome.message_zh


def test_an_action_of_no_length_by_day_is_judged_and_allowed():
    assert judged(county(2026, 1, 21, 9), county(2026, 1, 21, 9)).passed


def test_an_action_of_no_length_at_night_is_refused():
    assert not judged(county(2026, 1, 21, 23), county(2026, 1, 21, 23)).passed


@pytest.mark.parametrize(("night_from", "night_to"), [(24, 6), (22, -1), (25, 25)])
def test_hours_that_no_clock_shows_are_refused(night_from, night_to):
    with pytest.raises(ValueError):
        NotAtNightOrHoliday(night_from=night_from, night_to=night_to)


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 20), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, 5000),
)
def test_an_action_is_allowed_exactly_when_every_minute_of_it_is(start, minutes):
    start = start.replace(second=0, microsecond=0)
    end = start + timedelta(minutes=minutes)
    every = [start + timedelta(minutes=n) for n in range(minutes)]
    forbidden = any(
        is_night(one) or is_legal_holiday(one.astimezone(COUNTY_TIME).date()) for one in every
    )
    assert judged(start, end).passed is not forbidden
