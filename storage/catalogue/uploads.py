"""The rows of uploads under way: the offset here is the truth about what is durable.

Bytes are durable before the row says so (`ingest/uploads.py`), and every change names the writer
that makes it: a writer whose place a newer one took changes nothing any more.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from storage.catalogue.station_tables import UploadRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.errors import ConflictError, NotFoundError


def find(session: Session, recording: UUID | str) -> UploadRow | None:
    """Return the upload of this recording, if one is under way."""
    return session.get(UploadRow, str(recording))


def of_station(session: Session, recording: UUID | str, station_id: str) -> UploadRow:
    """Return the upload if it is this station's. Raises: NotFoundError, also for another's."""
    row = find(session, recording)
    if row is None or row.station_id != station_id:
        raise NotFoundError(what="upload", id=str(recording))
    return row


def add(
    uow: UnitOfWork, *, recording: str, station_id: str, size: int, sha256: str, handle: str
) -> UploadRow:
    """Write down that an upload began."""
    row = UploadRow(
        recording=recording,
        station_id=station_id,
        size=size,
        sha256=sha256,
        handle=handle,
        marks=[],
        offset=0,
        tail=0,
        writer=None,
        created_at=uow.at,
        touched_at=uow.at,
    )
    uow.session.add(row)
    return row


def take(uow: UnitOfWork, recording: str, offset: int, writer: str) -> UploadRow:
    """Make this writer the one that may write on from the offset.

    Raises: NotFoundError; ConflictError(offset=…) when the durable offset is another.
    """
    row = find(uow.session, recording)
    if row is None:
        raise NotFoundError(what="upload", id=recording)
    if row.offset != offset:
        raise ConflictError(problem="offset", offset=row.offset, found=offset)
    row.writer, row.touched_at = writer, uow.at
    return row


def advance(uow: UnitOfWork, recording: str, writer: str, **columns: Any) -> None:
    """Write down what has become durable. Raises: ConflictError when another writer took over."""
    wanted = update(UploadRow).where(UploadRow.recording == recording, UploadRow.writer == writer)
    done = uow.session.execute(wanted.values(touched_at=uow.at, **columns))
    if isinstance(done, CursorResult) and done.rowcount != 1:
        raise ConflictError(problem="another writer took over", recording=recording)


def restart(uow: UnitOfWork, recording: str, handle: str) -> None:
    """Begin the upload anew: what had arrived did not become the payload."""
    row = find(uow.session, recording)
    if row is not None:
        row.handle, row.marks, row.offset, row.tail, row.writer = handle, [], 0, 0, None


def forget(uow: UnitOfWork, recording: UUID | str) -> None:
    """Drop the row: the recording is accessioned, or the attempt was given up."""
    uow.session.execute(delete(UploadRow).where(UploadRow.recording == str(recording)))


def untouched_since(session: Session, before: datetime) -> list[UploadRow]:
    """Return the uploads that nobody wrote to since then, oldest first."""
    wanted = select(UploadRow).where(UploadRow.touched_at < before)
    return list(session.scalars(wanted.order_by(UploadRow.touched_at)))


def oldest(session: Session) -> datetime | None:
    """Return when the first of the uploads that are under way began, if there are any."""
    return session.scalar(select(func.min(UploadRow.created_at)))
