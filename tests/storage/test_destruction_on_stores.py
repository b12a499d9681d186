"""Destruction on every store; and what a store refuses by itself when our own checks are bypassed.

The clock begins half a year before the server's own, so that ordinary footage is due now.
"""

import io
import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from minio import Minio
from minio.error import S3Error

from ingest.centre import linking
from policies.facts.stages import ActionKind
from policies.facts.terms import HoldReason
from policies.identifiers import Subject
from policies.retention.disposition import Bounds
from policies.time.trusted_time import ClockAnswer
from storage.catalogue.holds import holds
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.log import custody_log
from storage.errors import RetentionError
from storage.upkeep import legal_hold_sync
from storage.vault.folder.file_flags import set_immutable
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import ENVELOPE, PARTS, PAYLOAD
from storage.vault.s3.s3_objects import S3Objects
from storage.vault.tiered_objects import TieredObjects
from tests.keeping import ORDINARY, WHO, Archive
from tests.servers.database import Database
from tests.servers.s3 import utc_now


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    """A store, and a way to delete in it that asks nothing of ours."""
    if request.param == "folder":
        objects = FolderObjects(tmp_path / "objects", os.urandom)
        yield SimpleNamespace(objects=objects, erase=objects.delete, intrude=None)
        for path in tmp_path.rglob("*"):
            set_immutable(path, immutable=False)
        return
    server = request.getfixturevalue("s3_server")
    bucket = server.bucket()
    objects = S3Objects(bucket, server.key, os.urandom, utc_now)
    objects.create_bucket()
    raw = Minio(
        bucket.host,
        access_key=server.key.access,
        secret_key=server.key.secret,
        secure=bucket.secure,
    )

    def erase(key, _at):
        found = raw.list_objects(bucket.bucket, prefix=key, include_version=True)
        for version in found:
            raw.remove_object(bucket.bucket, key, version_id=version.version_id)

    def intrude(key):
        raw.put_object(bucket.bucket, key, io.BytesIO(b"forged"), 6)
        raw.remove_object(bucket.bucket, key)

    yield SimpleNamespace(objects=objects, erase=erase, intrude=intrude)


@pytest.fixture
def archive(store, tmp_path):
    database = Database.fresh(tmp_path)
    start = datetime.now(UTC).replace(microsecond=0) - ORDINARY - timedelta(hours=1)
    bounds = Bounds(brake_items=1000, brake_share=1.0, cooling=timedelta(minutes=1))
    archive = Archive(database.url, store.objects, start, bounds=bounds).found()
    yield archive
    archive.close()
    database.drop()


def to_the_present(archive):
    """Let half a year pass, nearly up to the store's own time."""
    archive.at += ORDINARY + timedelta(minutes=30)


def test_what_is_due_goes_for_good(archive):
    recording, younger = archive.keep(b"x" * 100_000), None
    archive.rendition(recording)
    to_the_present(archive)
    younger = archive.keep(b"young")
    assert archive.execute(archive.decided(recording)) == {"gone": 1}
    assert archive.gone(recording)
    assert archive.whole(younger)
    assert {key.partition("/")[0] for key in archive.objects.keys()} == {younger}  # noqa: SIM118 - a store, not a dict


def test_what_has_a_copy_in_an_archive_goes_there_too(archive, store, tmp_path):
    first = FolderObjects(tmp_path / "first", os.urandom, immutable=False)
    archive.objects = TieredObjects(first, lambda: store.objects)
    recording = archive.keep()
    keys = {archive.key_of(recording, PAYLOAD), archive.rendition(recording)}
    for key in keys:
        archive.objects.archive_object(key)
    assert set(store.objects.keys()) == keys
    to_the_present(archive)
    assert archive.execute(archive.decided(recording)) == {"gone": 1}
    assert archive.gone(recording)
    assert list(store.objects.keys()) == []


def test_strange_versions_that_go_along_stand_in_the_entries(archive, store):
    if store.intrude is None:
        pytest.skip("a folder has no versions")
    recording = archive.keep()
    store.intrude(archive.key_of(recording, PAYLOAD))
    store.intrude(archive.key_of(recording, ENVELOPE))
    to_the_present(archive)
    assert archive.execute(archive.decided(recording)) == {"gone": 1}
    assert list(archive.objects.strangers()) == []
    with archive.catalogue.read() as session:
        events = custody_log.LogReader(session).events_of(Subject.of_recording(recording))
    for act in ("recording.destroy-begin", "recording.destroy"):
        (entry,) = (event for event in events if event.act == act)
        told = sorted(
            (one["name"].rpartition("/")[2], one["kind"]) for one in entry.details["strangers"]
        )
        assert told == [
            (ENVELOPE, "delete-marker"),
            (ENVELOPE, "version"),
            (PAYLOAD, "delete-marker"),
            (PAYLOAD, "version"),
        ]
        assert all(one["version"] for one in entry.details["strangers"])


@pytest.mark.parametrize("kept_by", ["lock", "hold", "link"])
def test_the_store_itself_refuses_whoever_goes_past_us(archive, store, kept_by):
    recording = archive.keep()
    action = archive.action(ActionKind.SEIZURE)
    if kept_by != "lock":
        to_the_present(archive)  # its own lock is over
    if kept_by == "hold":
        with archive.catalogue.write() as uow:
            new = NewHold(reason=HoldReason.COMPLAINT, authority="county", recording_id=recording)
            holds.place_hold(uow, new, actor=WHO)
        assert legal_hold_sync.sync_legal_holds(
            archive.catalogue, archive.objects, [recording]
        ) == [recording]
        assert (
            legal_hold_sync.sync_legal_holds(archive.catalogue, archive.objects, [recording]) == []
        )
    elif kept_by == "link":
        linking.link_recording(archive, action, recording, actor=WHO)
        assert archive.row(recording).retain_until.year == 9999
    elif isinstance(archive.objects, S3Objects):
        for part in PARTS:  # the server knows one time only, its own
            key = archive.key_of(recording, part)
            archive.objects.lock(key, datetime.now(UTC) + timedelta(days=1))
    for part in PARTS:
        key = archive.key_of(recording, part)
        with pytest.raises((S3Error, RetentionError)):
            store.erase(key, archive.at)
        with pytest.raises(RetentionError):
            archive.objects.delete(key, archive.at)
    assert archive.whole(recording)


def test_the_stores_hold_ends_with_the_last_of_ours(archive):
    recording = archive.keep()
    placed = []
    for reason in (HoldReason.COMPLAINT, HoldReason.INVESTIGATION):
        with archive.catalogue.write() as uow:
            new = NewHold(reason=reason, authority="county", recording_id=recording)
            placed.append(holds.place_hold(uow, new, actor=WHO).id)
    legal_hold_sync.sync_legal_holds(archive.catalogue, archive.objects, [recording])
    for number, hold in enumerate(placed):
        archive.release(hold, "孙三", "周四")
        legal_hold_sync.sync_legal_holds(archive.catalogue, archive.objects, [recording])
        still = number == 0
        for part in PARTS:
            assert archive.objects.facts(archive.key_of(recording, part)).on_hold is still


def test_the_stores_own_clock_vouches_where_it_has_one(archive):
    told = archive.objects.now()
    if isinstance(archive.objects, S3Objects):
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=30)
        archive.at = datetime.now(UTC)
        assert ClockAnswer("object-store", archive.at, told).ahead_s < 30
    else:
        assert told is None
