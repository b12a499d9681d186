"""States of actions, exhibits, explanations: what may follow what, and the words that rows hold."""

from enum import StrEnum

import pytest

from policies.facts.states import (
    ACTION_MOVES,
    EXHIBIT_MOVES,
    WAIVER_MOVES,
    ActionStatus,
    CertificateEnding,
    ExhibitState,
    WaiverState,
    can_become,
)

TABLES = [(ActionStatus, ACTION_MOVES), (ExhibitState, EXHIBIT_MOVES), (WaiverState, WAIVER_MOVES)]


@pytest.mark.parametrize(("states", "moves"), TABLES)
def test_every_state_has_its_moves_and_none_leads_to_itself(
    states: type[StrEnum], moves: dict[StrEnum, frozenset[StrEnum]]
) -> None:
    assert set(moves) == set(states)
    assert all(state not in following for state, following in moves.items())


@pytest.mark.parametrize(("states", "moves"), TABLES)
def test_whatever_begins_can_be_decided(
    states: type[StrEnum], moves: dict[StrEnum, frozenset[StrEnum]]
) -> None:
    first, *others = states
    assert moves[first] == set(others)


def test_a_word_that_is_no_state_becomes_nothing() -> None:
    assert can_become(EXHIBIT_MOVES, "proposed", ExhibitState.CONFIRMED)
    assert not can_become(EXHIBIT_MOVES, "confirmed", ExhibitState.CONFIRMED)
    assert not any(can_become(EXHIBIT_MOVES, "anything", state) for state in ExhibitState)


def test_a_closed_action_and_a_settled_explanation_stay_so() -> None:
    assert not ACTION_MOVES[ActionStatus.CLOSED]
    assert not WAIVER_MOVES[WaiverState.APPROVED]
    assert not WAIVER_MOVES[WaiverState.REFUSED]


def test_what_a_person_decided_of_a_link_is_never_a_proposal_again() -> None:
    assert all(ExhibitState.PROPOSED not in following for following in EXHIBIT_MOVES.values())


def test_the_words_are_those_of_rows_and_bundles() -> None:
    words = (*ActionStatus, *ExhibitState, *WaiverState, *CertificateEnding)
    assert " ".join(words) == (
        "open closed proposed confirmed rejected proposed approved refused surrendered revoked"
    )
