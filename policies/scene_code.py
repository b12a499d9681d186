r"""Scene codes: a short authenticated text on a screen that links footage and measures its clock.

22 bytes in 36 base32 characters: 8 of the action's tag, 4 of kind (2 bits) and whole seconds
since 2020 (30 bits), 10 of an HMAC-SHA256 under the day's key. A screen shows a new code at each
whole second, so every frame that shows one bounds the recorder's clock. Layout, keys and
arithmetic: docs/spec/scene-code.md. Reading frames is `ingest/media/sandboxed/codes.py`.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from policies.identifiers import ActionId
from policies.time.clocks import Reading
from policies.time.wording import COUNTY_TIME

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
LENGTH = 36
LATENCY_S = 0.15  # a screen may still show the last second's code for so long
_TAG = 8
_MAC = 10
_SECONDS = (1 << 30) - 1


class Kind(StrEnum):
    """Kind of scene code: start of an action, stop of an action, or time only."""

    START = "start"
    STOP = "stop"
    TIME = "time"


class Trouble(StrEnum):
    """Reasons to distrust a filmed code."""

    FORGED = "forged"
    REPLAYED = "replayed"
    STALE = "stale"
    FUTURE = "future"
    UNKNOWN_ACTION = "unknown-action"


TROUBLE_ZH = {
    Trouble.FORGED: "场景码验证不通过,疑似伪造",
    Trouble.REPLAYED: "场景码时间停滞或者前后矛盾,疑似翻拍",
    Trouble.STALE: "场景码早于设备上次接入,疑似旧码",
    Trouble.FUTURE: "场景码时间晚于接入时间",
    Trouble.UNKNOWN_ACTION: "场景码对应的执法活动不存在",
}
TROUBLE_EN = {
    Trouble.FORGED: "the scene code does not verify",
    Trouble.REPLAYED: "the scene code stood still or contradicts itself: a picture of a code",
    Trouble.STALE: "the scene code is older than the last docking",
    Trouble.FUTURE: "the scene code is later than the docking",
    Trouble.UNKNOWN_ACTION: "no action has this scene code",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text that has the shape of a scene code; believed only if `authentic`."""

    tag: bytes
    kind: Kind
    at: datetime
    mac: bytes


@dataclass(frozen=True, slots=True)
class Sighting:
    """A run of frames that show one code; seconds from the file's start.

    `frame_s` is the length of a frame, `before_s` the last frame looked at before `first_s`.
    """

    text: str
    first_s: float
    last_s: float
    frame_s: float
    before_s: float | None = None

    @classmethod
    def from_report(cls, untrusted_told: dict[str, Any]) -> "Sighting | None":
        """Parse the sandbox's report of a sighting; None if it is malformed."""
        try:
            first, last = float(untrusted_told["first_s"]), float(untrusted_told["last_s"])
            frame = float(untrusted_told["frame_s"])
            text = str(untrusted_told["text"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        sane = 0 <= first <= last < 1e7 and 0 <= frame <= 10  # noqa: PLR2004 - seconds
        return cls(text, first, last, frame) if sane else None


def tag_of(action_id: ActionId) -> bytes:
    """Return the 8 bytes by which codes name an action."""
    return hashlib.sha256(b"liuhen/scene/v1\n" + action_id.encode()).digest()[:_TAG]


def day_key(master: bytes, day: date) -> bytes:
    """Return the key of one day in county time; a handheld terminal gets no other."""
    message = b"liuhen/scene-day/v1\n" + day.isoformat().encode()
    return hmac.digest(master, message, "sha256")


def encode_scene_code(tag: bytes, kind: Kind, at: datetime, key: bytes) -> str:
    """Return the code of a whole second (rounded down) under a day's key.

    Raises: ValueError for a time that the 30 bits cannot hold, or a tag of another length.
    """
    seconds = int((at - EPOCH).total_seconds())
    if len(tag) != _TAG or not 0 <= seconds <= _SECONDS:
        raise ValueError("tag or time out of range")
    body = tag + (list(Kind).index(kind) << 30 | seconds).to_bytes(4, "big")
    return base64.b32encode(body + _compute_mac(body, key)).decode().rstrip("=")


def parse_scene_code(untrusted_text: str) -> Parsed | None:
    """Return what a text says if it is spelt as a scene code; None for any other code."""
    if len(untrusted_text) != LENGTH:
        return None
    try:
        content = base64.b32decode(untrusted_text + "====")
    except ValueError:
        return None
    if base64.b32encode(content).decode().rstrip("=") != untrusted_text:
        return None
    word = int.from_bytes(content[_TAG : _TAG + 4], "big")
    if word >> 30 >= len(Kind):
        return None
    at = EPOCH + timedelta(seconds=word & _SECONDS)
    return Parsed(content[:_TAG], list(Kind)[word >> 30], at, content[_TAG + 4 :])


def is_authentic(parsed: Parsed, master: bytes) -> bool:
    """Tell whether the office made this code, by the key of its own day."""
    day = parsed.at.astimezone(COUNTY_TIME).date()
    seconds = int((parsed.at - EPOCH).total_seconds())
    body = parsed.tag + (list(Kind).index(parsed.kind) << 30 | seconds).to_bytes(4, "big")
    return hmac.compare_digest(_compute_mac(body, day_key(master, day)), parsed.mac)


def measure_clock_offset(
    file_start: datetime, sightings: Iterable[tuple[Parsed, Sighting]]
) -> Reading | Trouble:
    """Return the clock's offset (true minus recorder time) from authentic codes, or REPLAYED.

    A code of second T is shown from T to T + 1 and a little longer, so the first frame of a run
    bounds the offset from below, the last from above; all bounds together must leave something.
    """
    low, high, frame, at = float("-inf"), float("inf"), 0.0, 0.0
    for parsed, run in sightings:
        code_s = (parsed.at - file_start).total_seconds()
        low = max(low, code_s - run.first_s)
        high = min(high, code_s + 1 + LATENCY_S - run.last_s)
        frame = max(frame, run.frame_s)
        at = run.first_s
    if low == float("-inf") or low > high + frame:
        return Trouble.REPLAYED
    half = max((high - low) / 2, frame / 2, 0.0)
    middle = (low + high) / 2
    return Reading(file_start + timedelta(seconds=at), middle, half + frame / 2, "scene-code")


def _compute_mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"liuhen/scene-code/v1\n" + body, "sha256")[:_MAC]
