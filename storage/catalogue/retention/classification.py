"""Classes of footage (资料类别) given by a person; and keeping for less, decided by two.

To give a class lengthens, and one person may do it. To take one away, or to let older rules count
no longer, is a reclassification: proposed with a reason, decided by another person. It never goes
below what the rules of the day, a hold or the object lock keep.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.facts.terms import FootageClass
from policies.retention.retention import FOREVER, KeptFacts, explain
from policies.rules.rules import Rulebook
from storage.catalogue.engine.keyset import Place, keyed
from storage.catalogue.holds import concerns
from storage.catalogue.people.people import person
from storage.catalogue.recordings.recordings import extend_retention, present, subject_of
from storage.catalogue.retention import retention
from storage.catalogue.retention.tables import ClassRow, ReclassificationRow
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError, NotFoundError

_KIND = PremisType.POLICY_ASSIGNMENT
BY_HAND = tuple(one for one in FootageClass if one is not FootageClass.MAJOR)  # that is its case's


def give(
    uow: UnitOfWork,
    rulebook: Rulebook,
    recording_id: str,
    kind: FootageClass,
    reason: str,
    *,
    person_id: str,
    actor: str,
) -> ClassRow:
    """Put a recording into a class; its period grows at once. The objects' locks are to follow.

    Raises: NotFoundError, DestroyedError; ConflictError when it is in it already, no reason is
    given, or the class follows from a case alone.
    """
    row = present(uow.session, recording_id)
    if not reason.strip():
        raise ConflictError(problem="no reason given")
    if kind not in BY_HAND:
        raise ConflictError(problem="this class follows from a case", kind=kind.value)
    if any(one.kind == kind for one in given(uow.session, row.id)):
        raise ConflictError(problem="in this class already", recording=row.id, kind=kind.value)
    found = ClassRow(
        id=uow.new_id(),
        recording_id=row.id,
        kind=kind.value,
        reason=reason,
        given_by=person(uow.session, person_id).id,
        at=uow.at,
        taken_at=None,
        taken_under=None,
    )
    uow.session.add(found)
    uow.record("class.give", _KIND, found, actor=actor, subject=subject_of(row.id))
    promise(uow, rulebook, row.id, actor=actor, reason=f"class:{kind.value}")
    return found


def promise(
    uow: UnitOfWork, rulebook: Rulebook, recording_id: str, *, actor: str, reason: str
) -> datetime:
    """Promise in the catalogue what rules and links ask for now; return until when it is kept."""
    uow.session.flush()
    told = retention.explained(uow.session, rulebook, [recording_id], uow.at)[recording_id]
    extend_retention(uow, recording_id, told.until, actor=actor, reason=reason)
    return told.until


def propose(
    uow: UnitOfWork,
    recording_id: str,
    taking: Sequence[FootageClass],
    reason: str,
    *,
    person_id: str,
    actor: str,
) -> ReclassificationRow:
    """Propose that a recording is kept for less; nothing changes yet.

    Raises: NotFoundError, DestroyedError; InvolvedError (his own footage); ConflictError when no
    reason is given, a class follows from links, or another proposal waits.
    """
    row = present(uow.session, recording_id)
    concerns.check_uninvolved(concerns.of_footage(uow.session, [row.id]), person_id)
    if not reason.strip():
        raise ConflictError(problem="no reason given")
    if not set(taking) <= set(BY_HAND):
        raise ConflictError(problem="this class follows from links, and ends with them")
    if any(one.decided_at is None for one in reclassifications(uow.session, row.id)):
        raise ConflictError(problem="another reclassification waits", recording=row.id)
    found = ReclassificationRow(
        id=uow.new_id(),
        recording_id=row.id,
        taking=[one.value for one in taking],
        reason=reason,
        proposed_by=person(uow.session, person_id).id,
        at=uow.at,
        decided_by=None,
        decided_at=None,
        approved=None,
        before=row.retain_until,
        after=None,
    )
    uow.session.add(found)
    uow.record("reclassification.propose", _KIND, found, actor=actor, subject=subject_of(row.id))
    return found


def decide(
    uow: UnitOfWork,
    rulebook: Rulebook,
    reclassification_id: str,
    *,
    approve: bool,
    person_id: str,
    actor: str,
) -> ReclassificationRow:
    """Approve or refuse a reclassification, as another person than who proposed it.

    Approved, the recording is promised exactly what the rules of today ask for what it is linked
    to and classed as. Holds and the object lock keep it beside that.
    Raises: NotFoundError, DestroyedError, InvolvedError (his own footage), ConflictError (decided
    already, or the same person).
    """
    found = reclassification(uow.session, reclassification_id)
    if found.decided_at is not None:
        raise ConflictError(problem="decided already", reclassification=found.id)
    if person(uow.session, person_id).id == found.proposed_by:
        raise ConflictError(problem="another person must decide", reclassification=found.id)
    row = present(uow.session, found.recording_id)
    concerns.check_uninvolved(concerns.of_footage(uow.session, [row.id]), person_id)
    found.decided_by, found.decided_at, found.approved = person_id, uow.at, approve
    taken: list[ClassRow] = []
    if approve:
        taken = [one for one in given(uow.session, row.id) if one.kind in found.taking]
        for one in taken:
            one.taken_at, one.taken_under = uow.at, found.id
        row.reviewed_at = uow.at
        uow.session.flush()
        told = retention.explained(uow.session, rulebook, [row.id], uow.at)[row.id]
        row.retain_until = told.asked
    found.after = row.retain_until
    act = "reclassification.approve" if approve else "reclassification.refuse"
    uow.record(act, _KIND, found, row, *taken, actor=actor, subject=subject_of(row.id))
    return found


def given(session: Session, recording_id: str) -> list[ClassRow]:
    """Return the classes that persons gave to a recording and nobody took away."""
    wanted = select(ClassRow).where(
        ClassRow.recording_id == recording_id, ClassRow.taken_at.is_(None)
    )
    return list(session.scalars(wanted.order_by(ClassRow.id)))


def reclassification(session: Session, reclassification_id: str) -> ReclassificationRow:
    """Return one reclassification. Raises: NotFoundError."""
    row = session.get(ReclassificationRow, reclassification_id)
    if row is None:
        raise NotFoundError(what="reclassification", id=reclassification_id)
    return row


def reclassifications(
    session: Session,
    recording_id: str | None = None,
    *,
    waiting: bool = False,
    township: str | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[ReclassificationRow]:
    """Return reclassifications of one recording (None: of all), newest first (id)."""
    row = ReclassificationRow
    wanted = select(row)
    if township is not None:
        of = RecordingRow
        own = select(of.id).where(of.id == row.recording_id, of.township == township)
        wanted = wanted.where(own.exists())
    if recording_id is not None:
        wanted = wanted.where(row.recording_id == recording_id)
    if waiting:
        wanted = wanted.where(row.decided_at.is_(None))
    return list(session.scalars(keyed(wanted, (row.id,), after, limit, newest=True)))


def reviewable(session: Session, rulebook: Rulebook, at: datetime) -> Iterator[KeptFacts]:
    """Yield what is kept for longer than the rules of today ask: a changed rulebook's review list.

    Nothing on it is shortened by being on it; each needs a reclassification.
    """
    page: list[str] = []
    for row in retention.kept_now(session):
        page.append(row.id)
        if len(page) == retention.PAGE:
            yield from _longer(session, rulebook, page, at)
            page = []
    yield from _longer(session, rulebook, page, at)


def _longer(
    session: Session, rulebook: Rulebook, page: Sequence[str], at: datetime
) -> Iterator[KeptFacts]:
    for facts in retention.kept_facts(session, rulebook, page, at).values():
        today = explain(rulebook, facts.judged_from(at), at)
        if facts.promised is not None and today.asked < min(facts.promised, FOREVER):
            yield facts
