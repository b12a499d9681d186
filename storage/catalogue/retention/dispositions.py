"""Dispositions (处置): proposed, approved by another person, withdrawn; how far each item is.

Who may do what and when is `policies/retention/disposition.py`'s to say; whether a recording may
go, `policies/retention/retention.py`'s. What destroys is `storage/upkeep/destruction.py`; it moves
items with `move`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.facts.facts_json import plain
from policies.retention import disposition as policy
from policies.retention.disposition import (
    DISPOSITION_MOVES,
    Bounds,
    DispositionState,
    ItemState,
    No,
    Proposal,
)
from policies.retention.retention import Reason
from policies.rules.rules import Rulebook
from storage.catalogue.engine.keyset import Place, keyed
from storage.catalogue.holds import concerns
from storage.catalogue.jobs import jobs
from storage.catalogue.people.people import person
from storage.catalogue.proofs.proven_rows import require_footage
from storage.catalogue.recordings.recordings import present, subject_of
from storage.catalogue.retention import retention
from storage.catalogue.retention.tables import (
    ApprovalRow,
    DispositionItemRow,
    DispositionRow,
    TombstoneRow,
)
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Attempt, UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import ConflictError, NotFoundError

JOB = "destroy"
_KIND = PremisType.DEACCESSION
_OPEN = (DispositionState.PROPOSED, DispositionState.APPROVED)


class DispositionError(ConflictError):
    """The step is refused; the code is `disposition-` and a word of `No`."""

    def __init__(self, why: No) -> None:
        """Keep why."""
        super().__init__(why=why.value)
        self.code = f"disposition-{why.value}"


class StillKeptError(ConflictError):
    """Something keeps a recording that was to be destroyed; `facts["reasons"]` say what."""

    code = "still-kept"


def propose(
    uow: UnitOfWork,
    rulebook: Rulebook,
    bounds: Bounds,
    recordings: Sequence[str],
    reason: str,
    *,
    person_id: str,
    actor: str,
    township: str | None = None,
) -> DispositionRow:
    """Propose that recordings are destroyed: all of them due, none in another open disposition.

    `township` is whose footage it is; None where it is of several.
    Raises: NotFoundError, DestroyedError, DispositionError (none, too many), StillKeptError (what
    keeps the first of them), InvolvedError (his own footage is among them), ConflictError (no
    reason given, or proposed already).
    """
    ids = sorted(set(recordings))
    _allow(policy.may_propose(len(ids), bounds))
    if not reason.strip():
        raise ConflictError(problem="no reason given")
    for one in ids:
        listed = present(uow.session, one)
        if township is not None and listed.township != township:
            raise NotFoundError(what="recording", id=one)
    concerns.check_uninvolved(concerns.of_footage(uow.session, ids), person_id)
    told = retention.explained(uow.session, rulebook, ids, uow.at)
    for one in ids:
        if keepers := told[one].keeping(uow.at):
            raise StillKeptError(recording=one, reasons=[keeper.zh for keeper in keepers])
    if open_ := listing(uow.session, ids):
        raise ConflictError(problem="in another disposition", recording=min(open_))
    row = DispositionRow(
        id=uow.new_id(),
        township=township,
        reason=reason,
        items=len(ids),
        state=DispositionState.PROPOSED,
        proposed_by=person(uow.session, person_id).id,
        proposed_at=uow.at,
        approved_at=None,
        not_before=None,
        ended_at=None,
        ended_by=None,
        ended_why=None,
        certificate=None,
    )
    uow.session.add(row)
    uow.record("disposition.propose", _KIND, row, actor=actor, subject=subject(row.id))
    for one in ids:
        item = DispositionItemRow(
            disposition_id=row.id,
            recording_id=one,
            state=ItemState.LISTED,
            at=uow.at,
            why=reasons(told[one].reasons),
        )
        uow.session.add(item)
        uow.record(
            "recording.propose-disposition", _KIND, item, actor=actor, subject=subject_of(one)
        )
    return row


def approve(
    uow: UnitOfWork, bounds: Bounds, disposition_id: str, *, person_id: str, actor: str
) -> DispositionRow:
    """Approve a disposition as another person than who proposed it, and whoever approved before.

    With the last approval that is asked for, the cooling-off time begins, and the job that
    destroys is asked for, due at its end.
    Raises: NotFoundError, DispositionError, InvolvedError (his own footage is among them),
    RowsDifferError.
    """
    row = disposition(uow.session, disposition_id)
    listed = [one.recording_id for one in items(uow.session, row.id)]
    attempt = Attempt("disposition.approve", _KIND, actor, subject(row.id))
    require_footage(uow, listed, attempt, subject(row.id))
    who = person(uow.session, person_id).id
    told = proposal(uow.session, row, bounds, uow.at)
    _allow(policy.may_approve(told, who, bounds))
    concerns.check_uninvolved(concerns.of_footage(uow.session, listed), who)
    given = ApprovalRow(
        disposition_id=row.id, person_id=who, at=uow.at, number=len(told.approvers) + 1
    )
    uow.session.add(given)
    if given.number >= policy.approvals_asked(told, bounds):
        row.state, row.approved_at = DispositionState.APPROVED, uow.at
        row.not_before = policy.cooled(uow.at, bounds)
        slot = f"approval:{given.number}"
        jobs.ask(uow, JOB, subject(row.id), actor=actor, slot=slot, due_at=row.not_before)
    uow.record("disposition.approve", _KIND, row, given, actor=actor, subject=subject(row.id))
    return row


def withdraw(uow: UnitOfWork, disposition_id: str, why: str, *, actor: str) -> DispositionRow:
    """Withdraw a disposition before its destruction begins.

    Raises: NotFoundError, ConflictError (no reason given), DispositionError (begun, or over).
    """
    row = disposition(uow.session, disposition_id)
    if not why.strip():
        raise ConflictError(problem="no reason given")
    _allow(policy.may_withdraw(DispositionState(row.state), begun(uow.session, row.id)))
    row.state = DispositionState.WITHDRAWN
    row.ended_at, row.ended_by, row.ended_why = uow.at, actor, why
    uow.record("disposition.withdraw", _KIND, row, actor=actor, subject=subject(row.id), reason=why)
    return row


def move(
    uow: UnitOfWork,
    item: DispositionItemRow,
    state: ItemState,
    act: str,
    *rows: Any,
    actor: str,
    kept_by: Sequence[Reason] = (),
    **details: Any,
) -> None:
    """Move one item on, as one entry about its recording. Raises: ConflictError (no such move)."""
    if state not in policy.ITEM_MOVES[ItemState(item.state)]:
        raise ConflictError(problem=f"{item.state} -> {state}", recording=item.recording_id)
    item.state, item.at = state, uow.at
    if kept_by:
        item.why = reasons(kept_by)
    kept = state is ItemState.KEPT
    uow.record(
        act,
        PremisType.DELETION if rows else _KIND,
        item,
        *rows,
        actor=actor,
        subject=subject_of(item.recording_id),
        outcome=Outcome.FAILURE if kept else Outcome.SUCCESS,
        disposition=item.disposition_id,
        **details,
    )


def close(uow: UnitOfWork, row: DispositionRow, certificate: str, *, actor: str) -> None:
    """End a disposition whose items are all settled, with its certificate."""
    row.state, row.ended_at, row.ended_by = DispositionState.DONE, uow.at, actor
    row.certificate = certificate
    uow.record("disposition.done", _KIND, row, actor=actor, subject=subject(row.id))


def proposal(session: Session, row: DispositionRow, bounds: Bounds, at: datetime) -> Proposal:
    """Return what the policy looks at."""
    return Proposal(
        state=DispositionState(row.state),
        proposer=row.proposed_by,
        items=row.items,
        others=_others(session, row.id, at, bounds),
        kept=jobs.recordings_kept(session) + _lately_destroyed(session, row.id, at, bounds),
        approvers=tuple(one.person_id for one in approvals(session, row.id)),
        approved_at=row.approved_at,
    )


def disposition(session: Session, disposition_id: str) -> DispositionRow:
    """Return one disposition. Raises: NotFoundError."""
    row = session.get(DispositionRow, disposition_id)
    if row is None:
        raise NotFoundError(what="disposition", id=disposition_id)
    return row


def dispositions(
    session: Session,
    *,
    township: str | None = None,
    under_way: bool | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[DispositionRow]:
    """Return dispositions, newest first (id); `under_way`: only those that can still move."""
    row = DispositionRow
    wanted = select(row)
    if township is not None:
        wanted = wanted.where(row.township == township)
    if under_way is not None:
        moving = row.state.in_([state.value for state, moves in DISPOSITION_MOVES.items() if moves])
        wanted = wanted.where(moving if under_way else ~moving)
    return list(session.scalars(keyed(wanted, (row.id,), after, limit, newest=True)))


def items(session: Session, disposition_id: str) -> list[DispositionItemRow]:
    """Return a disposition's recordings, by id."""
    wanted = select(DispositionItemRow).where(DispositionItemRow.disposition_id == disposition_id)
    return list(session.scalars(wanted.order_by(DispositionItemRow.recording_id)))


def begun(session: Session, disposition_id: str) -> bool:
    """Tell whether the destruction of any of its recordings began, or was found not to be."""
    row = DispositionItemRow
    wanted = select(row.recording_id).where(
        row.disposition_id == disposition_id, row.state != ItemState.LISTED
    )
    return session.scalar(wanted.limit(1)) is not None


def item(session: Session, disposition_id: str, recording_id: str) -> DispositionItemRow:
    """Return one recording of a disposition. Raises: NotFoundError."""
    row = session.get(DispositionItemRow, (disposition_id, recording_id))
    if row is None:
        raise NotFoundError(what="recording", id=recording_id)
    return row


def listing(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Return the open disposition of each recording that one lists and has not settled, by id."""
    unsettled = [state for state, moves in policy.ITEM_MOVES.items() if moves]
    wanted = (
        select(DispositionItemRow.recording_id, DispositionRow.id)
        .join(DispositionRow, DispositionRow.id == DispositionItemRow.disposition_id)
        .where(
            DispositionItemRow.recording_id.in_(ids),
            DispositionItemRow.state.in_(unsettled),
            DispositionRow.state.in_(_OPEN),
        )
    )
    return {row.recording_id: row.id for row in session.execute(wanted)}


def approvals(session: Session, disposition_id: str) -> list[ApprovalRow]:
    """Return the approvals of a disposition, the first one first."""
    wanted = select(ApprovalRow).where(ApprovalRow.disposition_id == disposition_id)
    return list(session.scalars(wanted.order_by(ApprovalRow.number)))


def tombstone(session: Session, recording_id: str) -> TombstoneRow | None:
    """Return what is left of a destroyed recording; None while it is kept."""
    return session.get(TombstoneRow, recording_id)


def destroyed(session: Session, row: RecordingRow) -> bool:
    """Tell whether a recording's destruction is complete, and was verified."""
    if row.destroyed_at is None:
        return False
    stone = tombstone(session, row.id)
    return stone is not None and stone.verified_at is not None


def subject(disposition_id: str) -> str:
    """Return a disposition's name in the log."""
    return f"disposition:{disposition_id}"


def reasons(found: Iterable[Reason]) -> list[Any]:
    """Return reasons as plain JSON, as items keep them."""
    return [
        {
            "keeper": one.keeper.value,
            "until": plain(one.until),
            "zh": one.zh,
            "en": one.en,
            "rule": one.rule,
            "version": one.version,
            "subject": one.subject,
        }
        for one in found
    ]


def _allow(no: No | None) -> None:
    if no is not None:
        raise DispositionError(no)


def _others(session: Session, disposition_id: str, at: datetime, bounds: Bounds) -> int:
    """Return how many recordings other dispositions approved lately hold: the brake's sum."""
    row = DispositionRow
    approved = row.state.in_((DispositionState.APPROVED, DispositionState.DONE))
    wanted = select(func.coalesce(func.sum(row.items), 0)).where(row.id != disposition_id, approved)
    return int(session.scalar(wanted.where(row.approved_at > at - bounds.brake_window)) or 0)


def _lately_destroyed(session: Session, disposition_id: str, at: datetime, bounds: Bounds) -> int:
    """Return how many were there when the window began: the share is of that store."""
    row = TombstoneRow
    lately = (row.destroyed_at > at - bounds.brake_window) | (row.disposition_id == disposition_id)
    return int(session.scalar(select(func.count()).select_from(row).where(lately)) or 0)
