"""One suite for every object store: whatever implements the seam passes it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from storage.digest import Digest
from storage.errors import (
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    VaultError,
)
from storage.recording import RecordingId, new_recording_id
from storage.vault.folder_objects import FolderObjects, set_immutable
from storage.vault.objects import ENVELOPE, PAYLOAD, RECORD, LockMode, ObjectStore, key_of

LATER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["folder"])
def store(request, tmp_path) -> Iterator[ObjectStore]:
    yield FolderObjects(tmp_path / "objects", os.urandom)
    for path in tmp_path.rglob("*"):
        set_immutable(path, immutable=False)


@pytest.fixture
def recording(now) -> RecordingId:
    return new_recording_id(now, os.urandom(10))


def test_what_was_put_is_read_back_whole_and_by_range(store, recording):
    data = os.urandom(5 << 20)
    stored = store.put(key_of(recording, PAYLOAD), [data[: 3 << 20], memoryview(data)[3 << 20 :]])
    assert (stored.size, stored.digest) == (len(data), Digest.of(data))
    assert store.digest(stored.key) == Digest.of(data)
    assert store.read(stored.key, 12345, 4096) == data[12345 : 12345 + 4096]
    assert store.read(stored.key, len(data) - 3, 100) == data[-3:]
    assert store.facts(stored.key).size == len(data)


def test_an_empty_object_is_an_object(store, recording):
    assert store.put(key_of(recording, PAYLOAD), []).size == 0


def test_the_same_bytes_again_succeed_and_other_bytes_conflict(store, recording):
    key = key_of(recording, RECORD)
    assert store.put(key, [b"one"]) == store.put(key, [b"o", b"ne"])
    with pytest.raises(ObjectConflictError):
        store.put(key, [b"two"])
    assert store.read(key, 0, 10) == b"one"


def test_a_source_that_breaks_leaves_nothing(store, recording):
    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise OSError(5, "pulled cable")

    with pytest.raises((OSError, VaultError)):
        store.put(key_of(recording, PAYLOAD), broken())
    assert list(store.keys()) == []
    with pytest.raises(ObjectMissingError):
        store.facts(key_of(recording, PAYLOAD))
    assert store.sweep(LATER) == 0


def test_a_lock_only_grows_and_refuses_deletion(store, recording, now):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    store.lock(key, now + timedelta(days=100))
    store.lock(key, now + timedelta(days=10))
    assert store.facts(key).retain_until == now + timedelta(days=100)
    assert store.facts(key).mode is LockMode.COMPLIANCE
    with pytest.raises(RetentionError):
        store.delete(key, now + timedelta(days=99))
    store.lock(key, now + timedelta(days=200))
    with pytest.raises(RetentionError):
        store.delete(key, now + timedelta(days=150))
    store.delete(key, now + timedelta(days=201))
    with pytest.raises(ObjectMissingError):
        store.read(key, 0, 1)
    store.delete(key, now)  # absent is deleted


def test_an_envelope_is_locked_in_governance(store, recording, now):
    key = key_of(recording, ENVELOPE)
    store.put(key, [b"{}"])
    store.lock(key, now + timedelta(days=1))
    assert store.facts(key).mode is LockMode.GOVERNANCE


def test_an_unlocked_orphan_may_be_deleted(store, recording, now):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"orphan"])
    store.delete(key, now)
    assert list(store.keys()) == []


def test_nothing_is_locked_that_is_not_there(store, recording, now):
    with pytest.raises(ObjectMissingError):
        store.lock(key_of(recording, PAYLOAD), now)


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "payload",
        "/payload",
        f"{UUID(int=0)}/payload",
        "0193a7c0-0000-7000-8000-000000000000/payload/../record.json",
        "0193a7c0-0000-7000-8000-000000000000/other",
        "0193a7c0-0000-7000-8000-000000000000/payload\n",
    ],
)
def test_a_hostile_key_is_refused(store, key):
    with pytest.raises(VaultError):
        store.put(key, [b"x"])
    with pytest.raises(VaultError):
        store.read(key, 0, 1)


def test_temporaries_of_a_killed_put_are_swept(tmp_path, recording):
    store = FolderObjects(tmp_path / "objects", os.urandom)
    folder = tmp_path / "objects" / str(recording)
    folder.mkdir()
    Path(folder / ".put-payload-1-0").write_bytes(b"half")
    assert list(store.keys()) == []
    assert store.sweep(LATER) == 1
    assert store.put(key_of(recording, PAYLOAD), [b"whole"]).size == 5


def test_a_stored_object_is_read_only(tmp_path, recording):
    store = FolderObjects(tmp_path / "objects", os.urandom)
    store.put(key_of(recording, PAYLOAD), [b"x"])
    assert (tmp_path / "objects" / str(recording) / "payload").stat().st_mode & 0o777 == 0o400
