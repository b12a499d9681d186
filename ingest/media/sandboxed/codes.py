"""Find scene codes in the picture: on keyframes first, then frame by frame around what was found.

The keyframes are those that `pictures.py` decodes anyway. A code that shows on one is followed
through the frames before and after, for the moment at which it changes measures the recorder's
clock. Whether a code is believed is decided far from here (`policies/scene_code.py`): this
module only tells which text stood in which frames.
"""

import re
from typing import Any

import av
import zxingcpp
from av.video.reformatter import Interpolation, VideoReformatter
from packets import finite_float  # type: ignore[import-not-found]

SEARCH_WIDTH = 960
CLOSE_WIDTH = 1280
AROUND_S = 1.6  # frames looked at before and after a keyframe that shows a code
JOIN_S = 0.5  # a code that blurs for so long is still the same showing
MAX_HITS = 400
MAX_FRAMES = 6000
MAX_CODES = 200
_SHAPE = re.compile(r"[A-Z2-7]{36}")


class Finder:
    """Watches the keyframes of one film; `closely` then tells what it found, to the frame."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self.hits: list[float] = []

    def search_keyframe(self, frame: Any, at: float) -> None:
        """Look at one decoded keyframe, `at` seconds of the stream's own time."""
        if len(self.hits) < MAX_HITS and self._read_texts(frame, SEARCH_WIDTH):
            self.hits.append(at)

    def locate_codes(self, container: Any, stream: Any, zero: float) -> list[dict[str, Any]]:
        """Return each showing of a code, in seconds from `zero`, in order of time."""
        # One thread, so that the share of one core holds.
        stream.codec_context.thread_type = "NONE"
        rate = finite_float(stream.average_rate) or 0.0
        frame_s = round(1 / rate, 6) if rate > 0 else 0.1
        sightings: list[tuple[float, str]] = []
        looked: list[float] = []
        for first, last in self._merge_windows():
            for at, texts in self._decode_frames(container, stream, first, last):
                looked.append(at)
                sightings += [(at, text) for text in texts]
            # A film that shows codes all the time must not be decoded whole.
            if len(looked) >= MAX_FRAMES:
                break
        return _join_showings(sightings, looked, zero, frame_s)[:MAX_CODES]

    def _merge_windows(self) -> list[tuple[float, float]]:
        merged: list[tuple[float, float]] = []
        for hit in sorted(self.hits):
            first, last = hit - AROUND_S, hit + AROUND_S
            # Windows that touch are one: each frame is decoded once.
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        return merged

    def _decode_frames(self, container: Any, stream: Any, first: float, last: float) -> Any:
        """Yield (time, texts) of every frame in a window; what cannot be decoded is passed over."""
        unit = stream.time_base
        # To the keyframe before: nothing can be decoded from the middle of a group.
        container.seek(max(0, int(first / unit)), stream=stream, backward=True)
        count = 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                continue
            for frame in frames:
                at = float(frame.pts * unit) if frame.pts is not None else None
                count += 1
                if at is None or at < first:
                    continue
                if at > last or count > MAX_FRAMES:
                    return
                yield at, self._read_texts(frame, CLOSE_WIDTH)

    def _read_texts(self, frame: Any, widest: int) -> list[str]:
        width = min(frame.width, widest)
        height = max(1, round(frame.height * width / frame.width))
        grey = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="gray",
            interpolation=Interpolation.FAST_BILINEAR,
            threads=1,
        )
        plane = grey.planes[0]
        picture = memoryview(plane).cast("B", (height, plane.line_size))
        barcodes = zxingcpp.read_barcodes(
            picture,
            formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode]),
            # Screens are filmed upright; each of these would cost a search of its own per frame.
            try_rotate=False,
            try_downscale=False,
            try_invert=False,
        )
        return [barcode.text for barcode in barcodes if _SHAPE.fullmatch(barcode.text)]


def _join_showings(
    sightings: list[tuple[float, str]], looked: list[float], zero: float, frame_s: float
) -> list[dict[str, Any]]:
    """Join frames that show one code into runs; `before_s` is the last frame before, if any."""
    runs: dict[str, list[list[float]]] = {}
    for at, text in sorted(sightings):
        mine = runs.setdefault(text, [])
        if mine and at - mine[-1][1] <= JOIN_S:
            mine[-1][1] = at
        else:
            mine.append([at, at])
    # Frames without the code count too: the last one before it bounds when it appeared.
    times = sorted(looked)
    showings = [
        {
            "text": text,
            "first_s": round(first - zero, 6),
            "last_s": round(last - zero, 6),
            "before_s": _find_frame_before(times, first, zero),
            "frame_s": frame_s,
        }
        for text, mine in runs.items()
        for first, last in mine
    ]
    return sorted(showings, key=lambda showing: (showing["first_s"], showing["text"]))


def _find_frame_before(times: list[float], first: float, zero: float) -> float | None:
    earlier = [at for at in times if at < first]
    return round(earlier[-1] - zero, 6) if earlier else None
