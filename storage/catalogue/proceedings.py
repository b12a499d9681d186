"""Complaints, reconsiderations and lawsuits: registered, answered, and what they keep (holds).

Each gathers the footage concerned (the case's, and what was recorded in its township in its
interval) and places a hold upon it by itself; a hold is released by the proceeding that placed
it, never by another. Nothing is destroyed yet; what destroys will have to ask `held`.
Source: 兴隆县指导意见 第十六, 十八条.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from policies.terms import ProceedingKind
from storage.catalogue import case_facts
from storage.catalogue.people import person
from storage.catalogue.recordings import by_id, subject_of
from storage.catalogue.tables import ActionRow, ExhibitRow, RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.catalogue.way_tables import HoldRow, ProceedingRow
from storage.custody.event import PremisType
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

    Raises: NotFoundError; ConflictError when the interval ends before it begins, or a
    reconsideration or lawsuit names no case.
    """
    if new.case_id is not None:
        case_facts.case(uow.session, new.case_id)
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
    hold_more(uow, row.id, actor=actor)
    return row


def hold_more(uow: UnitOfWork, proceeding_id: str, *, actor: str) -> list[HoldRow]:
    """Hold what concerns an open proceeding and is not held by it yet: footage that came since."""
    row = proceeding(uow.session, proceeding_id)
    if row.answered_at is not None:
        return []
    held = {one.recording_id for one in holds_of(uow.session, row.id)}
    added = []
    for found in concerned(uow.session, row):
        if found.id in held:
            continue
        hold = HoldRow(
            id=uow.new_id(),
            recording_id=found.id,
            proceeding_id=row.id,
            reason=row.kind,
            placed_by=actor,
            placed_at=uow.at,
        )
        uow.session.add(hold)
        kind = PremisType.POLICY_ASSIGNMENT
        uow.record("hold.place", kind, hold, actor=actor, subject=subject_of(found.id))
        added.append(hold)
    return added


def concerned(session: Session, row: ProceedingRow) -> list[RecordingRow]:
    """Return the footage that a proceeding concerns, in order of time."""
    told: list[ColumnElement[bool]] = []
    if row.case_id is not None:
        actions = select(ActionRow.id).where(ActionRow.case_id == row.case_id)
        linked = select(ExhibitRow.recording_id).where(
            ExhibitRow.action_id.in_(actions), ExhibitRow.state != case_facts.REJECTED
        )
        told.append(RecordingRow.id.in_(linked))
    if row.since is not None and row.until is not None:
        told.append(
            (RecordingRow.township == row.township)
            & (RecordingRow.start_at < row.until)
            & (RecordingRow.end_at > row.since)
        )
    if not told:
        return []
    wanted = select(RecordingRow).where(or_(*told))
    return list(session.scalars(wanted.order_by(RecordingRow.start_at, RecordingRow.id)))


def answer(uow: UnitOfWork, proceeding_id: str, text: str, *, actor: str) -> ProceedingRow:
    """Enter that a proceeding was answered. Raises: NotFoundError, ConflictError (answered)."""
    row = proceeding(uow.session, proceeding_id)
    if row.answered_at is not None:
        raise ConflictError(problem="answered already", proceeding=row.id)
    row.answered_at, row.answer = uow.at, text
    uow.record("proceeding.answer", _CHANGE, row, actor=actor, subject=f"proceeding:{row.id}")
    return row


def release(uow: UnitOfWork, proceeding_id: str, reason: str, *, actor: str) -> list[HoldRow]:
    """Release every hold of an answered proceeding; those of others stay.

    Raises: NotFoundError, ConflictError (not answered yet, or no reason given).
    """
    row = proceeding(uow.session, proceeding_id)
    if row.answered_at is None or not reason.strip():
        raise ConflictError(problem="not answered yet, or no reason given", proceeding=row.id)
    released = []
    for hold in holds_of(uow.session, row.id):
        if hold.released_at is None:
            hold.released_at, hold.released_by = uow.at, actor
            uow.record(
                "hold.release",
                PremisType.POLICY_ASSIGNMENT,
                hold,
                actor=actor,
                subject=subject_of(hold.recording_id),
                reason=reason,
            )
            released.append(hold)
    return released


def proceeding(session: Session, proceeding_id: str) -> ProceedingRow:
    """Return one proceeding. Raises: NotFoundError."""
    row = session.get(ProceedingRow, proceeding_id)
    if row is None:
        raise NotFoundError(what="proceeding", id=proceeding_id)
    return row


def proceedings(
    session: Session, *, township: str | None = None, case_id: str | None = None
) -> list[ProceedingRow]:
    """Return proceedings, newest first."""
    wanted = select(ProceedingRow).order_by(ProceedingRow.received_at.desc(), ProceedingRow.id)
    if township is not None:
        wanted = wanted.where(ProceedingRow.township == township)
    if case_id is not None:
        wanted = wanted.where(ProceedingRow.case_id == case_id)
    return list(session.scalars(wanted))


def holds_of(session: Session, proceeding_id: str) -> list[HoldRow]:
    """Return every hold that a proceeding placed."""
    wanted = select(HoldRow).where(HoldRow.proceeding_id == proceeding_id)
    return list(session.scalars(wanted.order_by(HoldRow.placed_at, HoldRow.id)))


def held(session: Session, recording_id: str) -> list[HoldRow]:
    """Return the holds that keep a recording now; an empty list keeps nothing."""
    wanted = select(HoldRow).where(
        HoldRow.recording_id == by_id(session, recording_id).id, HoldRow.released_at.is_(None)
    )
    return list(session.scalars(wanted.order_by(HoldRow.placed_at, HoldRow.id)))


def open_proceedings_of(session: Session, case_ids: Iterable[str]) -> list[ProceedingRow]:
    """Return the unanswered proceedings of some cases."""
    wanted = select(ProceedingRow).where(
        ProceedingRow.case_id.in_(list(case_ids)), ProceedingRow.answered_at.is_(None)
    )
    return list(session.scalars(wanted))
