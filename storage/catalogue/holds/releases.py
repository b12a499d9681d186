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
from policies.retention import releases as policy
from policies.retention.holds import township_of
from policies.retention.releases import Held, No, Proposal, ReleaseState
from storage.catalogue.cases.tables import HoldRow, ProceedingRow, ReleaseRow
from storage.catalogue.engine.keyset import Place, keyed
from storage.catalogue.holds import concerns, holds, proceedings
from storage.catalogue.holds.concerns import ConcernedError, NotEntitledError, actor_of
from storage.catalogue.jobs import jobs
from storage.catalogue.people.people import person
from storage.catalogue.proofs.proven_rows import require_footage
from storage.catalogue.unit_of_work import Attempt, UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import ConflictError, NotFoundError
from storage.signed import canonical

STORE_JOB = "hold"  # has the object store follow
_KIND = PremisType.POLICY_ASSIGNMENT


class ReleaseError(ConflictError):
    """The step is refused; the code is `release-` and a word of `No`."""

    def __init__(self, why: No, held: Held, *, second: bool) -> None:
        """Keep why, and who may."""
        super().__init__(why=why.value, **concerns.who_may(held, second=second))
        self.code = f"release-{why.value}"


@dataclass(frozen=True, slots=True)
class Covered:
    """What a release is about: the holds that would end, and what a decision looks at."""

    rows: tuple[HoldRow, ...]
    held: Held
    proceeding: ProceedingRow | None = None


def propose_for_hold(uow: UnitOfWork, hold_id: str, reason: str, *, by: Person) -> ReleaseRow:
    """Propose that one hold placed by hand ends.

    Raises: NotFoundError; ConcernedError, NotEntitledError (he may not); ConflictError (no reason,
    released already, or proposed already).
    """
    row = holds.hold(uow.session, hold_id)
    if row.proceeding_id is not None:
        covered = _of_proceeding(uow.session, row.proceeding_id)
        raise NotEntitledError(covered.held)
    return _propose(uow, _of_hold(uow.session, row), reason, by=by)


def propose_for_proceeding(
    uow: UnitOfWork, proceeding_id: str, reason: str, *, by: Person
) -> ReleaseRow:
    """Propose that every hold of an answered proceeding ends; those of others stay.

    Raises: as `propose_for_hold`; ReleaseError when it was not answered.
    """
    covered = _of_proceeding(uow.session, proceeding_id)
    return _propose(uow, covered, reason, by=by)


def approve(uow: UnitOfWork, release_id: str, *, by: Person) -> ReleaseRow:
    """Approve a release as another person than who proposed it: the holds end, the store is told.

    When what it covers has changed, or its proposer is concerned by now, nothing ends: the
    proposal comes back VOID, which is committed and logged.
    Raises: NotFoundError, ConcernedError, NotEntitledError, ReleaseError (the same person, over),
    RowsDifferError.
    """
    row = release(uow.session, release_id)
    covered = covered_by(uow.session, row)
    _require_as_logged(uow, row, covered, by)
    no = policy.may_decide(by, covered.held, proposal(uow.session, row, covered))
    if no is No.VOID:
        _end(uow, row, ReleaseState.VOID, by)
        _record(uow, "hold.release", row, by, outcome=Outcome.REFUSED, reason=no.value)
        return row
    _allow(no, by, covered.held, second=True)
    _end(uow, row, ReleaseState.APPROVED, by)
    for one in covered.rows:
        one.released_at, one.released_by, one.released_why = uow.at, actor_of(by), row.reason
        uow.record(
            "hold.release",
            _KIND,
            one,
            row,
            actor=actor_of(by),
            subject=holds.subject(one),
            reason=row.reason,
            release=row.id,
            proposed_by=f"person:{row.proposed_by}",
            approved_by=actor_of(by),
        )
        jobs.ask(uow, STORE_JOB, f"hold:{one.id}", actor=actor_of(by), slot="released")
    return row


def reject(uow: UnitOfWork, release_id: str, why: str, *, by: Person) -> ReleaseRow:
    """Reject a release with a reason; the holds stay. Raises: as `approve`, ConflictError."""
    row = release(uow.session, release_id)
    covered = covered_by(uow.session, row)
    no = policy.may_decide(by, covered.held, proposal(uow.session, row, covered))
    _allow(None if no is No.VOID else no, by, covered.held, second=True)
    _with_reason(why)
    _end(uow, row, ReleaseState.REJECTED, by, why)
    _record(uow, "hold.release.reject", row, by, reason=why)
    return row


def withdraw(uow: UnitOfWork, release_id: str, why: str, *, by: Person) -> ReleaseRow:
    """Withdraw one's own proposal. Raises: NotFoundError, ReleaseError, ConflictError."""
    row = release(uow.session, release_id)
    covered = covered_by(uow.session, row)
    no = policy.may_withdraw(by, proposal(uow.session, row, covered))
    _allow(no, by, covered.held, second=False)
    _with_reason(why)
    _end(uow, row, ReleaseState.WITHDRAWN, by, why)
    _record(uow, "hold.release.withdraw", row, by, reason=why)
    return row


def waiting_for(session: Session, hold: HoldRow) -> ReleaseRow | None:
    """Return the open proposal that would end a hold, alone or with all of its proceeding's."""
    by_itself = hold.proceeding_id is None
    wanted = select(ReleaseRow).where(
        ReleaseRow.state == ReleaseState.PROPOSED,
        ReleaseRow.hold_id == hold.id
        if by_itself
        else ReleaseRow.proceeding_id == hold.proceeding_id,
    )
    return session.scalar(wanted.order_by(ReleaseRow.id.desc()).limit(1))


def release(session: Session, release_id: str) -> ReleaseRow:
    """Return one proposal. Raises: NotFoundError."""
    row = session.get(ReleaseRow, release_id)
    if row is None:
        raise NotFoundError(what="release", id=release_id)
    return row


def releases(
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
    wanted = select(row)
    if waiting:
        wanted = wanted.where(row.state == ReleaseState.PROPOSED)
    if township is not None:
        own = select(ProceedingRow.id).where(
            ProceedingRow.id == row.proceeding_id, ProceedingRow.township == township
        )
        held = select(HoldRow.id).where(HoldRow.id == row.hold_id, holds.in_township(township))
        wanted = wanted.where(or_(own.exists(), and_(row.proceeding_id.is_(None), held.exists())))
    return list(session.scalars(keyed(wanted, (row.id,), after, limit, newest=True)))


def covered_by(session: Session, row: ReleaseRow) -> Covered:
    """Return what a proposal is about, as it stands now. Raises: NotFoundError."""
    if row.proceeding_id is not None:
        return _of_proceeding(session, row.proceeding_id)
    return _of_hold(session, holds.hold(session, row.hold_id or ""))


def covered_with(session: Session, hold: HoldRow) -> Covered:
    """Return what would end together with a hold: it alone, or all that its proceeding holds."""
    if hold.proceeding_id is not None:
        return _of_proceeding(session, hold.proceeding_id)
    return _of_hold(session, hold)


def proposal(session: Session, row: ReleaseRow, covered: Covered) -> Proposal:
    """Return what the policy looks at."""
    return Proposal(
        state=ReleaseState(row.state),
        proposer=row.proposed_by,
        changed=_digest(session, covered) != row.covers,
    )


def subject(row: ReleaseRow) -> str:
    """Return what a proposal is about, as the log names it."""
    by_hand = row.hold_id is not None
    return f"hold:{row.hold_id}" if by_hand else f"proceeding:{row.proceeding_id}"


def refusal(no: No, by: Person, held: Held, *, second: bool) -> ConflictError:
    """Return the error that says why this person may not, and who may; `second`: as approver."""
    tie = tie_of(held.matter, by.id)
    if no is No.CONCERNED and tie is not None:
        return ConcernedError(tie, held, second=second)
    if no is No.AUTHORITY:
        return NotEntitledError(held, second=second)
    return ReleaseError(no, held, second=second)


def _propose(uow: UnitOfWork, covered: Covered, reason: str, *, by: Person) -> ReleaseRow:
    _allow(policy.may_propose(by, covered.held), by, covered.held, second=False)
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
        covers=_digest(uow.session, covered),
        state=ReleaseState.PROPOSED,
        proposed_by=person(uow.session, by.id).id,
        proposed_at=uow.at,
        decided_by=None,
        decided_at=None,
        decided_why=None,
    )
    uow.session.add(row)
    _record(uow, "hold.release.propose", row, by, reason=reason)
    return row


def _make_way(
    uow: UnitOfWork, covered: Covered, hold_id: str | None, proceeding_id: str | None, by: Person
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
        if not policy.is_void(covered.held, proposal(uow.session, row, covered)):
            raise ConflictError(problem="proposed already", release=row.id)
        _end(uow, row, ReleaseState.VOID, by)
        _record(uow, "hold.release.void", row, by)


def _end(
    uow: UnitOfWork, row: ReleaseRow, state: ReleaseState, by: Person, why: str | None = None
) -> None:
    if state not in policy.RELEASE_MOVES[ReleaseState(row.state)]:
        raise ConflictError(problem=f"{row.state} -> {state}", release=row.id)
    row.state, row.decided_by, row.decided_at = state, person(uow.session, by.id).id, uow.at
    row.decided_why = why


def _record(
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
        subject=subject(row),
        outcome=outcome,
        release=row.id,
        proposed_by=f"person:{row.proposed_by}",
        **details,
    )


def _require_as_logged(uow: UnitOfWork, row: ReleaseRow, covered: Covered, by: Person) -> None:
    """Refuse to end holds that are not what was placed. Raises: RowsDifferError."""
    of_case = {one.case_id for one in (*covered.rows, covered.proceeding) if one and one.case_id}
    subjects = {f"action:{one.action_id}" for one in covered.rows if one.action_id}
    subjects |= {subject(row), *(f"case:{one}" for one in of_case)}
    footage = [one.recording_id for one in covered.rows if one.recording_id]
    attempt = Attempt("hold.release", _KIND, actor_of(by), subject(row))
    require_footage(uow, footage, attempt, *subjects)


def _of_hold(session: Session, row: HoldRow) -> Covered:
    authority = holds.authority_of(row)
    held = Held(
        authority=authority,
        township=None,
        matter=concerns.of_holds(session, [row]),
        heads=concerns.heads(session, township_of(authority)),
    )
    return Covered((row,) if row.released_at is None else (), held)


def _of_proceeding(session: Session, proceeding_id: str) -> Covered:
    row = proceedings.proceeding(session, proceeding_id)
    placed = [one for one in proceedings.holds_of(session, row.id) if one.released_at is None]
    return Covered(tuple(placed), proceedings.as_held(session, row), row)


def _digest(session: Session, covered: Covered) -> str:
    """Return the SHA-256 of which holds these are and which recordings they reach."""
    by_link = [row for row in covered.rows if row.recording_id is None]
    reached = {row.recording_id for row in covered.rows if row.recording_id is not None}
    reached |= {one for row in by_link for one in holds.reached(session, row)}
    lists = [sorted(row.id for row in covered.rows), sorted(reached)]
    return hashlib.sha256(canonical.encode(lists)).hexdigest()


def _allow(no: No | None, by: Person, held: Held, *, second: bool) -> None:
    if no is not None:
        raise refusal(no, by, held, second=second)


def _with_reason(why: str) -> None:
    if not why.strip():
        raise ConflictError(problem="no reason given")
