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

from policies.identifiers import PersonId


class DispositionState(StrEnum):
    """Where a disposition stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    EXECUTED = "done"
    WITHDRAWN = "withdrawn"


class ItemState(StrEnum):
    """Where one recording of a disposition stands.

    SHREDDED is past return: no key opens it any more. KEPT says that something kept it.
    """

    PENDING = "listed"
    BEGUN = "begun"
    SHREDDED = "shredded"
    DESTROYED = "gone"
    RETAINED = "kept"


DISPOSITION_MOVES: dict[DispositionState, frozenset[DispositionState]] = {
    DispositionState.PROPOSED: frozenset({DispositionState.APPROVED, DispositionState.WITHDRAWN}),
    DispositionState.APPROVED: frozenset({DispositionState.EXECUTED, DispositionState.WITHDRAWN}),
    DispositionState.EXECUTED: frozenset(),
    DispositionState.WITHDRAWN: frozenset(),
}
ITEM_MOVES: dict[ItemState, frozenset[ItemState]] = {
    ItemState.PENDING: frozenset({ItemState.BEGUN, ItemState.RETAINED}),
    ItemState.BEGUN: frozenset({ItemState.SHREDDED, ItemState.RETAINED}),
    ItemState.SHREDDED: frozenset({ItemState.DESTROYED}),
    ItemState.DESTROYED: frozenset(),
    ItemState.RETAINED: frozenset(),
}
DISPOSITION_ZH = {
    DispositionState.PROPOSED: "待审批",
    DispositionState.APPROVED: "已批准,冷静期内或者待执行",
    DispositionState.EXECUTED: "已执行",
    DispositionState.WITHDRAWN: "已撤回",
}
ITEM_ZH = {
    ItemState.PENDING: "待处置",
    ItemState.BEGUN: "正在销毁",
    ItemState.SHREDDED: "密钥已销毁,正在清除密文",
    ItemState.DESTROYED: "已销毁",
    ItemState.RETAINED: "继续保管",
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
    """Facts for a decision about a disposition; persons by id, `approvers` in order.

    `items` are its recordings; `recent_items` are those of other dispositions approved or executed
    within the brake's window; `kept_recordings` are all that are kept now.
    """

    state: DispositionState
    proposer: PersonId
    items: int
    recent_items: int
    kept_recordings: int
    approvers: tuple[PersonId, ...] = ()
    approved_at: datetime | None = None


class DispositionRefusal(StrEnum):
    """Why a step is refused: stable words for the text table."""

    EMPTY = "empty"
    BATCH = "batch-limit"
    STATE = "state"
    SAME_PERSON = "same-person"
    ENOUGH = "approved-already"
    COOLING = "cooling"
    APPROVALS = "approvals-missing"


def may_propose(items: int, bounds: Bounds) -> DispositionRefusal | None:
    """Tell why so many recordings cannot be proposed at once; None when they can."""
    if items < 1:
        return DispositionRefusal.EMPTY
    return DispositionRefusal.BATCH if items > bounds.batch else None


def approvals_asked(proposal: Proposal, bounds: Bounds) -> int:
    """Return how many approvals a disposition needs: one, or two above the brake.

    Splitting a large one changes nothing: what else was approved within the window counts too.
    """
    together = proposal.items + proposal.recent_items
    # Both, for neither is enough alone: a hundredth of a large store is thousands, and 200 may be
    # all of a small one.
    above = (
        together > bounds.brake_items or together > proposal.kept_recordings * bounds.brake_share
    )
    return 2 if above else 1


def may_approve(proposal: Proposal, person: PersonId, bounds: Bounds) -> DispositionRefusal | None:
    """Tell why this person cannot approve it; None when he can.

    One that is approved takes a further approval while the brake asks for it.
    """
    if proposal.state not in {DispositionState.PROPOSED, DispositionState.APPROVED}:
        return DispositionRefusal.STATE
    # Who approved once cannot be the third person that the brake asks for.
    if person == proposal.proposer or person in proposal.approvers:
        return DispositionRefusal.SAME_PERSON
    return (
        DispositionRefusal.ENOUGH
        if len(proposal.approvers) >= approvals_asked(proposal, bounds)
        else None
    )


def may_execute(proposal: Proposal, at: datetime, bounds: Bounds) -> DispositionRefusal | None:
    """Tell why its destruction cannot begin at this moment; None when it can.

    The brake is asked again: what was approved elsewhere meanwhile may call for one approval more.
    """
    if proposal.state is not DispositionState.APPROVED or proposal.approved_at is None:
        return DispositionRefusal.STATE
    # Counted by persons once more, not believed from the state: a row that was edited so that the
    # proposer, or one person twice, stands among the approvers, destroys nothing.
    if len({*proposal.approvers} - {proposal.proposer}) < approvals_asked(proposal, bounds):
        return DispositionRefusal.APPROVALS
    return (
        DispositionRefusal.COOLING
        if at < compute_cooling_end(proposal.approved_at, bounds)
        else None
    )


def may_withdraw(state: DispositionState, begun: bool) -> DispositionRefusal | None:  # noqa: FBT001 - a fact, not a switch
    """Tell why it cannot be withdrawn; None when it can: until its destruction began."""
    open_ = DispositionState.WITHDRAWN in DISPOSITION_MOVES[state]
    return None if open_ and not begun else DispositionRefusal.STATE


def compute_cooling_end(approved_at: datetime, bounds: Bounds) -> datetime:
    """Return when the cooling-off time ends; never, where that would pass the calendar's end."""
    try:
        return approved_at + bounds.cooling
    except OverflowError:
        return datetime.max.replace(tzinfo=approved_at.tzinfo)


def is_settled(items: Sequence[ItemState]) -> bool:
    """Tell whether nothing of a disposition is left to be done."""
    # `may_propose` refuses an empty disposition, so that this is never true of nothing.
    return all(not ITEM_MOVES[state] for state in items)
