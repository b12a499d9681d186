"""Reading a file from its medium: past the page cache, which remembers what a first read brought.

A cable or a card reader that flips a bit hands the flipped bit to the cache, and every later read
of the same pages finds it there again. Whoever wants to know what a medium holds asks the medium:
by O_DIRECT (open(2)) where the file system has it, else after its pages were dropped
(posix_fadvise(2), POSIX_FADV_DONTNEED).
"""

import errno
import fcntl
import mmap
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_READ = 4 << 20
_AHEAD = 3  # reads under way at once


def read_past_cache(path: Path) -> Iterator[memoryview]:
    """Yield the blocks of the file at `path` from its medium; see `read_open_past_cache`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield from read_open_past_cache(handle)
    finally:
        os.close(handle)


def read_open_past_cache(handle: int) -> Iterator[memoryview]:
    """Yield the blocks of an open file from its medium, from its start to its present end.

    A few reads are under way at once, so that hashing and the disk work side by side. A block is
    valid until the next one is asked for. The handle may be left in O_DIRECT.
    Raises: OSError.
    """
    forget_pages(handle)
    with suppress(OSError):  # a file system without it: its pages were dropped
        fcntl.fcntl(handle, fcntl.F_SETFL, os.O_DIRECT)
    size = os.fstat(handle).st_size
    length = min(_READ, max(1, -(-size // mmap.PAGESIZE)) * mmap.PAGESIZE)
    starts = range(0, size, length)
    # Page-aligned, as O_DIRECT demands; a small file takes little memory and no thread.
    views = [memoryview(mmap.mmap(-1, length)) for _ in starts[:_AHEAD]]
    if len(views) == 1:
        yield views[0][: _filled(handle, views[0], 0, size)]
        return
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting = iter(starts)
        ahead = deque(
            (view, pool.submit(_filled, handle, view, offset, size))
            for view, offset in zip(views, waiting, strict=False)
        )
        while ahead:
            view, reading = ahead.popleft()
            yield view[: reading.result()]
            if (offset := next(waiting, None)) is not None:
                ahead.append((view, pool.submit(_filled, handle, view, offset, size)))


def forget_pages(handle: int) -> None:
    """Drop the clean pages that the cache holds of an open file, as far as the system allows."""
    with suppress(OSError):  # advice only: some file systems take none
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _filled(handle: int, view: memoryview, offset: int, size: int) -> int:
    """Read into the view up to the file's end, however short the single answers are."""
    wanted, count = min(len(view), size - offset), 0
    while count < wanted and (read := _read(handle, view[count:], offset + count)):
        count += read
    return min(count, wanted)


def _read(handle: int, view: memoryview, offset: int) -> int:
    try:
        return os.preadv(handle, [view], offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Some file systems accept the flag and refuse the read: go on without it.
        fcntl.fcntl(handle, fcntl.F_SETFL, 0)
        forget_pages(handle)
        return os.preadv(handle, [view], offset)
