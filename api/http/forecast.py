"""What is coming: due soon, not linked, handed in late, and how full the store will be."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from api.http.security import ServiceHere, VisitorHere
from api.office.reports.forecast import Outlook, look
from policies.access.access import Act
from storage.catalogue.tables import RecordingRow

router = APIRouter(tags=["outlook"])


class ReminderOut(BaseModel):
    """One recording that somebody should see to; times in UTC."""

    recording: str
    name: str
    township: str
    station: str
    ended_at: datetime | None
    accessioned_at: datetime


class StockOut(BaseModel):
    """Bytes of one station: kept now, and come in during the last four weeks."""

    station: str
    forever: bool
    kept: int
    lately: int


class OutlookOut(BaseModel):
    """What is coming; `weeks` are the bytes kept at the start of each week from now on."""

    at: datetime
    due_in_30_days: int
    due_bytes: int
    unlinked_after_7_days: list[ReminderOut]
    later_than_24_hours: list[ReminderOut]
    stocks: list[StockOut]
    capacity: int | None
    weeks: list[int]
    full_at: datetime | None


@router.get("/outlook")
def outlook(service: ServiceHere, visitor: VisitorHere) -> OutlookOut:
    """Return what is coming in your township; for county roles, in the county."""
    return shown(seen(service, visitor))


def seen(service: ServiceHere, visitor: VisitorHere) -> Outlook:
    """Return what this visitor may see of what is coming. Raises: ApiError(forbidden)."""
    service.authorise(visitor, Act.SEE_DUTIES, visitor.person.township)
    return look(service.office, visitor.person.township)


def shown(found: Outlook) -> OutlookOut:
    """Return an outlook as the API tells it."""
    return OutlookOut(
        at=found.at,
        due_in_30_days=found.due_count,
        due_bytes=found.due_size,
        unlinked_after_7_days=[_reminder(row) for row in found.unlinked],
        later_than_24_hours=[_reminder(row) for row in found.late],
        stocks=[
            StockOut(station=one.station, forever=one.forever, kept=one.kept, lately=one.lately)
            for one in found.stocks
        ],
        capacity=found.capacity,
        weeks=list(found.forecast.weeks),
        full_at=found.forecast.full_at,
    )


def _reminder(row: RecordingRow) -> ReminderOut:
    return ReminderOut(
        recording=row.id,
        name=row.name,
        township=row.township,
        station=row.station,
        ended_at=row.end_at,
        accessioned_at=row.accessioned_at,
    )
