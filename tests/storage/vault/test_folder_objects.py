"""What only the folder store does: temporaries of killed writers, modes, its notes."""

import errno
import fcntl
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from storage.errors import LockLostError, ObjectMissingError, VaultError
from storage.recording import new_recording_id
from storage.vault.folder import lock_notes
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import PAYLOAD, LockMode, key_of

LATER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture
def recording(now):
    return new_recording_id(now, os.urandom(10))


def test_temporaries_of_a_killed_put_are_swept(tmp_path, recording):
    store = FolderObjects(tmp_path / "objects", os.urandom)
    folder = tmp_path / "objects" / str(recording)
    folder.mkdir()
    (folder / ".put-payload-1-0").write_bytes(b"half")
    assert list(store.keys()) == []
    assert store.sweep(LATER) == 1
    assert store.put(key_of(recording, PAYLOAD), [b"whole"]).size == 5


def test_a_stored_object_is_read_only(tmp_path, recording):
    store = FolderObjects(tmp_path / "objects", os.urandom)
    store.put(key_of(recording, PAYLOAD), [b"x"])
    assert (tmp_path / "objects" / str(recording) / "payload").stat().st_mode & 0o777 == 0o400


def test_a_part_that_leaves_a_gap_is_refused(tmp_path, recording):
    store = FolderObjects(tmp_path / "objects", os.urandom)
    handle = store.begin(key_of(recording, PAYLOAD))
    store.add_part(key_of(recording, PAYLOAD), handle, 1, 0, b"12345")
    with pytest.raises(VaultError) as caught:
        store.add_part(key_of(recording, PAYLOAD), handle, 2, 6, b"x")
    assert caught.value.facts["problem"] == "a part is missing"


def test_a_lock_of_an_earlier_release_is_not_held(tmp_path, recording, now):
    store = FolderObjects(tmp_path / "objects", os.urandom, immutable=False)
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"x"])
    note = tmp_path / "objects" / str(recording) / ".lock" / "payload.json"
    note.parent.mkdir()
    until = (now + timedelta(days=1)).isoformat()
    note.write_text(f'{{"mode":"COMPLIANCE","retain_until":"{until}"}}')
    facts = store.facts(key)
    assert (facts.mode, facts.on_hold) == (LockMode.COMPLIANCE, False)
    store.hold(key)
    assert (store.facts(key).retain_until, store.facts(key).on_hold) == (
        now + timedelta(days=1),
        True,
    )


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"mode":"SOFT","retain_until":null}'])
def test_an_unreadable_lock_is_no_permission(tmp_path, recording, now, note):
    store = FolderObjects(tmp_path / "objects", os.urandom, immutable=False)
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"x"])
    store.lock(key, now)
    (tmp_path / "objects" / str(recording) / ".lock" / "payload.json").write_text(note)
    with pytest.raises(VaultError):
        store.delete(key, LATER)
    assert store.read(key, 0, 1) == b"x"


@pytest.fixture
def store(tmp_path):
    return FolderObjects(tmp_path / "objects", os.urandom, immutable=False)


@pytest.fixture
def locked(store, recording, now, tmp_path):
    """A locked object, and the note of its lock."""
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    store.lock(key, now + timedelta(days=9))
    return key, tmp_path / "objects" / str(recording) / ".lock" / "payload.json"


def check_lost(store, key):
    with pytest.raises(LockLostError) as lost:
        store.delete(key, LATER)
    assert lost.value.facts["size"] == 8
    for ask in (store.facts, store.hold, store.release):
        with pytest.raises(LockLostError):
            ask(key)
    assert store.read(key, 0, 9) == b"evidence"


def test_a_lost_lock_note_is_no_permission(store, locked):
    key, note = locked
    note.unlink()
    check_lost(store, key)


def test_a_lost_folder_of_locks_is_no_permission(store, locked):
    key, note = locked
    note.unlink()
    note.parent.rmdir()
    check_lost(store, key)


@pytest.mark.parametrize("length", [0, 1, 30])
def test_a_truncated_lock_note_is_no_permission(store, locked, length):
    key, note = locked
    os.truncate(note, length)
    check_lost(store, key)


def test_a_lock_that_was_lost_is_written_anew_and_held(store, locked, now):
    """Whether it was held nobody knows: it is, until somebody who knows releases it."""
    key, note = locked
    note.unlink()
    store.lock(key, now + timedelta(days=1))
    facts = store.facts(key)
    assert (facts.mode, facts.retain_until, facts.on_hold) == (
        LockMode.COMPLIANCE,
        now + timedelta(days=1),
        True,
    )
    store.release(key)
    store.delete(key, now + timedelta(days=1))


def test_a_released_hold_whose_note_is_lost_is_still_no_permission(store, recording):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    store.hold(key)
    store.release(key)
    shutil.rmtree(store._root / str(recording) / ".lock")
    check_lost(store, key)


@pytest.mark.parametrize("copied", [["cp", "-a"], ["rsync", "-a"], "tar"])
def test_a_copy_put_back_without_its_notes_is_no_permission(store, locked, tmp_path, copied):
    key, note = locked
    if copied == "tar":
        command = f"tar -C {tmp_path}/objects -c . | tar -C {tmp_path}/copy -xp"
        (tmp_path / "copy").mkdir()
        subprocess.run(["sh", "-c", command], check=True)
    elif shutil.which(copied[0]) is None:
        pytest.skip(f"{copied[0]} is not here")
    else:
        subprocess.run([*copied, f"{tmp_path}/objects/", f"{tmp_path}/copy"], check=True)
    (tmp_path / "copy" / note.relative_to(tmp_path / "objects")).unlink()
    check_lost(FolderObjects(tmp_path / "copy", os.urandom, immutable=False), key)


def test_an_object_that_an_earlier_release_locked_is_marked_at_the_first_look(store, locked):
    key, note = locked
    (store._root / key).chmod(0o400)  # no mark
    assert store.facts(key).retain_until is not None
    note.unlink()
    check_lost(store, key)


def test_where_no_mark_stays_on_a_file_stands_for_it(tmp_path, recording, now, monkeypatch):
    """As on FAT, or on an object that an earlier release made immutable."""

    def refused(_handle, _mode):
        raise PermissionError(errno.EPERM, "not permitted")

    store = FolderObjects(tmp_path / "objects", os.urandom, immutable=False)
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    monkeypatch.setattr(os, "fchmod", refused)
    store.lock(key, now)
    assert list(store.keys()) == [key]
    shutil.rmtree(store._root / str(recording) / ".lock")
    check_lost(store, key)
    store.lock(key, now)
    store.release(key)
    store.delete(key, LATER)
    assert list((store._root / ".marked").iterdir()) == []


LOCK_STEPS = ("set_mark", "replace_file")


@pytest.mark.parametrize("step", LOCK_STEPS)
@pytest.mark.parametrize("act", ["lock", "hold"])
def test_killed_before_a_step_of_locking_it_is_free_or_nobodys(
    store, recording, now, monkeypatch, step, act
):
    """Never is it deleted after its mark was set; called again, the lock is there."""
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])

    def killed(*_given):
        raise KeyboardInterrupt

    call = partial(store.lock, key, now) if act == "lock" else partial(store.hold, key)
    with monkeypatch.context() as patched:
        patched.setattr(lock_notes, step, killed)
        with pytest.raises(KeyboardInterrupt):
            call()
    if step == "set_mark":
        assert (store.facts(key).retain_until, store.facts(key).on_hold) == (None, False)
    else:
        check_lost(store, key)
    store.lock(key, now + timedelta(days=1))
    assert store.facts(key).retain_until == now + timedelta(days=1)


def test_an_unreadable_name_is_told_and_not_made_anew(tmp_path):
    store = FolderObjects(tmp_path / "objects", os.urandom)
    store.identity()
    (tmp_path / "objects" / "store.json").write_text("")
    with pytest.raises(VaultError):
        store.identity()


def test_a_late_writer_of_a_part_cannot_touch_the_object(tmp_path, recording, now):
    """It opened the attempt, was held up while another completed it, and now wants to write."""
    store = FolderObjects(tmp_path / "objects", os.urandom)
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    mark = store.add_part(key, handle, 1, 0, b"evidence")
    attempt = tmp_path / "objects" / str(recording) / f".put-payload-{handle}"
    with ThreadPoolExecutor(2) as pool, attempt.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        late = [pool.submit(store.add_part, key, handle, 1, 0, b"other") for _ in range(2)]
        os.link(attempt, attempt.parent / "payload")  # as complete does, under the same lock
        attempt.unlink()
        fcntl.flock(file, fcntl.LOCK_UN)
        for one in late:
            with pytest.raises(ObjectMissingError):
                one.result()
    assert store.read(key, 0, 99) == b"evidence"
    assert store.complete(key, handle, [mark], 8).size == 8
