"""Days that really passed, by a clock that may be set: a jump of it makes nothing due.

A recorder's file is cleared so many days after its accession. A clock that was years behind when
the accession was written down, and is put right afterwards, would let all of them go at once. So
the station notes up to when its clock was seen to run; where it jumps, days count from the jump.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest.station.journal import Journal

_JUMP = timedelta(hours=1)  # within one process, beside the monotonic clock
_LONGEST_OFF = timedelta(days=30)  # a station that was off for longer counts anew: that only waits
_NOTED = timedelta(minutes=10)


@dataclass(slots=True)
class Reckoning:
    """Watches a clock, call by call, over restarts."""

    journal: Journal
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    _last: tuple[datetime, float] | None = field(default=None)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check_clock(self) -> None:
        """Compare the clock with what it should show by now, and note a jump."""
        with self._lock:  # bays look at once
            now, ticks = self.clock(), self.monotonic()
            last_run, jumped = self.journal.read_clock()
            if self._has_jumped(now, ticks, last_run):
                self.journal.set_clock(now, now)
            elif last_run is None or now - last_run >= _NOTED:
                self.journal.set_clock(now, jumped)
            self._last = (now, ticks)

    def start_of(self, noted: datetime) -> datetime:
        """From when the days count of something that was written down at `noted`."""
        _last_run, jumped = self.journal.read_clock()
        return noted if jumped is None else max(noted, jumped)

    def _has_jumped(self, now: datetime, ticks: float, last_run: datetime | None) -> bool:
        if self._last is not None:
            before, then = self._last
            return abs(now - before - timedelta(seconds=ticks - then)) > _JUMP
        return last_run is not None and not -_JUMP <= now - last_run <= _LONGEST_OFF
