"""The station's clock, put right by the centre's: a station whose clock is wrong by years works on.

The difference is measured whenever the centre tells its time, carried on by the monotonic clock
(so that setting the computer's clock meanwhile does no harm), and kept in a file for the next
start without a network.
"""

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from storage.durable import replace_file
from storage.signed import canonical

_KEPT_FROM = timedelta(seconds=1)  # a smaller change is not worth a write


class CentreClock:
    """Call it for the time: the centre's as far as it is known, else the computer's."""

    def __init__(
        self, system: Callable[[], datetime], monotonic: Callable[[], float], path: Path
    ) -> None:
        self._system = system
        self._monotonic = monotonic
        self._kept = path
        self._lock = threading.Lock()
        self._base = system() + self._read_offset()
        self._since = monotonic()

    def __call__(self) -> datetime:
        """Return the time, aware, in UTC."""
        with self._lock:
            return self._base + timedelta(seconds=self._monotonic() - self._since)

    @property
    def offset(self) -> timedelta:
        """How far the centre is ahead of the computer's clock."""
        return self() - self._system()

    def mark_time(self) -> float:
        """Return when a question was sent, for `learn`."""
        return self._monotonic()

    def learn_time(self, centre: datetime, mark: float) -> None:
        """Take the centre's time, told in answer to a question sent at the mark."""
        now = self._monotonic()
        with self._lock:
            self._base, self._since = centre + timedelta(seconds=(now - mark) / 2), now
        offset = self.offset
        if abs(offset - self._read_offset()) > _KEPT_FROM:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._kept, canonical.encode({"offset_s": round(offset.total_seconds())}))

    def _read_offset(self) -> timedelta:
        try:
            return timedelta(seconds=float(json.loads(self._kept.read_bytes())["offset_s"]))
        except (OSError, ValueError, KeyError, TypeError):
            return timedelta(0)
