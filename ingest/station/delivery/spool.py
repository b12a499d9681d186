"""The station's spool: sealed payloads that wait for the network. Nothing in it can be opened here.

It has a limit, and leaves a share of the disk free: when either is reached, intake stops before
anything is read, and the recorders keep their files. What is here is counted once, and what comes
and goes since is added up: with thousands of files waiting, each next one would wait for the count.
"""

import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from storage.digest import Digest
from storage.errors import ObjectMissingError, StorageFullError
from storage.recording import RecordingId
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import PAYLOAD, Block, Stored, key_of


class SpoolFullError(StorageFullError):
    """The spool has reached its limit, or the disk its reserve. Nothing was taken."""

    code = "spool-full"


@dataclass(slots=True)
class Spool:
    """Payloads in a folder of their own; `limit` and `reserve` are bytes."""

    objects: FolderObjects
    root: Path
    limit: int
    reserve: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _total: int | None = None  # as last counted, with what came and went since
    _changes: int = 0

    def check_room(self, expected: int) -> None:
        """Make sure that so many bytes more fit. Raises: SpoolFullError."""
        used, free = self._total, shutil.disk_usage(self.root).free
        if used is None or used + expected > self.limit:  # nothing is refused by what was added up
            used = self.measure_used()
        if used + expected > self.limit or free - expected < self.reserve:
            raise SpoolFullError(
                where="spool",
                used_mb=used >> 20,
                limit_mb=self.limit >> 20,
                free_mb=free >> 20,
                needed_mb=(expected >> 20) + 1,
            )

    def put(self, recording: RecordingId, blocks: Iterable[Block], expected: int) -> Stored:
        """Keep a payload of about `expected` bytes, durable and read back when this returns.

        Raises: SpoolFullError before the first block is asked for, and as `ObjectStore.put`.
        """
        self.check_room(expected)
        before = self._size_here(recording)
        stored = self.objects.put(key_of(recording, PAYLOAD), self._bound_blocks(blocks, expected))
        self._change(stored.size - before)
        return stored

    def measure_payload(self, recording: RecordingId) -> int:
        """Return a payload's bytes. Raises: ObjectMissingError."""
        return self.objects.facts(key_of(recording, PAYLOAD)).size

    def digest_payload(self, recording: RecordingId) -> Digest | None:
        """Read a payload from the disk and return its SHA-256; None where there is none."""
        try:
            return self.objects.digest(key_of(recording, PAYLOAD))
        except ObjectMissingError:
            return None

    def open(self, recording: RecordingId) -> FileIO:
        """Open a payload for reading. Raises: OSError."""
        return (self.root / key_of(recording, PAYLOAD)).open("rb", buffering=0)

    def remove_payload(self, recording: RecordingId) -> None:
        """Drop a payload that the centre has, or whose attempt was given up."""
        size = self._size_here(recording)
        with suppress(FileNotFoundError):
            (self.root / key_of(recording, PAYLOAD)).unlink()
            self._change(-size)
        folder = self.root / str(recording)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def list_recordings(self) -> list[str]:
        """Return the ids of what is here."""
        return [key.partition("/")[0] for key in self._list_keys()]

    def measure_used(self) -> int:
        """Count the bytes of all payloads here, and go on from that."""
        before, total = self._changes, 0
        for key in self._list_keys():
            with suppress(ObjectMissingError):  # delivered, and dropped, while others were counted
                total += self.objects.facts(key).size
        with self._lock:
            if self._changes == before:  # else the count may have missed something
                self._total = total
        return total

    def _change(self, size: int) -> None:
        with self._lock:
            self._changes += 1
            if self._total is not None:
                self._total += size

    def _size_here(self, recording: RecordingId) -> int:
        try:
            return (self.root / key_of(recording, PAYLOAD)).stat().st_size
        except FileNotFoundError:
            return 0

    def _list_keys(self) -> Iterator[str]:
        yield from self.objects.keys()

    def _bound_blocks(self, blocks: Iterable[Block], expected: int) -> Iterator[Block]:
        """Pass the blocks on; a source that grows beyond what was expected asks for room again."""
        total = 0
        for block in blocks:
            total += len(block)
            if total > expected:
                self.check_room(len(block))
            yield block
