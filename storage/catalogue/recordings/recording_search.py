"""Search among recordings: by whose, when, what and where, page by page.

How a recording comes in and changes is `recordings.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from policies.facts.states import ExhibitState
from policies.identifiers import CaseId
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.tables import ActionRow, ExhibitRow, RecordingRow
from storage.recording import MediaKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """What to look for; None asks for nothing. `text` looks in names, paths, serials, officers.

    `since` (inclusive) and `until` (exclusive) are about the time shown, or where that is not
    known, about the time of accession.
    """

    township: str | None = None
    case: CaseId | None = None
    officer: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    kind: MediaKind | None = None
    unanswered: bool = False


def search_recordings(
    session: Session,
    filters: RecordingFilter | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[RecordingRow]:
    """Return the recordings that fit, newest first (id)."""
    query = _apply_filters(select(RecordingRow), filters or RecordingFilter())
    return list(session.scalars(page_by_keys(query, (RecordingRow.id,), after, limit, newest=True)))


def count_linked(
    session: Session, township: str, since: datetime, until: datetime
) -> tuple[int, int]:
    """Return how many recordings of a township began in a span, and of how many a link stands."""
    row = RecordingRow
    confirmed = select(ExhibitRow.id).where(
        ExhibitRow.recording_id == row.id, ExhibitRow.state == ExhibitState.CONFIRMED
    )
    query = select(func.count()).where(
        row.township == township, row.start_at >= since, row.start_at < until
    )
    linked = session.scalar(query.where(confirmed.exists()))
    return session.scalar(query) or 0, linked or 0


def _apply_filters(query: Select[RecordingRow], filters: RecordingFilter) -> Select[Any]:
    row = RecordingRow
    if filters.township is not None:
        query = query.where(row.township == filters.township)
    if filters.source is not None:
        query = query.where(row.source_serial == filters.source)
    if filters.kind is not None:
        query = query.where(row.kind == filters.kind.value)
    if filters.officer is not None:
        query = query.where(
            or_(row.officer_id == filters.officer, row.officer_no == filters.officer)
        )
    if filters.unanswered:
        query = query.where(row.questions != [])
    if filters.since is not None:
        query = query.where(
            func.coalesce(row.end_at, row.start_at, row.accessioned_at) >= filters.since
        )
    if filters.until is not None:
        query = query.where(func.coalesce(row.start_at, row.accessioned_at) < filters.until)
    if filters.case is not None:
        query = query.where(row.id.in_(_linked_to(filters.case)))
    if filters.text:
        columns = (row.name, row.path, row.source_serial, row.officer_no, row.id)
        query = query.where(
            or_(*(column.icontains(filters.text, autoescape=True) for column in columns))
        )
    return query


def _linked_to(case_id: CaseId) -> Select[Any]:
    return (
        select(ExhibitRow.recording_id)
        .join(ActionRow, ActionRow.id == ExhibitRow.action_id)
        .where(ActionRow.case_id == case_id, ExhibitRow.state != ExhibitState.REJECTED)
    )
