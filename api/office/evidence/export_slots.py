"""Exports under way on this machine: at most so many at once, and what a killed one left.

Each export holds one slot file below the home, locked by its process. Before an export writes to
a place that somebody named, its slot names the `.part` there. A slot whose lock nobody holds and
that names a part was left by a process that was killed: the part is plaintext that nobody answers
for, and is removed at the next start or by the next export that takes the slot.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.problems import ApiError

PART = ".part"
WAIT_S = 30  # what a client that is refused is told to wait
_FOLDER = "exports"
_SPOOLED = "bundle-*"  # how earlier editions called their working folders in the spool


@dataclass(frozen=True, slots=True)
class ExportSlot:
    """One export's place among those under way; given back by `release`, or with the process."""

    _handle: int

    @classmethod
    def acquire(cls, home: Path, most: int, part: Path | None = None) -> "ExportSlot":
        """Take a free slot for an export that writes `part`, or that writes nothing (None).

        Raises: ApiError(exports-busy) (`most` are under way), OSError.
        """
        for number in range(most):
            if (handle := _lock_slot(home, number)) is None:
                continue
            try:
                _removed, absent = _remove_parts(handle)
                if absent or part:
                    named = [*absent, *([os.fspath(part.absolute())] if part else [])]
                    _write_lines(handle, named)
            except BaseException:
                os.close(handle)
                raise
            return cls(handle)
        raise ApiError("exports-busy", most=most, wait_s=WAIT_S)

    def release(self) -> None:
        """Give the slot back; a part that could not be removed stays named in it."""
        try:
            if os.fstat(self._handle).st_size:
                # The part has its final name by now, or is gone: this only forgets it.
                _removed, absent = _remove_parts(self._handle)
                _write_lines(self._handle, absent)
        finally:
            os.close(self._handle)


@contextlib.contextmanager
def holding_slot(home: Path, most: int, part: Path) -> Iterator[None]:
    """Hold a slot while the block writes `part`. Raises: as `ExportSlot.acquire`."""
    slot = ExportSlot.acquire(home, most, part)
    try:
        yield
    finally:
        slot.release()


def remove_left_parts(home: Path) -> list[Path]:
    """Remove what killed exports left, wherever they wrote; return what was removed.

    What lies on a medium that is not there now stays named and is removed when it is back.
    Raises: OSError.
    """
    removed = _remove_spooled(home / "spool")
    for path in sorted((home / _FOLDER).glob("slot-*")):
        if (handle := _lock_slot(home, int(path.name.partition("-")[2]))) is None:
            continue  # another process is at work there
        try:
            parts, absent = _remove_parts(handle)
            _write_lines(handle, absent)
            removed += parts
        finally:
            os.close(handle)
    return removed


def _lock_slot(home: Path, number: int) -> int | None:
    """Return a locked handle of the slot, None when another export holds it."""
    handle = _open_slot(home, number)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def _open_slot(home: Path, number: int) -> int:
    """Open a slot's file, made if need be, and leave it to the home's owner."""
    (home / _FOLDER).mkdir(mode=0o700, exist_ok=True)
    # No link is followed: the service's account must not lead root's export to a folder elsewhere.
    links = os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(home / _FOLDER, os.O_RDONLY | os.O_DIRECTORY | links)
    try:
        handle = os.open(f"slot-{number}", os.O_RDWR | os.O_CREAT | links, 0o600, dir_fd=folder)
        try:
            # An administrator's `sudo liuhen bundle` must not lock the service out of its slots.
            if os.geteuid() == 0 and os.fstat(handle).st_nlink == 1:
                owner = home.stat()
                os.fchown(folder, owner.st_uid, owner.st_gid)
                os.fchown(handle, owner.st_uid, owner.st_gid)
        except BaseException:
            os.close(handle)
            raise
        return handle
    finally:
        os.close(folder)


def _remove_parts(handle: int) -> tuple[list[Path], list[str]]:
    """Remove the parts that a slot names; return those removed, and those that are out of reach."""
    removed, absent = [], []
    text = os.pread(handle, os.fstat(handle).st_size, 0)
    for line in os.fsdecode(text).split("\0"):
        # Only what an export could have written: never a path that somebody put there by hand.
        if not line.endswith(PART):
            continue
        part = Path(line)
        try:
            if not part.parent.is_dir():
                absent.append(line)
            elif _remove_part(part):
                removed.append(part)
        except OSError:
            absent.append(line)
    return removed, absent


def _remove_part(part: Path) -> bool:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
        return True
    if not part.is_file() or part.is_symlink():
        return False
    part.unlink()
    return True


def _write_lines(handle: int, lines: Sequence[str]) -> None:
    # Durable before the part exists: a part that no slot names would stay for ever.
    os.ftruncate(handle, 0)
    os.pwrite(handle, os.fsencode("\0".join(lines)), 0)
    os.fsync(handle)


def _remove_spooled(spool: Path) -> list[Path]:
    """Remove the working folders of earlier editions, which unpacked each export in the spool."""
    removed = []
    for folder in spool.glob(_SPOOLED):
        if folder.is_symlink() or not folder.is_dir():
            continue
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # An earlier edition may still be at work beside this one, during a rolling upgrade.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
            removed.append(folder)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)
    return removed
