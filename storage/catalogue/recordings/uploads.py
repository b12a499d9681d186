"""The rows of uploads under way: the offset here is the truth about what is durable.

Bytes are durable before the row says so (`ingest/centre/uploads.py`), and every change names the
writer that makes it: a writer whose place a newer one took changes nothing any more. The same rules
hold for what stations deliver (`UploadRow`) and for what persons hand in (`HandedInRow`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    CursorResult,
    Select,
    bindparam,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from policies.identifiers import StationId
from storage.catalogue.stations.tables import HandedInRow, UploadRow
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.errors import ConflictError, NotFoundError

Row = UploadRow | HandedInRow
_UploadQuery = Select[*tuple[Any, ...]]
Kind = TypeVar("Kind", bound=UploadRow | HandedInRow)


@dataclass(frozen=True, slots=True)
class Accessioned:
    """What the catalogue has of an upload's recording; `receipted` unless a crash came first."""

    station: StationId
    destroyed: bool
    receipted: bool


def _build_upload_query(kind: type[Row]) -> _UploadQuery:
    name: BindParameter[str] = bindparam("name")
    single_row = select(literal(1)).subquery()
    row = RecordingRow
    facts = (row.station, row.destroyed_at.is_not(None), row.receipt_text.is_not(None))
    query = select(kind, *facts).select_from(single_row)
    return query.outerjoin(kind, kind.id == name).outerjoin(row, row.id == name)


# Made once: they are asked about every small recording, and every part of a large one.
_UPLOAD_QUERIES: dict[type[Any], _UploadQuery] = {
    kind: _build_upload_query(kind) for kind in (UploadRow, HandedInRow)
}
_WRITER: dict[type[Any], Select[Any]] = {
    kind: select(kind.writer).where(kind.id == bindparam("name"))
    for kind in (UploadRow, HandedInRow)
}


def find_upload(session: Session, kind: type[Kind], name: UUID | str) -> Kind | None:
    """Return the upload of this id, if one is under way."""
    return session.get(kind, str(name))


def find_upload_and_recording(
    session: Session, kind: type[Kind], name: UUID | str
) -> tuple[Kind | None, Accessioned | None]:
    """Return the upload of this id, and what is known of its recording, where there is either."""
    row, station, *more = session.execute(_UPLOAD_QUERIES[kind], {"name": str(name)}).one()
    return row, Accessioned(station, *more) if station is not None else None


def writer_of(session: Session, kind: type[Row], name: str) -> str | None:
    """Return who may write to the upload of this id, if it is under way and anybody may."""
    writer: str | None = session.scalar(_WRITER[kind], {"name": name})
    return writer


def of_owner(session: Session, kind: type[Kind], name: UUID | str, owner: str) -> Kind:
    """Return the upload if it is this owner's. Raises: NotFoundError, also for another's."""
    row = find_upload(session, kind, name)
    if row is None or row.owner != owner:
        raise NotFoundError(what="upload", id=str(name))
    return row


def add_upload(
    uow: UnitOfWork,
    kind: type[Kind],
    *,
    name: str,
    owner: str,
    size: int,
    sha256: str,
    handle: str,
    **more: Any,
) -> Kind:
    """Write down that an upload began."""
    row = kind(
        id=name,
        owner=owner,
        size=size,
        sha256=sha256,
        handle=handle,
        marks=[],
        offset=0,
        tail=0,
        writer=None,
        created_at=uow.at,
        touched_at=uow.at,
        **more,
    )
    uow.session.add(row)
    return row


def claim_upload(uow: UnitOfWork, kind: type[Kind], name: str, offset: int, writer: str) -> Kind:
    """Make this writer the one that may write on from the offset.

    Raises: NotFoundError; ConflictError(offset=…) when the durable offset is another.
    """
    row = find_upload(uow.session, kind, name)
    if row is None:
        # Of either table: a file that a person hands in is an upload as well, and named so here.
        raise NotFoundError(what="upload", id=name)
    if row.offset != offset:
        raise ConflictError(problem="offset", offset=row.offset, found=offset)
    row.writer, row.touched_at = writer, uow.at
    return row


def advance_upload(uow: UnitOfWork, row: Row, writer: str, **columns: Any) -> None:
    """Write down what has become durable. Raises: ConflictError when another writer took over."""
    kind = type(row)
    statement = update(kind).where(kind.id == row.id, kind.writer == writer)
    outcome = uow.session.execute(
        statement.values(touched_at=uow.at, **columns),
        execution_options={"synchronize_session": False},  # the caller's row is a copy
    )
    if isinstance(outcome, CursorResult) and outcome.rowcount != 1:
        raise ConflictError(problem="another writer took over", recording=row.id)


def restart_upload(uow: UnitOfWork, kind: type[Kind], name: str, handle: str) -> None:
    """Begin the upload anew: what had arrived did not become the payload."""
    row = find_upload(uow.session, kind, name)
    if row is not None:
        row.handle, row.marks, row.offset, row.tail, row.writer = handle, [], 0, 0, None


def forget_upload(uow: UnitOfWork, kind: type[Kind], name: UUID | str) -> None:
    """Drop the row: the recording is accessioned, or the attempt was given up."""
    uow.session.execute(delete(kind).where(kind.id == str(name)))


def untouched_since(session: Session, kind: type[Kind], before: datetime) -> list[Kind]:
    """Return the uploads that nobody wrote to since then, oldest first."""
    query = select(kind).where(kind.touched_at < before)
    return list(session.scalars(query.order_by(kind.touched_at)))


def find_oldest_start(session: Session) -> datetime | None:
    """Return when the first of the stations' uploads under way began, if there are any."""
    return session.scalar(select(func.min(UploadRow.created_at)))
