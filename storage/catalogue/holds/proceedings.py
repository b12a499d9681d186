"""Complaints, reconsiderations and lawsuits: registered, answered, and what they keep (holds).

Each places holds by itself: on its case, with all that is linked to it, and on what was recorded
in its township in its interval; they end with it alone, when it was answered, by two persons
(`releases.py`). Nobody whom it concerns handles or answers it.
Source: 兴隆县指导意见 第十六, 十八条.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.access.access import Person
from policies.access.concern import Matter, tie_of
from policies.facts.terms import HoldReason, ProceedingKind
from policies.retention import releases as policy
from policies.retention.holds import of_proceeding
from policies.retention.releases import Held
from storage.catalogue.cases.tables import HoldRow, ProceedingRow
from storage.catalogue.engine.keyset import Place, keyed
from storage.catalogue.holds import concerns, holds
from storage.catalogue.holds.concerns import NotEntitledError, actor_of
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.people.people import person
from storage.catalogue.reading import case_queries
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError, NotFoundError

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
    case_id: str | None = None
    place: str = ""
    since: datetime | None = None
    until: datetime | None = None
    summary: bool = False
    handler_id: str | None = None


def register_proceeding(uow: UnitOfWork, new: NewProceeding, *, actor: str) -> ProceedingRow:
    """Register a proceeding and hold what it concerns.

    Its case is held as a whole whoever registers it; an interval only adds to that.
    Raises: NotFoundError; ConflictError when the interval ends before it begins, or a
    reconsideration or lawsuit names no case; ConcernedError when it concerns its handler.
    """
    if new.case_id is not None:
        case_queries.case(uow.session, new.case_id)
    elif new.kind is not ProceedingKind.COMPLAINT:
        raise ConflictError(problem="a case must be named", kind=new.kind.value)
    if new.since and new.until and new.until <= new.since:
        raise ConflictError(problem="the end is not after the start")
    if new.handler_id is not None:
        person(uow.session, new.handler_id)
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
    uow.record("proceeding.register", _CHANGE, row, actor=actor, subject=f"proceeding:{row.id}")
    _hold_more(uow, row, actor=actor)
    if row.handler_id is not None:
        concerns.check_not_concerned(as_held(uow.session, row), row.handler_id)
    return row


def hold_more(uow: UnitOfWork, proceeding_id: str, *, actor: str) -> list[HoldRow]:
    """Hold what concerns an open proceeding and is not held by it yet; return the new holds.

    The case is held as a whole, with whatever is linked to it later; footage of the interval, one
    by one, as it comes in. A handler whom that turns out to concern handles it no more.
    """
    row = proceeding(uow.session, proceeding_id)
    if row.answered_at is not None:
        return []
    added = _hold_more(uow, row, actor=actor)
    handler = row.handler_id
    if handler is not None and tie_of(matter(uow.session, row), handler) is not None:
        row.handler_id = None
        uow.record("proceeding.excuse", _CHANGE, row, actor=actor, subject=f"proceeding:{row.id}")
    return added


def _hold_more(uow: UnitOfWork, row: ProceedingRow, *, actor: str) -> list[HoldRow]:
    placed = holds_of(uow.session, row.id)
    new: list[NewHold] = []
    plain = NewHold(
        reason=HoldReason(row.kind), authority=of_proceeding(row.id), proceeding_id=row.id
    )
    if row.case_id is not None and not any(one.case_id == row.case_id for one in placed):
        new.append(replace(plain, case_id=row.case_id))
    held = {one.recording_id for one in placed}
    new += [
        replace(plain, recording_id=found.id)
        for found in concerned(uow.session, row)
        if found.id not in held
    ]
    return [holds.place(uow, one, actor=actor) for one in new]


def concerned(session: Session, row: ProceedingRow) -> list[RecordingRow]:
    """Return the footage of a proceeding's interval in its township, in order of time."""
    if row.since is None or row.until is None:
        return []
    wanted = select(RecordingRow).where(
        RecordingRow.township == row.township,
        RecordingRow.start_at < row.until,
        RecordingRow.end_at > row.since,
        RecordingRow.destroyed_at.is_(None),
    )
    return list(session.scalars(wanted.order_by(RecordingRow.start_at, RecordingRow.id)))


def answer(uow: UnitOfWork, proceeding_id: str, text: str, *, by: Person) -> ProceedingRow:
    """Enter how a proceeding was answered; its holds stay until two persons release them.

    Raises: NotFoundError; ConcernedError (it concerns him), NotEntitledError (neither a head of its
    township nor a reviewer), ConflictError (answered).
    """
    row = proceeding(uow.session, proceeding_id)
    held = as_held(uow.session, row)
    concerns.check_not_concerned(held, by.id)
    if policy.may_answer(by, held) is not None:
        raise NotEntitledError(held)
    if row.answered_at is not None:
        raise ConflictError(problem="answered already", proceeding=row.id)
    row.answered_at, row.answer = uow.at, text
    subject = f"proceeding:{row.id}"
    uow.record("proceeding.answer", _CHANGE, row, actor=actor_of(by), subject=subject)
    return row


def matter(session: Session, row: ProceedingRow) -> Matter:
    """Return whom a proceeding concerns: by its case, and by the footage that it holds or names."""
    footage = [one.id for one in concerned(session, row)]
    holding = concerns.of_holds(session, holds_of(session, row.id))
    holding |= concerns.of_recordings(session, footage)
    return holding if row.case_id is None else holding | concerns.of_case(session, row.case_id)


def as_held(session: Session, row: ProceedingRow) -> Held:
    """Return what a decision about a proceeding, or about what it holds, looks at."""
    return Held(
        authority=of_proceeding(row.id),
        township=row.township,
        matter=matter(session, row),
        heads=concerns.heads(session, row.township),
        answered=row.answered_at is not None,
    )


def proceeding(session: Session, proceeding_id: str) -> ProceedingRow:
    """Return one proceeding. Raises: NotFoundError."""
    row = session.get(ProceedingRow, proceeding_id)
    if row is None:
        raise NotFoundError(what="proceeding", id=proceeding_id)
    return row


def proceedings(
    session: Session,
    *,
    township: str | None = None,
    case_id: str | None = None,
    unanswered: bool = False,
    received: tuple[datetime, datetime] | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[ProceedingRow]:
    """Return proceedings, newest first (time of receipt, id).

    `received` asks for those of a span, its end not included.
    """
    wanted = select(ProceedingRow)
    if township is not None:
        wanted = wanted.where(ProceedingRow.township == township)
    if case_id is not None:
        wanted = wanted.where(ProceedingRow.case_id == case_id)
    if received is not None:
        since, until = received
        wanted = wanted.where(ProceedingRow.received_at >= since, ProceedingRow.received_at < until)
    if unanswered:
        wanted = wanted.where(ProceedingRow.answered_at.is_(None))
    keys = (ProceedingRow.received_at, ProceedingRow.id)
    return list(session.scalars(keyed(wanted, keys, after, limit, newest=True)))


def holds_of(session: Session, proceeding_id: str) -> list[HoldRow]:
    """Return every hold that a proceeding placed."""
    wanted = select(HoldRow).where(HoldRow.proceeding_id == proceeding_id)
    return list(session.scalars(wanted.order_by(HoldRow.placed_at, HoldRow.id)))


def held(session: Session, proceeding_id: str) -> list[str]:
    """Return the recordings that a proceeding's standing holds reach now, by id."""
    standing = [one for one in holds_of(session, proceeding_id) if one.released_at is None]
    return sorted({found for one in standing for found in holds.reached(session, one)})


def open_proceedings_of(session: Session, case_ids: Iterable[str]) -> list[ProceedingRow]:
    """Return the unanswered proceedings of some cases."""
    wanted = select(ProceedingRow).where(
        ProceedingRow.case_id.in_(list(case_ids)), ProceedingRow.answered_at.is_(None)
    )
    return list(session.scalars(wanted))
