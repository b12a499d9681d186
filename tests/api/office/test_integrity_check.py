"""`verify --all`: whatever is touched behind the service's back is named."""

import io
import os

import pytest
from minio import Minio

from api.office.evidence.integrity_check import list_orphans, whole_check
from storage.recording import new_recording_id
from tests.office import FIRST, Desk, dock, segment
from tests.servers.database import Database


@pytest.fixture(scope="module")
def docked(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("docked"))
    dock(desk, "bay-1", FIRST, segment(0, 2), segment(2, 2), segment(4, 2))
    desk.sweep()
    return desk.rest()


@pytest.fixture
def desk(docked, tmp_path):
    desk = docked.copy(tmp_path)
    yield desk
    desk.office.close()


def objects(desk):
    folders = sorted((desk.office.settings.home / "objects").iterdir())
    return [folder for folder in folders if (folder / "payload").exists()]


def found(desk):
    return {(wrong.kind, wrong.subject) for wrong in whole_check(desk.office)}


def sql(desk, statement, *values):
    assert Database(desk.office.settings.database).execute(statement, *values) == 1


def test_an_untouched_office_is_whole(desk):
    assert found(desk) == set()
    assert list_orphans(desk.office) == []


def test_deleted_swapped_edited_row_and_edited_entry_are_all_named(desk):
    first, second, third, *_ = objects(desk)
    (first / "payload").unlink()
    data = (third / "payload").read_bytes()
    (second / "payload").chmod(0o600)
    (second / "payload").write_bytes(data)
    sql(desk, "UPDATE recording SET officer_no = '000999' WHERE id = ?", third.name)
    leaf = 'replace(leaf, \'"outcome":"success"\', \'"outcome":"refused"\')'
    sql(desk, f'UPDATE log_leaf SET leaf = {leaf} WHERE "index" = 3')  # noqa: S608
    assert found(desk) == {
        ("missing-object", f"{first.name}/payload"),
        ("swapped-object", f"{second.name}/payload"),
        ("edited-row", f"recording {third.name}"),
        ("edited-entry", "entry 3"),
    }
    for wrong in whole_check(desk.office):
        assert wrong.zh
        assert wrong.en


def test_an_object_that_was_made_writable_is_named(desk):
    (first, *_) = objects(desk)
    (first / "payload").chmod(0o600)
    assert found(desk) == {("writable-object", f"{first.name}/payload")}


def test_a_lock_that_was_shortened_is_named(desk):
    (first, *_) = objects(desk)
    lock = first / ".lock" / "payload.json"
    lock.chmod(0o600)
    lock.write_text('{"mode":"COMPLIANCE","retain_until":"2026-01-01T00:00:00+00:00"}')
    assert found(desk) == {("weak-lock", f"{first.name}/payload")}


@pytest.mark.parametrize("how", ["lost", "truncated"])
def test_a_lock_whose_note_is_lost_is_named(desk, how):
    (first, *_) = objects(desk)
    note = first / ".lock" / "payload.json"
    if how == "lost":
        note.unlink()
    else:
        os.truncate(note, 3)
    assert found(desk) == {("lost-lock", f"{first.name}/payload")}


def test_what_an_intruder_left_in_a_folder_is_named(desk):
    (first, *_) = objects(desk)
    (first / "payload.bak").write_text("x")
    (first.parent / "notes.txt").write_text("x")
    assert found(desk) == {
        ("strange-object", f"{first.name}/payload.bak"),
        ("strange-object", "notes.txt"),
    }
    assert list_orphans(desk.office) == []


def test_what_an_intruder_left_in_a_bucket_is_named(desk, s3_server):
    """The office's objects, moved into a bucket; then somebody came who has its key."""
    there = s3_server.store()
    here = desk.office.objects
    for key in here.keys():  # noqa: SIM118 - a store, not a dict
        there.put(key, [here.read(key, 0, here.facts(key).size)])
        there.lock(key, here.facts(key).retain_until)
    desk.office.objects = there
    assert found(desk) == set()
    (key, *_) = [key for key in there.keys() if key.endswith("payload")]  # noqa: SIM118
    address, bucket = s3_server.address, there._client.bucket
    pair = (s3_server.key.access, s3_server.key.secret)
    intruder = Minio(address.host, *pair, secure=address.secure)
    intruder.put_object(bucket, key, io.BytesIO(b"forged"), 6)
    intruder.remove_object(bucket, key)
    named = [(one.kind, one.subject, one.facts["kind"]) for one in whole_check(desk.office)]
    assert sorted(named) == [
        ("strange-object", key, "delete-marker"),
        ("strange-object", key, "version"),
    ]


def test_another_recordings_envelope_is_named_as_swapped(desk):
    first, second, *_ = objects(desk)
    path = first / "envelope.json"
    path.chmod(0o600)
    path.write_bytes((second / "envelope.json").read_bytes())
    assert found(desk) == {("swapped-object", f"{first.name}/envelope.json")}


def test_an_attempt_that_was_cut_short_is_an_orphan_not_a_fault(desk, now, entropy):
    recording = new_recording_id(now, entropy(10))
    desk.office.objects.put(f"{recording}/payload", [b"half"])
    assert found(desk) == set()
    assert list_orphans(desk.office) == [f"{recording}/payload"]
