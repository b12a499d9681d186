"""Forecast of the store: recent intake, expiring footage, and the week it is full. Pure.

A forecast by weeks: what is kept now, plus what the last four weeks brought in per week, less what
falls due. Of what will come in, the share that is not kept for ever leaves again after the
ordinary period. It is an estimate and is shown as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.identifiers import StationId

WEEK = timedelta(days=7)
WEEKS = 53
LOOK_BACK = 4  # weeks


@dataclass(frozen=True, slots=True)
class StationStock:
    """Bytes of one station and class: kept now, and come in during the last four weeks."""

    station: StationId
    forever: bool
    kept_bytes: int
    lately: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Bytes kept at the start of each week from now on, and when the store is full."""

    weeks: tuple[int, ...]
    full_at: datetime | None


def forecast_capacity(
    stocks: Sequence[StationStock],
    leaving: Sequence[int],
    ordinary: timedelta,
    capacity: int | None,
    now: datetime,
) -> Forecast:
    """Forecast the stored bytes, week by week, for a year.

    `leaving` are the bytes that fall due in each week from now on, `ordinary` is how long footage
    without links is kept, `capacity` all that the store can hold (None: nobody knows).
    """
    volume = sum(stock.kept_bytes for stock in stocks)
    coming = sum(stock.lately for stock in stocks) // LOOK_BACK
    # What will come in has no due dates yet: the share that leaves is taken from recent intake.
    passing = sum(stock.lately for stock in stocks if not stock.forever) // LOOK_BACK
    # Rounded up: in the week in which a period ends, a part of that week's footage is still kept.
    stays = -(-ordinary // WEEK)
    weeks = [volume]
    for week in range(WEEKS - 1):
        outflow = leaving[week] if week < len(leaving) else 0
        volume += coming - outflow - (passing if week >= stays else 0)
        weeks.append(max(0, volume))
    full = next((n for n, level in enumerate(weeks) if capacity and level >= capacity), None)
    return Forecast(tuple(weeks), now + full * WEEK if full is not None else None)
