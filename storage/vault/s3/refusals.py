"""What an S3 server's refusal means to us: one table from its codes to our errors.

Codes are those of the Amazon S3 API Reference ("Error responses"), of Ceph's gateway and of the
MinIO lineage. What no table knows counts by its HTTP status.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from storage.errors import (
    ObjectMissingError,
    RetentionError,
    StorageFullError,
    StoreClockError,
    StoreRefusedError,
    StoreSetupError,
    StoreUnavailableError,
    VaultError,
)


class Act(StrEnum):
    """What was being asked of the server; a refused deletion is not a refused reading."""

    READ = "read"
    WRITE = "write"
    LOCK = "lock"
    DELETE = "delete"


_LOCKED = {"AccessDenied", "ObjectLocked", "InvalidRequest", "MethodNotAllowed"}
_KINDS: tuple[tuple[set[str], type[VaultError]], ...] = (
    ({"NoSuchKey", "NoSuchVersion", "NoSuchUpload"}, ObjectMissingError),
    (
        {
            "QuotaExceeded",
            "InsufficientStorage",
            "XMinioStorageFull",
            "XMinioAdminBucketQuotaExceeded",
        },
        StorageFullError,
    ),
    ({"RequestTimeTooSkewed", "RequestExpired"}, StoreClockError),
    (
        {"AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"},
        StoreRefusedError,
    ),
    (  # the server saw other bytes than were sent, or only some of them: the line did that
        {
            "BadDigest",
            "IncompleteBody",
            "RequestTimeout",
            "XAmzContentSHA256Mismatch",
            "XAmzContentChecksumMismatch",
        },
        StoreUnavailableError,
    ),
    (
        {"SlowDown", "ServiceUnavailable", "InternalError", "OperationAborted"},
        StoreUnavailableError,
    ),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal by the server; `message` is the server's own text, for the log."""

    code: str
    status: int
    message: str

    def to_error(self, act: Act, bucket: str, key: str) -> VaultError:
        """Return our error for this refusal of that act."""
        if self.code == "NoSuchBucket":
            return StoreSetupError(
                bucket=bucket, problem="no such bucket", mend=describe_mend(bucket)
            )
        kind = next((kind for codes, kind in _KINDS if self.code in codes), None)
        if act in {Act.DELETE, Act.LOCK} and self.code in _LOCKED:
            kind = RetentionError
        if kind is None:
            kind = _by_status(self.status)
        return kind(
            bucket=bucket,
            key=key,
            problem=self.code[:80] or f"status {self.status}",
            refusal=self.code[:80],
            status=self.status,
            said=self.message[:200],
        )


def _by_status(status: int) -> type[VaultError]:
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return StorageFullError
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StoreUnavailableError
    return VaultError


def describe_mend(bucket: str) -> str:
    """Return the commands that make a bucket which can keep evidence."""
    return (
        f"mc mb --with-lock ALIAS/{bucket}"
        f"  |  aws s3api create-bucket --bucket {bucket} --object-lock-enabled-for-bucket"
    )
