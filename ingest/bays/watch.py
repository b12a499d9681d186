"""Looking at bays and landing folders: the sweep is the truth, events only wake it sooner.

Events get lost in bursts, never come from network or FUSE mounts, and a recorder's files are
there before its mount is. So every root is swept again and again with `scan`; watchdog, or its
polling observer where the file system sends no events, merely shortens the wait.
"""

import os
import re
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

MAX_FILES = 200_000
MAX_DEPTH = 12
_ESCAPED = re.compile(rb"\\([0-3][0-7]{2})")  # the kernel writes space, tab, newline, # and \ so
_INT64 = (-(1 << 63), (1 << 63) - 1)
_SILENT = ("fuse", "nfs", "cifs", "smb", "vfat", "exfat", "9p", "virtiofs")


class Refusal(StrEnum):
    """Why an entry is not looked into."""

    LINK = "link"
    NOT_REGULAR = "not-regular"
    TOO_DEEP = "too-deep"
    TOO_MANY = "too-many"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A regular file: its raw relative parts, size in bytes, time of change (`bounded_mtime`)."""

    parts: tuple[bytes, ...]
    size: int
    mtime_ns: int
    device: int
    inode: int
    ctime_ns: int = 0

    @property
    def stamp(self) -> tuple[int, int]:
        """Device and ctime: they change when another file takes this one's place."""
        return self.device, self.ctime_ns

    @property
    def path(self) -> bytes:
        """The relative path, as the source spells it."""
        return b"/".join(self.parts)


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is no evidence to take, and why."""

    parts: tuple[bytes, ...]
    reason: Refusal


def bounded_mtime(status: os.stat_result) -> int:
    """Time of change in ns since 1970, cut to what 64 bits hold: 1677 to 2262.

    File systems store years up to 2446 and beyond (ext4, XFS); a database column does not.
    """
    low, high = _INT64
    return max(low, min(high, status.st_mtime_ns))


class MountGoneError(Exception):
    """The root vanished while it was being looked at: an ordinary event, look again later."""


def scan_root(root: Path) -> Iterator[Candidate | Refused]:
    """Yield every file below the root, sorted within each folder; links are never followed.

    Raises: MountGoneError when the root itself cannot be listed any more.
    """
    count = 0
    # A stack and not recursion: the depth is the volume's choice.
    stack: list[tuple[bytes, ...]] = [()]
    while stack:
        folder = stack.pop()
        entries = _list_folder(root, folder)
        if entries is None:
            yield Refused(folder, Refusal.UNREADABLE)
            continue
        for entry in entries:
            count += 1
            # Told as an entry: a census that breaks off silently would let the bay turn green.
            if count > MAX_FILES:
                yield Refused(folder, Refusal.TOO_MANY)
                return
            parts = (*folder, entry.name)
            try:
                # By the entry itself: a link could lead out of the volume.
                status = entry.stat(follow_symlinks=False)
            except OSError:
                yield Refused(parts, Refusal.UNREADABLE)
                continue
            if stat.S_ISLNK(status.st_mode):
                yield Refused(parts, Refusal.LINK)
            elif stat.S_ISDIR(status.st_mode):
                if len(parts) >= MAX_DEPTH:
                    yield Refused(parts, Refusal.TOO_DEEP)
                else:
                    stack.append(parts)
            elif stat.S_ISREG(status.st_mode):
                mtime_ns = bounded_mtime(status)
                yield Candidate(
                    parts,
                    status.st_size,
                    mtime_ns,
                    status.st_dev,
                    status.st_ino,
                    status.st_ctime_ns,
                )
            else:
                yield Refused(parts, Refusal.NOT_REGULAR)


def _list_folder(root: Path, folder: tuple[bytes, ...]) -> list["os.DirEntry[bytes]"] | None:
    """Return a folder's entries, or None where it cannot be read: nobody may call it empty."""
    try:
        with os.scandir(b"/".join((os.fsencode(root), *folder))) as entries:
            # A fixed order, and the folder is closed before its entries are looked at.
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        # With the root the whole volume went, and no folder of it is to blame.
        if not folder or not root.is_dir():
            raise MountGoneError(str(root)) from error
        return None


class Watcher:
    """Wakes `on_wake` soon after something changes below a root; promises nothing."""

    def __init__(self, roots: Iterable[Path], on_wake: Callable[[], None]) -> None:
        self._handler = _Wake(on_wake)
        self._roots = list(roots)
        self._observers = [Observer(), PollingObserver(timeout=2)]
        self._watched: set[Path] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin; roots that are not there yet are tried again by `refresh`."""
        for observer in self._observers:
            observer.start()
        self.watch_new_roots()

    def watch_new_roots(self) -> None:
        """Watch the roots that have appeared since."""
        with self._lock:
            for root in self._roots:
                if root not in self._watched and root.is_dir():
                    # Where the kernel hears nothing of a file's change, the folder is polled.
                    silent = file_system(root).startswith(_SILENT)
                    try:
                        self._observers[silent].schedule(self._handler, str(root), recursive=True)
                    except OSError:
                        continue  # out of watches: the sweep goes on without
                    self._watched.add(root)

    def stop(self) -> None:
        """End and wait for the threads."""
        for observer in self._observers:
            observer.stop()
            observer.join()


class _Wake(FileSystemEventHandler):
    def __init__(self, on_wake: Callable[[], None]) -> None:
        self._on_wake = on_wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Our own reading would else wake the next sweep, and that one the next.
        if event.event_type not in {"opened", "closed_no_write"}:
            self._on_wake()


def file_system(path: Path) -> str:
    """Return the type of the file system that holds the path (`ext4`, `fuse.sshfs`), or ''."""
    return _find_mount(path)[1]


def mount_id(path: Path) -> str:
    """Return the kernel's number of the mount that holds the path, or '': another at each mount.

    Source: proc_pid_mountinfo(5), field 1.
    """
    return _find_mount(path)[0]


def _find_mount(path: Path) -> tuple[str, str]:
    try:
        table = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return "", ""
    return find_mount_in(table, os.fsencode(path.resolve()))


def find_mount_in(mountinfo: bytes, target: bytes) -> tuple[str, str]:
    """Return number and file system of the mount that holds a whole path; '' for both: none does.

    Source: proc_pid_mountinfo(5).
    """
    best = (b"", b"", b"")
    # Bytes, split where the kernel splits: a mount point is any bytes, in UTF-8 or GB 18030, and
    # what Python's str takes for a space or a line's end may stand in its name.
    for line in mountinfo.split(b"\n"):
        head, _, right = line.partition(b" - ")
        fields = head.split(b" ")
        if len(fields) < 5:  # noqa: PLR2004 - the empty rest behind the last line
            continue
        mount = _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), fields[4])
        inside = target == mount or target.startswith(mount.rstrip(b"/") + b"/")
        # The longest mount point wins; of equal ones the later, which lies over the earlier.
        if inside and len(mount) >= len(best[0]):
            best = (mount, fields[0], right.split(b" ")[0])
    return os.fsdecode(best[1]), os.fsdecode(best[2])
