"""Identifiers of a recording, and what kind of original it is.

Ids are UUIDv7 (RFC 9562 section 5.7): they sort by the time they were given, say nothing of
their content, and are made from a clock and randomness that the caller hands in.
"""

from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

RecordingId = NewType("RecordingId", UUID)

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


class MediaKind(StrEnum):
    """What an original is; every original, footage or paper, is a recording."""

    VIDEO = "video"
    AUDIO = "audio"
    PHOTO = "photo"
    DOCUMENT = "document"
    UNKNOWN = "unknown"


def new_recording_id(at: datetime, entropy: bytes) -> RecordingId:
    """Build a UUIDv7 from an aware time and 10 random bytes."""
    milliseconds = int(at.timestamp() * 1000) & ((1 << 48) - 1)
    random = int.from_bytes(entropy[:10], "big")
    # 12 random bits stand behind the version and 62 behind the variant (RFC 9562, 5.7).
    rand_a = (random >> 62) & 0xFFF
    rand_b = random & ((1 << 62) - 1)
    return RecordingId(
        UUID(int=(milliseconds << 80) | _VERSION_7 | (rand_a << 64) | _VARIANT | rand_b)
    )
