"""Coverage arithmetic: joined, shrunk, cut, explained."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.facts.findings import Cause
from policies.requirements.footage.coverage import Coverage, compute_coverage
from policies.time.intervals import Span, clip_spans, subtract_spans, sum_span_seconds, unite_spans
from tests.policies.conftest import T0, at, clip

EXACT = Coverage(assumed_uncertainty_s=0.0)

spans = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 60)).map(
        lambda t: Span(at(t[0]), at(t[0] + t[1]))
    ),
    max_size=12,
)


def seconds(found) -> list[tuple[float, float]]:
    return [
        ((s.start - T0) / timedelta(seconds=1), (s.end - T0) / timedelta(seconds=1)) for s in found
    ]


@given(spans, spans)
def test_union_and_subtraction_agree_second_by_second(whole, parts):
    def inside(group, n):
        return any(s.start <= at(n) < s.end for s in group)

    merged, left = unite_spans(whole), subtract_spans(whole, parts)
    for n in range(0, 361, 3):
        assert inside(merged, n) == inside(whole, n)
        assert inside(left, n) == (inside(whole, n) and not inside(parts, n))
    assert (
        abs(
            sum_span_seconds(left)
            + sum_span_seconds(p for w in merged for p in clip_spans(unite_spans(parts), w))
            - sum_span_seconds(whole)
        )
        < 1e-6
    )


@given(spans)
def test_coverage_and_gaps_make_up_the_action(found):
    from policies.facts.facts import ActionFacts
    from policies.facts.stages import ActionKind, Stage

    footage = tuple(clip(*seconds([span])[0], source=f"S{n}") for n, span in enumerate(found))
    facts = ActionFacts(
        "a", "c", ActionKind.SEIZURE, Stage.FILING, at(20), at(200), "x", footage=footage
    )
    result = compute_coverage(EXACT, facts)
    assert abs(result.covered_s + sum_span_seconds(gap.span for gap in result.gaps) - 180) < 1e-6


def test_segments_of_one_source_join_within_the_rollover(seizure):
    outcome = EXACT.check_facts(seizure(clip(-5, 50), clip(51.5, 105)))
    assert outcome.passed


def test_a_break_longer_than_the_rollover_is_a_gap(seizure):
    outcome = EXACT.check_facts(seizure(clip(-5, 50), clip(55, 105)))
    assert not outcome.passed
    assert seconds(gap.span for gap in outcome.gaps) == [(50, 55)]
    assert "09:43:50 至 09:43:55" in outcome.message_zh


def test_a_second_officers_recorder_fills_the_gap(seizure):
    assert EXACT.check_facts(seizure(clip(-5, 50), clip(70, 105), clip(45, 75, "B"))).passed


def test_silence_inside_a_segment_is_never_closed_as_a_rollover(seizure):
    outcome = EXACT.check_facts(seizure(clip(-5, 105, missing_audio=((35.0, 36.5),))))
    assert [gap.cause for gap in outcome.gaps] == [Cause.NO_SOUND]
    assert seconds(gap.span for gap in outcome.gaps) == [(30, 31.5)]


def test_footage_without_a_sound_track_does_not_count(seizure):
    outcome = EXACT.check_facts(seizure(clip(-5, 105, has_audio=False)))
    assert outcome.facts["share"] == 0
    assert {gap.cause for gap in outcome.gaps} == {Cause.NO_SOUND}


def test_doubtful_picture_does_not_satisfy(seizure):
    outcome = EXACT.check_facts(seizure(clip(-5, 105, doubtful=((10.0, 20.0, "black"),))))
    assert [gap.cause for gap in outcome.gaps] == [Cause.DOUBTFUL]


def test_an_unmeasured_clock_shrinks_the_ends_and_says_so(seizure):
    outcome = Coverage(assumed_uncertainty_s=3).check_facts(
        seizure(clip(-1, 101, uncertainty_s=None))
    )
    assert seconds(gap.span for gap in outcome.gaps) == [(0, 2), (98, 100)]
    assert {gap.cause for gap in outcome.gaps} == {Cause.CLOCK}
    assert outcome.facts["clock_measured"] is False
    assert "时钟未校准" in outcome.message_zh


def test_footage_with_an_unknown_start_covers_nothing(seizure):
    from dataclasses import replace

    outcome = EXACT.check_facts(seizure(replace(clip(-5, 105), start=None, end=None)))
    assert outcome.facts["share"] == 0


def test_the_nearest_unlinked_footage_is_named(seizure):
    near, far = clip(60, 80, "B", recording="near-one"), clip(300, 400, "C")
    outcome = EXACT.check_facts(seizure(clip(-5, 50), clip(70, 105), nearby=(far, near)))
    assert outcome.gaps[0].nearest == "near-one"
    assert "B 09:44:00 至 09:44:20(可补 10秒)" in outcome.message_zh


def test_an_action_without_an_end_cannot_be_judged(seizure):
    outcome = EXACT.check_facts(seizure(clip(0, 100), end=None))
    assert not outcome.passed
    assert "结束时间" in outcome.message_zh


def test_a_gap_shorter_than_the_rule_allows_passes(seizure):
    assert (
        Coverage(assumed_uncertainty_s=0, rollover_s=0, max_gap_s=1)
        .check_facts(seizure(clip(-5, 50), clip(50.9, 105)))
        .passed
    )


def test_a_gap_of_two_causes_is_as_long_as_both_together(seizure):
    no_sound = clip(50, 50.9, "B", has_audio=False)
    rule = Coverage(assumed_uncertainty_s=0, rollover_s=0, max_gap_s=1)
    assert not rule.check_facts(seizure(clip(-5, 50), no_sound, clip(51.8, 105))).passed


def test_many_tiny_gaps_do_not_add_up_unseen(seizure):
    parts = [clip(start, start + 9.2) for start in range(-10, 110, 10)]
    rule = Coverage(assumed_uncertainty_s=0, rollover_s=0, max_gap_s=1)
    assert not rule.check_facts(seizure(*parts)).passed
    assert (
        Coverage(assumed_uncertainty_s=0, rollover_s=0, max_gap_s=1, min_share=0.9)
        .check_facts(seizure(*parts))
        .passed
    )


def test_an_uncertain_failure_is_filled_only_by_footage_that_surely_shows_it(seizure):
    failing = clip(-10, 110, "A", missing_audio=((50.0, 55.0),), uncertainty_s=3.0)
    just, wide = clip(39, 47, "B"), clip(36, 49, "B")
    assert not EXACT.check_facts(seizure(failing, just)).passed
    assert EXACT.check_facts(seizure(failing, wide)).passed


def test_a_failure_of_one_source_is_not_made_longer_by_its_clock(seizure):
    failing = clip(-10, 110, "A", missing_video=((50.0, 50.5),), uncertainty_s=3.0)
    outcome = Coverage(max_gap_s=1).check_facts(seizure(failing))
    assert outcome.passed
    assert [gap.span.seconds for gap in outcome.gaps] == [0.5]


def test_footage_must_start_before_and_end_after_where_the_rule_says_so(seizure):
    rule = Coverage(assumed_uncertainty_s=0, starts_before_s=10, ends_after_s=5)
    assert not rule.check_facts(seizure(clip(-2, 110))).passed
    assert not rule.check_facts(seizure(clip(-12, 102))).passed
    assert rule.check_facts(seizure(clip(-12, 106))).passed


def test_too_few_sources_do_not_pass(seizure):
    rule = Coverage(assumed_uncertainty_s=0, min_sources=2)
    outcome = rule.check_facts(seizure(clip(-5, 105)))
    assert not outcome.passed
    assert "至少 2 台" in outcome.message_zh
    assert rule.check_facts(seizure(clip(-5, 105), clip(10, 20, "B"))).passed
