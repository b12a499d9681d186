"""Settling: deciding from repeated looks whether a file is whole; the time is passed in.

A close event proves nothing (recorders close, reopen and append) and a modification time alone
proves nothing (FAT counts in two seconds). A file is whole when two looks, far enough apart, saw
the same size and time, nobody is known to hold it open for writing, and its name does not say
that it is still being written.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

# As SFTP and FTP clients, FTP servers (.in.NAME.) and rsync (.NAME.Xy12Zz) call unfinished files.
_TEMPORARY = re.compile(
    r"(?i)(.*\.(part|partial|tmp|filepart|crdownload|download|uploading)|.*~|\.~.*|\.in\..*"
    r"|\.[^.].*\.[a-z0-9]{6})"
)


class Settled(StrEnum):
    """What to do with a file now."""

    WHOLE = "whole"
    WAIT = "wait"
    GROWING = "growing"  # for longer than is plausible: a person is told, and it still waits


@dataclass(frozen=True, slots=True)
class Look:
    """Size and mtime of a file at one look; `at` is in seconds of a monotonic clock."""

    size: int
    mtime_ns: int
    at: float


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: unchanged for `quiet_s` is whole, changing for `growing_s` is reported.

    A file whose name says that it is being written is whole after `left_over_s` without a change.
    """

    quiet_s: float = 3.0
    growing_s: float = 6 * 3600.0
    left_over_s: float = 3600.0


def assess_looks(
    looks: Sequence[Look],
    name: str,
    patience: Patience,
    *,
    held_open: bool | None,
    age_s: float = 0.0,
) -> Settled:
    """Decide from all looks at one path, oldest first. `held_open` is None where unknowable.

    `age_s` is for how long, before the first look, the file is known to have been left alone.
    """
    if not looks:
        return Settled.WAIT
    last = looks[-1]
    # Before the writer is asked for: a file that grows for hours is told of, held open or not.
    if last.at - looks[0].at > patience.growing_s and has_changed(looks):
        return Settled.GROWING
    if held_open:
        return Settled.WAIT
    same = [look for look in looks if (look.size, look.mtime_ns) == (last.size, last.mtime_ns)]
    quiet = last.at - same[0].at
    needed = patience.quiet_s
    if is_temporary_name(name):
        # A crashed upload leaves such a name for ever: it is evidence after an hour all the same.
        needed = max(needed, patience.left_over_s - age_s)
    return Settled.WHOLE if len(same) >= 2 and quiet >= needed else Settled.WAIT  # noqa: PLR2004 - two looks


def is_temporary_name(name: str) -> bool:
    """Whether a name says that the file is still being written."""
    return _TEMPORARY.fullmatch(name) is not None


def has_changed(looks: Sequence[Look]) -> bool:
    """Tell whether the last two looks differ."""
    return len(looks) > 1 and (looks[-1].size, looks[-1].mtime_ns) != (
        looks[-2].size,
        looks[-2].mtime_ns,
    )


def written_now() -> frozenset[tuple[int, int]] | None:
    """Return (device, inode) of every file that a process here holds open for writing.

    None where that cannot be known (no /proc). A writer on another machine is never seen: the
    two looks are what decides.
    """
    proc = Path("/proc")
    if not (proc / "self" / "fdinfo").is_dir():
        return None
    inodes = set()
    for process in proc.iterdir():
        if not process.name.isdigit() or process.name == str(os.getpid()):
            continue
        try:
            handles = list((process / "fd").iterdir())
        except OSError:
            continue
        for handle in handles:
            try:
                fdinfo = (process / "fdinfo" / handle.name).read_text()
                flags = int(fdinfo.split("flags:")[1].split()[0], 8)
                # Writing only: players and indexers hold files open for reading all the time.
                if flags & os.O_ACCMODE:
                    # Device and inode, not the path: a card may be mounted at several places.
                    status = handle.stat()
                    inodes.add((status.st_dev, status.st_ino))
            except (OSError, IndexError, ValueError):
                # Processes and handles go while they are looked at; other users' are not shown at
                # all.
                continue
    return frozenset(inodes)
