"""Files handed in by persons: their owners, and their release to the station.

How their bytes arrive is `uploads.py`. A row that says `received_at` promises that the bytes were
whole and the digest's; the entry about it is in the same transaction.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from policies.identifiers import PersonId, Subject
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.stations.tables import HandedInRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.acting import PersonActing
from storage.custody.entries.event import PremisType


def of_person(
    session: Session, person: PersonId, *, after: Place = (), limit: int | None = None
) -> list[HandedInRow]:
    """Return what this person handed in or began to, newest first (time, id)."""
    query = select(HandedInRow).where(HandedInRow.person_id == person)
    keys = (HandedInRow.created_at, HandedInRow.id)
    return list(session.scalars(page_by_keys(query, keys, after, limit, newest=True)))


def find_same_bytes(
    session: Session, person: PersonId, sha256: str, size: int
) -> HandedInRow | None:
    """Return what this person began to hand in before with these very bytes."""
    query = select(HandedInRow).where(
        HandedInRow.person_id == person, HandedInRow.sha256 == sha256, HandedInRow.size == size
    )
    return session.scalars(query.order_by(HandedInRow.created_at.desc())).first()


def list_complete(session: Session) -> list[HandedInRow]:
    """Return what arrived to the last byte and was not received yet."""
    query = select(HandedInRow).where(
        HandedInRow.received_at.is_(None), HandedInRow.offset == HandedInRow.size
    )
    return list(session.scalars(query))


def received_before(session: Session, before: datetime) -> list[HandedInRow]:
    """Return what was received before then."""
    query = select(HandedInRow).where(HandedInRow.received_at < before)
    return list(session.scalars(query.order_by(HandedInRow.received_at)))


def receive_hand_in(uow: UnitOfWork, name: str) -> HandedInRow:
    """Release a file to the station and log who handed it in, once. Raises: NotFoundError."""
    row = load_row(uow.session, HandedInRow, name)
    if row.received_at is None:
        row.received_at = uow.at
        uow.record(
            "submission.hand-in",
            PremisType.TRANSFER,
            actor=PersonActing(
                Subject.of_person(row.person_id),
                row.session,
                row.address or "unknown",
                asked_at=row.created_at,
            ),
            subject=Subject.of_submission(row.id),
            name=row.file_name,
            size=row.size,
            sha256=row.sha256,
        )
    return row


def forget_hand_in(uow: UnitOfWork, name: str) -> None:
    """Drop the row; the log keeps what was received."""
    uow.session.execute(delete(HandedInRow).where(HandedInRow.id == name))
