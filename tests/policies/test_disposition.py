"""Who may decide a disposition, how many recordings at once, and when it may be executed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policies.retention.disposition import (
    Bounds,
    DispositionRefusal,
    DispositionState,
    ItemState,
    Proposal,
    approvals_asked,
    compute_cooling_end,
    is_settled,
    may_approve,
    may_execute,
    may_propose,
    may_withdraw,
)
from policies.time.trusted_time import ClockAnswer, ClockDoubt, find_clock_doubt

BOUNDS = Bounds()
PROPOSED = Proposal(
    DispositionState.PROPOSED, "p1", items=10, recent_items=0, kept_recordings=10_000
)


def approved(at, *persons, **more):
    return replace(
        PROPOSED, state=DispositionState.APPROVED, approvers=persons, approved_at=at, **more
    )


@pytest.mark.parametrize(
    ("items", "no"),
    [(0, DispositionRefusal.EMPTY), (1, None), (1000, None), (1001, DispositionRefusal.BATCH)],
)
def test_a_batch_has_bounds(items, no):
    assert may_propose(items, BOUNDS) is no


@pytest.mark.parametrize(
    ("items", "others", "kept", "asked"),
    [
        (10, 0, 10_000, 1),
        (100, 0, 10_000, 1),
        (101, 0, 10_000, 2),  # more than a hundredth of the store
        (200, 0, 1_000_000, 1),
        (201, 0, 1_000_000, 2),
        (100, 101, 1_000_000, 2),  # split in two
        (1, 0, 0, 2),
    ],
)
def test_the_brake_asks_for_a_further_approval(items, others, kept, asked):
    told = replace(PROPOSED, items=items, recent_items=others, kept_recordings=kept)
    assert approvals_asked(told, BOUNDS) == asked


def test_who_proposed_or_approved_cannot_approve():
    large = replace(PROPOSED, items=300, approvers=("p2",))
    assert may_approve(PROPOSED, "p1", BOUNDS) is DispositionRefusal.SAME_PERSON
    assert may_approve(PROPOSED, "p2", BOUNDS) is None
    assert may_approve(large, "p2", BOUNDS) is DispositionRefusal.SAME_PERSON
    assert may_approve(large, "p1", BOUNDS) is DispositionRefusal.SAME_PERSON
    assert may_approve(large, "p3", BOUNDS) is None


def test_what_has_its_approvals_takes_no_more_until_the_brake_asks(now):
    told = approved(now, "p2")
    assert may_approve(told, "p3", BOUNDS) is DispositionRefusal.ENOUGH
    assert may_approve(replace(told, recent_items=500), "p3", BOUNDS) is None


@pytest.mark.parametrize("state", [DispositionState.EXECUTED, DispositionState.WITHDRAWN])
def test_what_is_over_stays_over(state, now):
    told = replace(approved(now, "p2"), state=state)
    assert may_approve(told, "p3", BOUNDS) is DispositionRefusal.STATE
    assert may_execute(told, now + timedelta(days=999), BOUNDS) is DispositionRefusal.STATE
    assert may_withdraw(state, begun=False) is DispositionRefusal.STATE


def test_nothing_is_executed_before_the_cooling_off_time_is_over(now):
    told = approved(now, "p2")
    edge = now + BOUNDS.cooling
    assert may_execute(told, edge - timedelta(microseconds=1), BOUNDS) is DispositionRefusal.COOLING
    assert may_execute(told, edge, BOUNDS) is None


def test_the_proposers_own_approval_counts_for_nothing(now):
    """However it came into the row."""
    assert (
        may_execute(approved(now, "p1"), now + BOUNDS.cooling, BOUNDS)
        is DispositionRefusal.APPROVALS
    )
    twice = approved(now, "p2", "p2", recent_items=500)
    assert may_execute(twice, now + BOUNDS.cooling, BOUNDS) is DispositionRefusal.APPROVALS


def test_withdrawn_until_its_destruction_begins():
    assert may_withdraw(DispositionState.PROPOSED, begun=False) is None
    assert may_withdraw(DispositionState.APPROVED, begun=False) is None
    assert may_withdraw(DispositionState.APPROVED, begun=True) is DispositionRefusal.STATE


def test_cooling_off_never_passes_the_calendars_end():
    last = datetime(9999, 12, 31, tzinfo=UTC)
    assert compute_cooling_end(last, BOUNDS) > last


def test_settled_when_every_item_is_gone_or_kept():
    assert is_settled([ItemState.DESTROYED, ItemState.RETAINED])
    assert not is_settled([ItemState.DESTROYED, ItemState.SHREDDED])


@pytest.mark.parametrize(
    ("ahead_s", "doubt"), [(0, None), (300, None), (300.5, ClockDoubt.AHEAD), (-9999, None)]
)
def test_a_clock_is_doubted_when_it_runs_ahead(now, ahead_s, doubt):
    told = [ClockAnswer("ntp", now, now - timedelta(seconds=ahead_s))]
    assert find_clock_doubt(told, now, None) is doubt


def test_one_that_disagrees_is_enough_and_nobody_is_too_few(now):
    agrees = ClockAnswer("a", now, now)
    ahead = ClockAnswer("b", now, now - timedelta(days=1))
    assert find_clock_doubt([agrees, ahead], now, None) is ClockDoubt.AHEAD
    assert find_clock_doubt([], now, None) is ClockDoubt.NOBODY


def test_an_old_answer_and_a_log_from_the_future_count_for_nothing(now):
    told = [ClockAnswer("a", now - timedelta(minutes=2), now - timedelta(minutes=2))]
    assert find_clock_doubt(told, now, None) is ClockDoubt.STALE
    fresh = [ClockAnswer("a", now, now)]
    assert find_clock_doubt(fresh, now, now + timedelta(minutes=6)) is ClockDoubt.BEHIND_LOG
    assert find_clock_doubt(fresh, now, now + timedelta(minutes=4)) is None
