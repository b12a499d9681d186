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
from policies.identifiers import PersonId, Subject
from policies.retention.retention import FOREVER, KeptFacts, judge_retention
from policies.rules.rules import Rulebook
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.holds import concerns
from storage.catalogue.people.people import get_person
from storage.catalogue.recordings.recordings import (
    extend_retention,
    get_present_recording,
)
from storage.catalogue.retention import retention
from storage.catalogue.retention.tables import ClassRow, ReclassificationRow
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError

_KIND = PremisType.POLICY_ASSIGNMENT
BY_HAND = tuple(
    footage_class for footage_class in FootageClass if footage_class is not FootageClass.MAJOR
)  # that is its case's


def assign_class(
    uow: UnitOfWork,
    rulebook: Rulebook,
    recording_id: str,
    kind: FootageClass,
    reason: str,
    *,
    person_id: PersonId,
    actor: str,
) -> ClassRow:
    """Put a recording into a class; its period grows at once. The objects' locks are to follow.

    Raises: NotFoundError, DestroyedError; ConflictError when it is in it already, no reason is
    given, or the class follows from a case alone.
    """
    row = get_present_recording(uow.session, recording_id)
    if not reason.strip():
        raise ConflictError(problem="no reason given")
    if kind not in BY_HAND:
        raise ConflictError(problem="this class follows from a case", kind=kind.value)
    if any(
        assigned_class.kind == kind for assigned_class in list_assigned_classes(uow.session, row.id)
    ):
        raise ConflictError(problem="in this class already", recording=row.id, kind=kind.value)
    class_row = ClassRow(
        id=uow.new_id(),
        recording_id=row.id,
        kind=kind.value,
        reason=reason,
        given_by=get_person(uow.session, person_id).id,
        at=uow.at,
        taken_at=None,
        taken_under=None,
    )
    uow.session.add(class_row)
    uow.record("class.give", _KIND, class_row, actor=actor, subject=Subject.of_recording(row.id))
    promise_retention(uow, rulebook, row.id, actor=actor, reason=f"class:{kind.value}")
    return class_row


def promise_retention(
    uow: UnitOfWork, rulebook: Rulebook, recording_id: str, *, actor: str, reason: str
) -> datetime:
    """Extend a recording's promised retention to what rules and links require; return it."""
    uow.session.flush()  # what was classed a moment ago is asked for by query
    current_retention = retention.explain_retention(uow.session, rulebook, [recording_id], uow.at)[
        recording_id
    ]
    extend_retention(uow, recording_id, current_retention.until, actor=actor, reason=reason)
    return current_retention.until


def propose_reclassification(
    uow: UnitOfWork,
    recording_id: str,
    taking: Sequence[FootageClass],
    reason: str,
    *,
    person_id: PersonId,
    actor: str,
) -> ReclassificationRow:
    """Propose that a recording is kept for less; nothing changes yet.

    Raises: NotFoundError, DestroyedError; InvolvedError (his own footage); ConflictError when no
    reason is given, a class follows from links, or another proposal waits.
    """
    row = get_present_recording(uow.session, recording_id)
    concerns.check_uninvolved(concerns.of_footage(uow.session, [row.id]), person_id)
    if not reason.strip():
        raise ConflictError(problem="no reason given")
    if not set(taking) <= set(BY_HAND):
        raise ConflictError(problem="this class follows from links, and ends with them")
    if any(
        earlier_row.decided_at is None
        for earlier_row in list_reclassifications(uow.session, row.id)
    ):
        raise ConflictError(problem="another reclassification waits", recording=row.id)
    reclassification_row = ReclassificationRow(
        id=uow.new_id(),
        recording_id=row.id,
        taking=[footage_class.value for footage_class in taking],
        reason=reason,
        proposed_by=get_person(uow.session, person_id).id,
        at=uow.at,
        decided_by=None,
        decided_at=None,
        approved=None,
        before=row.retain_until,
        after=None,
    )
    uow.session.add(reclassification_row)
    uow.record(
        "reclassification.propose",
        _KIND,
        reclassification_row,
        actor=actor,
        subject=Subject.of_recording(row.id),
    )
    return reclassification_row


def decide_reclassification(
    uow: UnitOfWork,
    rulebook: Rulebook,
    reclassification_id: str,
    *,
    approve: bool,
    person_id: PersonId,
    actor: str,
) -> ReclassificationRow:
    """Approve or refuse a reclassification, as another person than who proposed it.

    Approved, the recording is promised exactly what the rules of today ask for what it is linked
    to and classed as. Holds and the object lock keep it beside that.
    Raises: NotFoundError, DestroyedError, InvolvedError (his own footage), ConflictError (decided
    already, or the same person).
    """
    reclassification_row = get_reclassification(uow.session, reclassification_id)
    if reclassification_row.decided_at is not None:
        raise ConflictError(problem="decided already", reclassification=reclassification_row.id)
    if get_person(uow.session, person_id).id == reclassification_row.proposed_by:
        raise ConflictError(
            problem="another person must decide", reclassification=reclassification_row.id
        )
    row = get_present_recording(uow.session, reclassification_row.recording_id)
    concerns.check_uninvolved(concerns.of_footage(uow.session, [row.id]), person_id)
    (
        reclassification_row.decided_by,
        reclassification_row.decided_at,
        reclassification_row.approved,
    ) = person_id, uow.at, approve
    removed_classes: list[ClassRow] = []
    if approve:
        removed_classes = [
            class_row
            for class_row in list_assigned_classes(uow.session, row.id)
            if class_row.kind in reclassification_row.taking
        ]
        for class_row in removed_classes:
            class_row.taken_at, class_row.taken_under = uow.at, reclassification_row.id
        row.reviewed_at = uow.at
        uow.session.flush()
        current_retention = retention.explain_retention(uow.session, rulebook, [row.id], uow.at)[
            row.id
        ]
        # The one place where a promise may become shorter: two persons looked at it.
        row.retain_until = current_retention.required_until
    reclassification_row.after = row.retain_until
    act = "reclassification.approve" if approve else "reclassification.refuse"
    uow.record(
        act,
        _KIND,
        reclassification_row,
        row,
        *removed_classes,
        actor=actor,
        subject=Subject.of_recording(row.id),
    )
    return reclassification_row


def list_assigned_classes(session: Session, recording_id: str) -> list[ClassRow]:
    """Return the classes that persons gave to a recording and nobody took away."""
    query = select(ClassRow).where(
        ClassRow.recording_id == recording_id, ClassRow.taken_at.is_(None)
    )
    return list(session.scalars(query.order_by(ClassRow.id)))


def get_reclassification(session: Session, reclassification_id: str) -> ReclassificationRow:
    """Return one reclassification. Raises: NotFoundError."""
    return load_row(session, ReclassificationRow, reclassification_id)


def list_reclassifications(
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
    query = select(row)
    if township is not None:
        of = RecordingRow
        own = select(of.id).where(of.id == row.recording_id, of.township == township)
        query = query.where(own.exists())
    if recording_id is not None:
        query = query.where(row.recording_id == recording_id)
    if waiting:
        query = query.where(row.decided_at.is_(None))
    return list(session.scalars(page_by_keys(query, (row.id,), after, limit, newest=True)))


def list_reviewable(session: Session, rulebook: Rulebook, at: datetime) -> Iterator[KeptFacts]:
    """Yield recordings kept longer than today's rules require: the review list of a rulebook.

    Nothing on it is shortened by being on it; each needs a reclassification.
    """
    page: list[str] = []
    for row in retention.kept_now(session):
        page.append(row.id)
        if len(page) == retention.PAGE:
            yield from _filter_overlong(session, rulebook, page, at)
            page = []
    yield from _filter_overlong(session, rulebook, page, at)


def _filter_overlong(
    session: Session, rulebook: Rulebook, page: Sequence[str], at: datetime
) -> Iterator[KeptFacts]:
    for facts in retention.kept_facts(session, rulebook, page, at).values():
        today = judge_retention(rulebook, facts.judged_from(at), at)
        if facts.promised is not None and today.required_until < min(facts.promised, FOREVER):
            yield facts
