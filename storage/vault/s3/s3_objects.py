"""Objects in a versioned S3 bucket with Object Lock.

A reply is never proof. What was sent is read back whole and compared; what a lost reply means is
found out by looking. Servers differ: two of them lose lock headers given with an upload, several
answer dates with nine digits of a second, conditional writes do not hold in versioned buckets. So
nothing here rests on those. Which version of a key is its object is `versions`' affair.

Order of a put: look -> send -> look -> read back -> compare. kill -9 after any line leaves
nothing, an upload that `sweep` aborts, or a whole version that the same put finds and compares.

S3 and its Object Lock: Amazon S3 API Reference and User Guide, "Using S3 Object Lock".
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from storage.digest import Digest
from storage.errors import (
    FixityError,
    ObjectConflictError,
    RetentionError,
    StoreSetupError,
    StoreUnavailableError,
    VaultError,
)
from storage.signed import canonical
from storage.vault.objects import (
    Block,
    ObjectFacts,
    ObjectStore,
    Stored,
    Stranger,
    check_key,
    is_key,
    kept_as_well,
)
from storage.vault.parts import ExpectedObject, Gathering, Reading
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.client import S3Client, Version
from storage.vault.s3.refusals import describe_mend
from storage.vault.s3.sending import PART, ObjectSender, list_tags
from storage.vault.s3.versions import IDENTITY, S3Versions

Entropy = Callable[[int], bytes]
Clock = Callable[[], datetime]

_NO_LOCK = "ObjectLockConfigurationNotFoundError"
_EXISTS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


class S3Objects:
    """An ObjectStore on one bucket. Safe for many threads; nothing is asked before it is used."""

    smallest_part = 5 << 20
    parallel_parts = 3

    def __init__(
        self,
        address: S3Address,
        key: S3Key,
        entropy: Entropy,
        clock: Clock,
        *,
        timeout_s: float = 60.0,
    ) -> None:
        """Point at a bucket; `timeout_s` bounds every wait for the server's next byte.

        By the clock requests are signed: the real one, whatever time an office lives in.
        """
        self._entropy = entropy
        self._client = S3Client(address, key, clock, timeout_s)
        self._uploads = self._client.uploads
        self._versions = S3Versions(self._client)
        self._sender = ObjectSender(self._uploads, self._versions)

    @classmethod
    def open(
        cls,
        address: S3Address,
        key: S3Key,
        entropy: Entropy,
        clock: Clock,
        *,
        timeout_s: float = 60.0,
    ) -> "S3Objects":
        """Return the store of a bucket that can keep evidence.

        Raises: StoreSetupError, whose `mend` names the command, for a bucket that is missing, is
        not versioned, has no Object Lock, or locks new objects by a default of its own;
        StoreUnavailableError, StoreRefusedError, StoreClockError.
        """
        store = cls(address, key, entropy, clock, timeout_s=timeout_s)
        store.check_bucket()
        return store

    def create_bucket(self) -> None:
        """Make the bucket, versioned and with Object Lock; one that can keep evidence stays.

        Raises: StoreSetupError when there is one that cannot.
        """
        try:
            if not self._client.has_bucket():
                # Else a key that may make none would be refused one that it needs not.
                self._client.make_bucket()
        except VaultError as error:
            if error.facts.get("refusal") not in _EXISTS:
                raise
        self.check_bucket()

    def check_bucket(self) -> None:
        """Find out whether the bucket can keep evidence. Raises: as `open`."""
        bucket = self._client.bucket
        versioned = self._client.is_versioned()
        try:
            default = self._client.find_default_lock()
        except VaultError as error:
            if error.facts.get("refusal") != _NO_LOCK:
                raise
            raise self._build_setup_error("no Object Lock", describe_mend(bucket)) from error
        if not versioned:
            raise self._build_setup_error("not versioned", f"mc version enable ALIAS/{bucket}")
        if default is not None:
            # It would lock an envelope against the destruction of its key.
            clear = f"mc retention clear --default ALIAS/{bucket}"
            raise self._build_setup_error(f"default retention {default}", clear)

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        source, own = Gathering(blocks, PART), None
        if self._versions.is_free(check_key(key)):
            own = self._sender.send_object(key, source)
        else:
            source.exhaust_blocks()
        return self._confirm_object(key, own, ExpectedObject(source.size, source.digest()))

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        return self._uploads.begin_upload(check_key(key))

    def add_part(self, key: str, handle: str, number: int, offset: int, block: Block) -> str:
        """See ObjectStore.add_part. The server puts parts in the order of their numbers."""
        del offset
        return self._sender.send_part(check_key(key), handle, number, block)

    def complete(
        self,
        key: str,
        handle: str,
        marks: Sequence[str],
        size: int,
        announced: Digest | None = None,
    ) -> Stored:
        """See ObjectStore.complete."""
        if not marks:  # S3 joins no empty list
            self.abort(key, handle)
            return self.put(key, ())
        tags, own = list_tags(marks), None
        if self._versions.find_version(check_key(key)) is None:
            own = self._sender.join_parts(key, handle, tags)
        else:  # an earlier call came this far, or a twin was first
            self.abort(key, handle)
        return self._confirm_object(key, own, ExpectedObject(size, announced, marks))

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        self._sender.abort_upload(check_key(key), handle)

    def hold(self, key: str) -> None:
        """See ObjectStore.hold."""
        self._versions.ask_version(
            check_key(key), lambda version: self._versions.set_hold(version, on_hold=True)
        )

    def release(self, key: str) -> None:
        """See ObjectStore.release."""
        self._versions.ask_version(
            check_key(key), lambda version: self._versions.set_hold(version, on_hold=False)
        )

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock. A date that the server's clock has passed asks for nothing."""
        whole = until.astimezone(UTC).replace(microsecond=0)  # servers keep no less than seconds
        if whole < until:
            whole += timedelta(seconds=1)
        self._versions.ask_version(
            check_key(key), lambda version: self._versions.lock_version(version, whole)
        )

    def room(self) -> int | None:
        """See ObjectStore.room. S3 does not tell."""
        return None

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""

        def read_facts(version: Version) -> ObjectFacts:
            lock = self._versions.read_lock(version)
            return ObjectFacts(key, version.size, lock.mode, lock.until, lock.on_hold)

        return self._versions.ask_version(check_key(key), read_facts)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        if offset < 0 or length < 0:
            raise VaultError(key=key, problem="not a range")
        return self._versions.ask_version(
            check_key(key), lambda version: self._versions.read_range(version, offset, length)
        )

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""

        def read_digest(version: Version) -> Digest:
            return self._versions.read_whole(version, Reading(ExpectedObject(version.size))).digest

        return self._versions.ask_version(check_key(key), read_digest)

    def keys(self) -> Iterator[str]:
        """See ObjectStore.keys."""
        yield from self._versions.list_keys()

    def strangers(self, prefix: str = "") -> Iterator[Stranger]:
        """See ObjectStore.strangers. A twin of the same bytes, which a lost reply left, is none."""
        yield from self._versions.find_strangers(prefix)

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete.

        Every version and marker goes, the oldest last, so that no younger one takes its place.
        """
        versions = self._versions.list_versions(check_key(key))
        for version in versions:
            if not version.is_marker:
                lock = self._versions.read_lock(version)
                if lock.on_hold:
                    raise RetentionError(key=key, problem="held")
                if lock.until is not None and lock.until > at:
                    raise RetentionError(key=key, until=lock.until.isoformat())
        for version in sorted(versions, key=lambda version: not version.is_marker):
            self._versions.remove_version(key, version.id)
        # A reply is no proof: destruction is certified only after the listing is empty.
        if versions and self._versions.list_versions(key):
            raise StoreUnavailableError(key=key, problem="not deleted")

    def let_go(self, key: str, keeper: ObjectStore) -> bool:
        """See ObjectStore.let_go. The server keeps what is locked, whoever else has it."""
        kept_as_well(self, keeper, key)
        now = self.now()
        if now is None:
            return False
        try:
            self.delete(key, now)
        except RetentionError:
            return False
        return True

    def sweep(self, before: datetime) -> int:
        """See ObjectStore.sweep. Of a bucket, only uploads under keys of ours."""
        count, after = 0, None
        while True:
            page = self._uploads.list_uploads(after)
            attempts = [
                upload
                for upload in page.uploads
                if is_key(upload.key) and upload.begun_at is not None and upload.begun_at < before
            ]
            for upload in attempts:
                self.abort(upload.key, upload.handle)
            count += len(attempts)
            after = page.next_key
            if after is None:
                return count

    def now(self) -> datetime | None:
        """See ObjectStore.now."""
        self.identity()
        version = self._versions.find_version(IDENTITY)
        return self._versions.read_lock(version).asked_at if version is not None else None

    def identity(self) -> str:
        """See ObjectStore.identity."""
        if (name := self.find_identity()) is not None:
            return name
        document = canonical.encode({"store": self._entropy(16).hex()})
        self._sender.send_document(IDENTITY, document)
        name = self.find_identity()  # of two that were made at once, the first stands
        if name is None:
            raise StoreUnavailableError(key=IDENTITY, problem="acknowledged but not kept")
        return name

    def find_identity(self) -> str | None:
        """See ObjectStore.find_identity."""
        version = self._versions.find_version(IDENTITY)
        if version is None:
            return None
        try:
            return str(json.loads(self._versions.read_range(version, 0, 4096))["store"])
        except (KeyError, TypeError, ValueError) as error:
            raise VaultError(key=IDENTITY, problem="identity unreadable") from error

    def _confirm_object(self, key: str, own: str | None, expected: ExpectedObject) -> Stored:
        """Read back what stands under the key and compare; `own` is the version that we made."""
        version = self._versions.find_version(key)
        if version is None:
            raise StoreUnavailableError(key=key, problem="acknowledged but not kept")
        stored = self._versions.read_back(version, expected)
        if own is not None and (own != version.id or stored is None):
            # A twin was first, or ours is damaged: ours goes. Where that fails it changes nothing.
            with contextlib.suppress(VaultError):
                self._versions.remove_version(key, own)
        if stored is None and own == version.id:
            raise FixityError(part=key, problem="read back", expected=expected.size)
        if stored is None:
            raise ObjectConflictError(key=key)
        return stored

    def _build_setup_error(self, problem: str, command: str) -> StoreSetupError:
        return StoreSetupError(bucket=self._client.bucket, problem=problem, mend=command)
