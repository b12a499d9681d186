"""What jobs know of recordings: when each was read whole, later looks at it, its renditions.

How a job is asked for, claimed and finished is `jobs.py`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from storage.catalogue.jobs.tables import LaterLookRow, RenditionRow, VerifiedRow
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork


def note_verified(uow: UnitOfWork, recording_id: str, wrong: list[Any], at: datetime) -> None:
    """Write down when a recording was read whole, and what was wrong."""
    row = uow.session.get(VerifiedRow, recording_id)
    if row is None:
        row = VerifiedRow(recording_id=recording_id, at=at, wrong=wrong)
        uow.session.add(row)
    row.at, row.wrong = at, wrong


def list_damaged(session: Session) -> list[VerifiedRow]:
    """Return the recordings whose last verification failed, the latest first."""
    query = select(VerifiedRow).where(VerifiedRow.wrong != [])
    return list(session.scalars(query.order_by(VerifiedRow.at.desc())))


def longest_unread(
    session: Session, share: int, before: datetime, *, archived: bool = True
) -> list[str]:
    """Return the recordings that were read whole longest ago: so many, and all before then.

    Without `archived`, what lies in an archive that is away is left out.

    At accession everything was read back: until the first verification that is the time.
    """
    read_at = func.coalesce(VerifiedRow.at, RecordingRow.accessioned_at)
    query = (
        select(RecordingRow.id, read_at < before)
        .outerjoin(VerifiedRow, VerifiedRow.recording_id == RecordingRow.id)
        .where(RecordingRow.destroyed_at.is_(None))
        .where(true() if archived else RecordingRow.archived_at.is_(None))
        .order_by(read_at, RecordingRow.id)
    )
    recording_ids = []
    for number, (recording, late) in enumerate(session.execute(query)):
        if number >= share and not late:
            break
        recording_ids.append(recording)
    return recording_ids


def later_looks(session: Session, recording_id: str) -> list[LaterLookRow]:
    """Return what later inspections of a recording saw, the newest first."""
    query = select(LaterLookRow).where(LaterLookRow.recording_id == recording_id)
    return list(session.scalars(query.order_by(LaterLookRow.id.desc())))


def newest_rendition(session: Session, recording_id: str, kind: str) -> RenditionRow | None:
    """Return the last rendition of this kind that was made from a recording."""
    query = select(RenditionRow).where(
        RenditionRow.recording_id == recording_id, RenditionRow.kind == kind
    )
    return session.scalar(query.order_by(RenditionRow.at.desc(), RenditionRow.id.desc()).limit(1))


def renditions_of(session: Session, recording_id: str) -> list[RenditionRow]:
    """Return everything that was made from a recording, the oldest first."""
    query = select(RenditionRow).where(RenditionRow.recording_id == recording_id)
    return list(session.scalars(query.order_by(RenditionRow.id)))


def is_rendition(session: Session, untrusted_id: str) -> bool:
    """Tell whether this is the id of a rendition."""
    return session.get(RenditionRow, untrusted_id) is not None


def recordings_kept(session: Session) -> int:
    """Return how many recordings are kept; destroyed ones are not."""
    query = select(func.count()).select_from(RecordingRow)
    return session.scalar(query.where(RecordingRow.destroyed_at.is_(None))) or 0


def object_ids(session: Session) -> Iterator[str]:
    """Yield every id that objects may lie under: of recordings that ever were, and renditions."""
    for own in (RecordingRow.id, RenditionRow.id):
        yield from session.scalars(select(own).execution_options(yield_per=1000))


def recordings_after(session: Session, recording_id: str, limit: int) -> list[RecordingRow]:
    """Return the next recordings after this id, oldest first; destroyed ones left out."""
    query = select(RecordingRow).where(
        RecordingRow.id > recording_id, RecordingRow.destroyed_at.is_(None)
    )
    return list(session.scalars(query.order_by(RecordingRow.id).limit(limit)))
