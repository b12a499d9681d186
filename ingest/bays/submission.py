"""A submission: what a source offers, still untrusted, and all that is known of it before sealing.

Facts come from the profile (name, folders, sidecars), then from the container. Where both are
silent the fact stays None and becomes a question to a person; nothing is guessed. Files are
opened beneath their root, one folder after the other, and never through a link.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any

from ingest.bays.watch import bounded_mtime
from ingest.media.probe import MediaFacts
from ingest.sources.profile import SourceFacts
from storage.errors import SubmissionError

_UNSET_YEARS = frozenset({1904, 1970, 1980, 2000, 2010})


@dataclass(frozen=True, slots=True)
class Submission:
    """One file on one source. `path` is raw bytes below `root`: names are hostile.

    `docked_at` is when its recorder was docked this time; None for a landing folder. `quiet_s`
    is how long it must stay unchanged, where that is not as everywhere. `operator` is the person
    who handed it in, as the log names persons. `stamp` is what `Candidate.stamp` is.
    """

    source: str
    bay: str
    root: Path
    path: bytes
    size: int
    mtime_ns: int
    facts: SourceFacts
    docked_at: datetime | None = None
    quiet_s: float | None = None
    operator: str | None = None
    stamp: tuple[int, int] = (0, 0)


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
    creation_time = media.creation_time
    if (
        creation_time is not None
        # Recorders with an empty battery begin at such years; a day ahead may be a wrong zone.
        and creation_time.year not in _UNSET_YEARS
        and creation_time <= now + timedelta(days=1)
    ):
        return Start(creation_time.astimezone(UTC), "container", (*rest, "confirm-start"))
    return Start(None, "unknown", (*rest, "start"))


def build_clock_facts(start: Start, submission: Submission, now: datetime) -> dict[str, Any]:
    """Return the `clocks` part of the sealed record; the offset is not measured at docking.

    Recorders that are mere disks do not tell their time; scene codes in the footage do.
    """
    docked = submission.docked_at
    return {
        "file_start": start.at.isoformat() if start.at else None,
        "file_start_how": start.how,
        "file_zone": submission.facts.zone,
        "docked_at": docked.isoformat() if docked else None,
        "station_at": now.isoformat(),
        "offset_s": None,
        "offset_how": "not measured",
    }


@contextmanager
def folder_beneath(root: Path, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (open folder, name) of a file below a root, reached without following a single link.

    Raises: SubmissionError(reason=gone | unreadable).
    """
    *folders, name = path.split(b"/")
    flags = os.O_RDONLY | os.O_DIRECTORY
    # The root itself may be a link, for it is the office's own setting.
    handle = _open_descriptor(os.fsencode(root), flags)
    try:
        for folder in folders:
            # The path comes from a journal or a file's own name: it must not climb.
            if folder in {b"", b".", b".."}:
                raise SubmissionError(reason="unreadable")
            # Folder by folder: O_NOFOLLOW looks at the last part of a path only.
            inner = _open_descriptor(folder, flags | os.O_NOFOLLOW, handle)
            os.close(handle)
            handle = inner
        yield handle, name
    finally:
        os.close(handle)


def open_beneath(root: Path, path: bytes) -> FileIO:
    """Open a regular file below a root for reading, through no link.

    Raises: SubmissionError(reason=not-regular | gone | unreadable).
    """
    with folder_beneath(root, path) as (folder, name):
        # O_NONBLOCK, or opening a named pipe would wait for somebody to write.
        handle = _open_descriptor(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):  # asked first: a folder is refused untold
            raise SubmissionError(reason="not-regular")
        return os.fdopen(handle, "rb", buffering=0)
    except BaseException:
        os.close(handle)
        raise


def open_source(submission: Submission) -> FileIO:
    """Open the file for the one read, only if it is what was seen when it settled.

    Raises: SubmissionError(reason=not-regular | changed | gone | unreadable).
    """
    source = open_beneath(submission.root, submission.path)
    try:
        # On the open file: its name may meanwhile stand for another.
        check_unchanged(source, submission)
    except BaseException:
        source.close()
        raise
    return source


def is_gone(root: Path, path: bytes) -> bool:
    """Whether nothing bears this name below a root any more, and the file system itself says so.

    A root or a folder that cannot be opened is no proof of anything.
    """
    try:
        with folder_beneath(root, path) as (folder, name):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except SubmissionError as error:
        # The root is there, so the folder below it went, and not the whole card.
        return error.facts.get("reason") == "gone" and root.is_dir()
    except OSError:
        return False
    return False


def folder_known(root: Path, path: bytes) -> list[int] | None:
    """Return what tells the folder of a file from others that take its place: two inode numbers.

    None where `root` is a mount of its own: cards without an identity number their folders alike.
    """
    try:
        if root.stat().st_dev != root.parent.stat().st_dev:
            return None
        with folder_beneath(root, path) as (folder, _name):
            return [root.stat().st_ino, os.fstat(folder).st_ino]
    except (OSError, SubmissionError):
        return None


def check_unchanged(source: FileIO, submission: Submission) -> None:
    """Make sure that the open file still has the size and time it was settled with.

    Raises: SubmissionError(reason=changed).
    """
    check_same(os.fstat(source.fileno()), submission)


def check_same(status: os.stat_result, submission: Submission) -> None:
    """Make sure that a file's status still shows the size and time it was settled with.

    Raises: SubmissionError(reason=changed).
    """
    if (status.st_size, bounded_mtime(status)) != (submission.size, submission.mtime_ns):
        raise SubmissionError(reason="changed", was=submission.size, found=status.st_size)


def _open_descriptor(name: bytes, flags: int, folder: int | None = None) -> int:
    try:
        return os.open(name, flags | os.O_CLOEXEC, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        # A folder that became a file is gone, too.
        raise SubmissionError(reason="gone") from error
    except OSError as error:
        raise SubmissionError(reason="unreadable", errno=error.errno) from error
