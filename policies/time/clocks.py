"""A recorder's clock between two dockings: what its readings say of any moment.

A quartz drifts by some 20 ppm, a cold or cheap one by more: `MAX_DRIFT` allows 50 ppm, 4.3 s a
day. One reading holds, ever less surely, for the moments around it; between two the offset is
interpolated. Which readings belong together (one source, one docking) is the caller's business.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

MAX_DRIFT = 50e-6


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement: at the recorder's time `at`, true minus recorder time ± uncertainty, s."""

    at: datetime
    offset_s: float
    uncertainty_s: float
    how: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Offset of a recorder's clock at one moment, and its uncertainty."""

    offset_s: float
    uncertainty_s: float
    how: str


def offset_at(readings: Iterable[Reading], at: datetime) -> Clock | None:
    """Return the offset at a moment of recorder time; None without readings.

    Each reading bounds the offset by its uncertainty and by the drift since; what all bounds
    share is the answer. Where they share nothing, the clock was set in between: then the nearest
    reading alone counts, and the contradiction widens it.
    """
    bounds = []
    # A reading from before and one from after weigh alike: drift widens both by their distance.
    for reading in readings:
        away = abs((at - reading.at).total_seconds())
        slack = reading.uncertainty_s + MAX_DRIFT * away
        bounds.append((away, reading.offset_s - slack, reading.offset_s + slack, reading))
    if not bounds:
        return None
    # The offset lies within every bound, so that the narrowest interval that all share is the
    # answer.
    low = max(bound[1] for bound in bounds)
    high = min(bound[2] for bound in bounds)
    nearest = min(bounds, key=lambda bound: bound[0])
    how = nearest[3].how
    if low <= high:
        return Clock((low + high) / 2, (high - low) / 2, how)
    # Nobody knows when between both the clock was set. What they contradict each other by is added,
    # so that coverage counts less of it at either end.
    return Clock(nearest[3].offset_s, (nearest[2] - nearest[1]) / 2 + (low - high), how)
