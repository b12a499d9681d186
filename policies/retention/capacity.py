"""How full the store will be: what comes in as of late, what falls due, when it is full. Pure.

A forecast by weeks: what is kept now, plus what the last four weeks brought in per week, less what
falls due. Of what will come in, the share that is not kept for ever leaves again after the
ordinary period. It is an estimate and is shown as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WEEK = timedelta(days=7)
WEEKS = 53
LOOK_BACK = 4  # weeks


@dataclass(frozen=True, slots=True)
class Stock:
    """Bytes of one station and class: kept now, and come in during the last four weeks."""

    station: str
    forever: bool
    kept: int
    lately: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Bytes kept at the start of each week from now on, and when the store is full."""

    weeks: tuple[int, ...]
    full_at: datetime | None


def forecast(
    stocks: Sequence[Stock],
    leaving: Sequence[int],
    ordinary: timedelta,
    capacity: int | None,
    now: datetime,
) -> Forecast:
    """Return how it goes on for a year.

    `leaving` are the bytes that fall due in each week from now on, `ordinary` is how long footage
    without links is kept, `capacity` all that the store can hold (None: nobody knows).
    """
    kept = sum(one.kept for one in stocks)
    coming = sum(one.lately for one in stocks) // LOOK_BACK
    passing = sum(one.lately for one in stocks if not one.forever) // LOOK_BACK
    stays = -(-ordinary // WEEK)
    weeks = [kept]
    for week in range(WEEKS - 1):
        due = leaving[week] if week < len(leaving) else 0
        kept += coming - due - (passing if week >= stays else 0)
        weeks.append(max(0, kept))
    full = next((n for n, held in enumerate(weeks) if capacity and held >= capacity), None)
    return Forecast(tuple(weeks), now + full * WEEK if full is not None else None)
