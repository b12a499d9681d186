"""A store with an archive behind it: a cheaper bucket, or a disk that lies in a safe.

New objects go into the first store. `archive` copies one behind, locks and holds it there no
weaker, reads it back, and only then lets the first store let go, as far as its own lock allows.
Reading looks in both; locks and holds reach whatever store has the object. A disk may be unplugged
at any moment, so whether the archive is there is asked each time: one that is away is told as such
(`ArchiveAwayError`), never as evidence that is missing, and what only the first store has goes on
without it. What was ever locked may have a copy behind: while that is away, it is not deleted.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from storage.digest import Digest
from storage.errors import ArchiveAwayError, FixityError, LockLostError, ObjectMissingError
from storage.vault.objects import Block, ObjectFacts, ObjectStore, Stored, Stranger

_BLOCK = 4 << 20


class TieredObjects:
    """An ObjectStore of two; `attach` gives the archive, or raises ArchiveAwayError."""

    def __init__(self, first: ObjectStore, attach: Callable[[], ObjectStore]) -> None:
        """Take the stores; `attach` is called whenever the archive is needed."""
        self.first = first
        self._attach = attach
        self.smallest_part = first.smallest_part
        self.parallel_parts = first.parallel_parts

    @property
    def is_attached(self) -> bool:
        """Whether the archive is there now."""
        return self._find_archive() is not None

    @property
    def archive_store(self) -> ObjectStore:
        """The archive. Raises: ArchiveAwayError."""
        return self._attach()

    def archive_object(self, key: str) -> Digest:
        """Copy an object into the archive, as locked and held as here; return its digest.

        It is read back there and compared. Again changes nothing, even when only the archive has
        it by now. Raises: ObjectMissingError, FixityError, ArchiveAwayError, VaultError.
        """
        if self.is_archived(key):
            return self.archive_store.digest(key)
        return _copy_object(self.first, self.archive_store, key)

    def let_go(self, key: str, keeper: ObjectStore | None = None) -> bool:
        """See ObjectStore.let_go; without a keeper it is the archive, and again changes nothing."""
        if keeper is None and self.is_archived(key):
            return True
        return self.first.let_go(key, keeper or self.archive_store)

    def recall_object(self, key: str) -> Digest:
        """Copy an object back; the archive keeps its copy. Raises: as `archive_object`."""
        return _copy_object(self.archive_store, self.first, key)

    def is_archived(self, key: str) -> bool:
        """Tell whether the first store no longer has an object; the archive is not asked."""
        return not _has_object(self.first, key)

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        return self.first.put(key, blocks)

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        return self.first.begin(key)

    def add_part(self, key: str, handle: str, number: int, offset: int, block: Block) -> str:
        """See ObjectStore.add_part."""
        return self.first.add_part(key, handle, number, offset, block)

    def complete(
        self,
        key: str,
        handle: str,
        marks: Sequence[str],
        size: int,
        announced: Digest | None = None,
    ) -> Stored:
        """See ObjectStore.complete."""
        return self.first.complete(key, handle, marks, size, announced)

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        self.first.abort(key, handle)

    def hold(self, key: str) -> None:
        """See ObjectStore.hold."""
        for store in self._find_stores(key):
            store.hold(key)

    def release(self, key: str) -> None:
        """See ObjectStore.release."""
        for store in self._find_stores(key):
            store.release(key)

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock."""
        for store in self._find_stores(key):
            store.lock(key, until)

    def room(self) -> int | None:
        """See ObjectStore.room."""
        return self.first.room()

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""
        return self._find_store(key).facts(key)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        return self._find_store(key).read(key, offset, length)

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""
        return self._find_store(key).digest(key)

    def keys(self) -> Iterator[str]:
        """See ObjectStore.keys."""
        there = self._find_archive()  # what lies there is no orphan
        yield from sorted({*self.first.keys(), *(there.keys() if there is not None else ())})

    def strangers(self, prefix: str = "") -> Iterator[Stranger]:
        """See ObjectStore.strangers; of the archive, while it is there."""
        yield from self.first.strangers(prefix)
        there = self._find_archive()
        for stranger in there.strangers(prefix) if there is not None else ():
            yield replace(stranger, archived=True)

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete. The archive's copy goes first.

        Raises: ArchiveAwayError, too, where there may be one and the archive is away.
        """
        there = self._find_archive()
        if there is not None:
            there.delete(key, at)
        elif self._may_lie_behind(key):
            self._attach()
        self.first.delete(key, at)

    def sweep(self, before: datetime) -> int:
        """See ObjectStore.sweep."""
        return self.first.sweep(before)

    def now(self) -> datetime | None:
        """See ObjectStore.now."""
        return self.first.now()

    def identity(self) -> str:
        """See ObjectStore.identity."""
        return self.first.identity()

    def find_identity(self) -> str | None:
        """See ObjectStore.find_identity."""
        return self.first.find_identity()

    def _find_archive(self) -> ObjectStore | None:
        try:
            return self._attach()
        except ArchiveAwayError:
            return None

    def _find_store(self, key: str) -> ObjectStore:
        return self._attach() if self.is_archived(key) else self.first

    def _find_stores(self, key: str) -> list[ObjectStore]:
        """Return every store that has the object and is there.

        A copy that is away catches up before the first store lets go (`ObjectStore.let_go`).
        Raises: ObjectMissingError, ArchiveAwayError when only the archive can have it.
        """
        if self.is_archived(key):
            there = self._attach()
            if not _has_object(there, key):
                raise ObjectMissingError(key=key)
            return [there]
        behind = self._find_archive()
        if behind is None or not _has_object(behind, key):
            return [self.first]
        return [self.first, behind]

    def _may_lie_behind(self, key: str) -> bool:
        """Tell whether the archive may have a copy: only what was locked is ever archived."""
        try:
            return self.first.facts(key).retain_until is not None
        except (ObjectMissingError, LockLostError):
            return True


def _has_object(store: ObjectStore, key: str) -> bool:
    try:
        store.facts(key)
    except ObjectMissingError:
        return False
    except LockLostError:  # it is there, and can be read
        return True
    return True


def _copy_object(source: ObjectStore, target: ObjectStore, key: str) -> Digest:
    """Copy an object between stores and compare what arrived; locks and holds go along."""
    facts, digest = source.facts(key), source.digest(key)
    blocks = (source.read(key, at, _BLOCK) for at in range(0, facts.size, _BLOCK))
    stored = target.put(key, blocks)
    if facts.retain_until is not None:
        target.lock(key, facts.retain_until)
    if facts.on_hold:
        target.hold(key)
    if stored.digest != digest:
        raise FixityError(part=key, expected=str(digest), found=str(stored.digest))
    return digest
