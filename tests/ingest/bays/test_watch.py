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
    find_mount_in,
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


MOUNTS = (
    "21 1 0:18 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "65 21 0:39 / /media/执\\040法仪 rw,relatime - vfat /dev/sdb1 rw\n"
    "66 21 0:40 / /media/执法仪 rw,relatime shared:2 master:3 - exfat /dev/sdc1 rw\n"
    "67 66 0:41 / /media/执法仪/\u2028\u3000\xa0 rw - fuse.sshfs host: rw\n"
    "68 21 0:42 / /media/back\\134134slash rw - nfs4 host:/x rw\n"
    "69 21 0:43 / /media/执法仪 rw,relatime - vfat /dev/sdd1 rw\n"
).encode() + b"70 21 0:44 / /media/\xd6\xb4\xb7\xa8 rw - cifs //host/x rw\n"


@pytest.mark.parametrize(
    ("path", "number", "kind"),
    [
        ("/media/other", "21", "ext4"),
        ("/media/执 法仪/DCIM", "65", "vfat"),
        ("/media/执法仪", "69", "vfat"),  # another card over the first
        ("/media/执法仪二", "21", "ext4"),
        ("/media/执法仪/\u2028\u3000\xa0/a.mp4", "67", "fuse.sshfs"),
        (r"/media/back\134slash/a", "68", "nfs4"),
        (os.fsdecode(b"/media/\xd6\xb4\xb7\xa8/a.mp4"), "70", "cifs"),  # GB 18030
    ],
)
def test_a_mount_is_found_by_whatever_name_it_bears(path, number, kind):
    assert find_mount_in(MOUNTS, os.fsencode(path)) == (number, kind)


def test_the_file_system_of_a_path_is_known():
    from pathlib import Path

    assert file_system(Path("/proc/self")) == "proc"
