"""Look at keyframes: where is the picture black, covered, frozen or damaged? Doubts, no facts.

Only keyframes are decoded, at most one in `SPACING_S`, and judged on a grey miniature: ten times
cheaper than decoding all, and exact to one group of pictures. Where keyframes lie too far apart
the caller asks a second time with `every`. Thresholds were measured on real and rendered clips:
docs/INSPECTION.md. Which spans are long enough is `runs.py`'s.
"""

import operator
import statistics
from itertools import pairwise
from operator import itemgetter
from typing import Any

import av
from av.video.reformatter import Interpolation, VideoReformatter
from codes import Finder  # type: ignore[import-not-found]
from pace import Pace  # type: ignore[import-not-found]
from runs import find_spans, usual_step  # type: ignore[import-not-found]

SPACING_S = 0.75
SPARSE_S = 4.0  # keyframes further apart are too few to go by

# The miniature takes single pixels and keeps the sensor's noise: noise is a sign of life.
WIDE, HIGH = 160, 90
# Averages have none: what still has edges there is a scene.
BLOCKS_WIDE, BLOCKS_HIGH = 40, 22

# Grey values run from 0 to 255, whatever the film's own range is.
DARK = 25
DARK_SHARE = 0.98
FLAT_SPREAD = 70
EDGE = 10
FLAT_EDGES = 0.075
MOVED = 8
MOVED_SHARE = 0.005  # a burnt-in clock moves a tenth of this, a person in a corner more
CALM = 0.75  # -51 dB: the noise of a sensor on a quiet scene is above it

# What the encoder wrote: the usual packet between two keyframes, less a packet's own costs, as a
# share of a keyframe. For a picture that stands still it writes nothing, and then keyframes may
# differ in more places; a quiet room that is seen at 400 kb/s made it write 0.003.
PACKET_COSTS = 64
NOTHING = 0.0005
SOMETHING = 0.002
STARVED_SHARE = 0.02
# Some codings write much for nothing (MPEG-2, or one that fills up to a rate): then only a copy.
COPY_SHARE = 0.002
COPY_CALM = 0.15
SETTLING = 3  # keyframes on which an encoder may still spend bytes after the picture froze
LEAST_PACKETS = 3
MOST_PACKETS = 10_000

LEAST_S = {"damaged": 2.0, "black": 2.0, "covered": 5.0, "frozen": 5.0}


class Pictures:
    """What one video track shows: feed it every packet in order, then `end`, then ask `told`."""

    name = "pictures"

    def __init__(
        self, stream: Any, pace: Pace, *, every: bool = False, finder: Finder | None = None
    ) -> None:
        self._context = stream.codec_context
        self._unit = stream.time_base  # a flushed frame does not know its own
        self._context.thread_type = "NONE"
        self._context.skip_frame = "DEFAULT" if every else "NONKEY"
        self._every = every
        self._pace = pace
        self._judge = Judge()
        self._flow = Flow()
        self._written: dict[int | None, float | None] = {}  # by the time of a keyframe fed
        self._finder = finder
        self._next = float("-inf")
        self._first: float | None = None
        self._seen: list[tuple[float, str]] = []
        self._stopped: float | None = None  # where the time was up

    def take_packet(self, packet: Any, at: float) -> None:
        """Look at this packet's picture if it is one to go by."""
        if self._first is None:
            self._first = at
        if self._stopped is not None or not self._choose_packet(packet, at):
            return
        if self._pace.is_spent(at - self._first):
            self._stopped = at
            return
        self._decode_packet(packet, at)
        self._pace.throttle()

    def _choose_packet(self, packet: Any, at: float) -> bool:
        if not packet.is_keyframe:
            self._flow.note_packet(packet.size)
            return self._every
        # A damaged time far ahead must not blind the look to what follows.
        chosen = self._every or at >= self._next or at < self._next - SPARSE_S
        if chosen and not self._every:
            self._next = at + SPACING_S
            # By the keyframe's own time, since decoders hand pictures out later than they take
            # them.
            self._written[packet.pts] = self._flow.measure_flow()
        self._flow.note_keyframe(packet.size)
        return chosen

    def finish(self) -> None:
        """Take what the decoder still holds."""
        if self._first is not None and self._stopped is None:
            self._decode_packet(None, self._first)

    def build_summary(self, zero: float, end: float) -> dict[str, Any]:
        """Return all spans in seconds from `zero`, up to the track's `end`."""
        upto = end if self._stopped is None else self._stopped
        self._seen.sort(key=itemgetter(0))
        times = [at - zero for at, _state in self._seen]
        states = [state for _at, state in self._seen]
        edges = [(self._first or zero) - zero, *times, upto - zero]
        summary: dict[str, Any] = {
            "done": self._first is not None and self._stopped is None,
            "upto_s": round(upto - zero, 3),
            "sparse": max(b - a for a, b in pairwise(edges)) > SPARSE_S,
            "resolution_s": round(usual_step(times), 3),
            "samples": len(times),
            "damaged": states.count("damaged"),
        }
        for kind, least in LEAST_S.items():
            summary[f"{kind}_spans"] = find_spans(
                times, mark_samples(states, kind), least, upto - zero
            )
        return summary

    def _decode_packet(self, packet: Any, at: float) -> None:
        try:
            for frame in self._context.decode(packet):
                if frame.pts is not None:
                    self._judge_frame(frame, float(frame.pts * self._unit))
        except (av.FFmpegError, ValueError, OverflowError, MemoryError):
            self._seen.append((at, "damaged"))

    def _judge_frame(self, frame: Any, at: float) -> None:
        written = self._written.pop(frame.pts, None)
        if self._every:
            if self._next - SPARSE_S <= at < self._next:
                return
            self._next = at + SPACING_S
            written = self._flow.measure_flow()
        # What a decoder makes up for lost parts of a picture says nothing about the lens.
        state = "damaged" if frame.is_corrupt else self._judge.judge_frame(frame, written)
        self._seen.append((at, state))
        # No code is readable in a black, covered or damaged picture.
        if self._finder is not None and state in {"", "frozen", "settling"}:
            self._finder.search_keyframe(frame, at)


def mark_samples(states: list[str], kind: str) -> list[bool]:
    """Return for which samples `kind` holds.

    A picture is frozen, too, if the next one is as it; so are the few before, on which an encoder
    that had been busy still spends bytes though nothing moves (`settling`).
    """
    marks = [state == kind for state in states]
    if kind != "frozen":
        return marks
    settled = 0
    # From the end, since a picture is judged by the one after it.
    for n in range(len(states) - 2, -1, -1):
        if marks[n] or not marks[n + 1] or states[n + 1] not in {"frozen", "settling"}:
            settled = 0
            continue
        settled += states[n + 1] == "settling"
        marks[n] = states[n] in {"", "settling"} and settled <= SETTLING
    return marks


class Flow:
    """How much the encoder wrote between two pictures that are looked at."""

    def __init__(self) -> None:
        self._key = 0
        self._sizes: list[int] = []

    def note_keyframe(self, size: int) -> None:
        """Note the size of a keyframe."""
        self._key = size

    def note_packet(self, size: int) -> None:
        """Note the size of any other packet."""
        if len(self._sizes) < MOST_PACKETS:
            self._sizes.append(size)

    def measure_flow(self) -> float | None:
        """Measure the bytes written since the last call; None with too few packets."""
        sizes, self._sizes = self._sizes, []
        # Of so few, one busy packet would decide.
        if len(sizes) < LEAST_PACKETS or not self._key:
            return None
        return max(statistics.median(sizes) - PACKET_COSTS, 0) / self._key


class Judge:
    """Tells of each picture whether it is black, covered or as the one before; empty: none."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._before: bytes | None = None

    def judge_frame(self, frame: Any, written: float | None) -> str:
        """Return black, covered, frozen, settling or nothing; `written` is what Flow told."""
        small = self._shrink_to_grey(frame, WIDE, HIGH, Interpolation.FAST_BILINEAR)
        before, self._before = self._before, _read_pixels(small)
        # Black before covered: a black picture has no contrast either.
        if is_dark(self._before):
            return "black"
        if is_flat(
            _read_pixels(self._shrink_to_grey(small, BLOCKS_WIDE, BLOCKS_HIGH, Interpolation.AREA))
        ):
            return "covered"
        return "" if before is None else compare_pictures(before, self._before, written)

    def _shrink_to_grey(self, frame: Any, wide: int, high: int, how: Interpolation) -> Any:
        return self._reformatter.reformat(
            frame, width=wide, height=high, format="gray", interpolation=how, threads=1
        )


def is_dark(pixels: bytes) -> bool:
    """Tell whether nearly all pixels are black."""
    return sum(1 for pixel in pixels if pixel <= DARK) >= DARK_SHARE * len(pixels)


def is_flat(blocks: bytes) -> bool:
    """Tell whether the averages have neither contrast nor edges, as behind a hand or cloth."""
    ordered = sorted(blocks)
    tenth = len(ordered) // 10
    if ordered[-1 - tenth] - ordered[tenth] >= FLAT_SPREAD:
        return False
    edges = _count_edges(blocks, blocks[1:]) + _count_edges(blocks, blocks[BLOCKS_WIDE:])
    return edges < 2 * FLAT_EDGES * len(blocks)


def compare_pictures(before: bytes, now: bytes, written: float | None) -> str:
    """Tell whether two pictures are one and the same, a running clock in a corner aside.

    Frozen, or settling: nothing moves, but the encoder wrote as if something did.
    """
    steps = list(map(abs, map(operator.sub, now, before)))
    calm = [step for step in steps if step <= MOVED]
    moved = 1 - len(calm) / len(steps)
    noise = sum(calm) / len(calm) if calm else float(MOVED)
    # The encoder wrote: something moved, unless it is a copy, pixel by pixel.
    if written is not None and written > SOMETHING:
        if moved <= COPY_SHARE and noise < COPY_CALM:
            return "frozen"
        return "settling" if moved <= COPY_SHARE and noise < CALM else ""
    # It wrote nothing: then noise of coding may move more pixels.
    share = STARVED_SHARE if written is not None and written <= NOTHING else MOVED_SHARE
    return "frozen" if moved <= share and noise < CALM else ""


def _count_edges(first: bytes, other: bytes) -> int:
    return sum(1 for step in map(operator.sub, other, first) if not -EDGE <= step <= EDGE)


def _read_pixels(grey: Any) -> bytes:
    plane = grey.planes[0]
    # Rows are padded to a stride; padding is no picture.
    plane_bytes, stride, wide = memoryview(plane), plane.line_size, grey.width
    if stride == wide:
        return bytes(plane_bytes[: wide * grey.height])
    return b"".join(plane_bytes[row * stride : row * stride + wide] for row in range(grey.height))
