"""Files written past the page cache: whole at every size, and with nothing left to flush."""

import errno
import fcntl
import mmap
import os
import shutil
import subprocess
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ingest.bays.watch import file_system
from storage.medium import (
    ColdSource,
    forget_pages,
    is_cold,
    read_past_cache,
    write_open_past_cache,
)

MIB = 1 << 20
SIZES = (
    0,
    1,
    511,
    4095,
    4096,
    4097,
    MIB - 1,
    MIB,
    4 * MIB - 1,
    4 * MIB,
    4 * MIB + 1,
    33 * MIB + 17,
)
OFFSETS = (0, 1, 4095, 4096, 4097, 8 * MIB, 8 * MIB + 5)


def written(path, blocks, offset=0):
    """Write a file's bytes from the offset on; return where they end."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        end = write_open_past_cache(handle, blocks, offset)
        os.fsync(handle)
    finally:
        os.close(handle)
    return end


def read_back(path):
    """Return a file's bytes as its medium has them."""
    return b"".join(bytes(block) for block in read_past_cache(path))


def cut(data, length):
    return [memoryview(data)[start : start + length] for start in range(0, len(data), length)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", [4 * MIB, 4 * MIB + 4112, 65521])
def test_a_file_of_any_size_holds_what_was_given(tmp_path, size, length):
    data = os.urandom(size)
    assert written(tmp_path / "file", cut(data, length)) == size
    assert read_back(tmp_path / "file") == data


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("size", [1, 4095, 4096, 2 * MIB, 5 * MIB + 3])
def test_what_is_added_at_any_place_leaves_what_stands_before(tmp_path, offset, size):
    before, data = os.urandom(offset), os.urandom(size)
    (tmp_path / "file").write_bytes(before)
    assert written(tmp_path / "file", [data], offset) == offset + size
    assert read_back(tmp_path / "file") == before + data


def test_one_block_longer_than_all_buffers_is_written_whole(tmp_path):
    data = os.urandom(21 * MIB + 1)
    assert written(tmp_path / "file", [b"", data[:1], b"", data[1:]]) == len(data)
    assert (tmp_path / "file").read_bytes() == data


def test_a_block_is_the_callers_again_once_the_next_is_asked_for(tmp_path):
    block = bytearray(MIB)

    def blocks():
        for number in range(40):
            block[:] = bytes([number]) * MIB
            yield block

    written(tmp_path / "file", blocks())
    assert (tmp_path / "file").read_bytes() == b"".join(bytes([n]) * MIB for n in range(40))


def test_no_buffer_is_filled_again_while_it_is_being_written(tmp_path, monkeypatch):
    """No write ends before the writer waits for one, or else has gone on without waiting."""
    waits, result, pwrite = threading.Event(), Future.result, os.pwrite

    def seen_waiting(self, timeout=None):
        waits.set()
        return result(self, timeout)

    def slow(handle, view, offset):
        waits.wait()
        return pwrite(handle, view, offset)

    def blocks():
        for number in range(9):
            if number == 6:  # two rounds of the buffers, were they used again
                waits.set()
            yield bytes([number]) * (4 * MIB)

    monkeypatch.setattr(Future, "result", seen_waiting)
    monkeypatch.setattr(os, "pwrite", slow)
    written(tmp_path / "file", blocks())
    data = (tmp_path / "file").read_bytes()
    assert [data[start] for start in range(0, len(data), 4 * MIB)] == list(range(9))
    assert data == b"".join(bytes([number]) * (4 * MIB) for number in range(9))


def test_a_few_writes_are_under_way_at_once_and_no_more(tmp_path, monkeypatch):
    pwrite, together = os.pwrite, threading.Barrier(3)
    lock, now, most = threading.Lock(), [0], [0]

    def counted(handle, view, offset):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait()  # all three are here, or this never ends
        try:
            return pwrite(handle, view, offset)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(os, "pwrite", counted)
    written(tmp_path / "file", [bytes(4 * MIB)] * 3)
    assert most == [3]


def test_short_writes_are_completed(tmp_path, monkeypatch):
    """Whole blocks at first, then an odd count, after which nothing is aligned any more."""
    pwrite, lock, counts = os.pwrite, threading.Lock(), [4096, 3 * 4096, 4097, 1, 511]

    def short(handle, view, offset):
        with lock:
            count = counts.pop(0) if counts else len(view)
        direct = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT
        if direct and count % 4096:  # what a medium took before it gave up
            copy = mmap.mmap(-1, len(view))
            copy[:] = bytes(view)
            pwrite(handle, memoryview(copy)[: -(-count // 4096) * 4096], offset)
            return count
        return pwrite(handle, view[:count], offset)

    monkeypatch.setattr(os, "pwrite", short)
    data = os.urandom(9 * MIB + 3)
    assert written(tmp_path / "file", [data]) == len(data)
    assert (tmp_path / "file").read_bytes() == data


@pytest.mark.parametrize("refusal", ["F_SETFL", "the first write"])
def test_a_file_system_that_refuses_direct_writes_gets_others(tmp_path, monkeypatch, refusal):
    """Some refuse the flag, and some accept it and refuse the write (open(2), NOTES)."""
    control, pwrite, flushed = fcntl.fcntl, os.pwrite, []
    flush = os.fdatasync

    def refuse_flag(handle, command, argument=0):
        if command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, "refused")
        return control(handle, command, argument)

    def refuse_write(handle, view, offset):
        if control(handle, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "refused")
        return pwrite(handle, view, offset)

    if refusal == "F_SETFL":
        monkeypatch.setattr(fcntl, "fcntl", refuse_flag)
    else:
        monkeypatch.setattr(os, "pwrite", refuse_write)
    monkeypatch.setattr(os, "fdatasync", lambda handle: (flushed.append(1), flush(handle)))
    data = os.urandom(65 * MIB + 5)
    assert written(tmp_path / "file", cut(data, 4 * MIB + 4112)) == len(data)
    assert (tmp_path / "file").read_bytes() == data
    assert len(flushed) == 2  # each 32 MiB, as the rest is written


@pytest.mark.parametrize("number", [0, 2, 8, 9])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EINVAL])
def test_the_error_of_any_write_is_told(tmp_path, monkeypatch, number, code):
    pwrite = os.pwrite

    def failing(handle, view, offset):
        if offset == number * 4 * MIB:
            raise OSError(code, "injected")
        return pwrite(handle, view, offset)

    monkeypatch.setattr(os, "pwrite", failing)
    with pytest.raises(OSError, match="injected") as told:
        written(tmp_path / "file", [bytes(4 * MIB)] * 9 + [b"end"])
    assert told.value.errno == code


def test_the_error_of_a_flush_on_the_way_is_told(tmp_path, monkeypatch):
    """The kernel tells it once (fsync(2)): the last fsync would succeed."""
    control = fcntl.fcntl

    def refuse_flag(handle, command, argument=0):
        if command == fcntl.F_SETFL:
            raise OSError(errno.EINVAL, "refused")
        return control(handle, command, argument)

    def failing(_handle):
        raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(fcntl, "fcntl", refuse_flag)
    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(OSError, match="injected"):
        written(tmp_path / "file", [bytes(4 * MIB)] * 9)


def test_a_source_that_breaks_is_told_after_the_last_write_has_ended(tmp_path, monkeypatch):
    """The handle is closed next, and its number may be another file's at once."""
    pwrite, lock, under_way = os.pwrite, threading.Lock(), [0]

    def counted(handle, view, offset):
        with lock:
            under_way[0] += 1
        try:
            return pwrite(handle, view, offset)
        finally:
            with lock:
                under_way[0] -= 1

    def broken():
        yield bytes(11 * MIB)
        raise ValueError("pulled cable")

    monkeypatch.setattr(os, "pwrite", counted)
    with pytest.raises(ValueError, match="pulled"):
        written(tmp_path / "file", broken())
    assert under_way == [0]
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPool")]


def cached(path):
    """Return how many bytes of a file are in the page cache."""
    if shutil.which("fincore") is None:
        pytest.skip("NO FINCORE HERE (util-linux): nobody looked into the page cache")
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", path]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def is_direct(folder):
    """Return whether the file system of a folder takes direct writes."""
    try:
        handle = os.open(folder / "probe", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    except OSError:
        return False
    try:
        return os.pwrite(handle, mmap.mmap(-1, mmap.PAGESIZE), 0) == mmap.PAGESIZE
    except OSError:
        return False
    finally:
        os.close(handle)


def test_nothing_of_a_payload_waits_in_memory_to_be_flushed(tmp_path):
    """Looked at while it is written, and at its end before the fsync."""
    if not is_direct(tmp_path):
        pytest.skip("NO O_DIRECT HERE: nothing was written past the page cache")
    path, seen = tmp_path / "file", []

    def blocks():
        for _ in range(16):
            yield bytes(4 * MIB + 4112)
            seen.append(cached(path))

    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        write_open_past_cache(handle, blocks())
        seen.append(cached(path))
    finally:
        os.close(handle)
    assert max(seen) <= mmap.PAGESIZE  # the last page, cut to its length


def test_many_files_at_once_do_not_mix(tmp_path):
    data = [os.urandom(5 * MIB + number) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: written(tmp_path / f"{n}", cut(data[n], MIB)), range(6)))
    assert [(tmp_path / f"{number}").read_bytes() for number in range(6)] == data


# A first read leaves the cache alone where it has nothing


def on_a_disk(path):
    return file_system(path) in {"ext4", "xfs", "btrfs"}


def dropped(path, size):
    """Write a file of which the page cache holds nothing."""
    path.write_bytes(os.urandom(size))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        forget_pages(file.fileno())


def test_a_file_that_the_cache_holds_is_not_cold(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(24 * MIB + 5))
    with path.open("rb", buffering=0) as file:
        assert not is_cold(file.fileno())


def test_a_file_of_which_the_cache_holds_half_is_not_cold(tmp_path):
    path = tmp_path / "a.bin"
    dropped(path, 48 * MIB)
    with path.open("rb", buffering=0) as file:
        os.pread(file.fileno(), 24 * MIB, 24 * MIB)
        assert not is_cold(file.fileno())


@pytest.mark.parametrize("looked_at", [0, 1024])
def test_a_file_of_which_only_the_format_was_told_is_cold(tmp_path, looked_at):
    path = tmp_path / "a.bin"
    dropped(path, 48 * MIB + 5)
    if not on_a_disk(path):
        pytest.skip("NOT ON A DISK: nobody looked whether its pages are dropped")
    with path.open("rb", buffering=0) as file:
        os.pread(file.fileno(), looked_at, 0)
        assert is_cold(file.fileno())


def test_a_cold_source_leaves_nothing_in_the_cache(tmp_path):
    path = tmp_path / "a.bin"
    dropped(path, 24 * MIB)
    if not on_a_disk(path):
        pytest.skip("NOT ON A DISK: nobody looked whether its pages are dropped")
    for _ in range(2):
        with path.open("rb", buffering=0) as file:
            assert is_cold(file.fileno())
            source = ColdSource(file.fileno())
            while source.readinto(memoryview(bytearray(MIB))):
                pass
            source.close()


def test_a_small_file_is_never_cold(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(MIB))
    with path.open("rb", buffering=0) as file:
        os.fsync(file.fileno())
        forget_pages(file.fileno())
        assert not is_cold(file.fileno())


@pytest.mark.parametrize("step", [4096, MIB + 1, 5 * MIB])
def test_a_cold_source_reads_what_the_file_has(tmp_path, step):
    path, data = tmp_path / "a.bin", os.urandom(17 * MIB + 5)
    path.write_bytes(data)
    got, buffer = bytearray(), memoryview(bytearray(step))
    with path.open("rb", buffering=0) as file:
        source = ColdSource(file.fileno())
        while count := source.readinto(buffer):
            got += buffer[:count]
        assert source.readinto(buffer) == 0
        source.close()
    assert got == data


def test_a_cold_source_closed_early_leaves_no_read_under_way(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(40 * MIB))
    before = threading.active_count()
    with path.open("rb", buffering=0) as file:
        source = ColdSource(file.fileno())
        assert source.readinto(memoryview(bytearray(10)))
        source.close()
    assert threading.active_count() == before
