"""Which version of an S3 key is the object, and what that one holds and is locked by.

The object under a key is the oldest version of it that holds data. Keys are unguessable and used
once, so a younger version or a delete marker is an intruder's or a racing twin's, and changes
nothing. A reply is never proof: a lock or a hold is read from the version's headers, mended once
and read again. What is remembered here only saves requests.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from storage.errors import (
    FixityError,
    ObjectMissingError,
    RetentionError,
    StoreUnavailableError,
)
from storage.vault.objects import MODES, PARTS, Stored, Stranger, StrangerKind, is_key
from storage.vault.parts import ExpectedObject, Reading
from storage.vault.s3.client import S3Client, Version, VersionLock, lock_in

IDENTITY = "store.json"  # the store's own name for itself lies beside the objects

_BLOCK = 1 << 20  # bytes read at once
_REMEMBERED = 10_000  # versions

T = TypeVar("T")


class S3Versions:
    """The versions of one bucket's keys. Safe for many threads."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._known: dict[str, Version] = {}
        self._unseen: dict[str, None] = {}  # keys that a look at a sibling showed to be free
        self._unlocked: dict[str, VersionLock] = {}  # what a version's read-back said of its lock

    # Which one it is

    def ask_version(self, key: str, ask: Callable[[Version], T]) -> T:
        """Ask about the version of a key; one that another process deleted is looked up anew.

        Raises: ObjectMissingError.
        """
        version = self._known.get(key)
        if version is not None:
            try:
                return ask(version)
            except ObjectMissingError:
                del self._known[key]
        version = self.find_version(key)
        if version is None:
            raise ObjectMissingError(key=key)
        return ask(version)

    def find_version(self, name: str) -> Version | None:
        """Return the oldest version that holds data: what is kept under that name."""
        versions = [version for version in self.list_versions(name) if not version.is_marker]
        if not versions:
            self._known.pop(name, None)
            return None
        _remember_fact(self._known, name, versions[-1])
        return versions[-1]

    def list_versions(self, name: str) -> list[Version]:
        """List what stands under a name, each kind from the youngest to the oldest."""
        return [version for version in self._client.list_versions(name) if version.key == name]

    def is_free(self, key: str) -> bool:
        """Tell whether nothing is kept under a key; only to save work, for a twin is found later.

        One listing shows all objects of a recording, so the first look serves its siblings too,
        once each.
        """
        if key in self._unseen:
            self._unseen.pop(key, None)
            return True
        folder, _, part = key.rpartition("/")
        names = {
            version.key
            for version in self._client.list_versions(f"{folder}/")
            if not version.is_marker
        }
        for sibling in (
            f"{folder}/{sibling_part}" for sibling_part in PARTS if sibling_part != part
        ):
            if sibling not in names:
                _remember_fact(self._unseen, sibling, None)
        return key not in names

    def list_keys(self) -> Iterator[str]:
        """Yield the key of every object, sorted."""
        last = ""
        for version in self._client.list_versions():
            name = version.key
            if name != last and not version.is_marker and is_key(name):
                last = name
                yield name

    def find_strangers(self, prefix: str) -> Iterator[Stranger]:
        """Yield everything that is no object; a twin of the same bytes is none: a lost reply's."""
        same: list[Version] = []  # the versions of one name, the youngest first
        for version in self._client.list_versions(prefix):
            if version.is_marker:
                yield _build_stranger(version, StrangerKind.MARKER)
                continue
            if same and same[0].key != version.key:
                yield from _strange_versions(same)
                same = []
            same.append(version)
        yield from _strange_versions(same)

    def remove_version(self, key: str, version_id: str) -> None:
        """Remove one version for good. Raises: RetentionError."""
        self._known.pop(key, None)
        self._client.remove_version(key, version_id)

    # What it holds

    def read_back(self, version: Version, expected: ExpectedObject) -> Stored | None:
        """Return the version as read if it is what is wanted, None if it is something else.

        Only a second reading tells a damaged store from a damaged line: while they differ nothing
        is concluded, least of all that a version may go.
        Raises: FixityError.
        """
        digests = set()
        for reading in expected.list_readings():
            stored = self.read_whole(version, reading)
            if reading.is_match():
                return stored
            digests.add(stored.digest)
        if len(digests) > 1:
            raise FixityError(part=version.key, problem="two readings differ")
        return None

    def read_whole(self, version: Version, reading: Reading) -> Stored:
        """Read a version from its first byte to its last. Raises: FixityError."""
        key = version.key
        with self._client.open_version(version) as body:
            lock = lock_in(body.headers)
            for block in body.stream(_BLOCK, decode_content=False):
                reading.update(block)
        if reading.size != version.size:
            raise FixityError(part=key, problem="length", expected=version.size, found=reading.size)
        if lock.mode is None:
            _remember_fact(self._unlocked, version.id, lock)
        return Stored(key, reading.size, reading.digest())

    def read_range(self, version: Version, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`. Raises: FixityError."""
        key, length = version.key, min(length, version.size - offset)
        if length <= 0:
            return b""
        with self._client.open_range(version, offset, length) as body:
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

    # What it is locked by

    def read_lock(self, version: Version) -> VersionLock:
        """Read a version's lock and hold. Raises: ObjectMissingError."""
        return self._client.read_lock(version)

    def lock_version(self, version: Version, until: datetime) -> None:
        """Lock a version until then, in its part's mode. Raises: RetentionError."""
        key, mode = version.key, MODES[version.key.rpartition("/")[2]]
        refused: RetentionError | None = None
        # What was just read back said that it has no lock: that need not be asked again first.
        lock = self._unlocked.pop(version.id, None) or self.read_lock(version)
        for _ in range(2):  # ask, compare; mend once, compare
            if lock.keeps_until(mode, until) or (lock.asked_at and until <= lock.asked_at):
                return
            try:
                # Never an earlier date: what the remembered lock did not show the server refuses.
                self._client.set_lock(version, mode, max(until, lock.until or until))
            except RetentionError as error:  # perhaps another call was there with a later date
                refused = error
            lock = self.read_lock(version)
        if not lock.keeps_until(mode, until):
            raise RetentionError(
                key=key,
                problem="the store keeps another lock",
                wanted=f"{mode} {until.isoformat()}",
                found=f"{lock.mode} {lock.until}",
            ) from refused

    def set_hold(self, version: Version, *, on_hold: bool) -> None:
        """Hold a version, or end that. Raises: RetentionError."""
        for _ in range(2):  # as above: ask, compare; mend once, compare
            if self.read_lock(version).on_hold == on_hold:
                return
            self._client.set_hold(version, on_hold=on_hold)
        if self.read_lock(version).on_hold != on_hold:
            raise RetentionError(
                key=version.key, problem="the store keeps another hold", wanted=on_hold
            )


def _strange_versions(versions: Sequence[Version]) -> Iterator[Stranger]:
    """Yield those versions of one name, the youngest first, that are not its object."""
    if not versions:
        return
    own = versions[-1]
    if not (is_key(own.key) or own.key == IDENTITY):
        yield from (_build_stranger(version, StrangerKind.FILE) for version in versions)
        return
    for version in versions[:-1]:
        if (version.tag, version.size) != (own.tag, own.size):
            yield _build_stranger(version, StrangerKind.VERSION)


def _build_stranger(version: Version, kind: StrangerKind) -> Stranger:
    return Stranger(version.key, kind, version.size, version.id)


def _remember_fact(memory: dict[str, T], name: str, fact: T) -> None:
    """Keep a fact that only saves a request; a memory that is full begins anew."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[name] = fact
