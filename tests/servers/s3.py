"""The S3 server of the tests: the one that the environment names, else a Ceph gateway of their own.

`LIUHEN_TEST_S3_URL` (`http://host:port` or `https://…`), `LIUHEN_TEST_S3_ACCESS_KEY` and
`LIUHEN_TEST_S3_SECRET` name one; its user must be allowed to make buckets.
"""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.s3_objects import S3Objects
from tests.servers import ceph

NOT_TESTED = "NO S3 SERVER HERE: OBJECT LOCK WAS NOT TESTED (install radosgw, ceph-mon, ceph-osd)"


def utc_now() -> datetime:
    """Return the real time: a server keeps its own, and refuses a request of another day."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class S3Server:
    """A server and a key that may make buckets; `own` when we started it."""

    address: S3Address
    key: S3Key
    own: ceph.Ceph | None = None

    def bucket(self) -> S3Address:
        """Return the address of a bucket that nobody has made yet."""
        return replace(self.address, bucket=f"liuhen-{uuid.uuid4().hex[:12]}")

    def store(self, **more: float) -> S3Objects:
        """Return a store on a new bucket with Object Lock."""
        store = S3Objects(self.bucket(), self.key, os.urandom, utc_now, **more)
        store.create_bucket()
        return store


@contextlib.contextmanager
def provided() -> Iterator[S3Server]:
    """Yield the server. Without one: skip aloud, and fail where CI is set."""
    if url := os.environ.get("LIUHEN_TEST_S3_URL"):
        parts = urlsplit(url)
        key = S3Key(os.environ["LIUHEN_TEST_S3_ACCESS_KEY"], os.environ["LIUHEN_TEST_S3_SECRET"])
        yield S3Server(S3Address(parts.netloc, "unnamed", parts.scheme == "https"), key)
        return
    if missing := ceph.missing():
        told = f"{NOT_TESTED}: {', '.join(missing)} missing"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    with (
        tempfile.TemporaryDirectory(prefix="liuhen-s3-") as folder,
        ceph.running(Path(folder)) as server,
    ):
        address = S3Address(server.endpoint, "unnamed", secure=False)
        yield S3Server(address, S3Key(server.access_key, server.secret_key), server)
