"""Forecast: recordings due soon, not linked or handed in late, and the store's fill."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from api.http.security import ServiceHere, VisitorHere
from api.office.reports.forecast import Outlook, build_outlook
from policies.access.access import Act
from storage.catalogue.tables import RecordingRow

router = APIRouter(tags=["outlook"])


class ReminderOut(BaseModel):
    """Reminder of a recording that needs attention; times in UTC."""

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
def get_outlook(service: ServiceHere, visitor: VisitorHere) -> OutlookOut:
    """Return what is coming in your township; for county roles, in the county."""
    return present_outlook(read_outlook(service, visitor))


def read_outlook(service: ServiceHere, visitor: VisitorHere) -> Outlook:
    """Read the forecast that this visitor may see. Raises: ApiError(forbidden)."""
    # The own township, not one that the request names: nobody asks for a neighbour's.
    service.authorise(visitor, Act.SEE_DUTIES, visitor.person.township)
    return build_outlook(service.office, visitor.person.township)


def present_outlook(forecast: Outlook) -> OutlookOut:
    """Return a forecast in the API's schema."""
    return OutlookOut(
        at=forecast.at,
        due_in_30_days=forecast.due_count,
        due_bytes=forecast.due_size,
        unlinked_after_7_days=[_present_reminder(row) for row in forecast.unlinked],
        later_than_24_hours=[_present_reminder(row) for row in forecast.late],
        stocks=[
            StockOut(
                station=stock.station,
                forever=stock.forever,
                kept=stock.kept_bytes,
                lately=stock.lately,
            )
            for stock in forecast.stocks
        ],
        capacity=forecast.capacity,
        weeks=list(forecast.forecast.weeks),
        full_at=forecast.forecast.full_at,
    )


def _present_reminder(row: RecordingRow) -> ReminderOut:
    return ReminderOut(
        recording=row.id,
        name=row.name,
        township=row.township,
        station=row.station,
        ended_at=row.end_at,
        accessioned_at=row.accessioned_at,
    )
