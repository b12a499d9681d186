"""Forecast for a page and reminders: recordings due, unlinked or late, and store capacity.

Figures of one township, or of the county for its roles. What a forecast is worth stands in
`policies/retention/capacity.py`.
"""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.office.wiring import Office
from policies.retention.capacity import Forecast, StationStock, forecast_capacity
from policies.retention.retention import retain_until
from storage.catalogue.oversight import forecast as outlook
from storage.catalogue.tables import RecordingRow

SOON = timedelta(days=30)
UNLINKED = timedelta(days=7)
LATE = timedelta(hours=24)
LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything at one moment; sizes in bytes, `capacity` None where nobody knows it.

    `due_…` is about the next 30 days. `unlinked` was linked by nobody within 7 days; `late` came
    in during the last 30 days, more than 24 hours after its end.
    """

    at: datetime
    due_count: int
    due_size: int
    unlinked: tuple[RecordingRow, ...]
    late: tuple[RecordingRow, ...]
    stocks: tuple[StationStock, ...]
    capacity: int | None
    forecast: Forecast


def build_outlook(office: Office, township: str | None) -> Outlook:
    """Return the forecast of a township (None: of all)."""
    now = office.clock()
    with office.catalogue.read() as session:
        count, size = outlook.falling_due(session, now + SOON, township)
        unlinked = outlook.list_unlinked_footage(session, now - UNLINKED, township)
        late = outlook.list_late_accessions(session, now - LOOK_BACK, LATE, township)
        stocks = outlook.sum_stored_bytes(session, now, township)
        leaving = outlook.sum_expiring_by_week(session, now, township)
    # A township's share of the store is nobody's: a ceiling over its curve would mislead.
    capacity = (
        _measure_capacity(office, sum(stock.kept_bytes for stock in stocks))
        if township is None
        else None
    )
    # What a recording of today without links would be kept for, by the rules of today.
    ordinary = retain_until(office.rulebook, now) - now
    return Outlook(
        at=now,
        due_count=count,
        due_size=size,
        unlinked=tuple(unlinked),
        late=tuple(late),
        stocks=tuple(stocks),
        capacity=capacity,
        forecast=forecast_capacity(stocks, leaving, ordinary, capacity, now),
    )


def _measure_capacity(office: Office, stored_bytes: int) -> int | None:
    """Return the bytes that the store can hold: by setting, or what a local disk still has."""
    settings = office.settings
    if settings.objects_capacity_gb is not None:
        return int(settings.objects_capacity_gb * (1 << 30))
    if settings.objects_url is not None:
        return None
    return stored_bytes + shutil.disk_usage(settings.home).free
