"""The object store's seam: what every store promises. The contract suite holds each one to it.

Three objects per recording: `<id>/payload` and `<id>/record.json` under COMPLIANCE, so that
nobody shortens or deletes, and `<id>/envelope.json` under GOVERNANCE, so that key rotation and
destruction stay possible as acts of two persons. Objects are written once. What was made from a
recording is `<id>/rendition` under an id of its own; it can be made anew, so nothing locks it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Protocol

from storage.digest import Digest
from storage.errors import FixityError, LockLostError, RetentionError, VaultError
from storage.recording import RecordingId

Block = bytes | bytearray | memoryview

PAYLOAD = "payload"
RECORD = "record.json"
ENVELOPE = "envelope.json"
PARTS = (PAYLOAD, RECORD, ENVELOPE)
RENDITION = "rendition"

LARGEST = 1 << 37  # bytes of one payload: a room camera's whole day at 12 Mbit/s
LATEST_LOCK = datetime(2100, 1, 1, tzinfo=UTC)

_KEY = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    r"/(?:payload|record\.json|envelope\.json|rendition)"
)


class LockMode(StrEnum):
    """How firmly an object is locked (the terms of S3 Object Lock)."""

    COMPLIANCE = "COMPLIANCE"
    GOVERNANCE = "GOVERNANCE"


MODES = {
    PAYLOAD: LockMode.COMPLIANCE,
    RECORD: LockMode.COMPLIANCE,
    ENVELOPE: LockMode.GOVERNANCE,
    RENDITION: LockMode.GOVERNANCE,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A durable object, as read back: its length in bytes and its SHA-256."""

    key: str
    size: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store says of an object without reading it whole.

    `permissions` are the mode of its file, where it is locked and its medium keeps modes;
    `immutable` is the second fence of a folder; None where none was set, is asked for or can be.
    """

    key: str
    size: int
    mode: LockMode | None
    retain_until: datetime | None
    on_hold: bool = False
    permissions: int | None = None
    immutable: bool | None = None


class StrangerKind(StrEnum):
    """The kind of a foreign file or version in a store."""

    VERSION = "version"  # of an object's key, younger than the object: it changes nothing
    MARKER = "delete-marker"  # it hides what it stands upon from other readers, not from us
    FILE = "file"  # under a name that is none of ours
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something in a store that is neither an object nor the store's own; `name` is its place.

    `archived`: it lies in the archive behind the store.
    """

    name: str
    kind: StrangerKind
    size: int
    version: str | None = None
    archived: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"kind": self.kind.value}


class ObjectStore(Protocol):
    """Where sealed objects are kept. Every error is a VaultError; a retryable one may pass.

    An object arrives whole (`put`) or in parts (`begin`, `add_part`, `complete`). The caller keeps
    the handle and the parts' marks; the store keeps the bytes.
    """

    smallest_part: int  # bytes; only the last part of an object may be shorter
    parallel_parts: int  # how many parts of one object may be added at once

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """Store the blocks under the key.

        When put() returns, the object is durable, was read back past the page cache where the
        system allows, and has the SHA-256 of what was given. The same bytes again succeed; other
        bytes raise ObjectConflictError. An exception raised by `blocks` leaves nothing behind.
        Raises: ObjectConflictError, StorageFullError, FixityError, VaultError.
        """

    def begin(self, key: str) -> str:
        """Begin an object that arrives in parts; return the handle under which they are kept.

        Each call is another attempt; attempts at one key do not touch each other.
        """

    def add_part(self, key: str, handle: str, number: int, offset: int, block: Block) -> str:
        """Make one part durable and return its mark.

        Numbers count from 1 without a gap; `offset` is where the part's bytes stand in the object.
        The same number again replaces that part and whatever followed it.
        Raises: ObjectMissingError (no such attempt), StorageFullError, VaultError.
        """

    def complete(
        self,
        key: str,
        handle: str,
        marks: Sequence[str],
        size: int,
        announced: Digest | None = None,
    ) -> Stored:
        """Join the parts. When it returns, all that `put` promises holds.

        `marks` are those of parts 1 to n, `size` is what they have in all. Called again after an
        unknown result it succeeds again: what is read back decides. `announced` is what the whole
        ought to be: when it reads so, its parts need no comparing; else the marks alone decide.
        Raises: as `put`; ObjectMissingError when there is neither the attempt nor the object.
        """

    def abort(self, key: str, handle: str) -> None:
        """Forget an attempt that is not complete; an unknown one is forgotten."""

    def hold(self, key: str) -> None:
        """Refuse every deletion until `release`. Raises: ObjectMissingError, LockLostError."""

    def release(self, key: str) -> None:
        """End a hold; the lock stands. Raises: ObjectMissingError, LockLostError."""

    def lock(self, key: str, until: datetime) -> None:
        """Keep the object until then, durably, in its part's mode; compare what the store did.

        A lock only ever grows: an earlier date changes nothing. A lock that was lost is written
        anew, with a hold: whether it was held nobody knows, and a release ends that.
        Raises: ObjectMissingError, RetentionError when the store keeps another lock than asked.
        """

    def room(self) -> int | None:
        """Return the bytes that are free for payloads; None where the store does not tell.

        What catalogue and log need on the same disk is left out.
        """

    def facts(self, key: str) -> ObjectFacts:
        """Return size and lock.

        That nothing is written of a lock is never taken for its absence where there was one.
        Raises: ObjectMissingError, LockLostError.
        """

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`. Raises: ObjectMissingError."""

    def digest(self, key: str) -> Digest:
        """Read the whole object past the page cache and hash it. Raises: ObjectMissingError."""

    def keys(self) -> Iterator[str]:
        """Yield every object's key, sorted."""

    def strangers(self, prefix: str = "") -> Iterator[Stranger]:
        """Yield everything in the store that is neither an object nor the store's own file.

        None of it ever takes an object's place. Only what stands under names that begin with
        `prefix`: a recording's id and a slash. One listing of the store, not a call per object.
        """

    def delete(self, key: str, at: datetime) -> None:
        """Delete an object that is neither locked at that time nor held; absent is deleted.

        Strange versions and markers under its key go with it (`strange_versions` tells of them).

        Raises: RetentionError while it is locked or held; LockLostError while nobody knows.
        """

    def let_go(self, key: str, keeper: "ObjectStore") -> bool:
        """Remove an object here because another store keeps it as well; tell whether that was done.

        The other one must have the same bytes, read whole now, under a lock and a hold that are no
        weaker. False where this store's own lock forbids it: the object then stays here too.
        Raises: ObjectMissingError, FixityError, RetentionError (kept less well there).
        """

    def sweep(self, before: datetime) -> int:
        """Remove what writes that began before then left unfinished; return how many."""

    def now(self) -> datetime | None:
        """Return the time by the store's own clock; None where it has no clock but ours."""

    def identity(self) -> str:
        """Return the store's own name for itself, made on the first call and kept in the store.

        Who remembers it notices a store that was swapped for another one, or for an empty one.
        """

    def find_identity(self) -> str | None:
        """Return the name that `identity` made, None where there is none; makes nothing."""


def strange_versions(store: ObjectStore, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Return, as plain JSON, what would go with these objects and is none of them.

    An entry about their deletion says so. At most a hundred; one listing for each recording.
    """
    names = set(keys)
    folders = sorted({f"{key.rpartition('/')[0]}/" for key in names})
    strangers = (
        stranger
        for folder in folders
        for stranger in store.strangers(folder)
        if stranger.name in names
    )
    kinds = {StrangerKind.VERSION, StrangerKind.MARKER}
    return [
        stranger.to_json()
        for stranger in islice((stranger for stranger in strangers if stranger.kind in kinds), 100)
    ]


def size_of(store: ObjectStore, key: str) -> int:
    """Return an object's size; a lock that was lost keeps nobody from reading.

    Raises: ObjectMissingError, VaultError.
    """
    try:
        return store.facts(key).size
    except LockLostError as error:
        return int(error.facts["size"])


def kept_as_well(store: ObjectStore, keeper: ObjectStore, key: str) -> None:
    """Make sure that another store keeps an object as this one does.

    Raises: ObjectMissingError, FixityError, RetentionError.
    """
    here, there = store.facts(key), keeper.facts(key)
    expected, copy_digest = store.digest(key), keeper.digest(key)
    if expected != copy_digest:
        raise FixityError(part=key, expected=str(expected), found=str(copy_digest))
    shorter = here.retain_until is not None and (
        there.retain_until is None or there.retain_until < here.retain_until
    )
    if shorter or there.mode is not here.mode or (here.on_hold and not there.on_hold):
        raise RetentionError(key=key, problem="kept less well there")


def limit_lock_date(until: datetime) -> datetime:
    """Return the date that a store is asked to lock until, for a duty that lasts until then.

    Servers that count seconds in 32 bits turn a date after February 2106 into one long past (seen
    with Ceph 16). "For ever" is locked to the end of the century, and extended as that comes near.
    """
    return min(until, LATEST_LOCK)


def key_of(recording: RecordingId, part: str) -> str:
    """Return the key of one part of a recording."""
    return check_key(f"{recording}/{part}")


def is_key(name: str) -> bool:
    """Tell whether a name found in a store is an object's key."""
    return _KEY.fullmatch(name) is not None


def check_key(untrusted_key: str) -> str:
    """Return the key if it is one of ours. Raises: VaultError: a key never walks a folder."""
    if not _KEY.fullmatch(untrusted_key):
        raise VaultError(problem="not an object key", found=untrusted_key[:80])
    return untrusted_key
