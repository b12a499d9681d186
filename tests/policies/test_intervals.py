"""The algebra of time against a brute-force model that counts second by second."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies.facts.facts import ActionFacts, Footage
from policies.facts.stages import ActionKind, Stage
from policies.requirements.footage.coverage import Coverage, compute_coverage
from policies.time.intervals import (
    Span,
    intersect_runs,
    intersect_spans,
    merge_runs,
    shrink_runs,
    subtract_runs,
    subtract_spans,
    sum_run_seconds,
    sum_span_seconds,
    unite_spans,
)

T0 = datetime(2026, 12, 31, 15, 59, 30, tzinfo=UTC)  # the county's new year lies inside
LAST = 120
pairs = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 30)).map(lambda t: (t[0], t[0] + t[1])),
    max_size=10,
)


def span(pair):
    return Span(T0 + timedelta(seconds=pair[0]), T0 + timedelta(seconds=pair[1]))


def seconds(found):
    """Return the whole seconds that spans cover."""
    return {
        n
        for s in found
        for n in range(round((s.start - T0).total_seconds()), round((s.end - T0).total_seconds()))
    }


def model(group):
    return {n for a, b in group for n in range(a, b)}


@given(pairs, pairs)
def test_union_intersection_and_subtraction_count_as_a_clock_does(some, others):
    left, right = [span(p) for p in some], [span(p) for p in others]
    assert seconds(unite_spans(left)) == model(some)
    assert seconds(intersect_spans(left, right)) == model(some) & model(others)
    assert seconds(subtract_spans(left, right)) == model(some) - model(others)
    assert sum_span_seconds(left) == len(model(some))


@given(pairs, st.integers(0, 8))
def test_breaks_within_the_tolerance_close_and_longer_ones_do_not(group, tolerance):
    covered_seconds = sorted(model(group))
    expected = set(covered_seconds)
    for a, b in pairwise(covered_seconds):
        if b - a - 1 <= tolerance:
            expected |= set(range(a, b))
    assert seconds(unite_spans([span(p) for p in group], within=tolerance)) == expected


@given(pairs, pairs)
def test_runs_stay_apart_and_in_order(some, others):
    full = [[p for p in group if p[0] < p[1]] for group in (some, others)]
    left, right = (merge_runs([a for a, _ in g], [b for _, b in g]) for g in full)
    for runs in (
        left,
        right,
        intersect_runs(left, right),
        subtract_runs(left, right),
        shrink_runs(left, 2.0),
    ):
        starts, ends = runs
        assert all(a < b for a, b in zip(starts, ends, strict=True))
        assert all(a > b for a, b in zip(starts[1:], ends, strict=False))
    parts = sum_run_seconds(intersect_runs(left, right)) + sum_run_seconds(
        subtract_runs(left, right)
    )
    assert abs(parts - sum_run_seconds(left)) < 1e-9


# A source: its clock's uncertainty, and files apart by more than any recorder overlaps.
files = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(-20, 100),
            "length": st.integers(0, 60),
            "video": st.sampled_from([True, True, True, False]),
            "audio": st.sampled_from([True, True, True, False]),
            "silent": st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(1, 20))),
            "doubtful": st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(1, 20))),
        }
    ),
    max_size=4,
)
sources = st.lists(st.tuples(st.integers(0, 3), files), max_size=3)


def spelt(told):
    """Return the footage of a drawn scene."""
    found = []
    for number, (unsure, drawn) in enumerate(told):
        for index, one in enumerate(drawn):
            cut = {
                name: tuple((a, a + b, *more) for a, b in [one[key]])
                for name, key, more in (
                    ("missing_audio", "silent", ()),
                    ("doubtful", "doubtful", ("black",)),
                )
                if one[key] is not None
            }
            begun = T0 + timedelta(seconds=one["start"])
            found.append(
                Footage(
                    f"{number}-{index}",
                    f"S{number}",
                    begun,
                    begun + timedelta(seconds=one["length"]),
                    float(unsure),
                    one["video"],
                    one["audio"],
                    **cut,
                )
            )
    return tuple(found)


def brute(told, rollover):
    """Count, second by second, what qualifying footage surely shows of [0, LAST)."""
    certain, bad, unsure_of = {}, {}, {}
    for number, (unsure, drawn) in enumerate(told):
        sound = [o for o in drawn if o["video"] and o["audio"] and o["length"]]
        if not any(o["length"] for o in drawn):
            continue
        filmed = sorted(model([(o["start"], o["start"] + o["length"]) for o in sound]))
        joined = set(filmed)
        for a, b in pairwise(filmed):
            if b - a - 1 <= rollover:
                joined |= set(range(a, b))
        certain[number] = {
            n for n in joined if all(m in joined for m in range(n - unsure, n + unsure + 1))
        }
        bad[number] = {
            o["start"] + n
            for o in sound
            for key in ("silent", "doubtful")
            if o[key] is not None
            for n in range(o[key][0], min(o[key][0] + o[key][1], o["length"]))
        }
        unsure_of[number] = unsure
    shown = set().union(*[certain[n] - bad[n] for n in certain]) if certain else set()
    unfilled = set()
    for number, mine in bad.items():
        others = set()
        for other, surely in certain.items():
            if other != number:
                by = unsure_of[other]
                wide = {m for n in bad[other] for m in range(n - by, n + by + 1)}
                others |= surely - wide
        for run in runs(mine):
            by = unsure_of[number]
            if not set(range(run[0] - by, run[1] + by)) <= others:
                unfilled |= set(range(*run))
    return {n for n in shown - unfilled if 0 <= n < LAST}


def runs(group):
    found = []
    for n in sorted(group):
        if found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
        else:
            found.append((n, n + 1))
    return found


@given(sources)
def test_coverage_counts_as_a_clock_does(told):
    rule = Coverage(rollover_s=2.0, overlap_s=10_000.0)
    facts = ActionFacts(
        "a",
        "c",
        ActionKind.SEIZURE,
        Stage.FILING,
        T0,
        T0 + timedelta(seconds=LAST),
        "x",
        footage=spelt(told),
    )
    result = compute_coverage(rule, facts)
    expected = brute(told, 2)
    assert seconds(result.holes) == set(range(LAST)) - expected
    assert abs(result.covered_s - len(expected)) < 1e-6
    assert abs(sum_span_seconds(g.span for g in result.gaps) + len(expected) - LAST) < 1e-6


def test_two_files_of_one_source_that_claim_the_same_time_are_not_believed():
    begun = T0 - timedelta(seconds=10)
    one, other = (
        Footage(f"r{n}", "S", begun, begun + timedelta(seconds=140), 0.0, True, True)
        for n in (1, 2)
    )
    end = T0 + timedelta(seconds=LAST)
    facts = ActionFacts(
        "a", "c", ActionKind.SEIZURE, Stage.FILING, T0, end, "x", footage=(one, other)
    )
    outcome = Coverage().check_facts(facts)
    assert not outcome.passed
    assert outcome.facts["contradictory"] == ["S"]
    assert {gap.cause for gap in outcome.gaps} == {"contradictory"}
