"""What only the folder store does: temporaries of killed writers, modes, its notes."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import ObjectMissingError, VaultError
from storage.recording import new_recording_id
from storage.vault.folder_objects import FolderObjects
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
    assert (facts.mode, facts.held) == (LockMode.COMPLIANCE, False)
    store.hold(key)
    assert (store.facts(key).retain_until, store.facts(key).held) == (now + timedelta(days=1), True)


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
