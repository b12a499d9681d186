"""May our clock be trusted to say that a period is over? Asked before anything is destroyed.

Whoever sets a server's clock years ahead makes every period look over. So others are asked the
time: time servers, the object store, the database server. A clock that runs ahead of any of them
by more than five minutes, or that nobody vouches for, destroys nothing. One that lags destroys
too late, which is harmless.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

TOLERANCE = timedelta(minutes=5)
FRESH = timedelta(minutes=1)


class ClockDoubt(StrEnum):
    """Why our clock is not trusted now."""

    NOBODY = "nobody"
    STALE = "stale"
    AHEAD = "ahead"
    BEHIND_LOG = "behind-log"


@dataclass(frozen=True, slots=True)
class ClockAnswer:
    """Answer of another clock: `ours` is our time on its arrival, `theirs` the time it gave."""

    source: str
    ours: datetime
    theirs: datetime

    @property
    def ahead_s(self) -> float:
        """By how many seconds we are ahead of it."""
        return (self.ours - self.theirs).total_seconds()


def find_clock_doubt(
    readings: Iterable[ClockAnswer], now: datetime, last_logged: datetime | None
) -> ClockDoubt | None:
    """Tell why our clock is not to be trusted now; None when it is.

    An entry of the log from the future says that somebody's clock was ahead, ours or another
    centre's: what it destroyed then is for a person to look at first.
    """
    answers = list(readings)
    if not answers:
        return ClockDoubt.NOBODY
    if any(abs(now - answer.ours) > FRESH for answer in answers):
        return ClockDoubt.STALE  # too long ago, or our clock was set since
    # The most cautious answer counts, not the mean: whoever set our clock must then have set those
    # of everybody whom we ask as well.
    if any(answer.ahead_s > TOLERANCE.total_seconds() for answer in answers):
        return ClockDoubt.AHEAD
    # Asked last, and of our own log: it shows a clock that was ahead before and set right since.
    if last_logged is not None and last_logged - now > TOLERANCE:
        return ClockDoubt.BEHIND_LOG
    return None
