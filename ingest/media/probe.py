"""Probe of a media file: kind, tracks and packets; never raises on hostile bytes.

A file that no tool can parse is still evidence: it comes back with `playable` False and a reason
in a stable word, and is taken whole all the same. Track presence is judged by packets, not by
what a header declares. Durations and offsets are seconds from the first packet.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from ingest.media.sandbox import USUAL, Effort, Level, MediaToolError, Tell, ignore_progress
from storage.recording import MediaKind

_BROWSER_VIDEO = {"h264", "vp8", "vp9", "av1"}
_BROWSER_AUDIO = {"aac", "mp3", "opus", "vorbis", "pcm_s16le"}
_BROWSER_FILES = {"mov", "matroska", "wav", "mp3", "ogg", "aac", "flac"}
_KINDS = {
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "photo": MediaKind.PHOTO,
    "document": MediaKind.DOCUMENT,
}
PICTURE_DOUBTS = ("black", "covered", "damaged", "frozen")
SOUND_DOUBTS = ("silent", "muted")
# What the child is held to as well (`sandboxed/`); its answer is a hostile file's all the same.
_MAX_SPANS = 1_000
_MAX_TRACKS = 32
_MAX_CODES = 200
_MAX_TAGS = 64
_TEXT = 200  # characters
_LARGEST = 1 << 53  # the record's JSON has no larger whole numbers (RFC 8785)
_LOCATION = re.compile(r"[+-]\d{1,3}\.\d+[+-]\d{1,3}\.\d+([+-]\d+(\.\d+)?)?/?")


@dataclass(frozen=True, slots=True)
class InspectionSpans:
    """Findings of an inspection of pictures or sound, up to the second it reached.

    `spans` are (kind, start_s, end_s); `damaged` is how many of the pictures or packets that were
    taken the decoder could not read.
    """

    complete: bool
    upto_s: float
    resolution_s: float
    spans: tuple[tuple[str, float, float], ...] = ()
    damaged: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "done": self.complete,
            "upto_s": self.upto_s,
            "resolution_s": self.resolution_s,
            "spans": [list(span) for span in self.spans],
            "damaged": self.damaged,
        }


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Everything the look told, bounded and typed."""

    kind: MediaKind
    container: str | None
    playable: bool
    unplayable_reason: str | None
    duration_s: float | None = None
    declared_s: float | None = None
    has_video: bool = False
    has_audio: bool = False
    missing_video: tuple[tuple[float, float], ...] = ()
    missing_audio: tuple[tuple[float, float], ...] = ()
    truncated: bool = False
    missing_bytes: int = 0
    browser_playable: bool = False
    creation_time: datetime | None = None
    location: str | None = None
    device: str | None = None
    tracks: tuple[dict[str, Any], ...] = field(default_factory=tuple)
    slow: tuple[tuple[float, float], ...] = ()
    jumps: tuple[tuple[float, float], ...] = ()
    pictures: InspectionSpans | None = None
    sounds: InspectionSpans | None = None
    codes: tuple[dict[str, Any], ...] = field(default_factory=tuple)
    stopped: str | None = None
    sandbox: str = ""
    tool: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values with finite floats (RFC 8785 can encode them)."""
        return {
            "kind": self.kind,
            "container": self.container,
            "playable": self.playable,
            "unplayable_reason": self.unplayable_reason,
            "duration_s": self.duration_s,
            "declared_s": self.declared_s,
            "has_video": self.has_video,
            "has_audio": self.has_audio,
            "missing_video": [list(span) for span in self.missing_video],
            "missing_audio": [list(span) for span in self.missing_audio],
            "truncated": self.truncated,
            "missing_bytes": self.missing_bytes,
            "browser_playable": self.browser_playable,
            "creation_time": self.creation_time.isoformat() if self.creation_time else None,
            "location": self.location,
            "device": self.device,
            "tracks": [dict(track) for track in self.tracks],
            "slow": [list(span) for span in self.slow],
            "jumps": [list(span) for span in self.jumps],
            "pictures": self.pictures.to_json() if self.pictures else None,
            "sounds": self.sounds.to_json() if self.sounds else None,
            "codes": [dict(code) for code in self.codes],
            "stopped": self.stopped,
            "sandbox": self.sandbox,
            "tool": self.tool,
        }


class FileLooker(Protocol):
    """A sandbox that looks at files: one of each file's own, or one for many small ones."""

    @property
    def level(self) -> Level:
        """How well its children are shut in."""

    def inspect_file(
        self, file: BinaryIO, size: int, effort: Effort = ..., tell: Tell = ...
    ) -> bytes:
        """See `Sandbox.inspect_file`."""


def probe_file(
    file: BinaryIO,
    size: int,
    sandbox: FileLooker,
    *,
    text: bool = False,
    effort: Effort = USUAL,
    tell: Tell = ignore_progress,
) -> MediaFacts:
    """Look at an open file in the sandbox; its position afterwards is unspecified.

    `text` says that the name promises a log or a track list: plain text is then a document, not
    a film that cannot be played.
    """
    if size == 0:
        return _build_unplayable(MediaKind.UNKNOWN, "empty", sandbox)
    file.seek(0)
    try:
        untrusted_told = json.loads(sandbox.inspect_file(file, size, effort, tell))
    except MediaToolError as error:
        return _build_unplayable(MediaKind.UNKNOWN, f"tool-{error.reason}", sandbox)
    except (ValueError, RecursionError):
        return _build_unplayable(MediaKind.UNKNOWN, "tool-answer", sandbox)
    if not isinstance(untrusted_told, dict):
        return _build_unplayable(MediaKind.UNKNOWN, "tool-answer", sandbox)
    return _build_facts(untrusted_told, sandbox, text=text)


def _build_facts(answer: dict[str, Any], sandbox: FileLooker, *, text: bool) -> MediaFacts:
    """Build the facts from the child's answer, in which nothing need be what it ought to be."""
    kind = _KINDS.get(_parse_text(answer.get("kind")) or "", MediaKind.UNKNOWN)
    # Both must say so: a film with broken magic bytes is no document by its name alone.
    if text and answer.get("text") is True:
        kind = MediaKind.DOCUMENT
    boxes = _parse_mapping(answer.get("boxes"))
    missing_bytes = _parse_count(boxes.get("missing_bytes"))
    tracks = tuple(_parse_track(track) for track in _list_mappings(answer, "tracks", _MAX_TRACKS))
    # Tracks with packets alone: headers declare tracks that hold nothing.
    video = [t for t in tracks if t["type"] == "video" and t["packets"]]
    audio = [t for t in tracks if t["type"] == "audio" and t["packets"]]
    if kind is MediaKind.VIDEO and audio and not video:
        kind = MediaKind.AUDIO
    reason = _find_unplayable_reason(answer, kind, boxes, bool(video or audio))
    still = kind not in {MediaKind.VIDEO, MediaKind.AUDIO}
    # By the last packet, and not by what the header declares.
    ends = [t["last_s"] for t in (*video, *audio) if _is_finite(t.get("last_s"))]
    duration = max(ends, default=None) if not still else None
    tags = _parse_tags(answer.get("tags"))
    return MediaFacts(
        kind=kind,
        container=_parse_text(answer.get("demuxer")) or None,
        playable=reason is None and kind is not MediaKind.DOCUMENT,
        unplayable_reason=reason,
        duration_s=duration,
        declared_s=answer.get("declared_s") if _is_finite(answer.get("declared_s")) else None,
        has_video=bool(video) and not still,
        has_audio=bool(audio),
        missing_video=_find_missing_spans(video, duration) if not still else (),
        missing_audio=_find_missing_spans(audio, duration),
        truncated=missing_bytes > 0 or reason == "no-index",
        missing_bytes=missing_bytes,
        browser_playable=reason is None and _in_browser(answer, kind, video, audio),
        creation_time=_parse_creation_time(tags),
        location=_find_location(tags),
        device=_find_device(tags),
        tracks=tracks,
        slow=_parse_spans([span for t in video for span in t.get("slow") or ()]),
        jumps=_parse_spans([span for t in (*video, *audio) for span in t.get("jumps") or ()]),
        pictures=_parse_inspection(answer.get("pictures"), PICTURE_DOUBTS)
        if video and not still
        else None,
        sounds=_parse_inspection(answer.get("sounds"), SOUND_DOUBTS) if audio else None,
        codes=tuple(_parse_code(code) for code in _list_mappings(answer, "codes", _MAX_CODES)),
        stopped=_parse_text(answer.get("stopped")),
        sandbox=sandbox.level,
        tool=f"PyAV {_parse_text(answer.get('av')) or ''}",
    )


def _find_unplayable_reason(
    answer: dict[str, Any], kind: MediaKind, boxes: dict[str, Any], packets: object
) -> str | None:
    if kind is MediaKind.DOCUMENT:
        return None
    if not answer.get("demuxer"):
        return "unknown-format"
    # Worth a word of its own: the media data is there, and without an index nobody finds it.
    if boxes and not boxes.get("moov"):
        return "no-index"
    if "error" in answer:
        return "damaged"
    return None if packets else "no-packets"


def _find_missing_spans(
    tracks: list[dict[str, Any]], duration: float | None
) -> tuple[tuple[float, float], ...]:
    """Return where the longest track of this kind has no packets, ends included."""
    if not tracks or duration is None:
        return ()
    # The track with most packets stands for its kind: others may be there for a part only.
    best = max(tracks, key=lambda t: t["packets"])
    spans = list(_parse_spans(best.get("gaps")))
    edge = 0.5  # seconds: tracks of a whole file rarely begin and end on the same frame
    if _is_finite(best.get("first_s")) and best["first_s"] > edge:
        spans.insert(0, (0.0, best["first_s"]))
    if _is_finite(best.get("last_s")) and duration - best["last_s"] > edge:
        spans.append((best["last_s"], duration))
    return tuple(spans)


def _parse_inspection(answer: Any, kinds: tuple[str, ...]) -> InspectionSpans | None:
    """Parse the inspection of pictures or sound; None where it is malformed."""
    if not isinstance(answer, dict) or not _is_finite(answer.get("upto_s")):
        return None
    spans = [(kind, *span) for kind in kinds for span in _parse_spans(answer.get(f"{kind}_spans"))]
    step: Any = answer.get("resolution_s")
    return InspectionSpans(
        complete=answer.get("done") is True,
        upto_s=float(answer["upto_s"]),
        resolution_s=float(step) if _is_finite(step) else 0.0,
        # Bounded here once more: the child's answer is a hostile file's.
        spans=tuple(sorted(spans, key=lambda span: span[1])[:_MAX_SPANS]),
        damaged=_parse_count(answer.get("damaged")),
    )


def _list_mappings(answer: dict[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    entries = answer.get(name)
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries[:most] if isinstance(entry, dict)]


def _parse_mapping(entries: Any) -> dict[str, Any]:
    return entries if isinstance(entries, dict) else {}


def _parse_tags(entries: Any) -> dict[str, str]:
    tags = list(_parse_mapping(entries).items())[:_MAX_TAGS]
    texts = {name: _parse_text(content) for name, content in tags}
    return {name: text for name, text in texts.items() if text is not None}


def _parse_track(entry: dict[str, Any]) -> dict[str, Any]:
    """Parse one track, as far as `sandboxed/packets.py` tells of it; nothing else is recorded."""
    parsed = {name: parse(entry[name]) for name, parse in _TRACK_PARTS.items() if name in entry}
    return {"type": None, "codec": None, "packets": 0, "bytes": 0} | parsed


def _parse_code(entry: dict[str, Any]) -> dict[str, Any]:
    """Parse one showing of a scene code, as `sandboxed/codes.py` tells of it."""
    return {name: parse(entry[name]) for name, parse in _CODE_PARTS.items() if name in entry}


def _parse_text(text: Any) -> str | None:
    """Return a bounded text that every store can keep; None for what is no text."""
    if not isinstance(text, str):
        return None
    # Half a character has no UTF-8, and PostgreSQL keeps no U+0000.
    return text[:_TEXT].replace("\0", "").encode(errors="replace").decode()


def _parse_count(number: Any) -> int:
    whole = isinstance(number, int) and not isinstance(number, bool)
    return number if whole and 0 < number < _LARGEST else 0


def _parse_number(number: Any) -> float | None:
    return number if _is_finite(number) else None


def _parse_spans(raw_spans: Any) -> tuple[tuple[float, float], ...]:
    """Return pairs of seconds that make a span, in order."""
    raw_spans = raw_spans if isinstance(raw_spans, list) else []
    pairs = [pair for pair in raw_spans if isinstance(pair, list) and len(pair) == 2]  # noqa: PLR2004
    good = [(float(a), float(b)) for a, b in pairs if _is_finite(a) and _is_finite(b) and a < b]
    return tuple(sorted(good)[:_MAX_SPANS])


def _in_browser(
    answer: dict[str, Any], kind: MediaKind, video: list[Any], audio: list[Any]
) -> bool:
    if kind is MediaKind.PHOTO:
        return True
    codecs = {t["codec"] for t in audio} <= _BROWSER_AUDIO
    pictures = all(
        t["codec"] in _BROWSER_VIDEO and t.get("pixels") in {"yuv420p", "yuvj420p"} for t in video
    )
    return answer.get("demuxer") in _BROWSER_FILES and codecs and pictures


def _parse_creation_time(tags: dict[str, str]) -> datetime | None:
    for name in ("com.apple.quicktime.creationdate", "creation_time"):
        try:
            creation_time = datetime.fromisoformat(tags.get(name, ""))
        except ValueError:
            continue
        # Without a zone nobody knows which moment is meant.
        if creation_time.tzinfo is not None:
            return creation_time
    return None


def _find_location(tags: dict[str, str]) -> str | None:
    for name in ("com.apple.quicktime.location.ISO6709", "location"):
        if name in tags and _LOCATION.fullmatch(tags[name]):
            return tags[name]
    return None


def _find_device(tags: dict[str, str]) -> str | None:
    parts = [tags.get(f"com.apple.quicktime.{name}", "") for name in ("make", "model")]
    return " ".join(part for part in parts if part) or None


def _build_unplayable(kind: MediaKind, reason: str, sandbox: FileLooker) -> MediaFacts:
    return MediaFacts(kind, None, playable=False, unplayable_reason=reason, sandbox=sandbox.level)


def _is_finite(number: Any) -> bool:
    # Compared, for a whole number of a thousand digits is no float at all.
    whole = isinstance(number, int | float) and not isinstance(number, bool)
    return whole and -_LARGEST < number < _LARGEST


def _list_spans(raw_spans: Any) -> list[list[float]]:
    return [list(span) for span in _parse_spans(raw_spans)]


_TRACK_PARTS: dict[str, Callable[[Any], Any]] = (
    dict.fromkeys(("type", "codec", "pixels"), _parse_text)
    | dict.fromkeys(("packets", "bytes", "width", "height", "channels"), _parse_count)
    | dict.fromkeys(("rate", "first_s", "last_s"), _parse_number)
    | dict.fromkeys(("gaps", "slow", "jumps"), _list_spans)
)
_CODE_PARTS: dict[str, Callable[[Any], Any]] = {"text": _parse_text} | dict.fromkeys(
    ("first_s", "last_s", "before_s", "frame_s"), _parse_number
)
