"""Sweeps over hostile folders; events that only wake."""

import os
import threading

import pytest

from ingest.bays.watch import (
    Candidate,
    MountGoneError,
    Refusal,
    Refused,
    Watcher,
    file_system,
    scan_root,
)


def test_only_regular_files_are_candidates(tmp_path):
    (tmp_path / "DCIM").mkdir()
    (tmp_path / "DCIM" / "a.mp4").write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo.mp4")
    found = list(scan_root(tmp_path))
    assert [item.path for item in found if isinstance(item, Candidate)] == [b"DCIM/a.mp4"]
    assert {(item.parts[-1], item.reason) for item in found if isinstance(item, Refused)} == {
        (b"link.mp4", Refusal.LINK),
        (b"loop", Refusal.LINK),
        (b"fifo.mp4", Refusal.NOT_REGULAR),
    }


def test_names_that_are_not_utf8_are_kept_as_bytes(tmp_path):
    raw = b"\xff\xfe\n.mp4"
    with open(os.path.join(os.fsencode(tmp_path), raw), "wb"):
        pass
    assert [item.parts for item in scan_root(tmp_path)] == [(raw,)]


def test_a_folder_without_a_bottom_is_bounded(tmp_path):
    deep = tmp_path
    for _ in range(20):
        deep /= "d"
        deep.mkdir()
    assert Refusal.TOO_DEEP in {
        item.reason for item in scan_root(tmp_path) if isinstance(item, Refused)
    }


def test_a_mount_that_is_gone_is_told_apart_from_an_empty_one(tmp_path):
    assert list(scan_root(tmp_path)) == []
    with pytest.raises(MountGoneError):
        list(scan_root(tmp_path / "gone"))


def test_a_new_file_wakes_the_sweep(tmp_path):
    awake = threading.Event()
    watcher = Watcher([tmp_path, tmp_path / "later"], awake.set)
    watcher.start()
    try:
        (tmp_path / "a.mp4").write_bytes(b"x")
        assert awake.wait(10)
        (tmp_path / "later").mkdir()
        watcher.watch_new_roots()
    finally:
        watcher.stop()


def test_the_file_system_of_a_path_is_known():
    from pathlib import Path

    assert file_system(Path("/proc/self")) == "proc"
