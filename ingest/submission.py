"""A submission: what a source offers, still untrusted, and all that is known of it before sealing.

Facts come from the profile (name, folders, sidecars), then from the container. Where both are
silent the fact stays None and becomes a question to a person; nothing is guessed.
"""

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from ingest.probe import MediaFacts
from ingest.sources.profile import SourceFacts
from storage.errors import SubmissionError

_EPOCHS = (1904, 1970, 1980, 2000, 2010)


@dataclass(frozen=True, slots=True)
class Submission:
    """One file on one source. `root` and `path` are raw bytes: names are hostile."""

    source: str
    bay: str
    root: Path
    path: bytes
    size: int
    mtime_ns: int
    facts: SourceFacts

    @property
    def file(self) -> bytes:
        """The path to open, as the system spells it."""
        return os.fsencode(self.root) + b"/" + self.path


@dataclass(frozen=True, slots=True)
class Start:
    """When the footage starts, in UTC by the recorder's own clock, and how that is known."""

    at: datetime | None
    how: str
    questions: tuple[str, ...] = ()


def start_of(source: SourceFacts, media: MediaFacts, now: datetime) -> Start:
    """Choose the start: by name or folder first, then by the container's creation time.

    A creation time is UTC by ISO/IEC 14496-12, but many recorders write local time there:
    it is taken, and a person is asked to confirm it.
    """
    if source.start is not None:
        return Start(source.start.astimezone(UTC), "name", source.questions)
    rest = tuple(question for question in source.questions if question != "start")
    made = media.creation_time
    if made is not None and made.year not in _EPOCHS and made <= now + timedelta(days=1):
        return Start(made.astimezone(UTC), "container", (*rest, "confirm-start"))
    return Start(None, "unknown", (*rest, "start"))


def open_source(submission: Submission) -> BinaryIO:
    """Open the file for the one read, never through a link, and only if it is what was seen.

    Raises: SubmissionError(reason=not-regular | changed | gone | unreadable).
    """
    try:
        handle = os.open(submission.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SubmissionError(reason="gone") from error
    except OSError as error:
        raise SubmissionError(reason="unreadable", errno=error.errno) from error
    source = os.fdopen(handle, "rb", buffering=0)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SubmissionError(reason="not-regular")
        check_unchanged(source, submission)
    except BaseException:
        source.close()
        raise
    return source


def check_unchanged(source: BinaryIO, submission: Submission) -> None:
    """Make sure that the open file still has the size and time it was settled with.

    Raises: SubmissionError(reason=changed).
    """
    found = os.fstat(source.fileno())
    if (found.st_size, found.st_mtime_ns) != (submission.size, submission.mtime_ns):
        raise SubmissionError(reason="changed", was=submission.size, found=found.st_size)


def clocks(start: Start, source: SourceFacts, now: datetime) -> dict[str, Any]:
    """Return the `clocks` part of the sealed record; the offset is not measured at docking."""
    return {
        "file_start": start.at.isoformat() if start.at else None,
        "file_start_how": start.how,
        "file_zone": source.zone,
        "station_at": now.isoformat(),
        "offset_s": None,
        "offset_how": "not measured",
    }
