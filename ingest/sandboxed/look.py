"""Look at one hostile file and return all facts about it as plain JSON values.

Runs as a child inside the sandbox (`ingest/media.py`), never in the service's own process: a
crash of a demuxer kills only this. It sniffs the format itself and forces that demuxer, so a
playlist renamed `.mp4` is never followed; it walks the boxes of ISO files (ISO/IEC 14496-12);
it counts the packets of every track, for what a header declares proves nothing.
"""

import array
import codecs
import itertools
import os
import statistics
from typing import Any, BinaryIO

import av

MAX_BOXES = 100_000
MAX_PACKETS = 20_000_000
MAX_STREAMS = 32
MAX_GAPS = 1_000
# A gap is a jump of more than three usual steps and more than this many seconds. Phones vary
# their frame rate, so pictures get a whole second.
FLOOR = {"video": 1.0, "audio": 0.25}

MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ftyp", "mov", "video"),
    (4, b"moov", "mov", "video"),
    (4, b"mdat", "mov", "video"),
    (4, b"wide", "mov", "video"),
    (8, b"AVI ", "avi", "video"),
    (8, b"WAVE", "wav", "audio"),
    (0, b"\x1aE\xdf\xa3", "matroska", "video"),
    (0, b"DHAV", "dhav", "video"),
    (0, b"\x00\x00\x01\xba", "mpeg", "video"),
    (0, b"0&\xb2u", "asf", "video"),
    (0, b"OggS", "ogg", "audio"),
    (0, b"ID3", "mp3", "audio"),
    (0, b"\xff\xfb", "mp3", "audio"),
    (0, b"\xff\xf1", "aac", "audio"),
    (0, b"\xff\xf9", "aac", "audio"),
    (0, b"#!AMR", "amr", "audio"),
    (0, b"fLaC", "flac", "audio"),
    (0, b"\x00\x00\x00\x01\x67", "h264", "video"),
    (0, b"\xff\xd8\xff", "jpeg_pipe", "photo"),
    (0, b"\x89PNG\r\n", "png_pipe", "photo"),
    (0, b"%PDF-", "", "document"),
    (0, b"PK\x03\x04", "", "document"),
    (0, b"\xd0\xcf\x11\xe0", "", "document"),
)


def sniff(head: bytes) -> tuple[str, str]:
    """Return (demuxer, kind) by magic bytes; ("", "unknown") for what we do not know."""
    for offset, magic, demuxer, kind in MAGIC:
        if head[offset : offset + len(magic)] == magic:
            if demuxer in {"avi", "wav"} and head[:4] != b"RIFF":
                continue
            return demuxer, kind
    for step in (188, 192):
        start = step - 188
        if len(head) > start + 2 * step and all(head[start + n * step] == 0x47 for n in range(3)):  # noqa: PLR2004 - the TS sync byte
            return "mpegts", "video"
    return "", "unknown"


def boxes(file: BinaryIO, size: int) -> dict[str, Any]:
    """Walk the top-level boxes: is the index there, does the media data end in the file."""
    found: dict[str, Any] = {"order": [], "missing_bytes": 0, "malformed": False}
    at = count = 0
    while at + 8 <= size and count < MAX_BOXES:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        name = header[4:8].decode("latin-1")
        least = 8
        if length == 1:
            length, least = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at
        if length < least or not name.isprintable():
            found["malformed"] = True
            break
        if len(found["order"]) < 40:  # noqa: PLR2004 - enough to tell a story
            found["order"].append(name)
        if at + length > size:
            found["missing_bytes"] = min(at + length - size, 2**53)
            found["cut_in"] = name
        at += length
        count += 1
    found["moov"] = "moov" in found["order"]
    return found


def rational(value: Any) -> float | None:
    """Return a finite float or None."""
    return float(value) if value is not None else None


def track(stream: Any) -> dict[str, Any]:
    """Return what the header declares of one track."""
    context = stream.codec_context
    told: dict[str, Any] = {
        "type": stream.type,
        "codec": getattr(context, "name", None) if context else None,
        "packets": 0,
        "bytes": 0,
    }
    if stream.type == "video" and context:
        told |= {
            "width": context.width,
            "height": context.height,
            "rate": rational(stream.average_rate),
            "pixels": context.pix_fmt,
        }
    elif stream.type == "audio" and context:
        told |= {"rate": context.sample_rate, "channels": context.channels}
    return told


def packets(container: Any, tracks: list[dict[str, Any]]) -> str | None:
    """Count every packet and find the breaks; return why reading stopped early, if it did."""
    times = {s.index: array.array("d") for s in list(container.streams)[:MAX_STREAMS]}
    ends: dict[int, float] = {}
    starts: dict[int, float] = {}
    stopped = None
    total = 0
    try:
        for packet in container.demux(list(container.streams)[:MAX_STREAMS]):
            if packet.size == 0 or packet.stream_index not in times:
                continue
            total += 1
            if total > MAX_PACKETS:
                stopped = "too many packets"
                break
            index = packet.stream_index
            tracks[index]["packets"] += 1
            tracks[index]["bytes"] += packet.size
            stamp = packet.dts if packet.dts is not None else packet.pts
            if stamp is None:
                continue
            at = float(stamp * packet.time_base)
            shown = float(packet.pts * packet.time_base) if packet.pts is not None else at
            length = float((packet.duration or 0) * packet.time_base)
            times[index].append(at)
            starts[index] = min(starts.get(index, shown), shown)
            ends[index] = max(ends.get(index, shown + length), shown + length)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        stopped = type(error).__name__
    played = [i for i in starts if tracks[i]["type"] in FLOOR]
    zero = min((starts[i] for i in played), default=0.0)
    for index, first in starts.items():
        tracks[index]["first_s"] = round(first - zero, 6)
        tracks[index]["last_s"] = round(ends[index] - zero, 6)
        tracks[index]["gaps"] = gaps(times[index], tracks[index]["type"], zero)
    return stopped


def gaps(times: "array.array[float]", kind: str, zero: float) -> list[list[float]]:
    """Return the breaks of one track in seconds from the start of the file."""
    if kind not in FLOOR or len(times) < 2:  # noqa: PLR2004 - a break lies between two
        return []
    steps = [b - a for a, b in itertools.pairwise(times)]
    usual = statistics.median(steps)
    limit = max(3 * usual, FLOOR[kind])
    found = [
        [round(a - zero + usual, 6), round(a + step - zero, 6)]
        for a, step in zip(times, steps, strict=False)
        if step > limit
    ]
    return found[:MAX_GAPS]


def is_text(head: bytes) -> bool:
    """Tell whether these bytes are plain text (UTF-8, or GB 18030 as recorders write it)."""
    for encoding in ("utf-8", "gb18030"):
        # The head may end inside a character.
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
        if text and "\ufffd" not in text and all(c >= " " or c in "\t\r\n" for c in text):
            return True
    return False


def look(file: BinaryIO) -> dict[str, Any]:
    """Return all facts about the open file."""
    size = os.fstat(file.fileno()).st_size
    head = file.read(1024)
    demuxer, kind = sniff(head)
    told: dict[str, Any] = {"size": size, "demuxer": demuxer, "kind": kind, "av": av.__version__}
    if demuxer == "mov":
        told["boxes"] = boxes(file, size)
    if not demuxer:
        told["text"] = is_text(head)
        return told
    file.seek(0)
    try:
        with av.open(
            file,
            format=demuxer,
            buffer_size=1 << 20,
            options={"protocol_whitelist": "", "format_whitelist": demuxer, "enable_drefs": "0"},
        ) as container:
            told["format"] = container.format.name
            declared = getattr(container, "duration", None)
            told["declared_s"] = declared / 1e6 if declared else None
            told["tags"] = {
                str(key)[:80]: str(value)[:200]
                for key, value in list(container.metadata.items())[:64]
            }
            tracks = [track(stream) for stream in list(container.streams)[:MAX_STREAMS]]
            told["tracks"] = tracks
            told["stopped"] = packets(container, tracks)
            told["codes"] = scene_codes(container)
    except (av.FFmpegError, ValueError, OverflowError, MemoryError) as error:
        told["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    return told


def scene_codes(container: Any) -> list[dict[str, Any]]:
    """Return the codes that can be read in the picture; none where the reader is not installed."""
    try:
        from codes import read_codes  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return []
    if not container.streams.video:
        return []
    try:
        found: list[dict[str, Any]] = read_codes(container, container.streams.video[0])
    except (av.FFmpegError, ValueError, OverflowError, MemoryError):
        return []
    return found
