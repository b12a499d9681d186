"""Releases (解除冻结): proposed by one person, approved by another; rejected, withdrawn, void.

Who may do what is `policies/retention/releases.py`'s to say, and is asked here, in the transaction
that writes: no face can go past it. A proposal is about one hold placed by hand, or about all that
an answered proceeding holds. It covers what these holds were and reached when it was made; when
that changes it is void, and somebody looks anew.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from policies.access.access import Person
from policies.access.concern import tie_of
from policies.identifiers import HoldId, Subject
from policies.retention import releases as policy
from policies.retention.holds import township_of
from policies.retention.releases import HoldContext, Proposal, ReleaseRefusal, ReleaseState
from storage.catalogue.cases.tables import HoldRow, ProceedingRow, ReleaseRow
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.holds import concerns, holds, proceedings
from storage.catalogue.holds.concerns import ConcernedError, NotEntitledError, actor_of
from storage.catalogue.jobs import jobs
from storage.catalogue.people.people import get_person
from storage.catalogue.proofs.proven_rows import require_footage
from storage.catalogue.unit_of_work import Attempt, UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import ConflictError
from storage.signed import canonical

STORE_JOB = "hold"  # has the object store follow
_KIND = PremisType.POLICY_ASSIGNMENT


class ReleaseError(ConflictError):
    """The step is refused; the code is `release-` and a word of `ReleaseRefusal`."""

    def __init__(self, why: ReleaseRefusal, hold_facts: HoldContext, *, second: bool) -> None:
        """Keep why, and who may."""
        super().__init__(why=why.value, **concerns.who_may(hold_facts, second=second))
        self.code = f"release-{why.value}"


@dataclass(frozen=True, slots=True)
class Covered:
    """Subject of a release: the holds that would end, and the facts for a decision."""

    rows: tuple[HoldRow, ...]
    hold_facts: HoldContext
    proceeding: ProceedingRow | None = None


def propose_for_hold(uow: UnitOfWork, hold_id: HoldId, reason: str, *, by: Person) -> ReleaseRow:
    """Propose that one hold placed by hand ends.

    Raises: NotFoundError; ConcernedError, NotEntitledError (he may not); ConflictError (no reason,
    released already, or proposed already).
    """
    row = holds.get_hold(uow.session, hold_id)
    if row.proceeding_id is not None:
        covered = _of_proceeding(uow.session, row.proceeding_id)
        raise NotEntitledError(covered.hold_facts)
    return _propose_release(uow, _of_hold(uow.session, row), reason, by=by)


def propose_for_proceeding(
    uow: UnitOfWork, proceeding_id: str, reason: str, *, by: Person
) -> ReleaseRow:
    """Propose that every hold of an answered proceeding ends; those of others stay.

    Raises: as `propose_for_hold`; ReleaseError when it was not answered.
    """
    covered = _of_proceeding(uow.session, proceeding_id)
    return _propose_release(uow, covered, reason, by=by)


def approve_release(uow: UnitOfWork, release_id: str, *, by: Person) -> ReleaseRow:
    """Approve a release as another person than who proposed it: the holds end, the store is told.

    When what it covers has changed, or its proposer is concerned by now, nothing ends: the
    proposal comes back VOID, which is committed and logged.
    Raises: NotFoundError, ConcernedError, NotEntitledError, ReleaseError (the same person, over),
    RowsDifferError.
    """
    row = get_release(uow.session, release_id)
    covered = covered_by(uow.session, row)
    _require_as_logged(uow, row, covered, by)
    no = policy.may_decide(by, covered.hold_facts, gather_proposal(uow.session, row, covered))
    if no is ReleaseRefusal.VOID:
        _end_proposal(uow, row, ReleaseState.VOID, by)
        _record_release(uow, "hold.release", row, by, outcome=Outcome.REFUSED, reason=no.value)
        return row
    _require_allowed(no, by, covered.hold_facts, second=True)
    _end_proposal(uow, row, ReleaseState.APPROVED, by)
    for hold in covered.rows:
        hold.released_at, hold.released_by, hold.released_why = uow.at, actor_of(by), row.reason
        uow.record(
            "hold.release",
            _KIND,
            hold,
            row,
            actor=actor_of(by),
            subject=holds.subject_of_hold(hold),
            reason=row.reason,
            release=row.id,
            proposed_by=Subject.of_person(row.proposed_by),
            approved_by=actor_of(by),
        )
        # In the same transaction: a crash behind it would leave the store's hold in place for ever.
        jobs.request_job(
            uow, STORE_JOB, Subject.of_hold(hold.id), actor=actor_of(by), slot="released"
        )
    return row


def reject_release(uow: UnitOfWork, release_id: str, why: str, *, by: Person) -> ReleaseRow:
    """Reject a release with a reason; the holds stay. Raises: as `approve`, ConflictError."""
    row = get_release(uow.session, release_id)
    covered = covered_by(uow.session, row)
    no = policy.may_decide(by, covered.hold_facts, gather_proposal(uow.session, row, covered))
    _require_allowed(None if no is ReleaseRefusal.VOID else no, by, covered.hold_facts, second=True)
    _with_reason(why)
    _end_proposal(uow, row, ReleaseState.REJECTED, by, why)
    _record_release(uow, "hold.release.reject", row, by, reason=why)
    return row


def withdraw_release(uow: UnitOfWork, release_id: str, why: str, *, by: Person) -> ReleaseRow:
    """Withdraw one's own proposal. Raises: NotFoundError, ReleaseError, ConflictError."""
    row = get_release(uow.session, release_id)
    covered = covered_by(uow.session, row)
    no = policy.may_withdraw(by, gather_proposal(uow.session, row, covered))
    _require_allowed(no, by, covered.hold_facts, second=False)
    _with_reason(why)
    _end_proposal(uow, row, ReleaseState.WITHDRAWN, by, why)
    _record_release(uow, "hold.release.withdraw", row, by, reason=why)
    return row


def waiting_for(session: Session, hold: HoldRow) -> ReleaseRow | None:
    """Return the open proposal that would end a hold, alone or with all of its proceeding's."""
    by_itself = hold.proceeding_id is None
    query = select(ReleaseRow).where(
        ReleaseRow.state == ReleaseState.PROPOSED,
        ReleaseRow.hold_id == hold.id
        if by_itself
        else ReleaseRow.proceeding_id == hold.proceeding_id,
    )
    return session.scalar(query.order_by(ReleaseRow.id.desc()).limit(1))


def get_release(session: Session, release_id: str) -> ReleaseRow:
    """Return one proposal. Raises: NotFoundError."""
    return load_row(session, ReleaseRow, release_id)


def list_releases(
    session: Session,
    *,
    waiting: bool = False,
    township: str | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[ReleaseRow]:
    """Return proposals, newest first (id); `waiting` leaves out what is over.

    Of a township alone, if it is given, those about its holds and proceedings, or the county's.
    """
    row = ReleaseRow
    query = select(row)
    if waiting:
        query = query.where(row.state == ReleaseState.PROPOSED)
    if township is not None:
        own = select(ProceedingRow.id).where(
            ProceedingRow.id == row.proceeding_id, ProceedingRow.township == township
        )
        hold_query = select(HoldRow.id).where(
            HoldRow.id == row.hold_id, holds.in_township(township)
        )
        query = query.where(
            or_(own.exists(), and_(row.proceeding_id.is_(None), hold_query.exists()))
        )
    return list(session.scalars(page_by_keys(query, (row.id,), after, limit, newest=True)))


def covered_by(session: Session, row: ReleaseRow) -> Covered:
    """Return what a proposal is about, as it stands now. Raises: NotFoundError."""
    if row.proceeding_id is not None:
        return _of_proceeding(session, row.proceeding_id)
    return _of_hold(session, holds.get_hold(session, row.hold_id or HoldId("")))


def covered_with(session: Session, hold: HoldRow) -> Covered:
    """Return what would end together with a hold: it alone, or all that its proceeding holds."""
    if hold.proceeding_id is not None:
        return _of_proceeding(session, hold.proceeding_id)
    return _of_hold(session, hold)


def gather_proposal(session: Session, row: ReleaseRow, covered: Covered) -> Proposal:
    """Return the facts of a release that the policy judges."""
    return Proposal(
        state=ReleaseState(row.state),
        proposer=row.proposed_by,
        changed=_compute_digest(session, covered) != row.covers,
    )


def subject_of_release(row: ReleaseRow) -> Subject:
    """Return what a proposal is about, as the log names it."""
    if row.hold_id is not None:
        return Subject.of_hold(row.hold_id)
    return Subject.of_proceeding(row.proceeding_id or "")


def build_refusal(
    no: ReleaseRefusal, by: Person, hold_facts: HoldContext, *, second: bool
) -> ConflictError:
    """Return the error that says why this person may not, and who may; `second`: as approver."""
    tie = tie_of(hold_facts.matter, by.id)
    if no is ReleaseRefusal.CONCERNED and tie is not None:
        return ConcernedError(tie, hold_facts, second=second)
    if no is ReleaseRefusal.AUTHORITY:
        return NotEntitledError(hold_facts, second=second)
    return ReleaseError(no, hold_facts, second=second)


def _propose_release(uow: UnitOfWork, covered: Covered, reason: str, *, by: Person) -> ReleaseRow:
    _require_allowed(
        policy.may_propose(by, covered.hold_facts), by, covered.hold_facts, second=False
    )
    _with_reason(reason)
    if not covered.rows:
        raise ConflictError(problem="nothing is held, or it was released already")
    hold_id = covered.rows[0].id if covered.proceeding is None else None
    proceeding_id = covered.proceeding.id if covered.proceeding is not None else None
    _make_way(uow, covered, hold_id, proceeding_id, by)
    row = ReleaseRow(
        id=uow.new_id(),
        hold_id=hold_id,
        proceeding_id=proceeding_id,
        reason=reason,
        covers=_compute_digest(uow.session, covered),
        state=ReleaseState.PROPOSED,
        proposed_by=get_person(uow.session, by.id).id,
        proposed_at=uow.at,
        decided_by=None,
        decided_at=None,
        decided_why=None,
    )
    uow.session.add(row)
    _record_release(uow, "hold.release.propose", row, by, reason=reason)
    return row


def _make_way(
    uow: UnitOfWork, covered: Covered, hold_id: HoldId | None, proceeding_id: str | None, by: Person
) -> None:
    """End the proposal that waits, where it is void; raise ConflictError where it is not."""
    waiting = uow.session.scalars(
        select(ReleaseRow).where(
            ReleaseRow.state == ReleaseState.PROPOSED,
            ReleaseRow.hold_id == hold_id,
            ReleaseRow.proceeding_id == proceeding_id,
        )
    )
    for row in waiting.all():
        if not policy.is_void(covered.hold_facts, gather_proposal(uow.session, row, covered)):
            raise ConflictError(problem="proposed already", release=row.id)
        _end_proposal(uow, row, ReleaseState.VOID, by)
        _record_release(uow, "hold.release.void", row, by)


def _end_proposal(
    uow: UnitOfWork, row: ReleaseRow, state: ReleaseState, by: Person, why: str | None = None
) -> None:
    if state not in policy.RELEASE_MOVES[ReleaseState(row.state)]:
        raise ConflictError(problem=f"{row.state} -> {state}", release=row.id)
    row.state, row.decided_by, row.decided_at = state, get_person(uow.session, by.id).id, uow.at
    row.decided_why = why


def _record_release(
    uow: UnitOfWork,
    act: str,
    row: ReleaseRow,
    by: Person,
    *,
    outcome: Outcome = Outcome.SUCCESS,
    **details: str,
) -> None:
    uow.record(
        act,
        _KIND,
        row,
        actor=actor_of(by),
        subject=subject_of_release(row),
        outcome=outcome,
        release=row.id,
        proposed_by=Subject.of_person(row.proposed_by),
        **details,
    )


def _require_as_logged(uow: UnitOfWork, row: ReleaseRow, covered: Covered, by: Person) -> None:
    """Refuse to end holds that are not what was placed. Raises: RowsDifferError."""
    of_case = {
        part.case_id for part in (*covered.rows, covered.proceeding) if part and part.case_id
    }
    subjects = {Subject.of_action(hold.action_id) for hold in covered.rows if hold.action_id}
    subjects |= {subject_of_release(row), *(Subject.of_case(case_id) for case_id in of_case)}
    footage = [hold.recording_id for hold in covered.rows if hold.recording_id]
    attempt = Attempt("hold.release", _KIND, actor_of(by), subject_of_release(row))
    require_footage(uow, footage, attempt, *subjects)


def _of_hold(session: Session, row: HoldRow) -> Covered:
    authority = holds.authority_of(row)
    hold_facts = HoldContext(
        authority=authority,
        township=None,
        matter=concerns.of_holds(session, [row]),
        heads=concerns.list_heads(session, township_of(authority)),
    )
    return Covered((row,) if row.released_at is None else (), hold_facts)


def _of_proceeding(session: Session, proceeding_id: str) -> Covered:
    row = proceedings.get_proceeding(session, proceeding_id)
    placed = [hold for hold in proceedings.holds_of(session, row.id) if hold.released_at is None]
    return Covered(tuple(placed), proceedings.as_held(session, row), row)


def _compute_digest(session: Session, covered: Covered) -> str:
    """Return the SHA-256 of which holds these are and which recordings they reach."""
    by_link = [row for row in covered.rows if row.recording_id is None]
    reached = {row.recording_id for row in covered.rows if row.recording_id is not None}
    reached |= {
        recording_id
        for row in by_link
        for recording_id in holds.list_recordings_of_hold(session, row)
    }
    lists = [sorted(row.id for row in covered.rows), sorted(reached)]
    return hashlib.sha256(canonical.encode(lists)).hexdigest()


def _require_allowed(
    no: ReleaseRefusal | None, by: Person, hold_facts: HoldContext, *, second: bool
) -> None:
    if no is not None:
        raise build_refusal(no, by, hold_facts, second=second)


def _with_reason(why: str) -> None:
    if not why.strip():
        raise ConflictError(problem="no reason given")
