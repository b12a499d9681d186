"""Reading and writing files on their medium, past the page cache.

A cable or a card reader that flips a bit hands the flipped bit to the cache, and every later read
of the same pages finds it there again. Whoever wants to know what a medium holds asks the medium:
by O_DIRECT (open(2)) where the file system has it, else after its pages were dropped
(posix_fadvise(2), POSIX_FADV_DONTNEED).

A payload is written the same way: it is read back past the cache at once, so pages that the cache
would have to find, fill, flush and drop again serve nobody.
"""

import errno
import fcntl
import mmap
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

_READ = 4 << 20
_WRITE = 4 << 20
_AHEAD = 3  # reads or writes under way at once
_SMALL = 1 << 20  # bytes: less is written through the cache, without a thread
_FLUSH = 32 << 20  # bytes after which what did go through the cache is flushed
_LARGE = 16 << 20  # bytes: less is read through the cache, whoever reads it first
_SAMPLES = 16  # places of a file at which the cache is asked
_FEW = 4  # places: where fewer are cached, the file counts as cold


def read_past_cache(path: Path) -> Iterator[memoryview]:
    """Yield the blocks of the file at `path` from its medium; see `read_open_past_cache`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield from read_open_past_cache(handle)
    finally:
        os.close(handle)


def read_open_past_cache(handle: int) -> Generator[memoryview]:
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
        yield views[0][: _fill_view(handle, views[0], 0, size)]
        return
    # Leaving it waits for the reads under way, also when nobody asks for more blocks: none of them
    # may use the handle after the caller closed it.
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting = iter(starts)
        ahead = deque(
            (view, pool.submit(_fill_view, handle, view, offset, size))
            for view, offset in zip(views, waiting, strict=False)
        )
        while ahead:
            view, reading = ahead.popleft()
            yield view[: reading.result()]
            # The block was used, since the next one is asked for: its memory may be filled again.
            if (offset := next(waiting, None)) is not None:
                ahead.append((view, pool.submit(_fill_view, handle, view, offset, size)))


class ColdSource:
    """An open file read once, in order, past a page cache that holds nothing of it.

    What is read once and not needed again need not be copied into fresh pages first. `close` ends
    the reads under way; the file stays open, and may be left in O_DIRECT.
    """

    def __init__(self, handle: int) -> None:
        """Begin at the file's start."""
        self._handle = handle
        self._blocks = read_open_past_cache(handle)
        self._left = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as one block goes; return 0 at the end. Raises: OSError."""
        if not self._left:
            self._left = next(self._blocks, self._left)
        chunk = self._left[: len(buffer)]
        buffer[: len(chunk)] = chunk
        self._left = self._left[len(chunk) :]
        return len(chunk)

    def close(self) -> None:
        """Wait for the reads under way; drop the few pages that `is_cold` brought in."""
        self._blocks.close()
        forget_pages(self._handle)


def is_cold(handle: int) -> bool:
    """Whether an open file is large and the page cache holds next to nothing behind its beginning.

    What was looked at a moment ago is in the cache, and a second read of a slow card would cost
    more than all that a cache costs. Where nobody can say, the file counts as cached. To ask brings
    in a page at each place that was asked for: it is asked once for each read. On a busy machine
    such a page can come fast enough to be taken for a cached one, hence not "nothing at all".
    """
    size = os.fstat(handle).st_size
    if size < _LARGE:
        return False
    # The question itself must not have the system read ahead.
    with suppress(OSError):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_RANDOM)
    try:
        first = _LARGE // 2  # what was read to tell the format, with what was read ahead of it
        step = (size - first) // _SAMPLES
        places = (first + step * (i + 1) - 1 for i in range(_SAMPLES))
        return sum(_is_cached(handle, place) for place in places) < _FEW
    finally:
        with suppress(OSError):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_NORMAL)


def _is_cached(handle: int, offset: int) -> bool:
    try:
        # RWF_NOWAIT (preadv2(2)): fails where the page would have to come from the medium.
        os.preadv(handle, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that cannot say
        return True
    return True


def forget_pages(handle: int) -> None:
    """Drop the clean pages that the cache holds of an open file, as far as the system allows."""
    with suppress(OSError):  # advice only: some file systems take none
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _fill_view(handle: int, view: memoryview, offset: int, size: int) -> int:
    """Read into the view up to the file's end, however short the single answers are."""
    # By the size at the start: what somebody appends meanwhile is not part of this read.
    length, count = min(len(view), size - offset), 0
    while count < length and (read := _read_at(handle, view[count:], offset + count)):
        count += read
    # A direct read fills whole pages, and may so go beyond.
    return min(count, length)


def _read_at(handle: int, view: memoryview, offset: int) -> int:
    try:
        return os.preadv(handle, [view], offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Some file systems accept the flag and refuse the read: go on without it.
        fcntl.fcntl(handle, fcntl.F_SETFL, 0)
        forget_pages(handle)
        return os.preadv(handle, [view], offset)


def write_open_past_cache(
    handle: int, blocks: Iterable[bytes | bytearray | memoryview], offset: int = 0
) -> int:
    """Write the blocks to an open file's medium from `offset` on; return where they end.

    All is written when this returns, and not yet durable: fsync(2) is the caller's. Nothing may
    stand in the file beyond the offset, and where that is no multiple of a page the handle must be
    readable too. What the blocks raise passes through, after the last write under way has ended.
    The handle may be left in O_DIRECT.
    Raises: OSError.
    """
    with DirectWriter(handle, offset) as writer:
        for block in blocks:
            writer.write(block)
        return writer.finish()


class DirectWriter:
    """One open file written in order, with a few direct writes under way at once.

    O_DIRECT asks for aligned memory, offsets and lengths (open(2), NOTES): blocks are gathered in
    page-aligned buffers, none of which is filled again before its write has ended. Leaving the
    `with` waits for the writes, so that the handle can be closed and its number used again.
    """

    def __init__(self, handle: int, offset: int = 0) -> None:
        """Begin at `offset`; what stands before it on its page is written once more with it."""
        self._handle = handle
        self._pool = ThreadPoolExecutor(_AHEAD)  # no thread before the first full buffer
        self._under_way: deque[tuple[memoryview, Future[None]]] = deque()
        self._free = [memoryview(mmap.mmap(-1, _WRITE))]
        self._made = 1
        self._direct = False
        self._start = offset - offset % mmap.PAGESIZE  # of the buffer at hand, in the file
        before = self._free[-1][: offset - self._start]
        self._gathered = _fill_view(handle, before, self._start, offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)  # after an error, what has not begun need not

    def write(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; they are the caller's again when this returns.

        Raises: OSError of this write or of one that was under way.
        """
        view = memoryview(block)
        while view:
            buffer = self._get_buffer()
            chunk = view[: len(buffer) - self._gathered]
            buffer[self._gathered : self._gathered + len(chunk)] = chunk
            self._gathered += len(chunk)
            view = view[len(chunk) :]
            if self._gathered == len(buffer):
                self._submit_write(len(buffer))

    def finish(self) -> int:
        """Write what is left and wait for all of it; return the file's end. Raises: OSError."""
        end = self._start + self._gathered
        if not self._direct and self._gathered < _SMALL:
            _write_all(self._handle, self._free[-1][: self._gathered], self._start)
            return end
        if self._gathered:
            # O_DIRECT takes whole pages only; the file is cut to its length at the end.
            whole = -(-self._gathered // mmap.PAGESIZE) * mmap.PAGESIZE
            self._get_buffer()[self._gathered : whole] = bytes(whole - self._gathered)
            self._submit_write(whole)
        while self._under_way:
            self._wait_for_oldest()
        if end % mmap.PAGESIZE:
            os.ftruncate(self._handle, end)  # the padding of the last page
        return end

    def _get_buffer(self) -> memoryview:
        """Return the buffer at hand, or a free one to begin with."""
        if not self._free and self._made < _AHEAD:
            self._free.append(memoryview(mmap.mmap(-1, _WRITE)))
            self._made += 1
        if not self._free:
            self._wait_for_oldest()
        return self._free[-1]

    def _submit_write(self, length: int) -> None:
        """Begin to write so much of the buffer at hand."""
        if not self._direct:
            self._direct = True
            with suppress(OSError):  # a file system without it: through the cache
                fcntl.fcntl(self._handle, fcntl.F_SETFL, os.O_DIRECT)
        buffer = self._free.pop()
        writing = self._pool.submit(_write_aside, self._handle, buffer[:length], self._start)
        self._under_way.append((buffer, writing))
        self._start += length
        self._gathered = 0

    def _wait_for_oldest(self) -> None:
        buffer, writing = self._under_way.popleft()
        writing.result()  # an error of the medium is told once: never lose it
        self._free.append(buffer)


def _write_aside(handle: int, view: memoryview, offset: int) -> None:
    """Write the view; what went through the cache is flushed now and then as the rest goes on."""
    _write_all(handle, view, offset)
    end = offset + len(view)
    # Otherwise everything would wait for the fsync at the end, and the disk be idle before.
    if end % _FLUSH == 0 and not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT:
        os.fdatasync(handle)


def _write_all(handle: int, view: memoryview, offset: int) -> None:
    """Write all of the view at its place, however much the single calls take."""
    while view:
        written = _write_at(handle, view, offset)
        view, offset = view[written:], offset + written


def _write_at(handle: int, view: memoryview, offset: int) -> int:
    try:
        return os.pwrite(handle, view, offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Some file systems accept the flag and refuse the write, or the rest of a short one.
        fcntl.fcntl(handle, fcntl.F_SETFL, 0)
        return os.pwrite(handle, view, offset)
