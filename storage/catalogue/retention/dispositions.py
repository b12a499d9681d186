"""Dispositions (处置): proposed, approved by another person, withdrawn; how far each item is.

Who may do what and when is `policies/retention/disposition.py`'s to say; whether a recording may
go, `policies/retention/retention.py`'s. What destroys is `storage/upkeep/destruction.py`; it moves
items with `move_item`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.facts.facts_json import to_plain
from policies.facts.states import can_become
from policies.identifiers import PersonId, Subject
from policies.retention import disposition as policy
from policies.retention.disposition import (
    DISPOSITION_MOVES,
    Bounds,
    DispositionRefusal,
    DispositionState,
    ItemState,
    Proposal,
)
from policies.retention.retention import Reason, Retention
from policies.rules.rules import Rulebook
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.holds import concerns
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.people.people import get_person
from storage.catalogue.proofs.proven_rows import require_footage
from storage.catalogue.recordings.recordings import get_present_recording
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
    """The step is refused; the code is `disposition-` and a word of `DispositionRefusal`."""

    def __init__(self, why: DispositionRefusal) -> None:
        """Keep why."""
        super().__init__(why=why.value)
        self.code = f"disposition-{why.value}"


class StillKeptError(ConflictError):
    """Something keeps a recording that was to be destroyed; `facts["reasons"]` say what."""

    code = "still-kept"


def propose_disposition(
    uow: UnitOfWork,
    rulebook: Rulebook,
    bounds: Bounds,
    recordings: Sequence[str],
    reason: str,
    *,
    person_id: PersonId,
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
    _require_allowed(policy.may_propose(len(ids), bounds))
    if not reason.strip():
        raise ConflictError(problem="no reason given")
    _require_of_township(uow.session, ids, township)
    concerns.check_uninvolved(concerns.of_footage(uow.session, ids), person_id)
    retentions = retention.explain_retention(uow.session, rulebook, ids, uow.at)
    _require_disposable(uow, retentions)
    row = DispositionRow(
        id=uow.new_id(),
        township=township,
        reason=reason,
        items=len(ids),
        state=DispositionState.PROPOSED,
        proposed_by=get_person(uow.session, person_id).id,
        proposed_at=uow.at,
        approved_at=None,
        not_before=None,
        ended_at=None,
        ended_by=None,
        ended_why=None,
        certificate=None,
    )
    uow.session.add(row)
    uow.record(
        "disposition.propose", _KIND, row, actor=actor, subject=Subject.of_disposition(row.id)
    )
    for recording_id in ids:
        _add_item(uow, row, retentions[recording_id], actor)
    return row


def _require_of_township(session: Session, ids: Sequence[str], township: str | None) -> None:
    """Refuse what is destroyed already, or another township's, which is not theirs to see."""
    for recording_id in ids:
        recording = get_present_recording(session, recording_id)
        if township is not None and recording.township != township:
            raise NotFoundError(what="recording", id=recording_id)


def _require_disposable(uow: UnitOfWork, retentions: Mapping[str, Retention]) -> None:
    """Refuse recordings that something keeps now, or that another open disposition lists."""
    for recording_id, why in retentions.items():
        if keepers := why.reasons_at(uow.at):
            raise StillKeptError(recording=recording_id, reasons=[keeper.zh for keeper in keepers])
    if open_ := find_open_dispositions(uow.session, list(retentions)):
        raise ConflictError(problem="in another disposition", recording=min(open_))


def _add_item(uow: UnitOfWork, row: DispositionRow, why: Retention, actor: str) -> None:
    # The reasons as they stood are kept: why it was due then is asked for years later.
    item_row = DispositionItemRow(
        disposition_id=row.id,
        recording_id=why.recording,
        state=ItemState.PENDING,
        at=uow.at,
        why=reasons_to_json(why.reasons),
    )
    uow.session.add(item_row)
    # An entry of its own for each: its chain of custody says that somebody wanted it destroyed.
    uow.record(
        "recording.propose-disposition",
        _KIND,
        item_row,
        actor=actor,
        subject=Subject.of_recording(why.recording),
    )


def approve_disposition(
    uow: UnitOfWork, bounds: Bounds, disposition_id: str, *, person_id: PersonId, actor: str
) -> DispositionRow:
    """Approve a disposition as another person than who proposed it, and whoever approved before.

    With the last approval that is asked for, the cooling-off time begins, and the job that
    destroys is asked for, due at its end.
    Raises: NotFoundError, DispositionError, InvolvedError (his own footage is among them),
    RowsDifferError.
    """
    row = get_disposition(uow.session, disposition_id)
    recording_ids = [item_row.recording_id for item_row in list_items(uow.session, row.id)]
    attempt = Attempt("disposition.approve", _KIND, actor, Subject.of_disposition(row.id))
    require_footage(uow, recording_ids, attempt, Subject.of_disposition(row.id))
    approver_id = get_person(uow.session, person_id).id
    proposal_facts = gather_proposal(uow.session, row, bounds, uow.at)
    _require_allowed(policy.may_approve(proposal_facts, approver_id, bounds))
    concerns.check_uninvolved(concerns.of_footage(uow.session, recording_ids), approver_id)
    approval = ApprovalRow(
        disposition_id=row.id,
        person_id=approver_id,
        at=uow.at,
        number=len(proposal_facts.approvers) + 1,
    )
    uow.session.add(approval)
    if approval.number >= policy.approvals_asked(proposal_facts, bounds):
        row.state, row.approved_at = DispositionState.APPROVED, uow.at
        row.not_before = policy.compute_cooling_end(uow.at, bounds)
        # By number: a further approval begins the cooling-off time anew, and wants its own job.
        slot = f"approval:{approval.number}"
        jobs.request_job(
            uow, JOB, Subject.of_disposition(row.id), actor=actor, slot=slot, due_at=row.not_before
        )
    uow.record(
        "disposition.approve",
        _KIND,
        row,
        approval,
        actor=actor,
        subject=Subject.of_disposition(row.id),
    )
    return row


def withdraw_disposition(
    uow: UnitOfWork, disposition_id: str, why: str, *, actor: str
) -> DispositionRow:
    """Withdraw a disposition before its destruction begins.

    Raises: NotFoundError, ConflictError (no reason given), DispositionError (begun, or over).
    """
    row = get_disposition(uow.session, disposition_id)
    if not why.strip():
        raise ConflictError(problem="no reason given")
    _require_allowed(
        policy.may_withdraw(DispositionState(row.state), has_destruction_begun(uow.session, row.id))
    )
    _move_disposition(row, DispositionState.WITHDRAWN)
    row.ended_at, row.ended_by, row.ended_why = uow.at, actor, why
    uow.record(
        "disposition.withdraw",
        _KIND,
        row,
        actor=actor,
        subject=Subject.of_disposition(row.id),
        reason=why,
    )
    return row


def move_item(
    uow: UnitOfWork,
    item_row: DispositionItemRow,
    state: ItemState,
    act: str,
    *rows: Any,
    actor: str,
    kept_by: Sequence[Reason] = (),
    **details: Any,
) -> None:
    """Move one item on, as one entry about its recording. Raises: ConflictError (no such move)."""
    if state not in policy.ITEM_MOVES[ItemState(item_row.state)]:
        raise ConflictError(problem=f"{item_row.state} -> {state}", recording=item_row.recording_id)
    item_row.state, item_row.at = state, uow.at
    if kept_by:
        item_row.why = reasons_to_json(kept_by)
    is_kept = state is ItemState.RETAINED
    uow.record(
        act,
        PremisType.DELETION if rows else _KIND,
        item_row,
        *rows,
        actor=actor,
        subject=Subject.of_recording(item_row.recording_id),
        outcome=Outcome.FAILURE if is_kept else Outcome.SUCCESS,
        disposition=item_row.disposition_id,
        **details,
    )


def close_disposition(
    uow: UnitOfWork, row: DispositionRow, certificate: str, *, actor: str
) -> None:
    """End a disposition whose items are all settled, with its certificate.

    Raises: ConflictError when it was not approved, or is over.
    """
    _move_disposition(row, DispositionState.EXECUTED)
    row.ended_at, row.ended_by = uow.at, actor
    row.certificate = certificate
    uow.record("disposition.done", _KIND, row, actor=actor, subject=Subject.of_disposition(row.id))


def gather_proposal(
    session: Session, row: DispositionRow, bounds: Bounds, at: datetime
) -> Proposal:
    """Return the facts of a disposition that the policy judges."""
    return Proposal(
        state=DispositionState(row.state),
        proposer=row.proposed_by,
        items=row.items,
        recent_items=_count_others(session, row.id, at, bounds),
        kept_recordings=recording_upkeep.recordings_kept(session)
        + _lately_destroyed(session, row.id, at, bounds),
        approvers=tuple(approval.person_id for approval in list_approvals(session, row.id)),
        approved_at=row.approved_at,
    )


def get_disposition(session: Session, disposition_id: str) -> DispositionRow:
    """Return one disposition. Raises: NotFoundError."""
    return load_row(session, DispositionRow, disposition_id)


def list_dispositions(
    session: Session,
    *,
    township: str | None = None,
    under_way: bool | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[DispositionRow]:
    """Return dispositions, newest first (id); `under_way`: only those that can still move."""
    row = DispositionRow
    query = select(row)
    if township is not None:
        query = query.where(row.township == township)
    if under_way is not None:
        moving = row.state.in_([state.value for state, moves in DISPOSITION_MOVES.items() if moves])
        query = query.where(moving if under_way else ~moving)
    return list(session.scalars(page_by_keys(query, (row.id,), after, limit, newest=True)))


def list_items(session: Session, disposition_id: str) -> list[DispositionItemRow]:
    """Return a disposition's recordings, by id."""
    query = select(DispositionItemRow).where(DispositionItemRow.disposition_id == disposition_id)
    return list(session.scalars(query.order_by(DispositionItemRow.recording_id)))


def has_destruction_begun(session: Session, disposition_id: str) -> bool:
    """Tell whether the destruction of any of its recordings began, or was found not to be."""
    row = DispositionItemRow
    query = select(row.recording_id).where(
        row.disposition_id == disposition_id, row.state != ItemState.PENDING
    )
    return session.scalar(query.limit(1)) is not None


def get_item(session: Session, disposition_id: str, recording_id: str) -> DispositionItemRow:
    """Return one recording of a disposition. Raises: NotFoundError."""
    row = session.get(DispositionItemRow, (disposition_id, recording_id))
    if row is None:
        raise NotFoundError(what="recording", id=recording_id)
    return row


def find_open_dispositions(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Return the open disposition of each recording that is unsettled in one, by id."""
    unsettled = [state for state, moves in policy.ITEM_MOVES.items() if moves]
    query = (
        select(DispositionItemRow.recording_id, DispositionRow.id)
        .join(DispositionRow, DispositionRow.id == DispositionItemRow.disposition_id)
        .where(
            DispositionItemRow.recording_id.in_(ids),
            DispositionItemRow.state.in_(unsettled),
            DispositionRow.state.in_(_OPEN),
        )
    )
    return {row.recording_id: row.id for row in session.execute(query)}


def list_approvals(session: Session, disposition_id: str) -> list[ApprovalRow]:
    """Return the approvals of a disposition, the first one first."""
    query = select(ApprovalRow).where(ApprovalRow.disposition_id == disposition_id)
    return list(session.scalars(query.order_by(ApprovalRow.number)))


def find_tombstone(session: Session, recording_id: str) -> TombstoneRow | None:
    """Return what is left of a destroyed recording; None while it is kept."""
    return session.get(TombstoneRow, recording_id)


def is_destroyed(session: Session, row: RecordingRow) -> bool:
    """Tell whether a recording's destruction is complete, and was verified."""
    if row.destroyed_at is None:
        return False
    stone = find_tombstone(session, row.id)
    return stone is not None and stone.verified_at is not None


def reasons_to_json(retention_reasons: Iterable[Reason]) -> list[Any]:
    """Return reasons as plain JSON, as items keep them."""
    return [
        {
            "keeper": reason.keeper.value,
            "until": to_plain(reason.until),
            "zh": reason.zh,
            "en": reason.en,
            "rule": reason.rule,
            "version": reason.version,
            "subject": reason.subject,
        }
        for reason in retention_reasons
    ]


def _move_disposition(row: DispositionRow, state: DispositionState) -> None:
    if not can_become(DISPOSITION_MOVES, row.state, state):
        raise ConflictError(problem=f"{row.state} -> {state}", disposition=row.id)
    row.state = state


def _require_allowed(no: DispositionRefusal | None) -> None:
    if no is not None:
        raise DispositionError(no)


def _count_others(session: Session, disposition_id: str, at: datetime, bounds: Bounds) -> int:
    """Return how many recordings other dispositions approved lately hold: the brake's sum."""
    row = DispositionRow
    approved = row.state.in_((DispositionState.APPROVED, DispositionState.EXECUTED))
    query = select(func.coalesce(func.sum(row.items), 0)).where(row.id != disposition_id, approved)
    return int(session.scalar(query.where(row.approved_at > at - bounds.brake_window)) or 0)


def _lately_destroyed(session: Session, disposition_id: str, at: datetime, bounds: Bounds) -> int:
    """Return how many were there when the window began: the share is of that store."""
    row = TombstoneRow
    lately = (row.destroyed_at > at - bounds.brake_window) | (row.disposition_id == disposition_id)
    return int(session.scalar(select(func.count()).select_from(row).where(lately)) or 0)
