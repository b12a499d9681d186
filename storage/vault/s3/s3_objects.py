"""Objects in a versioned S3 bucket with Object Lock, through the `minio` SDK.

A reply is never proof. What was sent is read back whole and compared; a lock or a hold is read
from the version's headers, mended once and read again; what a lost reply means is found out by
looking. Servers differ: two of them lose lock headers given with an upload, several answer dates
with nine digits of a second, conditional writes do not hold in versioned buckets. So nothing here
rests on those.

The object under a key is the oldest version of it that holds data. Keys are unguessable and used
once, so a younger version or a delete marker is an intruder's or a racing twin's, and changes
nothing. Order of a put: look -> send -> look -> read back -> compare. kill -9 after any line leaves
nothing, an upload that `sweep` aborts, or a whole version that the same put finds and compares.

S3 and its Object Lock: Amazon S3 API Reference and User Guide, "Using S3 Object Lock".
"""

import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar, cast
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import ENABLED
from minio.credentials.credentials import Credentials
from minio.datatypes import ListMultipartUploadsResult, ListPartsResult, Object, Part
from minio.error import MinioException, S3Error
from minio.retention import Retention
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from storage.digest import Digest
from storage.errors import (
    FixityError,
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    StoreSetupError,
    StoreUnavailableError,
    VaultError,
)
from storage.signed import canonical
from storage.vault.objects import (
    MODES,
    PARTS,
    Block,
    LockMode,
    ObjectFacts,
    ObjectStore,
    Stored,
    Stranger,
    StrangerKind,
    check_key,
    is_key,
    kept_as_well,
)
from storage.vault.parts import ExpectedObject, Gathering, Reading, added_to, mark_of
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.refusals import Act, Refusal, describe_mend

Entropy = Callable[[int], bytes]

_PART = 8 << 20  # bytes sent at once by `put`
_AT_ONCE = 3  # parts of one put on their way, beside the one that is being gathered
_BLOCK = 1 << 20  # bytes read at once
_IDENTITY = "store.json"
_REMEMBERED = 10_000  # versions
_NO_LOCK = "ObjectLockConfigurationNotFoundError"
_EXISTS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
# Parts were replaced by another writer, or (Ceph) more of them are there than are to be joined.
_OTHER_PARTS = {"InvalidPart", "InvalidPartOrder"}
_SIGNED = "x-amz-content-sha256"
_NOT_S3 = "not an answer of S3"

_Headers = dict[str, str | list[str] | tuple[str]]  # the SDK's DictType
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of a key, as listed; a delete marker holds no data."""

    id: str
    size: int
    marker: bool


@dataclass(frozen=True, slots=True)
class _Lock:
    """What a version's headers say of its lock; `asked_at` is the server's clock."""

    mode: LockMode | None
    until: datetime | None
    on_hold: bool
    asked_at: datetime | None

    def keeps_until(self, mode: LockMode, until: datetime) -> bool:
        return self.mode is mode and self.until is not None and self.until >= until


class _Client(Minio):
    """The SDK with its calls of one request each, which it keeps to itself (7.2.20).

    It sends every body under its SHA-256, signed, which the server compares (x-amz-content-sha256
    of Signature Version 4). We know the digest before; the SDK would compute it once more, or
    over TLS send Content-MD5 instead.
    """

    def send_object(self, bucket: str, name: str, block: Block, digest: Digest) -> str | None:
        signed: _Headers = {_SIGNED: digest.hex}
        return self._put_object(bucket, name, cast("bytes", block), signed).version_id or None

    def begin_upload(self, bucket: str, name: str) -> str:
        return self._create_multipart_upload(bucket, name, {})

    def send_part(
        self, bucket: str, name: str, block: Block, handle: str, number: int, *, digest: Digest
    ) -> str:
        signed: _Headers = {_SIGNED: digest.hex}
        return self._upload_part(bucket, name, cast("bytes", block), signed, handle, number)

    def join_parts(self, bucket: str, name: str, handle: str, tags: Sequence[str]) -> str | None:
        parts = [Part(number, tag) for number, tag in enumerate(tags, 1)]
        return self._complete_multipart_upload(bucket, name, handle, parts).version_id or None

    def abort_upload(self, bucket: str, name: str, handle: str) -> None:
        self._abort_multipart_upload(bucket, name, handle)

    def list_upload_parts(self, bucket: str, name: str, handle: str) -> ListPartsResult:
        return self._list_parts(bucket, name, handle, max_parts=1)

    def list_uploads(self, bucket: str, after: str | None) -> ListMultipartUploadsResult:
        return self._list_multipart_uploads(bucket, key_marker=after)

    def _build_headers(
        self,
        host: str,
        headers: _Headers | None = None,
        body: bytes | None = None,
        creds: Credentials | None = None,
    ) -> tuple[_Headers, datetime]:
        signed = (headers or {}).get(_SIGNED)
        if signed is None or not body:
            return super()._build_headers(host, headers, body, creds)
        signed_headers, at = super()._build_headers(host, headers, None, creds)
        signed_headers.pop("Content-MD5", None)  # it would be that of no body
        return signed_headers | {"Content-Length": str(len(body)), _SIGNED: signed}, at


class S3Objects:
    """An ObjectStore on one bucket. Safe for many threads; nothing is asked before it is used."""

    smallest_part = 5 << 20
    parallel_parts = 3

    def __init__(
        self, address: S3Address, key: S3Key, entropy: Entropy, *, timeout_s: float = 60.0
    ) -> None:
        """Point at a bucket; `timeout_s` bounds every wait for the server's next byte."""
        self._bucket = address.bucket
        self._entropy = entropy
        self._client = _Client(
            address.host,
            access_key=key.access,
            secret_key=key.secret,
            secure=address.secure,
            region=address.region,
            http_client=_build_pool(address, timeout_s),
        )
        self._known: dict[str, _Version] = {}
        self._unseen: dict[str, None] = {}  # keys that a look at a sibling showed to be free
        self._unlocked: dict[str, _Lock] = {}  # what a version's read-back said of its lock

    @classmethod
    def open(
        cls, address: S3Address, key: S3Key, entropy: Entropy, *, timeout_s: float = 60.0
    ) -> "S3Objects":
        """Return the store of a bucket that can keep evidence.

        Raises: StoreSetupError, whose `mend` names the command, for a bucket that is missing, is
        not versioned, has no Object Lock, or locks new objects by a default of its own;
        StoreUnavailableError, StoreRefusedError, StoreClockError.
        """
        store = cls(address, key, entropy, timeout_s=timeout_s)
        store.check_bucket()
        return store

    def create_bucket(self) -> None:
        """Make the bucket, versioned and with Object Lock; one that can keep evidence stays.

        Raises: StoreSetupError when there is one that cannot.
        """
        try:
            with self._translate_errors(Act.READ):
                there = self._client.bucket_exists(self._bucket)
            if not there:  # else a key that may make none would be refused one that it needs not
                with self._translate_errors(Act.WRITE):
                    self._client.make_bucket(self._bucket, object_lock=True)
        except VaultError as error:
            if error.facts.get("refusal") not in _EXISTS:
                raise
        self.check_bucket()

    def check_bucket(self) -> None:
        """Find out whether the bucket can keep evidence. Raises: as `open`."""
        with self._translate_errors(Act.READ):
            versioning = self._client.get_bucket_versioning(self._bucket).status
        try:
            with self._translate_errors(Act.READ):
                default = self._client.get_object_lock_config(self._bucket).mode
        except VaultError as error:
            if error.facts.get("refusal") != _NO_LOCK:
                raise
            raise self._build_setup_error("no Object Lock", describe_mend(self._bucket)) from error
        if versioning != ENABLED:
            raise self._build_setup_error(
                "not versioned", f"mc version enable ALIAS/{self._bucket}"
            )
        if default is not None:
            # It would lock an envelope against the destruction of its key.
            clear = f"mc retention clear --default ALIAS/{self._bucket}"
            raise self._build_setup_error(f"default retention {default}", clear)

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        source, own = Gathering(blocks, _PART), None
        if self._is_free(check_key(key)):
            own = self._send_object(key, source)
        else:
            source.exhaust_blocks()
        return self._confirm_object(key, own, ExpectedObject(source.size, source.digest()))

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        with self._translate_errors(Act.WRITE, check_key(key)):
            return self._client.begin_upload(self._bucket, key)

    def add_part(self, key: str, handle: str, number: int, offset: int, block: Block) -> str:
        """See ObjectStore.add_part. The server puts parts in the order of their numbers."""
        del offset
        return self._upload_part(check_key(key), handle, number, block)

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
        tags, own = _list_tags(marks), None
        if self._find_version(check_key(key)) is None:
            own = self._complete_upload(key, handle, tags)
        else:  # an earlier call came this far, or a twin was first
            self.abort(key, handle)
        return self._confirm_object(key, own, ExpectedObject(size, announced, marks))

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        with (
            contextlib.suppress(ObjectMissingError),
            self._translate_errors(Act.WRITE, check_key(key)),
        ):
            self._client.abort_upload(self._bucket, key, handle)

    def hold(self, key: str) -> None:
        """See ObjectStore.hold."""
        self._of_version(check_key(key), lambda version: self._set_hold(key, version, on_hold=True))

    def release(self, key: str) -> None:
        """See ObjectStore.release."""
        self._of_version(
            check_key(key), lambda version: self._set_hold(key, version, on_hold=False)
        )

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock. A date that the server's clock has passed asks for nothing."""
        whole = until.astimezone(UTC).replace(microsecond=0)  # servers keep no less than seconds
        if whole < until:
            whole += timedelta(seconds=1)
        self._of_version(check_key(key), lambda version: self._lock_version(key, version, whole))

    def room(self) -> int | None:
        """See ObjectStore.room. S3 does not tell."""
        return None

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""

        def read_facts(version: _Version) -> ObjectFacts:
            lock = self._lock_of(key, version)
            return ObjectFacts(key, version.size, lock.mode, lock.until, lock.on_hold)

        return self._of_version(check_key(key), read_facts)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        if offset < 0 or length < 0:
            raise VaultError(key=key, problem="not a range")
        return self._of_version(
            check_key(key), lambda version: self._read_range(key, version, offset, length)
        )

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""

        def read_digest(version: _Version) -> Digest:
            return self._read_whole(key, version, Reading(ExpectedObject(version.size))).digest

        return self._of_version(check_key(key), read_digest)

    def keys(self) -> Iterator[str]:
        """See ObjectStore.keys."""
        last = ""
        with self._translate_errors(Act.READ):
            for entry in self._client.list_objects(
                self._bucket, recursive=True, include_version=True
            ):
                name = str(entry.object_name)
                if name != last and not entry.is_delete_marker and is_key(name):
                    last = name
                    yield name

    def strangers(self, prefix: str = "") -> Iterator[Stranger]:
        """See ObjectStore.strangers. A twin of the same bytes, which a lost reply left, is none."""
        same: list[Object] = []  # the versions of one name, the youngest first
        with self._translate_errors(Act.READ):
            for entry in self._client.list_objects(
                self._bucket, prefix=prefix, recursive=True, include_version=True
            ):
                if entry.is_delete_marker:
                    yield _build_stranger(entry, StrangerKind.MARKER)
                    continue
                if same and same[0].object_name != entry.object_name:
                    yield from _strange_versions(same)
                    same = []
                same.append(entry)
            yield from _strange_versions(same)

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete.

        Every version and marker goes, the oldest last, so that no younger one takes its place.
        """
        versions = self._list_versions(check_key(key))
        for version in versions:
            if not version.marker:
                lock = self._lock_of(key, version)
                if lock.on_hold:
                    raise RetentionError(key=key, problem="held")
                if lock.until is not None and lock.until > at:
                    raise RetentionError(key=key, until=lock.until.isoformat())
        for version in sorted(versions, key=lambda version: not version.marker):
            self._remove_version(key, version.id)
        # A reply is no proof: destruction is certified only after the listing is empty.
        if versions and self._list_versions(key):
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
        count, marker = 0, None
        while True:
            with self._translate_errors(Act.READ):
                page = self._client.list_uploads(self._bucket, marker)
                attempts = [
                    (str(upload.object_name), str(upload.upload_id))
                    for upload in page.uploads
                    if is_key(str(upload.object_name))
                    and upload.initiated_time is not None
                    and upload.initiated_time < before
                ]
            for key, handle in attempts:
                self.abort(key, handle)
            count += len(attempts)
            marker = page.next_key_marker
            if not page.is_truncated or not marker:
                return count

    def now(self) -> datetime | None:
        """See ObjectStore.now."""
        self.identity()
        version = self._find_version(_IDENTITY)
        return self._lock_of(_IDENTITY, version).asked_at if version is not None else None

    def identity(self) -> str:
        """See ObjectStore.identity."""
        if (name := self.find_identity()) is not None:
            return name
        document = canonical.encode({"store": self._entropy(16).hex()})
        whole = Digest.compute(document)
        self._send_and_confirm(_IDENTITY, lambda: self._put_whole(_IDENTITY, document, whole))
        name = self.find_identity()  # of two that were made at once, the first stands
        if name is None:
            raise StoreUnavailableError(key=_IDENTITY, problem="acknowledged but not kept")
        return name

    def find_identity(self) -> str | None:
        """See ObjectStore.find_identity."""
        version = self._find_version(_IDENTITY)
        if version is None:
            return None
        try:
            return str(json.loads(self._read_range(_IDENTITY, version, 0, 4096))["store"])
        except (KeyError, TypeError, ValueError) as error:
            raise VaultError(key=_IDENTITY, problem="identity unreadable") from error

    # What is sent

    def _send_object(self, key: str, source: Gathering) -> str | None:
        """Send a new object; return the id of its version, None when only looking can tell."""
        parts = source.gather_parts()
        first, second = next(parts, bytearray()), next(parts, None)
        if second is None:
            return self._send_and_confirm(key, lambda: self._put_whole(key, first, source.digest()))
        handle = self.begin(key)
        try:
            marks = self._send_parts(key, handle, itertools.chain((first, second), parts))
            return self._send_and_confirm(
                key, lambda: self._join_parts(key, handle, _list_tags(marks))
            )
        # An unjoined upload occupies room that no listing of keys shows; aborted on Ctrl-C, too.
        except BaseException:
            with contextlib.suppress(VaultError):
                self.abort(key, handle)
            raise

    def _send_parts(self, key: str, handle: str, parts: Iterable[bytearray]) -> list[str]:
        marks: list[str] = []
        waiting: deque[Future[str]] = deque()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number, part in enumerate(parts, 1):
                waiting.append(pool.submit(self._upload_part, key, handle, number, part))
                # Bounds memory to a few parts, and keeps the marks in the order of their numbers.
                if len(waiting) == _AT_ONCE:
                    marks.append(waiting.popleft().result())
            return marks + [sent.result() for sent in waiting]

    def _upload_part(self, key: str, handle: str, number: int, block: Block) -> str:
        digest = Digest.compute(block)
        with self._translate_errors(Act.WRITE, key):
            tag = self._client.send_part(self._bucket, key, block, handle, number, digest=digest)
        if not tag:
            raise StoreUnavailableError(key=key, problem=_NOT_S3)
        return mark_of(len(memoryview(block)), digest, tag)

    def _put_whole(self, name: str, block: Block, digest: Digest) -> str | None:
        with self._translate_errors(Act.WRITE, name):
            return self._client.send_object(self._bucket, name, block, digest)

    def _join_parts(self, key: str, handle: str, tags: Sequence[str]) -> str | None:
        with self._translate_errors(Act.WRITE, key):
            return self._client.join_parts(self._bucket, key, handle, tags)

    def _complete_upload(self, key: str, handle: str, tags: Sequence[str]) -> str | None:
        """Join an attempt's parts. Raises: ObjectMissingError when that cannot be any more."""
        try:
            return self._send_and_confirm(key, lambda: self._join_parts(key, handle, tags))
        except StoreUnavailableError:
            try:
                with self._translate_errors(
                    Act.READ, key
                ):  # Ceph answers 500 for an upload that is gone
                    self._client.list_upload_parts(self._bucket, key, handle)
            except ObjectMissingError:
                if self._find_version(key) is None:
                    raise
                return None  # a twin, who was at it when we asked, is done since
            raise
        except VaultError as error:
            if error.facts.get("refusal") in _OTHER_PARTS:
                raise ObjectMissingError(key=key, problem="other parts than the marks") from error
            raise

    def _send_and_confirm(self, name: str, send: Callable[[], str | None]) -> str | None:
        """Send; when the reply is lost, or an earlier one was, look whether it was done."""
        try:
            return send()
        except (StoreUnavailableError, ObjectMissingError):
            if self._find_version(name) is None:
                raise
            return None

    # What is there

    def _confirm_object(self, key: str, own: str | None, expected: ExpectedObject) -> Stored:
        """Read back what stands under the key and compare; `own` is the version that we made."""
        version = self._find_version(key)
        if version is None:
            raise StoreUnavailableError(key=key, problem="acknowledged but not kept")
        stored = self._read_back(key, version, expected)
        if own is not None and (own != version.id or stored is None):
            # A twin was first, or ours is damaged: ours goes. Where that fails it changes nothing.
            with contextlib.suppress(VaultError):
                self._remove_version(key, own)
        if stored is None and own == version.id:
            raise FixityError(part=key, problem="read back", expected=expected.size)
        if stored is None:
            raise ObjectConflictError(key=key)
        return stored

    def _read_back(self, key: str, version: _Version, expected: ExpectedObject) -> Stored | None:
        """Return the version as read if it is what is wanted, None if it is something else.

        Only a second reading tells a damaged store from a damaged line: while they differ nothing
        is concluded, least of all that a version may go.
        Raises: FixityError.
        """
        digests = set()
        for reading in expected.list_readings():
            stored = self._read_whole(key, version, reading)
            if reading.is_match():
                return stored
            digests.add(stored.digest)
        if len(digests) > 1:
            raise FixityError(part=key, problem="two readings differ")
        return None

    def _read_whole(self, key: str, version: _Version, reading: Reading) -> Stored:
        with self._open_version(key, version, HTTPStatus.OK) as body:
            lock = _lock_in(body.headers)
            for block in body.stream(_BLOCK, decode_content=False):
                reading.update(block)
        if reading.size != version.size:
            raise FixityError(part=key, problem="length", expected=version.size, found=reading.size)
        if lock.mode is None:
            _remember_fact(self._unlocked, version.id, lock)
        return Stored(key, reading.size, reading.digest())

    def _read_range(self, key: str, version: _Version, offset: int, length: int) -> bytes:
        length = min(length, version.size - offset)
        if length <= 0:
            return b""
        with self._open_version(key, version, HTTPStatus.PARTIAL_CONTENT, offset, length) as body:
            content = bytes(body.read(length + 1, decode_content=False))
            content_range = body.headers.get("content-range", "")
            # A cut connection is retried; fewer bytes in a whole reply are damage.
            if body.length_remaining:
                raise StoreUnavailableError(key=key, problem="cut short")
        if len(content) != length or not content_range.startswith(
            f"bytes {offset}-{offset + length - 1}/"
        ):
            raise FixityError(part=key, problem="range", expected=length, found=len(content))
        return content

    @contextlib.contextmanager
    def _open_version(
        self, key: str, version: _Version, status: int, offset: int = 0, length: int = 0
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        with self._translate_errors(Act.READ, key):
            body = self._client.get_object(self._bucket, key, offset, length, version_id=version.id)
            try:
                if body.status != status or body.headers.get("x-amz-version-id") != version.id:
                    raise StoreUnavailableError(key=key, problem=_NOT_S3)
                yield body
            finally:
                body.close()
                body.release_conn()

    def _of_version(self, key: str, ask: Callable[[_Version], T]) -> T:
        """Ask about the version of a key; one that another process deleted is looked up anew.

        Raises: ObjectMissingError.
        """
        version = self._known.get(key)
        if version is not None:
            try:
                return ask(version)
            except ObjectMissingError:
                del self._known[key]
        version = self._find_version(key)
        if version is None:
            raise ObjectMissingError(key=key)
        return ask(version)

    def _is_free(self, key: str) -> bool:
        """Tell whether nothing is kept under a key; only to save work, for a twin is found later.

        One listing shows all objects of a recording, so the first look serves its siblings too,
        once each.
        """
        if key in self._unseen:
            self._unseen.pop(key, None)
            return True
        folder, _, part = key.rpartition("/")
        names = {name for name, version in self._list_prefix(f"{folder}/") if not version.marker}
        for sibling in (
            f"{folder}/{sibling_part}" for sibling_part in PARTS if sibling_part != part
        ):
            if sibling not in names:
                _remember_fact(self._unseen, sibling, None)
        return key not in names

    def _find_version(self, name: str) -> _Version | None:
        """Return the oldest version that holds data: what is kept under that name."""
        versions = [version for version in self._list_versions(name) if not version.marker]
        if not versions:
            self._known.pop(name, None)
            return None
        _remember_fact(self._known, name, versions[-1])
        return versions[-1]

    def _list_versions(self, name: str) -> list[_Version]:
        """List what stands under a name, each kind from the youngest to the oldest."""
        return [
            version for version_name, version in self._list_prefix(name) if version_name == name
        ]

    def _list_prefix(self, prefix: str) -> list[tuple[str, _Version]]:
        """List the versions and markers of every name that begins so."""
        with self._translate_errors(Act.READ, prefix):
            return [
                (
                    str(entry.object_name),
                    _Version(
                        str(entry.version_id), int(entry.size or 0), bool(entry.is_delete_marker)
                    ),
                )
                for entry in self._client.list_objects(
                    self._bucket, prefix=prefix, recursive=True, include_version=True
                )
            ]

    def _remove_version(self, key: str, version_id: str) -> None:
        self._known.pop(key, None)
        with self._translate_errors(Act.DELETE, key):
            self._client.remove_object(self._bucket, key, version_id=version_id)

    # Locks and holds

    def _lock_version(self, key: str, version: _Version, until: datetime) -> None:
        mode = MODES[key.rpartition("/")[2]]
        refused: RetentionError | None = None
        # What was just read back said that it has no lock: that need not be asked again first.
        lock = self._unlocked.pop(version.id, None) or self._lock_of(key, version)
        for _ in range(2):  # ask, compare; mend once, compare
            if lock.keeps_until(mode, until) or (lock.asked_at and until <= lock.asked_at):
                return
            try:
                with self._translate_errors(Act.LOCK, key):
                    self._client.set_object_retention(
                        self._bucket,
                        key,
                        Retention(mode.value, max(until, lock.until or until)),
                        version_id=version.id,
                    )
            except RetentionError as error:  # perhaps another call was there with a later date
                refused = error
            lock = self._lock_of(key, version)
        if not lock.keeps_until(mode, until):
            raise RetentionError(
                key=key,
                problem="the store keeps another lock",
                wanted=f"{mode} {until.isoformat()}",
                found=f"{lock.mode} {lock.until}",
            ) from refused

    def _set_hold(self, key: str, version: _Version, *, on_hold: bool) -> None:
        change = (
            self._client.enable_object_legal_hold
            if on_hold
            else self._client.disable_object_legal_hold
        )
        for _ in range(2):
            if self._lock_of(key, version).on_hold == on_hold:
                return
            with self._translate_errors(Act.LOCK, key):
                change(self._bucket, key, version_id=version.id)
        if self._lock_of(key, version).on_hold != on_hold:
            raise RetentionError(key=key, problem="the store keeps another hold", wanted=on_hold)

    def _lock_of(self, key: str, version: _Version) -> _Lock:
        with self._translate_errors(Act.READ, key):
            status = self._client.stat_object(self._bucket, key, version_id=version.id)
            # A server that ignores `versionId` would show the lock of an intruder's version.
            if status.version_id != version.id:
                raise StoreUnavailableError(key=key, problem=_NOT_S3)
            return _lock_in(status.metadata or {})

    # What goes wrong

    def _build_setup_error(self, problem: str, command: str) -> StoreSetupError:
        return StoreSetupError(bucket=self._bucket, problem=problem, mend=command)

    @contextlib.contextmanager
    def _translate_errors(self, act: Act, key: str = "") -> Iterator[None]:
        """Turn what the SDK and the network raise into our errors."""
        try:
            yield
        except S3Error as error:
            refusal = Refusal(error.code or "", error.response.status, error.message or "")
            raise refusal.to_error(act, self._bucket, key) from error
        except HTTPError as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            if isinstance(cause, SSLError):  # a foreign or expired certificate: never go on without
                raise self._build_setup_error(
                    "certificate", f"openssl s_client  ({cause})"[:200]
                ) from error
            raise StoreUnavailableError(key=key, problem=type(cause).__name__) from error
        except (MinioException, ParseError, ValueError, OSError) as error:
            raise StoreUnavailableError(key=key, problem=_NOT_S3) from error


def _build_pool(address: S3Address, timeout_s: float) -> urllib3.PoolManager:
    """Return bounded connections. A PUT may be repeated: its twin is found and goes."""
    return urllib3.PoolManager(
        maxsize=32,
        timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
        retries=urllib3.Retry(
            total=2,
            redirect=False,  # a captive portal's way of answering
            backoff_factor=0.1,
            status_forcelist=(500, 502, 503, 504),
            allowed_methods=("GET", "HEAD", "PUT", "DELETE"),
            raise_on_status=False,
            respect_retry_after_header=False,
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(address.ca) if address.ca else certifi.where(),
    )


def _lock_in(headers: Mapping[str, str]) -> _Lock:
    """Read a version's lock from the headers of an answer. Raises: ValueError."""
    mode = headers.get("x-amz-object-lock-mode")
    until = headers.get("x-amz-object-lock-retain-until-date")
    date = headers.get("date")
    return _Lock(
        LockMode(mode) if mode else None,
        # Servers write 0, 3 or 9 digits of a second; we ask for whole ones.
        datetime.fromisoformat(until[:19]).replace(tzinfo=UTC) if until else None,
        headers.get("x-amz-object-lock-legal-hold", "").upper() == "ON",
        parsedate_to_datetime(date) if date else None,
    )


def _strange_versions(versions: Sequence[Object]) -> Iterator[Stranger]:
    """Yield those versions of one name, the youngest first, that are not its object."""
    if not versions:
        return
    own = versions[-1]
    if not (is_key(str(own.object_name)) or own.object_name == _IDENTITY):
        yield from (_build_stranger(entry, StrangerKind.FILE) for entry in versions)
        return
    for entry in versions[:-1]:
        if (entry.etag, entry.size) != (own.etag, own.size):
            yield _build_stranger(entry, StrangerKind.VERSION)


def _build_stranger(entry: Object, kind: StrangerKind) -> Stranger:
    return Stranger(str(entry.object_name), kind, int(entry.size or 0), entry.version_id)


def _remember_fact(memory: dict[str, T], name: str, fact: T) -> None:
    """Keep a fact that only saves a request; a memory that is full begins anew."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[name] = fact


def _list_tags(marks: Iterable[str]) -> list[str]:
    return [added_to(mark) for mark in marks]
