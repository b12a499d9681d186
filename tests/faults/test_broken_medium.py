"""Payloads written past the page cache to disks that fill up, fail, die or take no direct writes."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.digest import Digest
from storage.errors import ObjectMissingError, StorageFullError, VaultError
from storage.vault.folder.folder_objects import FolderObjects
from tests.faults.put_once import KEY, TEMPORARY, content, main
from tests.faults.test_broken_machine import ROOT, needs_root, small_disk

MIB = 1 << 20
SIZE = 33 * MIB + 17
LATER = datetime(9999, 1, 1, tzinfo=UTC)
WAYS = ("put", "parts")


@pytest.fixture
def store(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects", os.urandom, immutable=False)


def check_whole(store: FolderObjects, size: int) -> None:
    assert list(store.keys()) == [KEY]
    assert store.digest(KEY) == Digest.compute(content(size))
    assert store.sweep(LATER) == 0


def check_nothing(store: FolderObjects) -> None:
    assert list(store.keys()) == []
    assert list(store.strangers()) == []


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("size", [0, 1, 4097, 4 * MIB + 1, SIZE])
def test_an_object_of_odd_size_is_whole(
    store: FolderObjects, tmp_path: Path, size: int, how: str
) -> None:
    main(tmp_path / "objects", size, how)
    check_whole(store, size)


@needs_root
@pytest.mark.parametrize("how", WAYS)
def test_a_store_in_memory_takes_payloads_too(
    store: FolderObjects, tmp_path: Path, how: str
) -> None:
    """tmpfs(5) knows no direct writes, or takes them for others."""
    with small_disk(tmp_path / "objects", "64m"):
        main(tmp_path / "objects", SIZE, how)
        check_whole(store, SIZE)


@contextmanager
def small_image(folder: Path, mib: int) -> Iterator[None]:
    """Put a disk of its own under a folder: ext4 in a file, so that direct writes meet its end."""
    image = folder.with_name("image")
    with image.open("wb") as file:
        file.truncate(mib * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    done = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"NO LOOP DEVICE HERE: no disk was filled: {done.stderr!r}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@needs_root
def test_a_disk_that_fills_up_amid_a_direct_write_is_told_and_left_empty(
    store: FolderObjects, tmp_path: Path
) -> None:
    root = tmp_path / "objects"
    with small_image(root, 48):
        with pytest.raises(StorageFullError):
            store.put(KEY, [content(MIB)] * 100)
        check_nothing(store)
        assert store.sweep(LATER) == 0
        main(root, 9 * MIB, "put")  # there is room again
        check_whole(store, 9 * MIB)


@needs_root
def test_a_part_that_fills_the_disk_is_told_and_can_come_again(
    store: FolderObjects, tmp_path: Path
) -> None:
    with small_image(tmp_path / "objects", 48):
        data = content(9 * MIB + 5)
        handle = store.begin(KEY)
        mark = store.add_part(KEY, handle, 1, 0, data[: 5 * MIB + 1])
        with pytest.raises(StorageFullError):
            store.add_part(KEY, handle, 2, 5 * MIB + 1, bytes(60 * MIB))
        with pytest.raises(ObjectMissingError):
            store.facts(KEY)
        marks = [mark, store.add_part(KEY, handle, 2, 5 * MIB + 1, data[5 * MIB + 1 :])]
        store.complete(KEY, handle, marks, len(data))
        check_whole(store, len(data))


@pytest.mark.parametrize("error", [OSError(errno.EIO, "pulled"), ValueError("x"), SystemExit()])
@pytest.mark.parametrize("before", [0, 1000, 21 * MIB + 3])
def test_a_source_that_breaks_anywhere_leaves_nothing_behind(
    store: FolderObjects, error: BaseException, before: int
) -> None:
    def broken() -> Iterator[bytes]:
        yield content(before)
        raise error

    with pytest.raises((type(error), VaultError)):
        store.put(KEY, broken())
    check_nothing(store)
    assert store.sweep(LATER) == 0


def put_with_injection(folder: Path, call: str, effect: str, how: str) -> str:
    """Put in a process of which one call on the payload's file is broken; return what it said."""
    if shutil.which("strace") is None:
        pytest.skip(f"NO STRACE HERE: {effect} was not injected")
    trace, root = folder / "trace", folder / "objects"
    command = ["strace", "-f", "-qq", "-o", str(trace)]
    command += ["-P", str(root / TEMPORARY)]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:{effect}"]
    command += [sys.executable, "-m", "tests.faults.put_once", str(root), str(SIZE), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if b"ptrace" in done.stderr:
        pytest.skip(f"PTRACE IS FORBIDDEN HERE: {effect} was not injected")
    killed = done.returncode == -signal.SIGKILL  # strace ends as its tracee did (strace(1))
    assert killed or "(INJECTED)" in trace.read_text(errors="replace")
    return done.stdout.decode()


# strace counts by thread: nine writes by three threads give one of them a third. The end of the
# payload is cut to its length; a part begins by cutting what follows it.
@pytest.mark.parametrize(
    ("how", "call", "when"),
    [
        *(("put", "pwrite64", number) for number in (1, 2, 3)),
        ("put", "fsync", 1),
        ("put", "ftruncate", 1),
        ("parts", "pwrite64", 1),
        ("parts", "fdatasync", 3),
        ("parts", "fsync", 1),
    ],
)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_error_of_the_medium_at_any_write_is_told(
    store: FolderObjects, tmp_path: Path, how: str, call: str, when: int, error: str
) -> None:
    code = "storage-full" if error == "ENOSPC" else "vault"
    assert put_with_injection(tmp_path, call, f"error={error}:when={when}", how) == code
    check_nothing(store)
    assert store.sweep(LATER) == (how == "parts")  # an attempt can go on
    main(tmp_path / "objects", SIZE, how)
    check_whole(store, SIZE)


@pytest.mark.parametrize(
    ("how", "call", "when"),
    [
        *(("put", "pwrite64", number) for number in (1, 2, 3)),
        ("put", "ftruncate", 1),
        ("put", "fsync", 1),
        ("parts", "pwrite64", 1),
        ("parts", "ftruncate", 2),
        ("parts", "fsync", 1),
    ],
)
def test_killed_at_any_write_it_leaves_a_temporary_that_is_swept(
    store: FolderObjects, tmp_path: Path, how: str, call: str, when: int
) -> None:
    assert put_with_injection(tmp_path, call, f"signal=SIGKILL:when={when}", how) == ""
    check_nothing(store)
    assert store.sweep(LATER) == 1
    main(tmp_path / "objects", SIZE, how)
    check_whole(store, SIZE)
