"""One S3 bucket through the `minio` SDK: the only module that knows the SDK, by its public calls.

Each method is one question or one change, its refusal one of our errors. What an answer is worth
is left to `versions`; what the public calls cannot send, to `uploads`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from minio import Minio
from minio.commonconfig import ENABLED
from minio.error import MinioException, S3Error
from minio.retention import Retention

from storage.errors import StoreUnavailableError
from storage.vault.objects import LockMode
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.refusals import Act, Refusal
from storage.vault.s3.transport import NOT_S3, Response, build_pool, translate_network_errors
from storage.vault.s3.uploads import S3Uploads


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a key, as listed; a delete marker holds no data."""

    key: str
    id: str
    size: int
    tag: str | None
    is_marker: bool


@dataclass(frozen=True, slots=True)
class VersionLock:
    """What a version's headers say of its lock; `asked_at` is the server's clock."""

    mode: LockMode | None
    until: datetime | None
    on_hold: bool
    asked_at: datetime | None

    def keeps_until(self, mode: LockMode, until: datetime) -> bool:
        """Tell whether the lock is of that mode and lasts at least until then."""
        return self.mode is mode and self.until is not None and self.until >= until


class S3Client:
    """One bucket. Safe for many threads; nothing is asked before it is used.

    Every error is a VaultError; one that the server told carries its code as the fact `refusal`.
    """

    def __init__(
        self, address: S3Address, key: S3Key, clock: Callable[[], datetime], timeout_s: float
    ) -> None:
        """Point at a bucket; `timeout_s` bounds every wait for the server's next byte."""
        self.bucket = address.bucket
        pool = build_pool(address, timeout_s)
        self._sdk = Minio(
            address.host,
            access_key=key.access,
            secret_key=key.secret,
            secure=address.secure,
            region=address.region,
            http_client=pool,
        )
        self.uploads = S3Uploads(
            address.bucket, key, address.region, pool, lambda: self._bucket_url, clock
        )

    @cached_property
    def _bucket_url(self) -> SplitResult:
        """The bucket's own URL, ending in a slash.

        The SDK knows which hosts want the bucket's name before theirs (Amazon, Aliyun) and which
        want it in the path; a presigned URL, whose signature is thrown away, is how it tells.
        """
        url = urlsplit(self._sdk.get_presigned_url("GET", self.bucket, "x"))
        return url._replace(path=url.path.removesuffix("x"), query="")

    # The bucket

    def has_bucket(self) -> bool:
        """Tell whether the bucket is there and open to our key."""
        with self._translate_errors(Act.READ):
            return self._sdk.bucket_exists(self.bucket)

    def make_bucket(self) -> None:
        """Make the bucket, versioned and with Object Lock."""
        with self._translate_errors(Act.WRITE):
            self._sdk.make_bucket(self.bucket, object_lock=True)

    def is_versioned(self) -> bool:
        """Tell whether every write makes a version of its own."""
        with self._translate_errors(Act.READ):
            return self._sdk.get_bucket_versioning(self.bucket).status == ENABLED

    def find_default_lock(self) -> str | None:
        """Return the mode in which the bucket locks new objects by itself, if it does."""
        with self._translate_errors(Act.READ):
            return self._sdk.get_object_lock_config(self.bucket).mode

    # Versions

    def list_versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield the versions and markers of names that begin so: by name, the youngest first."""
        with self._translate_errors(Act.READ, prefix):
            for entry in self._sdk.list_objects(
                self.bucket, prefix=prefix, recursive=True, include_version=True
            ):
                yield Version(
                    str(entry.object_name),
                    str(entry.version_id),
                    int(entry.size or 0),
                    entry.etag,
                    bool(entry.is_delete_marker),
                )

    @contextlib.contextmanager
    def open_version(self, version: Version) -> Iterator[Response]:
        """Open a version's bytes, whole. Raises: ObjectMissingError."""
        with self._open_answer(version, HTTPStatus.OK, 0, 0) as body:
            yield body

    @contextlib.contextmanager
    def open_range(self, version: Version, offset: int, length: int) -> Iterator[Response]:
        """Open `length` bytes of a version, at least one. Raises: ObjectMissingError."""
        with self._open_answer(version, HTTPStatus.PARTIAL_CONTENT, offset, length) as body:
            yield body

    @contextlib.contextmanager
    def _open_answer(
        self, version: Version, status: int, offset: int, length: int
    ) -> Iterator[Response]:
        key = version.key
        with self._translate_errors(Act.READ, key):
            body = self._sdk.get_object(self.bucket, key, offset, length, version_id=version.id)
            try:
                # A server or cache that ignores `versionId` would show an intruder's version.
                if body.status != status or body.headers.get("x-amz-version-id") != version.id:
                    raise StoreUnavailableError(key=key, problem=NOT_S3)
                yield body
            finally:
                body.close()
                body.release_conn()

    def remove_version(self, key: str, version_id: str) -> None:
        """Remove one version for good. Raises: RetentionError."""
        with self._translate_errors(Act.DELETE, key):
            self._sdk.remove_object(self.bucket, key, version_id=version_id)

    # Locks

    def read_lock(self, version: Version) -> VersionLock:
        """Read a version's lock and hold. Raises: ObjectMissingError."""
        with self._translate_errors(Act.READ, version.key):
            status = self._sdk.stat_object(self.bucket, version.key, version_id=version.id)
            # A server that ignores `versionId` would show the lock of an intruder's version.
            if status.version_id != version.id:
                raise StoreUnavailableError(key=version.key, problem=NOT_S3)
            return lock_in(status.metadata or {})

    def set_lock(self, version: Version, mode: LockMode, until: datetime) -> None:
        """Ask for a lock. Raises: RetentionError."""
        lock = Retention(mode.value, until)
        with self._translate_errors(Act.LOCK, version.key):
            self._sdk.set_object_retention(self.bucket, version.key, lock, version_id=version.id)

    def set_hold(self, version: Version, *, on_hold: bool) -> None:
        """Ask for a hold, or for its end. Raises: RetentionError."""
        change = (
            self._sdk.enable_object_legal_hold if on_hold else self._sdk.disable_object_legal_hold
        )
        with self._translate_errors(Act.LOCK, version.key):
            change(self.bucket, version.key, version_id=version.id)

    @contextlib.contextmanager
    def _translate_errors(self, act: Act, key: str = "") -> Iterator[None]:
        """Turn what the SDK and the network raise into our errors."""
        with translate_network_errors(self.bucket, key):
            try:
                yield
            except S3Error as error:
                refusal = Refusal(error.code or "", error.response.status, error.message or "")
                raise refusal.to_error(act, self.bucket, key) from error
            except MinioException as error:
                raise StoreUnavailableError(key=key, problem=NOT_S3) from error


def lock_in(headers: Mapping[str, str]) -> VersionLock:
    """Read a version's lock from the headers of an answer. Raises: ValueError."""
    mode = headers.get("x-amz-object-lock-mode")
    until = headers.get("x-amz-object-lock-retain-until-date")
    date = headers.get("date")
    return VersionLock(
        LockMode(mode) if mode else None,
        # Servers write 0, 3 or 9 digits of a second; we ask for whole ones.
        datetime.fromisoformat(until[:19]).replace(tzinfo=UTC) if until else None,
        headers.get("x-amz-object-lock-legal-hold", "").upper() == "ON",
        parsedate_to_datetime(date) if date else None,
    )
