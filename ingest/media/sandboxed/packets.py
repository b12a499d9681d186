"""Walk every packet of every track once: what is there, where it breaks off, slows down or jumps.

Facts, for what a header declares proves nothing. Whoever wants to look into the packets
(`pictures.py`, `sounds.py`) is handed each one as it passes, so that the file is read once. All
seconds told are from the first packet of a played track.
"""

import array
import bisect
import itertools
import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import av

MAX_PACKETS = 20_000_000
MAX_STREAMS = 32
MAX_STRAYS = 100_000
MAX_SPANS = 1_000
# A gap is a jump of more than three usual steps and more than this many seconds. Phones vary
# their frame rate, so pictures get a whole second.
FLOOR = {"video": 1.0, "audio": 0.25}
# The frame rate has collapsed where it is under half of the usual one for as long as this.
SLOW_SHARE = 0.5
SLOW_S = 3
# Decoding order never runs backwards; files without it reorder by a few frames only.
BACKWARDS_S = 0.5
# No decoder reorders over more than 16 frames, and none is as slow as a frame a second.
REORDERED_S = 16.0
# One damaged time must not make an hour of a minute; a clock that was set leaps for good.
STRAY_S = 10.0
STRAYS = 32

Spans = list[list[float]]


class Watcher(Protocol):
    """Consumer of the packets of one track."""

    def take_packet(self, packet: Any, at: float) -> None:
        """Look at a packet that is due at this time of the container's."""

    def finish(self) -> None:
        """No packet follows."""

    def build_summary(self, zero: float, end: float) -> dict[str, Any]:
        """Return what was seen, in seconds from `zero`; the track ends at `end`."""


@dataclass(slots=True)
class Walk:
    """Where the tracks begin and end, in the container's own seconds; why reading stopped early."""

    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    zero: float = 0.0
    stopped: str | None = None


class Line:
    """The times of one track; where a few leap away and the next ones do not, that was damage."""

    def __init__(self) -> None:
        self.times = array.array("d")
        self.start = math.inf
        self.end = -math.inf
        self._astray: list[tuple[float, float, float]] = []

    def add_packet(self, packet: Any, at: float) -> None:
        """Add a packet; one that leaps is believed once enough others follow it."""
        # Pictures are decoded in another order than they are shown in; a track begins and ends by
        # what is shown.
        presentation = float(packet.pts * packet.time_base) if packet.pts is not None else at
        if abs(presentation - at) > REORDERED_S:
            presentation = at
        until = presentation + float((packet.duration or 0) * packet.time_base)
        if self.times and abs(at - self.times[-1]) > STRAY_S:
            self._astray.append((at, presentation, until))
            if len(self._astray) >= STRAYS:
                # So many in a row are no damage: the clock was set, and the track goes on there.
                self.accept_strays()
            return
        # It came back, so those that leapt were damaged.
        self._astray.clear()
        self._accept_packet(at, presentation, until)

    def accept_strays(self) -> None:
        """Believe the packets that leapt away and never came back."""
        for stray in self._astray:
            self._accept_packet(*stray)
        self._astray.clear()

    def _accept_packet(self, at: float, presentation: float, until: float) -> None:
        self.times.append(at)
        self.start, self.end = min(self.start, presentation), max(self.end, until)


def finite_float(ratio: Any) -> float | None:
    """Return a finite float or None."""
    number = float(ratio) if ratio is not None else math.nan  # PyAV 19 says 0/0 for what is unknown
    return number if math.isfinite(number) else None


def describe_track(stream: Any) -> dict[str, Any]:
    """Return what the header declares of one track."""
    context = stream.codec_context
    description: dict[str, Any] = {
        "type": stream.type,
        "codec": getattr(context, "name", None) if context else None,
        "packets": 0,
        "bytes": 0,
    }
    if stream.type == "video" and context:
        description |= {
            "width": context.width,
            "height": context.height,
            "rate": finite_float(stream.average_rate),
            "pixels": context.pix_fmt,
        }
    elif stream.type == "audio" and context:
        description |= {"rate": context.sample_rate, "channels": context.channels}
    return description


def walk_packets(
    container: Any,
    tracks: list[dict[str, Any]],
    watchers: Mapping[int, Watcher],
    passed: Callable[[], None] = lambda: None,
) -> Walk:
    """Count every packet into its track, hand it to its watcher, and find the breaks."""
    streams = list(container.streams)[:MAX_STREAMS]
    lines = {stream.index: Line() for stream in streams}
    extent = Walk()
    total = 0
    try:
        for packet in iterate_packets(container, streams):
            passed()
            index = packet.stream_index
            # Empty packets are marks of the demuxer, and prove no track.
            if packet.size == 0 or index not in lines:
                continue
            total += 1
            if total > MAX_PACKETS:
                extent.stopped = "too many packets"
                break
            tracks[index]["packets"] += 1
            tracks[index]["bytes"] += packet.size
            at = _packet_time(packet)
            if at is not None:
                lines[index].add_packet(packet, at)
                if index in watchers:
                    watchers[index].take_packet(packet, at)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        # What passed until then counts; why it ended is told beside it.
        extent.stopped = type(error).__name__
    _place_tracks(extent, lines, tracks)
    return extent


def _place_tracks(extent: Walk, lines: dict[int, Line], tracks: list[dict[str, Any]]) -> None:
    """Tell of each track with times where it lies in the file, and its breaks."""
    for index, line in lines.items():
        # At the end nothing follows any more that could show them to be damage.
        line.accept_strays()
        if line.times:
            extent.starts[index], extent.ends[index] = line.start, line.end
    played = [index for index in extent.starts if tracks[index]["type"] in FLOOR]
    # Data and text tracks may begin long before pictures and sound.
    extent.zero = min((extent.starts[index] for index in played), default=0.0)
    for index, first in extent.starts.items():
        tracks[index]["first_s"] = round(first - extent.zero, 6)
        tracks[index]["last_s"] = round(extent.ends[index] - extent.zero, 6)
        if tracks[index]["type"] in FLOOR:
            tracks[index] |= find_breaks(lines[index].times, tracks[index]["type"], extent.zero)


def iterate_packets(container: Any, streams: Any) -> Iterator[Any]:
    """Yield the packets of these tracks; those of tracks that appear under way are passed over.

    PyAV raises IndexError on the first packet of a track that was not there when the file was
    opened, as in a damaged transport stream. Reading goes on behind that packet.
    """
    for _ in range(MAX_STRAYS):
        try:
            yield from container.demux(streams)
        except IndexError:
            continue
        return


def _packet_time(packet: Any) -> float | None:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float(stamp * packet.time_base) if stamp is not None else None


def find_breaks(times: "array.array[float]", kind: str, zero: float) -> dict[str, Spans]:
    """Return holes, slow spans and jumps of one track, in seconds from the start of the file."""
    if len(times) < 2:  # noqa: PLR2004 - a break lies between two
        return {"gaps": [], "slow": [], "jumps": []}
    steps = [b - a for a, b in itertools.pairwise(times)]
    # The median: a few holes do not make long steps usual.
    usual = statistics.median(steps)
    limit = max(3 * usual, FLOOR[kind])
    gaps, jumps = [], []
    for at, step in zip(times, steps, strict=False):
        if step > limit:
            # A hole begins where the next packet was due.
            gaps.append(_round_span(at + usual - zero, at + step - zero))
        elif step < -BACKWARDS_S:
            jumps.append(_round_span(at + step - zero, at - zero))
    slow_spans = find_slow_spans(sorted(times), zero) if kind == "video" else []
    return {"gaps": gaps[:MAX_SPANS], "slow": slow_spans[:MAX_SPANS], "jumps": jumps[:MAX_SPANS]}


def find_slow_spans(times: list[float], zero: float) -> Spans:
    """Return where whole seconds hold less than half of the usual number of pictures.

    Seconds without any are holes, not slow ones.
    """
    first = times[0]
    whole = min(int(times[-1] - first), MAX_PACKETS)
    if whole < 2 * SLOW_S or whole > len(times) * FLOOR["video"]:
        return []
    edges = [bisect.bisect_left(times, first + second) for second in range(whole + 1)]
    counts = [b - a for a, b in itertools.pairwise(edges)]
    least = SLOW_SHARE * statistics.median(counts)
    spans: Spans = []
    for is_slow, group in itertools.groupby(enumerate(counts), lambda pair: 0 < pair[1] < least):
        seconds = [second for second, _ in group]
        if is_slow and len(seconds) >= SLOW_S:
            spans.append(_round_span(first + seconds[0] - zero, first + seconds[-1] + 1 - zero))
    return spans


def _round_span(start: float, end: float) -> list[float]:
    return [round(start, 6), round(end, 6)]
