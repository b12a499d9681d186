"""What is coming: what falls due, what nobody linked, what came in late, and how much there is.

Read by reminders and the forecast; nothing is decided and nothing is written. "Linked" is as
retention sees it: by an exhibit that was not rejected, or as a document's scan.
"""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.retention.capacity import LOOK_BACK, WEEK, WEEKS, Stock
from policies.retention.retention import FOREVER
from storage.catalogue.cases.tables import DocumentRow
from storage.catalogue.reading.case_queries import REJECTED
from storage.catalogue.tables import ExhibitRow, RecordingRow

LISTED = 500
_KEPT = RecordingRow.destroyed_at.is_(None)


def stocks(session: Session, now: datetime, township: str | None = None) -> list[Stock]:
    """Return bytes by station and by whether they are kept for ever, by station."""
    row, forever = RecordingRow, RecordingRow.retain_until >= FOREVER

    def sums(since: datetime | None) -> dict[tuple[str, bool], int]:
        wanted = select(row.station, forever, func.sum(row.size)).where(_KEPT)
        if since is not None:
            wanted = wanted.where(row.accessioned_at > since)
        wanted = _of(wanted.group_by(row.station, forever), township)
        return {(name, bool(kept)): int(size) for name, kept, size in session.execute(wanted)}

    lately = sums(now - LOOK_BACK * WEEK)
    return [
        Stock(station, kept, size, lately.get((station, kept), 0))
        for (station, kept), size in sorted(sums(None).items())
    ]


def leaving(session: Session, now: datetime, township: str | None = None) -> list[int]:
    """Return the bytes that were promised no longer than each week from now on; overdue first."""
    found = []
    for week in range(WEEKS):
        since, until = now + week * WEEK, now + (week + 1) * WEEK
        wanted = select(func.coalesce(func.sum(RecordingRow.size), 0)).where(
            _KEPT, RecordingRow.retain_until <= until
        )
        if week > 0:
            wanted = wanted.where(RecordingRow.retain_until > since)
        found.append(int(session.scalar(_of(wanted, township)) or 0))
    return found


def falling_due(session: Session, until: datetime, township: str | None = None) -> tuple[int, int]:
    """Return how many recordings, of how many bytes, were promised no longer than a date."""
    row = RecordingRow
    wanted = select(func.count(), func.coalesce(func.sum(row.size), 0)).select_from(row)
    count, size = session.execute(
        _of(wanted.where(_KEPT, row.retain_until <= until), township)
    ).one()
    return int(count), int(size)


def unlinked(session: Session, before: datetime, township: str | None = None) -> list[RecordingRow]:
    """Return footage accessioned before then that nobody linked or classed, oldest first."""
    row = RecordingRow
    linked = select(ExhibitRow.id).where(
        ExhibitRow.recording_id == row.id, ExhibitRow.state != REJECTED
    )
    paper = select(DocumentRow.id).where(DocumentRow.recording_id == row.id)
    wanted = select(row).where(
        _KEPT,
        row.accessioned_at <= before,
        row.retain_until < FOREVER,
        ~linked.exists(),
        ~paper.exists(),
    )
    return list(
        session.scalars(_of(wanted.order_by(row.accessioned_at, row.id), township).limit(LISTED))
    )


def late(
    session: Session, since: datetime, longest: timedelta, township: str | None = None
) -> list[RecordingRow]:
    """Return what was accessioned since then, longer after its end than it may take."""
    row = RecordingRow
    wanted = select(row.id, row.accessioned_at, row.end_at).where(
        _KEPT, row.accessioned_at > since, row.end_at < row.accessioned_at
    )
    ordered = _of(wanted.order_by(row.accessioned_at, row.id), township)
    told = session.execute(ordered.execution_options(yield_per=500))
    found = (id_ for id_, came, ended in told if came - ended > longest)
    ids = list(islice(found, LISTED))
    rows = select(row).where(row.id.in_(ids)).order_by(row.accessioned_at, row.id)
    return list(session.scalars(rows))


def _of(wanted: Any, township: str | None) -> Any:
    return wanted if township is None else wanted.where(RecordingRow.township == township)
