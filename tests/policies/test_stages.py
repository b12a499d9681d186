"""The way of a case: what may follow what, and that no case walks in circles for ever."""

import itertools

import pytest

from policies.facts.stages import ENDS, MAIN, MOVES, RETURNING, STAGE_ZH, Stage, next_stages


def test_every_stage_has_moves_and_a_name():
    assert set(MOVES) == set(Stage) == set(STAGE_ZH)


def test_the_main_way_is_that_of_article_ten():
    named = "".join(STAGE_ZH[stage] for stage in MAIN)
    assert named == "登记受理立案调查取证审查决定送达执行结案"
    for here, there in itertools.pairwise(MAIN):
        assert there in MOVES[here]


@pytest.mark.parametrize("stage", Stage)
def test_from_every_stage_an_end_can_be_reached(stage):
    reached, left = set(), {(stage, Stage.INVESTIGATION if stage in RETURNING else None)}
    while left:
        here, back = left.pop()
        reached.add(here)
        for there in next_stages(here, back):
            if there not in reached:
                left.add((there, here if there in RETURNING and here not in RETURNING else back))
    assert reached & ENDS


@pytest.mark.parametrize("stage", Stage)
def test_no_stage_leads_to_itself(stage):
    assert stage not in MOVES[stage]


def test_what_ended_by_transfer_or_non_filing_stays_ended():
    assert next_stages(Stage.TRANSFER) == next_stages(Stage.NON_FILING) == frozenset()


def test_a_closed_case_is_opened_by_an_appeal_alone():
    assert next_stages(Stage.CLOSING) == {Stage.RECONSIDERATION, Stage.LITIGATION}


@pytest.mark.parametrize("stage", sorted(RETURNING))
def test_an_interruption_leads_back_only_to_what_it_left(stage):
    assert next_stages(stage, Stage.EXECUTION) - next_stages(stage) == {Stage.EXECUTION}
    assert Stage.EXECUTION not in next_stages(stage, Stage.SERVICE)


def test_no_review_is_skipped_on_the_way_to_a_decision():
    assert [here for here in Stage if Stage.DECISION in MOVES[here]] == [Stage.REVIEW]
