"""What only a real S3 server can show: who refuses, what intruders cannot change, what is refused.

`direct` is the SDK with the same key: what anybody who stole that key could do.
"""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import minio.time
import pytest
import urllib3
from minio import Minio
from minio.commonconfig import COMPLIANCE, ENABLED, GOVERNANCE
from minio.error import S3Error
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.retention import Retention
from minio.versioningconfig import VersioningConfig

from storage.digest import Digest
from storage.errors import (
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    StorageFullError,
    StoreClockError,
    StoreRefusedError,
    StoreSetupError,
    StoreUnavailableError,
)
from storage.recording import new_recording_id
from storage.vault.objects import ENVELOPE, PAYLOAD, RECORD, StrangerKind, key_of
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.s3_objects import S3Objects
from tests.servers.s3 import utc_now

MIB = 1 << 20


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def key(now) -> str:
    return key_of(new_recording_id(now, os.urandom(10)), PAYLOAD)


@pytest.fixture
def address(s3_server) -> S3Address:
    """A bucket with Object Lock."""
    address = s3_server.bucket()
    S3Objects(address, s3_server.key, os.urandom, utc_now).create_bucket()
    return address


@pytest.fixture
def store(s3_server, address) -> S3Objects:
    return S3Objects.open(address, s3_server.key, os.urandom, utc_now)


def client_of(address: S3Address, key: S3Key) -> Minio:
    return Minio(address.host, key.access, key.secret, secure=address.secure, region=address.region)


@pytest.fixture
def direct(s3_server) -> Minio:
    return client_of(s3_server.address, s3_server.key)


def versions(direct, address, key) -> list:
    found = direct.list_objects(address.bucket, key, include_version=True, recursive=True)
    return [one for one in found if not one.is_delete_marker]


# Who refuses


def test_the_server_itself_refuses_to_delete_what_is_locked(store, direct, address, key, now):
    store.put(key, [os.urandom(9 * MIB)])
    store.lock(key, now + timedelta(days=30))
    (version,) = versions(direct, address, key)
    with pytest.raises(S3Error, match="AccessDenied"):
        direct.remove_object(address.bucket, key, version_id=version.version_id)
    with pytest.raises(RetentionError):  # not even when our clock is wrong
        store.delete(key, now + timedelta(days=31))
    assert store.facts(key).size == 9 * MIB


@pytest.mark.parametrize(
    "other",
    [
        Retention(COMPLIANCE, datetime.now(UTC) + timedelta(days=9)),
        Retention(GOVERNANCE, datetime.now(UTC) + timedelta(days=60)),
    ],
)
def test_the_server_itself_refuses_to_weaken_a_lock(store, direct, address, key, now, other):
    store.put(key, [b"evidence"])
    store.lock(key, now + timedelta(days=30))
    (version,) = versions(direct, address, key)
    with pytest.raises(S3Error, match="AccessDenied"):
        direct.set_object_retention(address.bucket, key, other, version_id=version.version_id)
    assert store.facts(key).retain_until == now + timedelta(days=30)


def test_the_server_itself_refuses_to_delete_what_is_held(store, direct, address, key, now):
    store.put(key, [b"evidence"])
    store.hold(key)
    (version,) = versions(direct, address, key)
    with pytest.raises(S3Error, match="AccessDenied"):
        direct.remove_object(address.bucket, key, version_id=version.version_id)
    direct.disable_object_legal_hold(address.bucket, key, version_id=version.version_id)
    assert not store.facts(key).on_hold


def test_a_lock_of_another_mode_is_told(store, direct, address, key, now):
    """Somebody locked an envelope for ever: its key could not be destroyed."""
    envelope = key.replace(PAYLOAD, ENVELOPE)
    store.put(envelope, [b"{}"])
    (version,) = versions(direct, address, envelope)
    direct.set_object_retention(
        address.bucket,
        envelope,
        Retention(COMPLIANCE, now + timedelta(days=2)),
        version_id=version.version_id,
    )
    with pytest.raises(RetentionError) as caught:
        store.lock(envelope, now + timedelta(days=1))
    assert caught.value.facts["found"].startswith("COMPLIANCE")


def test_a_lock_until_a_date_that_has_passed_asks_for_nothing(store, key, now):
    store.put(key, [b"x"])
    store.lock(key, now - timedelta(days=1))
    assert store.facts(key).retain_until is None


def test_a_lock_keeps_at_least_the_part_of_a_second(store, key, now):
    store.put(key, [b"x"])
    store.lock(key, now + timedelta(days=1, microseconds=1))
    assert store.facts(key).retain_until == now + timedelta(days=1, seconds=1)


# Intruders


def test_a_delete_marker_and_a_second_version_change_nothing(
    s3_server, store, direct, address, key, now
):
    store.put(key, [b"evidence"])
    store.lock(key, now + timedelta(days=1))
    direct.put_object(address.bucket, key, io.BytesIO(b"forged!!"), 8)
    direct.remove_object(address.bucket, key)
    fresh = S3Objects.open(address, s3_server.key, os.urandom, utc_now)
    for one in (store, fresh):
        assert one.read(key, 0, 99) == b"evidence"
        assert one.digest(key) == Digest.compute(b"evidence")
        assert one.facts(key).retain_until == now + timedelta(days=1)
        assert list(one.keys()) == [key]
        assert one.put(key, [b"evidence"]).size == 8
        with pytest.raises(ObjectConflictError):
            one.put(key, [b"forged!!"])


def test_strangers_of_a_long_list_are_told_page_by_page(store, direct, address, now, monkeypatch):
    """Also where the versions of one name stand on two pages."""
    keys = [key_of(new_recording_id(now, os.urandom(10)), PAYLOAD) for _ in range(3)]
    for key in keys:
        store.put(key, [b"evidence"])
        for number in range(3):
            direct.put_object(address.bucket, key, io.BytesIO(b"%d" % number), 1)
        direct.remove_object(address.bucket, key)
    pages = []
    listed = Minio._list_objects  # the SDK always asks for a thousand

    def of_two(*given, **more):
        pages.append(given)
        return listed(*given, **more | {"max_keys": 2})

    monkeypatch.setattr(Minio, "_list_objects", of_two)
    found = [(one.name, one.kind) for one in store.strangers()]
    kinds = [StrangerKind.VERSION] * 3 + [StrangerKind.MARKER]
    assert sorted(found) == sorted((key, kind) for key in keys for kind in kinds)
    assert len(pages) == 1  # one listing, of as many pages as it takes
    assert len({one.version for one in store.strangers()}) == len(found)


def test_a_twin_of_the_same_bytes_is_no_stranger(store, direct, address, key):
    store.put(key, [b"evidence"])
    direct.put_object(address.bucket, key, io.BytesIO(b"evidence"), 8)
    assert list(store.strangers()) == []


def test_deleting_takes_every_version_and_marker(store, direct, address, key, now):
    store.put(key, [b"evidence"])
    direct.put_object(address.bucket, key, io.BytesIO(b"forged"), 6)
    direct.remove_object(address.bucket, key)
    store.delete(key, now)
    assert list(direct.list_objects(address.bucket, include_version=True, recursive=True)) == []


def test_a_younger_version_that_is_locked_never_takes_the_objects_place(
    store, direct, address, key, now
):
    store.put(key, [b"evidence"])
    direct.put_object(
        address.bucket,
        key,
        io.BytesIO(b"forged"),
        6,
        retention=Retention(COMPLIANCE, now + timedelta(days=1)),
    )
    with pytest.raises(RetentionError):
        store.delete(key, now)
    assert store.read(key, 0, 99) == b"evidence"


def test_twins_leave_one_version(s3_server, address, direct, key):
    data = os.urandom(9 * MIB)

    def put(_: int) -> Digest:
        return S3Objects(address, s3_server.key, os.urandom, utc_now).put(key, [data]).digest

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(put, range(4))) == {Digest.compute(data)}
    assert len(versions(direct, address, key)) == 1


@pytest.mark.parametrize("theirs", [b"the same", b"other bytes"])
def test_a_twin_in_a_place_that_was_seen_free_is_found(
    s3_server, address, store, direct, key, theirs
):
    record = key.replace(PAYLOAD, RECORD)
    store.put(key, [b"payload"])  # this look shows that there is no record yet
    S3Objects(address, s3_server.key, os.urandom, utc_now).put(record, [theirs])
    if theirs == b"the same":
        assert store.put(record, [b"the same"]).size == 8
    else:
        with pytest.raises(ObjectConflictError):
            store.put(record, [b"the same"])
    assert len(versions(direct, address, record)) == 1
    assert store.digest(record) == Digest.compute(theirs)


@pytest.mark.parametrize("part", [PAYLOAD, ENVELOPE])
def test_a_later_lock_that_came_after_the_read_back_stands(
    s3_server, address, store, key, now, part
):
    key = key.replace(PAYLOAD, part)
    store.put(key, [b"evidence"])
    later = now + timedelta(days=30)
    S3Objects(address, s3_server.key, os.urandom, utc_now).lock(key, later)
    store.lock(key, now + timedelta(days=1))
    assert store.facts(key).retain_until == later


def test_what_lies_in_the_bucket_beside_objects_is_left_alone(store, direct, address, now):
    direct.put_object(address.bucket, "notes.txt", io.BytesIO(b"x"), 1)
    other = store._uploads.begin_upload("notes.txt")
    assert (list(store.keys()), store.sweep(now + timedelta(days=1))) == ([], 0)
    store._uploads.abort_upload("notes.txt", other)


# Parts


def test_an_attempt_with_parts_left_over_ends_whole_or_begins_anew(store, key):
    """Ceph joins all parts or none; others leave the rest away. Never is a part mixed in."""
    handle = store.begin(key)
    marks = [
        store.add_part(key, handle, number, 0, bytes([number]) * 5 * MIB) for number in (1, 2, 3)
    ]
    try:
        stored = store.complete(key, handle, marks[:2], 10 * MIB)
    except ObjectMissingError:
        assert list(store.keys()) == []
    else:
        assert stored.digest == Digest.compute(b"\x01" * 5 * MIB + b"\x02" * 5 * MIB)


def test_a_part_that_another_writer_replaced_is_not_joined(store, key):
    handle = store.begin(key)
    mark = store.add_part(key, handle, 1, 0, b"one")
    store.add_part(key, handle, 1, 0, b"two")
    with pytest.raises(ObjectMissingError):
        store.complete(key, handle, [mark], 3)
    assert list(store.keys()) == []


def test_a_twin_who_is_done_after_we_were_told_to_wait_is_found(
    s3_server, address, store, key, monkeypatch
):
    """Ceph answers 500 while a twin joins the parts; he may be done before our next question."""
    handle, data = store.begin(key), os.urandom(5 * MIB)
    marks = [store.add_part(key, handle, 1, 0, data)]
    ask = store._uploads.check_upload

    def too_late(*asked):
        S3Objects(address, s3_server.key, os.urandom, utc_now).complete(
            key, handle, marks, len(data)
        )
        return ask(*asked)

    def told_to_wait(*_):
        raise StoreUnavailableError(key=key, problem="already in progress")

    waiting = SimpleNamespace(join_parts=told_to_wait, check_upload=too_late)
    monkeypatch.setattr(store._sender, "_uploads", waiting)
    assert store.complete(key, handle, marks, len(data)).digest == Digest.compute(data)


def test_every_upload_of_a_long_list_is_swept(store, now):
    keys = [key_of(new_recording_id(now, os.urandom(10)), PAYLOAD) for _ in range(5)]
    for key in keys:
        store.begin(key)
        store.begin(key)
    assert store.sweep(now + timedelta(days=1)) == 10
    assert store.sweep(now + timedelta(days=1)) == 0


def test_every_body_is_sent_under_a_checksum(store, key, address, monkeypatch):
    sent, send = [], urllib3.PoolManager.urlopen

    def listen(pool, method, url, **more):
        sent.append((method, bytes(more.get("body") or b""), more["headers"]))
        return send(pool, method, url, **more)

    monkeypatch.setattr(urllib3.PoolManager, "urlopen", listen)
    other = key.replace(PAYLOAD, ENVELOPE)
    store.put(key, [b"whole"])
    handle = store.begin(other)
    mark = store.add_part(other, handle, 1, 0, b"part")
    store.complete(other, handle, [mark], 4)
    bodies = [(method, body, headers) for method, body, headers in sent if body]
    assert [(method, body) for method, body, _ in bodies[:2]] == [
        ("PUT", b"whole"),
        ("PUT", b"part"),
    ]
    assert [method for method, _, _ in bodies[2:]] == ["POST"]
    for _method, body, headers in bodies:
        assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
        assert "x-amz-content-sha256" in headers["authorization"].partition("SignedHeaders=")[2]


def test_a_body_that_is_not_the_digest_is_refused_by_the_server(store, key):
    handle, uploads = store.begin(key), store._uploads
    for send in (
        lambda digest: uploads.send_object(key, b"body", digest),
        lambda digest: uploads.send_part(key, b"body", handle, 1, digest=digest),
    ):
        with pytest.raises(StoreUnavailableError):
            send(Digest.compute(b"another"))
        assert send(Digest.compute(b"body"))


# Buckets that cannot keep evidence


def refused(address: S3Address, key: S3Key) -> StoreSetupError:
    with pytest.raises(StoreSetupError) as caught:
        S3Objects.open(address, key, os.urandom, utc_now)
    assert caught.value.facts["bucket"] == address.bucket
    return caught.value


def test_a_missing_bucket_is_refused_with_the_command_that_makes_it(s3_server):
    address = s3_server.bucket()
    told = refused(address, s3_server.key).facts
    assert told["problem"] == "no such bucket"
    assert f"--bucket {address.bucket} --object-lock-enabled-for-bucket" in told["mend"]


@pytest.mark.parametrize("versioned", [False, True])
def test_a_bucket_without_lock_is_refused_and_not_taken_for_made(s3_server, direct, versioned):
    address = s3_server.bucket()
    direct.make_bucket(address.bucket)
    if versioned:
        direct.set_bucket_versioning(address.bucket, VersioningConfig(ENABLED))
    assert "mc mb --with-lock" in refused(address, s3_server.key).facts["mend"]
    with pytest.raises(StoreSetupError):
        S3Objects(address, s3_server.key, os.urandom, utc_now).create_bucket()


def test_a_bucket_that_locks_by_itself_is_refused(s3_server, direct, address):
    direct.set_object_lock_config(address.bucket, ObjectLockConfig(COMPLIANCE, 1, DAYS))
    assert refused(address, s3_server.key).facts["problem"] == "default retention COMPLIANCE"


def test_making_a_bucket_twice_is_making_it(s3_server, store, address, key):
    store.put(key, [b"x"])
    S3Objects(address, s3_server.key, os.urandom, utc_now).create_bucket()
    assert store.read(key, 0, 1) == b"x"


def test_a_bucket_swapped_for_an_empty_one_has_another_name(store, s3_server, direct, address):
    name = store.identity()
    for version in versions(direct, address, "store.json"):
        direct.remove_object(address.bucket, "store.json", version_id=version.version_id)
    direct.remove_bucket(address.bucket)
    with pytest.raises(StoreSetupError):
        store.identity()
    S3Objects(address, s3_server.key, os.urandom, utc_now).create_bucket()
    assert store.identity() != name


def test_a_name_that_an_intruder_overwrote_stays(store, direct, address):
    name = store.identity()
    direct.put_object(address.bucket, "store.json", io.BytesIO(b'{"store":"other"}'), 17)
    direct.remove_object(address.bucket, "store.json")
    assert store.identity() == name


# Keys, clocks, quotas


def test_a_wrong_secret_is_told(s3_server, address, key):
    wrong = S3Key(s3_server.key.access, "not the secret")
    with pytest.raises(StoreRefusedError):
        S3Objects.open(address, wrong, os.urandom, utc_now)
    with pytest.raises(StoreRefusedError):
        S3Objects(address, wrong, os.urandom, utc_now).put(key, [b"x"])


def test_a_server_that_is_not_there_may_come_back(s3_server, address, key):
    nobody = replace(address, host="127.0.0.1:1")
    with pytest.raises(StoreUnavailableError) as caught:
        S3Objects(nobody, s3_server.key, os.urandom, utc_now).put(key, [b"x"])
    assert caught.value.retryable


def test_clocks_too_far_apart_are_told_from_a_wrong_key(store, key, monkeypatch, now):
    monkeypatch.setattr(minio.time, "utcnow", lambda: now - timedelta(days=400))
    with pytest.raises(StoreClockError):
        store.put(key, [b"x"])


def test_an_upload_by_a_clock_too_far_off_is_told_from_a_wrong_key(s3_server, address, key, now):
    slow = S3Objects(address, s3_server.key, os.urandom, lambda: now - timedelta(days=400))
    with pytest.raises(StoreClockError):
        slow.begin(key)


def test_a_full_quota_is_told_as_no_space(s3_server, now, key):
    if s3_server.own is None:
        pytest.skip("a quota is set by the operator of the server")
    name = os.urandom(6).hex()
    s3_server.own.add_user(name, name, "a secret of its own")
    for words in (("set", "--max-size=4096"), ("enable",)):
        s3_server.own.admin("quota", *words, "--quota-scope=user", f"--uid={name}")
    store = S3Objects(s3_server.bucket(), S3Key(name, "a secret of its own"), os.urandom, utc_now)
    store.create_bucket()
    for data in (b"x" * 100_000, os.urandom(9 * MIB)):
        with pytest.raises(StorageFullError) as caught:
            store.put(key, [data])
        assert caught.value.retryable
    assert list(store.keys()) == []
