"""Forecast figures: expiring bytes, unlinked footage, late accessions, stored bytes.

Read by reminders and the forecast; nothing is decided and nothing is written. "Linked" is as
retention sees it: by an exhibit that was not rejected, or as a document's scan.
"""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.facts.states import ExhibitState
from policies.identifiers import StationId
from policies.retention.capacity import LOOK_BACK, WEEK, WEEKS, StationStock
from policies.retention.retention import FOREVER
from storage.catalogue.cases.tables import DocumentRow
from storage.catalogue.tables import ExhibitRow, RecordingRow

LIST_LIMIT = 500
_NOT_DESTROYED = RecordingRow.destroyed_at.is_(None)


def sum_stored_bytes(
    session: Session, now: datetime, township: str | None = None
) -> list[StationStock]:
    """Return bytes by station and by whether they are kept for ever, by station."""
    row, forever = RecordingRow, RecordingRow.retain_until >= FOREVER

    def sum_by_station(since: datetime | None) -> dict[tuple[StationId, bool], int]:
        query = select(row.station, forever, func.sum(row.size)).where(_NOT_DESTROYED)
        if since is not None:
            query = query.where(row.accessioned_at > since)
        query = _within_township(query.group_by(row.station, forever), township)
        return {
            (name, bool(is_forever)): int(size) for name, is_forever, size in session.execute(query)
        }

    lately = sum_by_station(now - LOOK_BACK * WEEK)
    return [
        StationStock(station, is_forever, size, lately.get((station, is_forever), 0))
        for (station, is_forever), size in sorted(sum_by_station(None).items())
    ]


def sum_expiring_by_week(session: Session, now: datetime, township: str | None = None) -> list[int]:
    """Return the bytes that were promised no longer than each week from now on; overdue first."""
    sizes = []
    for week in range(WEEKS):
        since, until = now + week * WEEK, now + (week + 1) * WEEK
        query = select(func.coalesce(func.sum(RecordingRow.size), 0)).where(
            _NOT_DESTROYED, RecordingRow.retain_until <= until
        )
        if week > 0:
            query = query.where(RecordingRow.retain_until > since)
        sizes.append(int(session.scalar(_within_township(query, township)) or 0))
    return sizes


def falling_due(session: Session, until: datetime, township: str | None = None) -> tuple[int, int]:
    """Return how many recordings, of how many bytes, were promised no longer than a date."""
    row = RecordingRow
    query = select(func.count(), func.coalesce(func.sum(row.size), 0)).select_from(row)
    count, size = session.execute(
        _within_township(query.where(_NOT_DESTROYED, row.retain_until <= until), township)
    ).one()
    return int(count), int(size)


def list_unlinked_footage(
    session: Session, before: datetime, township: str | None = None
) -> list[RecordingRow]:
    """Return footage accessioned before then that nobody linked or classed, oldest first."""
    row = RecordingRow
    linked = select(ExhibitRow.id).where(
        ExhibitRow.recording_id == row.id, ExhibitRow.state != ExhibitState.REJECTED
    )
    paper = select(DocumentRow.id).where(DocumentRow.recording_id == row.id)
    query = select(row).where(
        _NOT_DESTROYED,
        row.accessioned_at <= before,
        row.retain_until < FOREVER,
        ~linked.exists(),
        ~paper.exists(),
    )
    return list(
        session.scalars(
            _within_township(query.order_by(row.accessioned_at, row.id), township).limit(LIST_LIMIT)
        )
    )


def list_late_accessions(
    session: Session, since: datetime, longest: timedelta, township: str | None = None
) -> list[RecordingRow]:
    """Return what was accessioned since then, longer after its end than it may take."""
    row = RecordingRow
    query = select(row.id, row.accessioned_at, row.end_at).where(
        _NOT_DESTROYED, row.accessioned_at > since, row.end_at < row.accessioned_at
    )
    ordered = _within_township(query.order_by(row.accessioned_at, row.id), township)
    accessions = session.execute(ordered.execution_options(yield_per=500))
    late_ids = (id_ for id_, came, ended in accessions if came - ended > longest)
    ids = list(islice(late_ids, LIST_LIMIT))
    rows = select(row).where(row.id.in_(ids)).order_by(row.accessioned_at, row.id)
    return list(session.scalars(rows))


def _within_township(query: Any, township: str | None) -> Any:
    return query if township is None else query.where(RecordingRow.township == township)
