"""When the store is full: what comes, what goes, and what stays."""

from datetime import timedelta

from policies.retention.capacity import LOOK_BACK, WEEK, WEEKS, StationStock, forecast_capacity

ORDINARY = timedelta(days=184)


def test_what_is_kept_for_ever_only_grows(now):
    told = forecast_capacity([StationStock("s1", True, 100, 4 * 10)], [], ORDINARY, 200, now)
    assert told.weeks[:3] == (100, 110, 120)
    assert told.full_at == now + 10 * WEEK


def test_ordinary_footage_levels_out_after_its_period(now):
    told = forecast_capacity([StationStock("s1", False, 0, LOOK_BACK * 7)], [], ORDINARY, None, now)
    stays = 27  # weeks of 184 days, rounded up
    assert told.weeks[stays] == stays * 7
    assert told.weeks[stays + 1] == told.weeks[WEEKS - 1] == stays * 7
    assert told.full_at is None


def test_what_falls_due_makes_room_and_never_less_than_none(now):
    told = forecast_capacity([StationStock("s1", False, 50, 0)], [20, 100], ORDINARY, 60, now)
    assert told.weeks[:4] == (50, 30, 0, 0)
    assert told.full_at is None


def test_a_store_that_is_full_already_says_so(now):
    told = forecast_capacity([StationStock("s1", True, 50, 0)], [], ORDINARY, 50, now)
    assert told.full_at == now
