"""Look at one hostile file and return all facts about it as plain JSON values.

Runs as a child inside the sandbox (`ingest/media/sandbox.py`), never in the service's own process:
a crash of a demuxer kills only this. It sniffs the format itself and forces that demuxer, so a
playlist renamed `.mp4` is never followed; it walks the boxes of ISO files (ISO/IEC 14496-12); it
lets every packet of every track pass once (`packets.py`) and those who look at pictures and listen
to sound take theirs (`pictures.py`, `sounds.py`).
"""

import codecs
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import av
from av.stream import Disposition
from codes import Finder  # type: ignore[import-not-found]
from magic import sniff_format  # type: ignore[import-not-found]
from pace import Pace  # type: ignore[import-not-found]
from packets import MAX_STREAMS, Walk, describe_track, iterate_packets, walk_packets  # type: ignore[import-not-found]
from pictures import Pictures  # type: ignore[import-not-found]
from sounds import Sounds  # type: ignore[import-not-found]

FAILURES = (av.FFmpegError, ValueError, OverflowError, MemoryError)
MAX_BOXES = 100_000
S_PER_PIXEL = 2e-9  # to decode H.264 on one core, measured; H.265 takes twice that


def walk_boxes(file: BinaryIO, size: int) -> dict[str, Any]:
    """Walk the top-level boxes: is the index there, does the media data end in the file."""
    structure: dict[str, Any] = {"order": [], "missing_bytes": 0, "malformed": False}
    at = count = 0
    # At most so many boxes: a file of tiny ones would take for ever.
    while at + 8 <= size and count < MAX_BOXES:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        name = header[4:8].decode("latin-1")
        least = 8
        # Lengths of ISO/IEC 14496-12: 1 stands for 64 bits behind the name, 0 for the rest.
        if length == 1:
            length, least = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at
        # A box that is shorter than its own head would never be left.
        if length < least or not name.isprintable():
            structure["malformed"] = True
            break
        if len(structure["order"]) < 40:  # noqa: PLR2004 - enough to tell a story
            structure["order"].append(name)
        if at + length > size:
            structure["missing_bytes"] = min(at + length - size, 2**53)
            structure["cut_in"] = name
        at += length
        count += 1
    structure["moov"] = "moov" in structure["order"]
    return structure


def is_text(head: bytes) -> bool:
    """Tell whether these bytes are plain text (UTF-8, or GB 18030 as recorders write it)."""
    for encoding in ("utf-8", "gb18030"):
        # The head may end inside a character.
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
        if text and "\ufffd" not in text and all(c >= " " or c in "\t\r\n" for c in text):
            return True
    return False


def inspect_file(
    file: BinaryIO,
    pace: Pace,
    passed: Callable[[], None],
    *,
    decode: bool = True,
    codes: bool = True,
) -> dict[str, Any]:
    """Return all facts about the open file; without `decode` those that packets alone tell.

    `passed` is called for each packet.
    """
    size = os.fstat(file.fileno()).st_size
    head = file.read(1024)
    demuxer, kind = sniff_format(head)
    facts: dict[str, Any] = {"size": size, "demuxer": demuxer, "kind": kind, "av": av.__version__}
    if demuxer == "mov":
        facts["boxes"] = walk_boxes(file, size)
    # Nothing is tried by guessing: an unknown format never reaches a demuxer.
    if not demuxer:
        facts["text"] = is_text(head)
        return facts
    finder = Finder() if decode and codes else None
    try:
        with open_container(file, demuxer) as container:
            facts |= read_headers(container)
            watchers = watchers_of(container, kind, pace, finder) if decode else {}
            extent = walk_packets(container, facts["tracks"], watchers, passed)
            facts["stopped"] = extent.stopped
            for index, watcher in watchers.items():
                watcher.finish()
                facts[watcher.name] = watcher.build_summary(
                    extent.zero, extent.ends.get(index, extent.zero)
                )
    except FAILURES as error:
        # What was found before stays: half a file has its packets counted so far.
        facts["error"] = f"{type(error).__name__}: {str(error)[:200]}"
        return facts
    if is_coarse(facts, pace):
        facts["pictures"] = (
            inspect_every_frame(file, facts, extent, pace, finder) or facts["pictures"]
        )
    if finder is not None:
        facts["codes"] = scene_codes(finder, file, demuxer, extent.zero, pace)
    return facts


def open_container(file: BinaryIO, demuxer: str) -> Any:
    """Open the container with this demuxer alone, and nothing that it may point to."""
    file.seek(0)
    return av.open(
        file,
        format=demuxer,
        buffer_size=1 << 20,
        # No protocol to open anything else by, no second demuxer, no references to other files.
        options={"protocol_whitelist": "", "format_whitelist": demuxer, "enable_drefs": "0"},
    )


def read_headers(container: Any) -> dict[str, Any]:
    """Return what the file declares about itself."""
    declared = getattr(container, "duration", None)
    tags = list(container.metadata.items())[:64]
    return {
        "format": container.format.name,
        "declared_s": declared / 1e6 if declared else None,
        "tags": {str(key)[:80]: str(text)[:200] for key, text in tags},
        # A container may declare thousands of tracks.
        "tracks": [describe_track(stream) for stream in list(container.streams)[:MAX_STREAMS]],
    }


def watchers_of(
    container: Any, kind: str, pace: Pace, finder: Finder | None
) -> dict[int, Pictures | Sounds]:
    """Choose a watcher for each track: the first of pictures and the first of sound."""
    watchers: dict[int, Pictures | Sounds] = {}
    picture = find_film(container) if kind == "video" else None
    if picture is not None:
        watchers[picture.index] = Pictures(picture, pace, finder=finder)
    for stream in list(container.streams)[:MAX_STREAMS]:
        if stream.type == "audio" and stream.codec_context and kind in {"video", "audio"}:
            watchers[stream.index] = Sounds(stream, pace)
            break
    return watchers


def find_film(container: Any) -> Any:
    """Return the first track of moving pictures, or None; a cover picture is none."""
    for stream in list(container.streams)[:MAX_STREAMS]:
        moving = stream.type == "video" and not stream.disposition & Disposition.attached_pic
        if moving and stream.codec_context is not None:
            return stream
    return None


def is_coarse(facts: dict[str, Any], pace: Pace) -> bool:
    """Tell whether keyframes were too few to go by, and there is time to decode every frame."""
    pictures = facts.get("pictures") or {}
    if not pictures.get("sparse"):
        return False
    (track,) = [candidate for candidate in facts["tracks"] if candidate["type"] == "video"][:1]
    cost = track["packets"] * (track["width"] or 0) * (track["height"] or 0) * S_PER_PIXEL
    return bool(pace.can_afford(cost, pictures["upto_s"]))


def inspect_every_frame(
    file: BinaryIO, facts: dict[str, Any], extent: Walk, pace: Pace, finder: Finder | None
) -> dict[str, Any] | None:
    """Return what all frames of the film show; None if they could not be seen to the end."""
    try:
        # From the file's start again, with a decoder that passes over nothing.
        with open_container(file, facts["demuxer"]) as container:
            stream = find_film(container)
            pictures = Pictures(stream, pace, every=True, finder=finder)
            walk_packets(container, read_headers(container)["tracks"], {stream.index: pictures})
            pictures.finish()
            summary: dict[str, Any] = pictures.build_summary(extent.zero, extent.ends[stream.index])
    except FAILURES:
        return None
    # Half a second look says less than the whole first one.
    return summary if summary["done"] else None


def scene_codes(
    finder: Finder, file: BinaryIO, demuxer: str, zero: float, pace: Pace
) -> list[dict[str, Any]]:
    """Return the scene codes that stand in the picture, each with the frames that show it."""
    if not finder.hits:
        return []
    try:
        with open_container(file, demuxer) as container:
            slowly = Unhurried(container, pace)
            showings: list[dict[str, Any]] = finder.locate_codes(slowly, find_film(container), zero)
    except FAILURES:
        return []
    return showings


class Unhurried:
    """A container whose packets come no faster than the pace allows."""

    def __init__(self, container: Any, pace: Pace) -> None:
        self._container = container
        self._pace = pace

    def seek(self, offset: int, *, stream: Any, backward: bool) -> None:
        """Go to the keyframe before or after a time."""
        self._container.seek(offset, stream=stream, backward=backward)

    def demux(self, stream: Any) -> Iterator[Any]:
        """Yield the packets of one track."""
        for packet in iterate_packets(self._container, stream):
            self._pace.throttle()
            yield packet
