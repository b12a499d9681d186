"""What is coming, for reminders and for a page: due soon, not linked, handed in late, how full.

Figures of one township, or of the county for its roles. What a forecast is worth stands in
`policies/retention/capacity.py`.
"""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.office.wiring import Office
from policies.retention.capacity import Forecast, Stock, forecast
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
    stocks: tuple[Stock, ...]
    capacity: int | None
    forecast: Forecast


def look(office: Office, township: str | None) -> Outlook:
    """Return what is coming in a township (None: in all)."""
    now = office.clock()
    with office.catalogue.read() as session:
        count, size = outlook.falling_due(session, now + SOON, township)
        unlinked = outlook.unlinked(session, now - UNLINKED, township)
        late = outlook.late(session, now - LOOK_BACK, LATE, township)
        stocks = outlook.stocks(session, now, township)
        leaving = outlook.leaving(session, now, township)
    capacity = _capacity(office, sum(one.kept for one in stocks)) if township is None else None
    ordinary = retain_until(office.rulebook, now) - now
    return Outlook(
        at=now,
        due_count=count,
        due_size=size,
        unlinked=tuple(unlinked),
        late=tuple(late),
        stocks=tuple(stocks),
        capacity=capacity,
        forecast=forecast(stocks, leaving, ordinary, capacity, now),
    )


def _capacity(office: Office, kept: int) -> int | None:
    """Return the bytes that the store can hold: by setting, or what a local disk still has."""
    settings = office.settings
    if settings.objects_capacity_gb is not None:
        return int(settings.objects_capacity_gb * (1 << 30))
    if settings.objects_url is not None:
        return None
    return kept + shutil.disk_usage(settings.home).free
