"""How fast the child may work: a share of one core, and processor time in proportion to the film.

Sleeping is the only brake that holds on every kernel; the parent's limits
(`ingest/media/sandbox.py`) stand behind it. What the time was too short for is said by those who
stop early.
"""

import time

# Work below this debt is not worth a sleep: short clips go through at full speed.
_BURST_S = 0.5
_LONGEST_S = 2.0
# Ten times faster than the film runs, or it is left: the usual cost is a fifth of that.
_FIRST_S = 20.0
_PER_FILM_S = 0.1


class Pace:
    """A brake and a limit; `share` of one core in (0, 1], `seconds` of processor time in all."""

    def __init__(self, share: float, seconds: float) -> None:
        self._share = share
        self._seconds = seconds
        self._began = time.monotonic()
        self._used = time.process_time()

    def throttle(self) -> None:
        """Sleep as long as this process is ahead of its share."""
        ahead = self._processor_seconds() / self._share - (time.monotonic() - self._began)
        if ahead * self._share > _BURST_S:
            time.sleep(min(ahead, _LONGEST_S))

    def is_spent(self, film_s: float) -> bool:
        """Tell whether looking at this much of the film has cost too much."""
        return not self.can_afford(0.0, film_s)

    def can_afford(self, seconds: float, film_s: float) -> bool:
        """Tell whether there is processor time left for a further look at this much of the film."""
        allowed = min(self._seconds, _FIRST_S + _PER_FILM_S * max(film_s, 0.0))
        return self._processor_seconds() + seconds <= allowed

    def _processor_seconds(self) -> float:
        return time.process_time() - self._used
