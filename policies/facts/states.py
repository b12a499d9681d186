"""States of actions, exhibits, explanations and certificates, and the moves between them.

What stands in a row or in JSON is the state's own word. A move that is in no table is refused by
whoever writes the row (`storage/catalogue/cases/`, `storage/catalogue/people/register.py`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


class ActionStatus(StrEnum):
    """Where an action stands: open, or closed under a verdict that stays."""

    OPEN = "open"
    CLOSED = "closed"


# Nothing opens an action again: what was judged at its closing stays what was judged.
ACTION_MOVES: dict[ActionStatus, frozenset[ActionStatus]] = {
    ActionStatus.OPEN: frozenset({ActionStatus.CLOSED}),
    ActionStatus.CLOSED: frozenset(),
}


class ExhibitState(StrEnum):
    """Where a link between a recording and an action stands."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


# While the action is open a person may change his mind; what was decided is proposed no more.
EXHIBIT_MOVES: dict[ExhibitState, frozenset[ExhibitState]] = {
    ExhibitState.PROPOSED: frozenset({ExhibitState.CONFIRMED, ExhibitState.REJECTED}),
    ExhibitState.CONFIRMED: frozenset({ExhibitState.REJECTED}),
    ExhibitState.REJECTED: frozenset({ExhibitState.CONFIRMED}),
}


class WaiverState(StrEnum):
    """Where an explanation (情况说明) stands; settled once, by another person."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"


WAIVER_MOVES: dict[WaiverState, frozenset[WaiverState]] = {
    WaiverState.PROPOSED: frozenset({WaiverState.APPROVED, WaiverState.REFUSED}),
    WaiverState.APPROVED: frozenset(),
    WaiverState.REFUSED: frozenset(),
}


class CertificateEnding(StrEnum):
    """How a certificate (执法证) ends before its last day (第四条); it ends once."""

    SURRENDERED = "surrendered"
    REVOKED = "revoked"


def can_become(moves: Mapping[State, frozenset[State]], state: str, target: State) -> bool:
    """Tell whether what a row says may become another state; a word that is none becomes none."""
    return any(former == state and target in later for former, later in moves.items())
