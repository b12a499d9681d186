"""Objects in a local folder: write-once, read back, read-only, immutable where permitted.

Order of a put: a temporary file, durable and read back (`object_files`) -> hard link under the
final name (fails if it exists: no overwrite) -> fsync the folder -> unlink the temporary name.
An object that comes in parts grows in one temporary file per attempt and ends in the same way.
kill -9 after any line leaves a whole object or a temporary that `sweep` removes. Locks and holds
are `lock_notes`, which can be lost, as files can; a marked object without its note is nobody's.
"""

import contextlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from storage.digest import Digest
from storage.durable import TEMPORARY, sync_folder
from storage.errors import (
    FixityError,
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    VaultError,
)
from storage.medium import write_open_past_cache
from storage.signed import canonical
from storage.vault.folder.file_flags import has_mark, is_immutable, set_immutable
from storage.vault.folder.lock_notes import LockNotes
from storage.vault.folder.object_files import (
    compare_file,
    digest_file,
    link_file,
    make_folder,
    open_exclusively,
    translate_error,
    write_file,
)
from storage.vault.folder.strangers import find_strangers
from storage.vault.objects import (
    MODES,
    Block,
    ObjectFacts,
    ObjectStore,
    Stored,
    Stranger,
    check_key,
    is_key,
    kept_as_well,
)
from storage.vault.parts import ExpectedObject, mark_of

Entropy = Callable[[int], bytes]

_TEMPORARY = ".put-"
_IDENTITY = "store.json"
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FOLDER = re.compile(_ID)
_HANDLE = re.compile(r"[0-9a-f]{32}")
_RESERVE = 16 << 20  # bytes that payloads leave to catalogue and log, on a disk of some size
_MAC_KEY = 32

_PERMISSIONS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


class FolderObjects:
    """An ObjectStore on one local folder; `immutable` asks for the second fence as well.

    A lock's note says where that fence was set: it is missed where it is gone and can be set.
    """

    smallest_part = 1
    parallel_parts = 1

    def __init__(self, root: Path, entropy: Entropy, *, immutable: bool = True) -> None:
        self._root = root
        self._entropy = entropy
        root.mkdir(parents=True, exist_ok=True)
        self._notes = LockNotes(root, immutable=immutable)

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        final = self._root / check_key(key)
        make_folder(final.parent)
        temporary = final.parent / f"{_TEMPORARY}{final.name}-{self._entropy(16).hex()}"
        try:
            size, digest = write_file(temporary, blocks, self._entropy(_MAC_KEY))
            link_file(temporary, final, digest)
        except OSError as error:
            raise translate_error(error, key) from error
        finally:
            temporary.unlink(missing_ok=True)
            sync_folder(final.parent)
        return Stored(key, size, digest)

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        final = self._root / check_key(key)
        make_folder(final.parent)
        handle = self._entropy(16).hex()
        path = self._attempt_path(key, handle)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            sync_folder(path.parent)
        except OSError as error:
            raise translate_error(error, key) from error
        return handle

    def add_part(self, key: str, handle: str, number: int, offset: int, block: Block) -> str:
        """See ObjectStore.add_part."""
        try:
            with open_exclusively(self._attempt_path(key, handle), os.O_RDWR) as file:
                if os.fstat(file).st_size < offset:
                    raise ObjectMissingError(key=key, problem="a part is missing", number=number)
                os.ftruncate(file, offset)  # a part that comes again replaces what followed it
                write_open_past_cache(file, [block], offset)
                os.fdatasync(file)
        except OSError as error:
            raise translate_error(error, key) from error
        return mark_of(len(memoryview(block)), Digest.compute(block))

    def complete(
        self,
        key: str,
        handle: str,
        marks: Sequence[str],
        size: int,
        announced: Digest | None = None,
    ) -> Stored:
        """See ObjectStore.complete."""
        final, attempt = self._root / check_key(key), self._attempt_path(key, handle)
        expected = ExpectedObject(size, announced, marks)
        try:
            try:
                return self._join_parts(attempt, final, expected)
            except FileNotFoundError:  # an earlier call came this far, or there was none
                return self._verify_existing(final, expected)
        except OSError as error:
            raise translate_error(error, key) from error

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        attempt = self._attempt_path(key, handle)
        try:
            attempt.unlink(missing_ok=True)
        except OSError as error:
            raise translate_error(error, key) from error

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock."""
        mode = MODES[check_key(key).rpartition("/")[2]]
        with self._notes.open_note(key, mending=True) as facts:
            if facts.retain_until is None or facts.retain_until < until:
                self._notes.write_note(replace(facts, mode=mode, retain_until=until))
            elif facts.immutable:  # somebody may have cleared it
                self._notes.fence_object(facts)

    def hold(self, key: str) -> None:
        """See ObjectStore.hold."""
        self._set_hold(key, on_hold=True)

    def release(self, key: str) -> None:
        """See ObjectStore.release."""
        self._set_hold(key, on_hold=False)

    def room(self) -> int | None:
        """See ObjectStore.room."""
        try:
            disk = shutil.disk_usage(self._root)
        except OSError as error:
            raise translate_error(error, "") from error
        return max(0, disk.free - min(_RESERVE, disk.total // 16))

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""
        facts = self._notes.read_facts(check_key(key), mending=False)
        try:
            mode = (self._root / key).stat().st_mode
            noted = facts.immutable and self._notes.can_fence
            immutable = is_immutable(self._root / key) if noted else None
        except OSError as error:
            raise translate_error(error, key) from error
        # Modes mean something where the mark of a locked object stays on.
        permissions = mode & _PERMISSIONS if has_mark(mode) else None
        return replace(facts, permissions=permissions, immutable=immutable)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        try:
            with (self._root / check_key(key)).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), length, offset)
        except OSError as error:
            raise translate_error(error, key) from error

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""
        try:
            return digest_file(self._root / check_key(key))
        except OSError as error:
            raise translate_error(error, key) from error

    def keys(self) -> Iterator[str]:
        """See ObjectStore.keys."""
        for folder in sorted(self._root.iterdir()):
            if folder.is_dir() and _FOLDER.fullmatch(folder.name):
                for path in _names_in(folder):
                    key = f"{folder.name}/{path.name}"
                    if is_key(key) and path.is_file():
                        yield key

    def strangers(self, prefix: str = "") -> Iterator[Stranger]:
        """See ObjectStore.strangers."""
        folder = prefix.rstrip("/")
        yield from find_strangers(self._root / folder, folder)

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete."""
        try:
            with self._notes.open_note(key) as facts:
                self._delete_unlocked(facts, at)
        except ObjectMissingError:
            return

    def let_go(self, key: str, keeper: ObjectStore) -> bool:
        """See ObjectStore.let_go. A lock is no obstacle here once the other store has it too."""
        with self._notes.open_note(key):
            kept_as_well(self, keeper, key)
            self._unlink_object(key)
        return True

    def sweep(self, before: datetime) -> int:
        """See ObjectStore.sweep. What was written to since then counts as begun since then."""
        count = 0
        for pattern in (f"*/{_TEMPORARY}*", f"*/.lock/.*{TEMPORARY}", f".{_IDENTITY}.*"):
            for path in self._root.glob(pattern):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before.timestamp():
                        path.unlink()
                        count += 1
        return count

    def now(self) -> datetime | None:
        """See ObjectStore.now. A folder has no clock."""
        return None

    def identity(self) -> str:
        """See ObjectStore.identity."""
        path = self._root / _IDENTITY
        try:
            if not path.exists():
                self._make_identity(path)
        except OSError as error:
            raise translate_error(error, _IDENTITY) from error
        name = self.find_identity()
        if name is None:
            raise VaultError(key=_IDENTITY, problem="identity not kept")
        return name

    def find_identity(self) -> str | None:
        """See ObjectStore.find_identity."""
        try:
            return str(json.loads((self._root / _IDENTITY).read_bytes())["store"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise translate_error(error, _IDENTITY) from error
        except (KeyError, TypeError, ValueError) as error:
            raise VaultError(key=_IDENTITY, problem="identity unreadable") from error

    def _make_identity(self, path: Path) -> None:
        name = self._entropy(16).hex()
        temporary = path.with_name(f".{_IDENTITY}.{name}")
        try:
            with temporary.open("xb") as file:
                file.write(canonical.encode({"store": name}))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first: its name stands
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
            sync_folder(path.parent)

    def _attempt_path(self, key: str, handle: str) -> Path:
        if not _HANDLE.fullmatch(handle):
            raise ObjectMissingError(key=key, problem="no such attempt")
        final = self._root / check_key(key)
        return final.with_name(f"{_TEMPORARY}{final.name}-{handle}")

    def _join_parts(self, attempt: Path, final: Path, expected: ExpectedObject) -> Stored:
        with open_exclusively(attempt, os.O_RDONLY) as file:
            os.fchmod(file, 0o400)
            os.fsync(file)
            stored = compare_file(attempt, final, expected)
            link_file(attempt, final, stored.digest)
            attempt.unlink()
            sync_folder(final.parent)
        return stored

    def _verify_existing(self, final: Path, expected: ExpectedObject) -> Stored:
        try:
            return compare_file(final, final, expected)
        except FixityError as error:
            raise ObjectConflictError(key=final.name, folder=final.parent.name) from error

    def _set_hold(self, key: str, *, on_hold: bool) -> None:
        with self._notes.open_note(key) as facts:
            if facts.on_hold != on_hold:
                self._notes.write_note(replace(facts, on_hold=on_hold))

    def _delete_unlocked(self, facts: ObjectFacts, at: datetime) -> None:
        if facts.on_hold:
            raise RetentionError(key=facts.key, problem="held")
        if facts.retain_until is not None and facts.retain_until > at:
            raise RetentionError(key=facts.key, until=facts.retain_until.isoformat())
        self._unlink_object(facts.key)

    def _unlink_object(self, key: str) -> None:
        path = self._root / key
        set_immutable(path, immutable=False)
        # The object before its note: a note alone binds nobody, a marked object is a lost lock.
        path.unlink()
        self._notes.remove_note(key)
        sync_folder(path.parent)


def _names_in(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted; nothing of one that went while others were listed."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
