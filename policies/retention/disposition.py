"""Disposition (处置): who may decide that recordings are destroyed, how many, and when.

One person proposes, another *person* approves; what exceeds the brake asks for one approval more,
by a third. Then a cooling-off time runs, in which anybody entitled may withdraw it. Whether a
recording may go is `policies/retention/retention.py`'s to say, again and again up to the last
moment; a clock that nobody vouches for stops everything (`policies/time/trusted_time.py`). Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class DispositionState(StrEnum):
    """Where a disposition stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class ItemState(StrEnum):
    """Where one recording of a disposition stands.

    SHREDDED is past return: no key opens it any more. KEPT says that something kept it.
    """

    LISTED = "listed"
    BEGUN = "begun"
    SHREDDED = "shredded"
    GONE = "gone"
    KEPT = "kept"


DISPOSITION_MOVES: dict[DispositionState, frozenset[DispositionState]] = {
    DispositionState.PROPOSED: frozenset({DispositionState.APPROVED, DispositionState.WITHDRAWN}),
    DispositionState.APPROVED: frozenset({DispositionState.DONE, DispositionState.WITHDRAWN}),
    DispositionState.DONE: frozenset(),
    DispositionState.WITHDRAWN: frozenset(),
}
ITEM_MOVES: dict[ItemState, frozenset[ItemState]] = {
    ItemState.LISTED: frozenset({ItemState.BEGUN, ItemState.KEPT}),
    ItemState.BEGUN: frozenset({ItemState.SHREDDED, ItemState.KEPT}),
    ItemState.SHREDDED: frozenset({ItemState.GONE}),
    ItemState.GONE: frozenset(),
    ItemState.KEPT: frozenset(),
}
DISPOSITION_ZH = {
    DispositionState.PROPOSED: "待审批",
    DispositionState.APPROVED: "已批准,冷静期内或者待执行",
    DispositionState.DONE: "已执行",
    DispositionState.WITHDRAWN: "已撤回",
}
ITEM_ZH = {
    ItemState.LISTED: "待处置",
    ItemState.BEGUN: "正在销毁",
    ItemState.SHREDDED: "密钥已销毁,正在清除密文",
    ItemState.GONE: "已销毁",
    ItemState.KEPT: "继续保管",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a disposition.

    `batch`: recordings in one at most. Beyond `brake_items` within `brake_window`, or beyond
    `brake_share` of all recordings kept, a further approval is asked for. `cooling`: from the last
    approval to the first destruction.
    """

    batch: int = 1_000
    brake_items: int = 200
    brake_share: float = 0.01
    brake_window: timedelta = timedelta(days=1)
    cooling: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a decision about a disposition looks at; persons by id, `approvers` in order.

    `items` are its recordings; `others` are those of other dispositions approved or executed
    within the brake's window; `kept` are all recordings that are kept now.
    """

    state: DispositionState
    proposer: str
    items: int
    others: int
    kept: int
    approvers: tuple[str, ...] = ()
    approved_at: datetime | None = None


class No(StrEnum):
    """Why a step is refused: stable words for the text table."""

    EMPTY = "empty"
    BATCH = "batch-limit"
    STATE = "state"
    SAME_PERSON = "same-person"
    ENOUGH = "approved-already"
    COOLING = "cooling"
    APPROVALS = "approvals-missing"


def may_propose(items: int, bounds: Bounds) -> No | None:
    """Tell why so many recordings cannot be proposed at once; None when they can."""
    if items < 1:
        return No.EMPTY
    return No.BATCH if items > bounds.batch else None


def approvals_asked(told: Proposal, bounds: Bounds) -> int:
    """Return how many approvals a disposition needs: one, or two above the brake.

    Splitting a large one changes nothing: what else was approved within the window counts too.
    """
    together = told.items + told.others
    above = together > bounds.brake_items or together > told.kept * bounds.brake_share
    return 2 if above else 1


def may_approve(told: Proposal, person: str, bounds: Bounds) -> No | None:
    """Tell why this person cannot approve it; None when he can.

    One that is approved takes a further approval while the brake asks for it.
    """
    if told.state not in {DispositionState.PROPOSED, DispositionState.APPROVED}:
        return No.STATE
    if person == told.proposer or person in told.approvers:
        return No.SAME_PERSON
    return No.ENOUGH if len(told.approvers) >= approvals_asked(told, bounds) else None


def may_execute(told: Proposal, at: datetime, bounds: Bounds) -> No | None:
    """Tell why its destruction cannot begin at this moment; None when it can.

    The brake is asked again: what was approved elsewhere meanwhile may call for one approval more.
    """
    if told.state is not DispositionState.APPROVED or told.approved_at is None:
        return No.STATE
    if len({*told.approvers} - {told.proposer}) < approvals_asked(told, bounds):
        return No.APPROVALS
    return No.COOLING if at < cooled(told.approved_at, bounds) else None


def may_withdraw(state: DispositionState, begun: bool) -> No | None:  # noqa: FBT001 - a fact, not a switch
    """Tell why it cannot be withdrawn; None when it can: until its destruction began."""
    open_ = DispositionState.WITHDRAWN in DISPOSITION_MOVES[state]
    return None if open_ and not begun else No.STATE


def cooled(approved_at: datetime, bounds: Bounds) -> datetime:
    """Return when the cooling-off time ends; never, where that would pass the calendar's end."""
    try:
        return approved_at + bounds.cooling
    except OverflowError:
        return datetime.max.replace(tzinfo=approved_at.tzinfo)


def settled(items: Sequence[ItemState]) -> bool:
    """Tell whether nothing of a disposition is left to be done."""
    return all(not ITEM_MOVES[state] for state in items)
