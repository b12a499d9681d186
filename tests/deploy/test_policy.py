"""The application's policy, on a real S3 server: enough for its work, too little for mischief.

Ceph takes it as the bucket's policy for one user; the shipped store as a policy of that user.
"""

import io
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.error import S3Error
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.retention import Retention
from minio.versioningconfig import SUSPENDED, VersioningConfig

from storage.errors import RetentionError, VaultError
from storage.recording import new_recording_id
from storage.vault.objects import PAYLOAD, key_of
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.s3_objects import S3Objects
from tests.deploy.evidence_bucket import prepare
from tests.servers.s3 import S3Server, provided, utc_now

BUCKET = "liuhen-evidence"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with provided() as server:
        if server.own is None:
            pytest.skip("users are made by the server's own administration")
        yield server


@pytest.fixture(scope="module")
def key(server: S3Server) -> S3Key:
    key = S3Key("application", uuid.uuid4().hex)
    prepare(server.own, BUCKET, key.access, key.secret)
    return key


@pytest.fixture
def address(server: S3Server) -> S3Address:
    return replace(server.address, bucket=BUCKET)


@pytest.fixture
def client(server: S3Server, key: S3Key) -> Minio:
    return Minio(server.address.host, key.access, key.secret, secure=False)


def new_key() -> str:
    return key_of(new_recording_id(datetime.now(UTC), os.urandom(10)), PAYLOAD)


def refused(error: pytest.ExceptionInfo[S3Error]) -> bool:
    return error.value.code == "AccessDenied"


def test_application_can_do_all_its_work(address: S3Address, key: S3Key) -> None:
    store = S3Objects(address, key, os.urandom, utc_now)
    store.create_bucket()  # there already: looked at, not made
    assert store.identity() == store.identity()
    small, large = new_key(), new_key()
    store.put(small, [b"small"])
    store.put(large, [os.urandom(1 << 20)] * 12)  # in parts
    until = datetime.now(UTC) + timedelta(days=1)
    store.lock(large, until)
    store.lock(large, until + timedelta(days=1))
    store.hold(large)
    store.release(large)
    assert store.facts(large).retain_until >= until
    assert store.read(large, 5, 3)
    begun = new_key()
    store.abort(begun, store.begin(begun))
    assert store.sweep(datetime.now(UTC) + timedelta(days=1)) >= 0
    assert {small, large} <= set(store.keys())
    store.delete(small, datetime.now(UTC))
    assert small not in set(store.keys())
    with pytest.raises(RetentionError):
        store.delete(large, datetime.now(UTC))


def test_application_cannot_delete_what_is_locked_behind_our_back(
    address: S3Address, key: S3Key, client: Minio
) -> None:
    store, name = S3Objects(address, key, os.urandom, utc_now), new_key()
    store.put(name, [b"evidence"])
    store.lock(name, datetime.now(UTC) + timedelta(days=1))
    version = client.stat_object(BUCKET, name).version_id
    with pytest.raises(S3Error) as error:
        client.remove_object(BUCKET, name, version_id=version)
    assert refused(error)
    assert store.read(name, 0, 8) == b"evidence"


def test_application_cannot_shorten_a_lock(address: S3Address, key: S3Key, client: Minio) -> None:
    store, name = S3Objects(address, key, os.urandom, utc_now), new_key()
    store.put(name, [b"evidence"])
    until = datetime.now(UTC) + timedelta(days=2)
    store.lock(name, until)
    shorter = Retention(GOVERNANCE, until - timedelta(days=1))
    with pytest.raises(S3Error) as error:
        client.set_object_retention(BUCKET, name, shorter)
    assert refused(error)
    assert store.facts(name).retain_until >= until - timedelta(seconds=1)


def test_application_cannot_bypass_governance(
    server: S3Server, client: Minio, address: S3Address
) -> None:
    root = Minio(address.host, server.key.access, server.key.secret, secure=False)
    name, until = new_key(), datetime.now(UTC) + timedelta(days=1)
    made = root.put_object(
        BUCKET, name, io.BytesIO(b"x"), 1, retention=Retention(GOVERNANCE, until)
    )
    bypass = {"x-amz-bypass-governance-retention": "true"}
    with pytest.raises(S3Error) as error:
        client._execute(
            "DELETE", BUCKET, name, headers=bypass, query_params={"versionId": made.version_id}
        )
    assert refused(error)


def test_application_cannot_change_the_bucket(client: Minio) -> None:
    default = ObjectLockConfig(GOVERNANCE, 1, DAYS)
    attempts: list[Callable[[], object]] = [
        lambda: client.set_object_lock_config(BUCKET, default),
        lambda: client.set_bucket_versioning(BUCKET, VersioningConfig(SUSPENDED)),
        lambda: client.delete_bucket_policy(BUCKET),
        lambda: client.remove_bucket(BUCKET),
    ]
    for attempt in attempts:
        with pytest.raises(S3Error) as error:
            attempt()
        assert refused(error)


def test_wrong_key_is_refused(address: S3Address, key: S3Key) -> None:
    with pytest.raises(VaultError):
        S3Objects(address, S3Key(key.access, "wrong" * 8), os.urandom, utc_now).check_bucket()
