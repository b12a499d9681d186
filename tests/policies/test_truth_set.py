"""Coverage against scenes whose truth is known: no gap is missed, nothing is called complete."""

import pytest

from policies.requirements.footage.coverage import Coverage
from tests.policies.truth_set import DEFECTS, table

ASSUMED_S = Coverage().assumed_uncertainty_s


@pytest.fixture(scope="module")
def judged():
    _lines, found = table(60)
    return found


def test_the_set_is_large_and_holds_every_defect(judged):
    assert sum(len(scenes) for scenes in judged.values()) == 600
    assert {kind.partition(",")[0] for kind in judged} == set(DEFECTS)


def test_nothing_with_a_gap_is_called_complete(judged):
    assert [kind for kind, scenes in judged.items() if any(j.false_complete for j in scenes)] == []


def test_no_gap_is_missed(judged):
    assert sum(j.missed for scenes in judged.values() for j in scenes) == 0


def test_gaps_are_found_to_a_second_where_clocks_are_measured(judged):
    for kind, scenes in judged.items():
        within = 1.0 if "unmeasured" not in kind else 2 * ASSUMED_S
        assert max(j.error for j in scenes) <= within, kind
        assert max(j.over for j in scenes) <= within, kind


def test_what_is_whole_raises_no_alarm(judged):
    """Not one of the scenes without a defect may be refused; a set that refuses all is no test."""
    whole = [j for kind, scenes in judged.items() if kind.startswith("none") for j in scenes]
    assert len(whole) == 60
    assert sum(j.alarmed for j in whole) == 0
