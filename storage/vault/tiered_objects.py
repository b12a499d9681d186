"""A store with an archive behind it: a cheaper bucket, or a disk that lies in a safe.

New objects go into the first store. `archive` copies one behind, locks and holds it there no
weaker, reads it back, and only then lets the first store let go, as far as its own lock allows.
Reading looks in both; locks and holds reach whatever store has the object. An archive that is not
attached is told as such (`ArchiveAwayError`), never as evidence that is missing.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from storage.digest import Digest
from storage.errors import ArchiveAwayError, FixityError, ObjectMissingError
from storage.vault.objects import Block, ObjectFacts, ObjectStore, Stored

_BLOCK = 4 << 20


class TieredObjects:
    """An ObjectStore of two; `attach` opens the archive. Raises of `attach`: ArchiveAwayError."""

    def __init__(self, first: ObjectStore, attach: Callable[[], ObjectStore]) -> None:
        """Take the stores; the archive is opened when it is first needed."""
        self.first = first
        self._attach = attach
        self._archive: ObjectStore | None = None
        self.smallest_part = first.smallest_part
        self.parallel_parts = first.parallel_parts

    @property
    def attached(self) -> bool:
        """Whether the archive is there now."""
        try:
            return self.archive_store is not None
        except ArchiveAwayError:
            return False

    @property
    def archive_store(self) -> ObjectStore:
        """The archive. Raises: ArchiveAwayError."""
        if self._archive is None:
            self._archive = self._attach()
        return self._archive

    def archive(self, key: str) -> Digest:
        """Copy an object into the archive, as locked and held as here; return its digest.

        It is read back there and compared. Again changes nothing, even when only the archive has
        it by now. Raises: ObjectMissingError, FixityError, ArchiveAwayError, VaultError.
        """
        if self.archived(key):
            return self.archive_store.digest(key)
        return _copied(self.first, self.archive_store, key)

    def let_go(self, key: str, keeper: ObjectStore | None = None) -> bool:
        """See ObjectStore.let_go; without a keeper it is the archive, and again changes nothing."""
        if keeper is None and self.archived(key):
            return True
        return self.first.let_go(key, keeper or self.archive_store)

    def recall(self, key: str) -> Digest:
        """Copy an archived object back; the archive keeps its copy. Raises: as `archive`."""
        return _copied(self.archive_store, self.first, key)

    def archived(self, key: str) -> bool:
        """Tell whether the first store no longer has an object; the archive is not asked."""
        try:
            self.first.facts(key)
        except ObjectMissingError:
            return True
        return False

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        return self.first.put(key, blocks)

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        return self.first.begin(key)

    def add_part(self, key: str, handle: str, number: int, offset: int, data: Block) -> str:
        """See ObjectStore.add_part."""
        return self.first.add_part(key, handle, number, offset, data)

    def complete(self, key: str, handle: str, marks: Sequence[str], size: int) -> Stored:
        """See ObjectStore.complete."""
        return self.first.complete(key, handle, marks, size)

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        self.first.abort(key, handle)

    def hold(self, key: str) -> None:
        """See ObjectStore.hold."""
        for store in self._having(key):
            store.hold(key)

    def release(self, key: str) -> None:
        """See ObjectStore.release."""
        for store in self._having(key):
            store.release(key)

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock."""
        for store in self._having(key):
            store.lock(key, until)

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""
        return self._where(key).facts(key)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        return self._where(key).read(key, offset, length)

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""
        return self._where(key).digest(key)

    def keys(self) -> Iterator[str]:
        """See ObjectStore.keys."""
        found = set(self.first.keys())
        with contextlib.suppress(ArchiveAwayError):  # what lies there is no orphan
            found |= set(self.archive_store.keys())
        yield from sorted(found)

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete. The archive first: while it is away, nothing is deleted."""
        self.archive_store.delete(key, at)
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

    def _where(self, key: str) -> ObjectStore:
        return self.archive_store if self.archived(key) else self.first

    def _having(self, key: str) -> list[ObjectStore]:
        """Return every store that has the object. Raises: ObjectMissingError, ArchiveAwayError."""
        found = []
        for store in (self.first, self.archive_store):
            try:
                store.facts(key)
            except ObjectMissingError:
                continue
            found.append(store)
        if not found:
            raise ObjectMissingError(key=key)
        return found


def _copied(source: ObjectStore, target: ObjectStore, key: str) -> Digest:
    """Copy an object between stores and compare what arrived; locks and holds go along."""
    facts, wanted = source.facts(key), source.digest(key)
    blocks = (source.read(key, at, _BLOCK) for at in range(0, facts.size, _BLOCK))
    stored = target.put(key, blocks)
    if facts.retain_until is not None:
        target.lock(key, facts.retain_until)
    if facts.held:
        target.hold(key)
    if stored.digest != wanted:
        raise FixityError(part=key, expected=str(wanted), found=str(stored.digest))
    return wanted
