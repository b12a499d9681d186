"""Complaints, reconsiderations and lawsuits: registered, answered, and what they keep (holds).

Each places holds by itself: on its case, with all that is linked to it, and on what was recorded
in its township in its interval; they end with it alone, when it was answered, by two persons
(`releases.py`). Nobody whom it concerns handles or answers it.
Source: 兴隆县指导意见 第十六, 十八条.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.access.access import Person
from policies.access.concern import Matter, tie_of
from policies.facts.terms import HoldReason, ProceedingKind
from policies.identifiers import CaseId, PersonId, Subject
from policies.retention import releases as policy
from policies.retention.holds import of_proceeding
from policies.retention.releases import HoldContext
from storage.catalogue.cases.tables import HoldRow, ProceedingRow
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.holds import concerns, holds
from storage.catalogue.holds.concerns import NotEntitledError, actor_of
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.people.people import get_person
from storage.catalogue.reading import case_queries
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError

_CHANGE = PremisType.METADATA_MODIFICATION


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProceeding:
    """What is registered; `since` and `until` bound the footage concerned, true time."""

    kind: ProceedingKind
    number: str
    township: str
    about: str
    brought_by: str
    received_at: datetime
    case_id: CaseId | None = None
    place: str = ""
    since: datetime | None = None
    until: datetime | None = None
    summary: bool = False
    handler_id: PersonId | None = None


def register_proceeding(uow: UnitOfWork, new: NewProceeding, *, actor: str) -> ProceedingRow:
    """Register a proceeding and hold what it concerns.

    Its case is held as a whole whoever registers it; an interval only adds to that.
    Raises: NotFoundError; ConflictError when the interval ends before it begins, or a
    reconsideration or lawsuit names no case; ConcernedError when it concerns its handler.
    """
    if new.case_id is not None:
        case_queries.get_case(uow.session, new.case_id)
    elif new.kind is not ProceedingKind.COMPLAINT:
        raise ConflictError(problem="a case must be named", kind=new.kind.value)
    if new.since and new.until and new.until <= new.since:
        raise ConflictError(problem="the end is not after the start")
    if new.handler_id is not None:
        get_person(uow.session, new.handler_id)
    row = ProceedingRow(
        id=uow.new_id(),
        kind=new.kind.value,
        number=new.number,
        case_id=new.case_id,
        township=new.township,
        about=new.about,
        brought_by=new.brought_by,
        summary=new.summary,
        place=new.place,
        since=new.since,
        until=new.until,
        received_at=new.received_at,
        handler_id=new.handler_id,
    )
    uow.session.add(row)
    uow.record(
        "proceeding.register", _CHANGE, row, actor=actor, subject=Subject.of_proceeding(row.id)
    )
    _hold_more(uow, row, actor=actor)
    # After its holds were placed: only now is it known whose footage it is about.
    if row.handler_id is not None:
        concerns.check_not_concerned(as_held(uow.session, row), row.handler_id)
    return row


def hold_more(uow: UnitOfWork, proceeding_id: str, *, actor: str) -> list[HoldRow]:
    """Hold what concerns an open proceeding and is not held by it yet; return the new holds.

    The case is held as a whole, with whatever is linked to it later; footage of the interval, one
    by one, as it comes in. A handler whom that turns out to concern handles it no more.
    """
    row = get_proceeding(uow.session, proceeding_id)
    if row.answered_at is not None:
        return []
    added = _hold_more(uow, row, actor=actor)
    handler = row.handler_id
    if handler is not None and tie_of(gather_matter(uow.session, row), handler) is not None:
        row.handler_id = None
        uow.record(
            "proceeding.excuse", _CHANGE, row, actor=actor, subject=Subject.of_proceeding(row.id)
        )
    return added


def _hold_more(uow: UnitOfWork, row: ProceedingRow, *, actor: str) -> list[HoldRow]:
    placed = holds_of(uow.session, row.id)
    new: list[NewHold] = []
    plain = NewHold(
        reason=HoldReason(row.kind), authority=of_proceeding(row.id), proceeding_id=row.id
    )
    if row.case_id is not None and not any(hold.case_id == row.case_id for hold in placed):
        new.append(replace(plain, case_id=row.case_id))
    recording_ids = {hold.recording_id for hold in placed}
    new += [
        replace(plain, recording_id=recording.id)
        for recording in list_concerned_footage(uow.session, row)
        if recording.id not in recording_ids
    ]
    return [holds.place_hold(uow, new_hold, actor=actor) for new_hold in new]


def list_concerned_footage(session: Session, row: ProceedingRow) -> list[RecordingRow]:
    """Return the footage of a proceeding's interval in its township, in order of time."""
    if row.since is None or row.until is None:
        return []
    query = select(RecordingRow).where(
        RecordingRow.township == row.township,
        RecordingRow.start_at < row.until,
        RecordingRow.end_at > row.since,
        RecordingRow.destroyed_at.is_(None),
    )
    return list(session.scalars(query.order_by(RecordingRow.start_at, RecordingRow.id)))


def answer_proceeding(
    uow: UnitOfWork, proceeding_id: str, text: str, *, by: Person
) -> ProceedingRow:
    """Enter how a proceeding was answered; its holds stay until two persons release them.

    Raises: NotFoundError; ConcernedError (it concerns him), NotEntitledError (neither a head of its
    township nor a reviewer), ConflictError (answered).
    """
    row = get_proceeding(uow.session, proceeding_id)
    hold_facts = as_held(uow.session, row)
    concerns.check_not_concerned(hold_facts, by.id)
    if policy.may_answer(by, hold_facts) is not None:
        raise NotEntitledError(hold_facts)
    if row.answered_at is not None:
        raise ConflictError(problem="answered already", proceeding=row.id)
    row.answered_at, row.answer = uow.at, text
    subject = Subject.of_proceeding(row.id)
    uow.record("proceeding.answer", _CHANGE, row, actor=actor_of(by), subject=subject)
    return row


def gather_matter(session: Session, row: ProceedingRow) -> Matter:
    """Return whom a proceeding concerns: by its case, and by the footage that it holds or names."""
    footage = [recording.id for recording in list_concerned_footage(session, row)]
    holding = concerns.of_holds(session, holds_of(session, row.id))
    holding |= concerns.of_recordings(session, footage)
    return holding if row.case_id is None else holding | concerns.of_case(session, row.case_id)


def as_held(session: Session, row: ProceedingRow) -> HoldContext:
    """Return what a decision about a proceeding, or about what it holds, looks at."""
    return HoldContext(
        authority=of_proceeding(row.id),
        township=row.township,
        matter=gather_matter(session, row),
        heads=concerns.list_heads(session, row.township),
        is_answered=row.answered_at is not None,
    )


def get_proceeding(session: Session, proceeding_id: str) -> ProceedingRow:
    """Return one proceeding. Raises: NotFoundError."""
    return load_row(session, ProceedingRow, proceeding_id)


def list_proceedings(
    session: Session,
    *,
    township: str | None = None,
    case_id: CaseId | None = None,
    unanswered: bool = False,
    received: tuple[datetime, datetime] | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[ProceedingRow]:
    """Return proceedings, newest first (time of receipt, id).

    `received` asks for those of a span, its end not included.
    """
    query = select(ProceedingRow)
    if township is not None:
        query = query.where(ProceedingRow.township == township)
    if case_id is not None:
        query = query.where(ProceedingRow.case_id == case_id)
    if received is not None:
        since, until = received
        query = query.where(ProceedingRow.received_at >= since, ProceedingRow.received_at < until)
    if unanswered:
        query = query.where(ProceedingRow.answered_at.is_(None))
    keys = (ProceedingRow.received_at, ProceedingRow.id)
    return list(session.scalars(page_by_keys(query, keys, after, limit, newest=True)))


def holds_of(session: Session, proceeding_id: str) -> list[HoldRow]:
    """Return every hold that a proceeding placed."""
    query = select(HoldRow).where(HoldRow.proceeding_id == proceeding_id)
    return list(session.scalars(query.order_by(HoldRow.placed_at, HoldRow.id)))


def list_held_recordings(session: Session, proceeding_id: str) -> list[str]:
    """Return the recordings that a proceeding's standing holds reach now, by id."""
    standing = [hold for hold in holds_of(session, proceeding_id) if hold.released_at is None]
    return sorted(
        {
            recording_id
            for hold in standing
            for recording_id in holds.list_recordings_of_hold(session, hold)
        }
    )
