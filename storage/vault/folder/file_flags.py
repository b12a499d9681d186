"""Flags of a file's inode: immutable, and the mark of an object that was locked.

Immutable is ioctl_iflags(2): nobody changes, renames or unlinks the file until it is cleared, which
takes CAP_LINUX_IMMUTABLE. The mark is the sticky bit (chmod(2)), which means nothing on a regular
file, and which cp -a, rsync -a and tar keep.
"""

import fcntl
import os
import stat
import struct
import tempfile
from pathlib import Path

_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE = 0x10


def set_immutable(path: Path, *, immutable: bool) -> bool:
    """Set or clear the immutable flag; return whether the system let us."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _set_flag(handle, immutable=immutable)
    finally:
        os.close(handle)


def is_immutable(path: Path) -> bool:
    """Tell whether the immutable flag is set. Raises: OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return bool(_flags(handle) & _FS_IMMUTABLE)
    finally:
        os.close(handle)


def can_set_immutable(folder: Path) -> bool:
    """Tell whether this system and process can set the immutable flag in that folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            return _set_flag(trial.fileno(), immutable=True)
    except OSError:
        return False


def _flags(handle: int) -> int:
    packed = fcntl.ioctl(handle, _FS_IOC_GETFLAGS, struct.pack("l", 0))
    return int(struct.unpack("l", packed)[0])


def _set_flag(handle: int, *, immutable: bool) -> bool:
    try:
        flags = _flags(handle)
        new_flags = flags | _FS_IMMUTABLE if immutable else flags & ~_FS_IMMUTABLE
        if new_flags != flags:
            fcntl.ioctl(handle, _FS_IOC_SETFLAGS, struct.pack("l", new_flags))
    except OSError:
        return False
    return True


def set_mark(path: Path) -> bool:
    """Set the sticky bit durably; tell whether it stays on: not every file system has it.

    Nor can it be set on an object that is immutable already.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if not has_mark(mode):
            os.fchmod(handle, stat.S_IMODE(mode) | stat.S_ISVTX)
            os.fsync(handle)
        return has_mark(os.fstat(handle).st_mode)
    except OSError:
        return False
    finally:
        os.close(handle)


def has_mark(mode: int) -> bool:
    """Tell whether a file of that mode bears the mark."""
    return bool(mode & stat.S_ISVTX)
