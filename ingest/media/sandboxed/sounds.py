"""Listen to one audio track: where it is silent, or all zero. Doubts for a person, no facts.

A quiet night patrol is silent too; zeros are what a muted microphone or a failed one leaves.
Levels are taken second by second from the decoder's own samples, every channel: no resampling.
Thresholds: docs/INSPECTION.md. Which spans are long enough is `runs.py`'s.
"""

import array
import math
from typing import Any

import av
from pace import Pace  # type: ignore[import-not-found]
from runs import SHARE, find_spans  # type: ignore[import-not-found]

SILENT = 10 ** (-50 / 20)  # -50 dB of full scale, as the root of the mean square
LEAST_S = 5.0
MAX_S = 7 * 86_400

ENOUGH_HZ = 12_000  # more samples a second than this say nothing new about a level

# Sample formats: how Python calls them, and full scale. A planar format ends in p.
FORMATS: dict[str, tuple[Any, float]] = {
    "flt": ("f", 1.0),
    "dbl": ("d", 1.0),
    "s16": ("h", 2.0**15),
    "s32": ("i", 2.0**31),
}


class Sounds:
    """What one audio track says: feed it every packet in order, then `end`, then ask `told`."""

    name = "sounds"

    def __init__(self, stream: Any, pace: Pace) -> None:
        self._context = stream.codec_context
        self._unit = stream.time_base
        self._context.thread_type = "NONE"
        self._pace = pace
        self._first: float | None = None
        self._clock = 0.0  # where the next frame lies, from the first packet
        self._energy = array.array("d")  # sum of squares by second, full scale being 1
        self._count = array.array("q")
        self._damaged = 0
        self._stopped: float | None = None

    def take_packet(self, packet: Any, at: float) -> None:
        """Add this packet's samples."""
        if self._first is None:
            self._first = at
        if self._stopped is not None:
            return
        # A hostile time could ask for memory for centuries of seconds.
        if self._pace.is_spent(at - self._first) or not 0 <= at - self._first + 1 < MAX_S:
            self._stopped = at
            return
        self._decode_packet(packet)
        self._pace.throttle()

    def finish(self) -> None:
        """Take what the decoder still holds."""
        if self._first is not None and self._stopped is None:
            self._decode_packet(None)

    def build_summary(self, zero: float, end: float) -> dict[str, Any]:
        """Return all spans in seconds from `zero`, up to the track's `end`."""
        upto = (end if self._stopped is None else self._stopped) - zero
        heard = [second for second, count in enumerate(self._count) if count]
        times = [second + (self._first or 0.0) - zero for second in heard]
        none = {time for time, second in zip(times, heard, strict=True) if not self._energy[second]}
        quiet = [self._energy[s] < SILENT**2 * self._count[s] for s in heard]
        summary: dict[str, Any] = {
            "done": self._first is not None and self._stopped is None,
            "upto_s": round(upto, 3),
            "resolution_s": 1.0,
            "damaged": self._damaged,
            "silent_spans": [],
            "muted_spans": [],
        }
        for start, stop in find_spans(times, quiet, LEAST_S, upto):
            # Silence first, then its kind: muted where four seconds in five are all zeros.
            zeros = sum(1 for time in none if start - 0.5 <= time < stop - 0.5)
            kind = "muted" if zeros >= SHARE * (stop - start) else "silent"
            summary[f"{kind}_spans"].append([start, stop])
        return summary

    def _decode_packet(self, packet: Any) -> None:
        try:
            for frame in self._context.decode(packet):
                self._add_frame(frame)
        except (av.FFmpegError, ValueError, OverflowError, MemoryError):
            self._damaged += 1

    def _add_frame(self, frame: Any) -> None:
        if self._first is None:
            return
        if frame.pts is not None:  # of several frames in one packet only the first has a time
            self._clock = float(frame.pts * (frame.time_base or self._unit)) - self._first
        second = int(self._clock)
        self._clock += frame.samples / frame.sample_rate
        if not 0 <= second < MAX_S:
            return
        while len(self._count) <= second:
            self._energy.append(0.0)
            self._count.append(0)
        energy, count = measure_loudness(frame)
        self._energy[second] += energy
        self._count[second] += count


def measure_loudness(frame: Any) -> tuple[float, int]:
    """Return the sum of squares, full scale being 1, and of how many samples of all channels."""
    letter, full = FORMATS.get(frame.format.name.removesuffix("p"), ("", 1.0))
    if not letter:
        return 0.0, 0
    planar = frame.format.is_planar
    channels = 1 if planar else len(frame.layout.channels)
    step = max(1, frame.sample_rate // ENOUGH_HZ)
    while math.gcd(step, channels) > 1:  # or interleaved channels would be left out
        step += 1
    energy, count = 0.0, 0
    for plane in frame.planes:
        samples = memoryview(plane).cast(letter)[: frame.samples * channels : step]
        # In C over the whole plane: a loop in Python would take each sample by itself.
        energy += (math.hypot(*samples) / full) ** 2
        count += len(samples)
    return energy, count
