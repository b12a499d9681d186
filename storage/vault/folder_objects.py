"""Objects in a local folder: write-once, read back, read-only, immutable where permitted.

Order of a put: temporary file -> fsync -> read back past the page cache and compare by MAC ->
hard link under the final name (fails if it exists: no overwrite) -> fsync the folder -> unlink
the temporary name.
An object that comes in parts grows in one temporary file per attempt and ends in the same way.
kill -9 after any line leaves a whole object or a temporary that `sweep` removes. Locks and holds
stand in `<id>/.lock/<part>.json`, written the same way; the immutable flag (ioctl_iflags(2)) is set
on locked objects where the file system and our rights allow it, as a second fence, not as the lock.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import re
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import (
    AEADEncryptionContext,
    Cipher,
    algorithms,
    modes,
)

from storage import canonical
from storage.digest import Algorithm, Digest, hasher
from storage.durable import TEMPORARY, place, sync_folder
from storage.errors import (
    FixityError,
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    StorageFullError,
    VaultError,
)
from storage.vault.objects import (
    MODES,
    Block,
    LockMode,
    ObjectFacts,
    ObjectStore,
    Stored,
    checked,
    kept_as_well,
)
from storage.vault.parts import Wanted, mark_of

Entropy = Callable[[int], bytes]

_TEMPORARY = ".put-"
_IDENTITY = "store.json"
_HANDLE = re.compile(r"[0-9a-f]{32}")
_READ = 4 << 20
_AHEAD = 3  # reads under way at once
_FLUSH = 32 << 20  # bytes: begin to flush while the rest is being written
_MAC_KEY = 32
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE = 0x10
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FolderObjects:
    """An ObjectStore on one local folder; `immutable` asks for the second fence as well."""

    smallest_part = 1
    parallel_parts = 1

    def __init__(self, root: Path, entropy: Entropy, *, immutable: bool = True) -> None:
        self._root = root
        self._entropy = entropy
        self._immutable = immutable
        root.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        final = self._root / checked(key)
        self._make_folder(final.parent)
        temporary = final.parent / f"{_TEMPORARY}{final.name}-{self._entropy(16).hex()}"
        try:
            size, digest = _write(temporary, blocks, self._entropy(_MAC_KEY))
            self._place(temporary, final, digest)
        except OSError as error:
            raise _translated(error, key) from error
        finally:
            temporary.unlink(missing_ok=True)
            sync_folder(final.parent)
        return Stored(key, size, digest)

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        final = self._root / checked(key)
        self._make_folder(final.parent)
        handle = self._entropy(16).hex()
        path = self._attempt(key, handle)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            sync_folder(path.parent)
        except OSError as error:
            raise _translated(error, key) from error
        return handle

    def add_part(self, key: str, handle: str, number: int, offset: int, data: Block) -> str:
        """See ObjectStore.add_part."""
        try:
            with _alone(self._attempt(key, handle), os.O_WRONLY) as file:
                if os.fstat(file).st_size < offset:
                    raise ObjectMissingError(key=key, problem="a part is missing", number=number)
                os.ftruncate(file, offset)  # a part that comes again replaces what followed it
                view = memoryview(data)
                while view:
                    written = os.pwrite(file, view, offset)
                    view, offset = view[written:], offset + written
                os.fdatasync(file)
        except OSError as error:
            raise _translated(error, key) from error
        return mark_of(len(memoryview(data)), Digest.of(data))

    def complete(
        self,
        key: str,
        handle: str,
        marks: Sequence[str],
        size: int,
        announced: Digest | None = None,
    ) -> Stored:
        """See ObjectStore.complete."""
        final, attempt = self._root / checked(key), self._attempt(key, handle)
        wanted = Wanted(size, announced, marks)
        try:
            try:
                return self._joined(attempt, final, wanted)
            except FileNotFoundError:  # an earlier call came this far, or there was none
                return self._completed(final, wanted)
        except OSError as error:
            raise _translated(error, key) from error

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        attempt = self._attempt(key, handle)
        try:
            attempt.unlink(missing_ok=True)
        except OSError as error:
            raise _translated(error, key) from error

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock."""
        mode = MODES[checked(key).rpartition("/")[2]]
        with self._lock_note(key) as facts:
            if facts.retain_until is not None and facts.retain_until >= until:
                return
            self._note(ObjectFacts(key, facts.size, mode, until, facts.held))
        if mode is LockMode.COMPLIANCE and self._immutable:
            set_immutable(self._root / key, immutable=True)

    def hold(self, key: str) -> None:
        """See ObjectStore.hold."""
        self._set_hold(key, held=True)

    def release(self, key: str) -> None:
        """See ObjectStore.release."""
        self._set_hold(key, held=False)

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""
        try:
            size = (self._root / checked(key)).stat().st_size
        except OSError as error:
            raise _translated(error, key) from error
        try:
            document = json.loads(self._lock_path(key).read_bytes())
            mode, until = document["mode"], document["retain_until"]
            return ObjectFacts(
                key,
                size,
                mode and LockMode(mode),
                until and datetime.fromisoformat(until),
                held=document.get("held", False) is not False,
            )
        except FileNotFoundError:
            return ObjectFacts(key, size, None, None)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise VaultError(key=key, problem="lock unreadable") from error

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        try:
            with (self._root / checked(key)).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), length, offset)
        except OSError as error:
            raise _translated(error, key) from error

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""
        try:
            return self._digest_of(self._root / checked(key))
        except OSError as error:
            raise _translated(error, key) from error

    def keys(self) -> Iterator[str]:
        """See ObjectStore.keys."""
        for folder in sorted(self._root.iterdir()):
            if folder.is_dir():
                for path in sorted(folder.iterdir()):
                    if path.is_file() and not path.name.startswith("."):
                        yield f"{folder.name}/{path.name}"

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete."""
        try:
            with self._lock_note(key) as facts:
                self._delete(facts, at)
        except ObjectMissingError:
            return

    def let_go(self, key: str, keeper: ObjectStore) -> bool:
        """See ObjectStore.let_go. A lock is no obstacle here once the other store has it too."""
        with self._lock_note(key):
            kept_as_well(self, keeper, key)
            self._unlink(key)
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
            raise _translated(error, _IDENTITY) from error
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
            raise _translated(error, _IDENTITY) from error
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

    def _attempt(self, key: str, handle: str) -> Path:
        if not _HANDLE.fullmatch(handle):
            raise ObjectMissingError(key=key, problem="no such attempt")
        final = self._root / checked(key)
        return final.with_name(f"{_TEMPORARY}{final.name}-{handle}")

    def _joined(self, attempt: Path, final: Path, wanted: Wanted) -> Stored:
        with _alone(attempt, os.O_RDONLY) as file:
            os.fchmod(file, 0o400)
            os.fsync(file)
            stored = _compared(attempt, final, wanted)
            self._place(attempt, final, stored.digest)
            attempt.unlink()
            sync_folder(final.parent)
        return stored

    def _completed(self, final: Path, wanted: Wanted) -> Stored:
        try:
            return _compared(final, final, wanted)
        except FixityError as error:
            raise ObjectConflictError(key=final.name, folder=final.parent.name) from error

    @contextlib.contextmanager
    def _lock_note(self, key: str) -> Iterator[ObjectFacts]:
        """Read the lock and let no other thread or process change it meanwhile."""
        self.facts(key)
        note = self._lock_path(key)
        self._make_folder(note.parent)
        try:
            folder = os.open(note.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield self.facts(key)
            finally:
                os.close(folder)
        except OSError as error:
            raise _translated(error, key) from error

    def _note(self, facts: ObjectFacts) -> None:
        until = facts.retain_until
        document = {
            "mode": facts.mode,
            "retain_until": until and until.astimezone(UTC).isoformat(),
            "held": facts.held,
        }
        place(self._lock_path(facts.key), canonical.encode(document))

    def _set_hold(self, key: str, *, held: bool) -> None:
        with self._lock_note(key) as facts:
            if facts.held != held:
                self._note(replace(facts, held=held))

    def _delete(self, facts: ObjectFacts, at: datetime) -> None:
        if facts.held:
            raise RetentionError(key=facts.key, problem="held")
        if facts.retain_until is not None and facts.retain_until > at:
            raise RetentionError(key=facts.key, until=facts.retain_until.isoformat())
        self._unlink(facts.key)

    def _unlink(self, key: str) -> None:
        path = self._root / key
        set_immutable(path, immutable=False)
        path.unlink()
        self._lock_path(key).unlink(missing_ok=True)
        sync_folder(path.parent)

    def _lock_path(self, key: str) -> Path:
        path = self._root / checked(key)
        return path.parent / ".lock" / f"{path.name}.json"

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(folder.parent)
            except OSError as error:
                raise _translated(error, folder.name) from error

    def _place(self, temporary: Path, final: Path, written: Digest) -> None:
        try:
            os.link(temporary, final)
        except FileExistsError as error:
            if self._digest_of(final) != written:
                raise ObjectConflictError(key=final.name, folder=final.parent.name) from error

    def _digest_of(self, path: Path) -> Digest:
        digest = hasher(Algorithm.SHA256)
        for block in _read_past_cache(path):
            digest.update(block)
        return Digest(Algorithm.SHA256, digest.digest())


def _write(path: Path, blocks: Iterable[Block], mac_key: bytes) -> tuple[int, Digest]:
    """Write a new file, durably, and read all of it back; return its size and SHA-256 as read.

    What was given and what the medium holds are compared by a MAC (GMAC under a key of this one
    write), which costs next to nothing beside SHA-256. Flushing begins while the rest is written.
    Raises: FixityError, OSError.
    """
    mac = _mac(mac_key)
    size = 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "wb", buffering=0) as file, ThreadPoolExecutor(1) as aside:
        flushed, flushing = 0, None
        for block in blocks:
            view = memoryview(block)
            mac.authenticate_additional_data(view)
            size += len(view)
            while view:
                view = view[file.write(view) :]
            if size - flushed >= _FLUSH and (flushing is None or flushing.done()):
                if flushing is not None:
                    flushing.result()  # an error of the medium is told once: never lose it
                flushed, flushing = size, aside.submit(os.fdatasync, handle)
        if flushing is not None:
            flushing.result()
        os.fsync(handle)
    mac.finalize()
    digest, found = hasher(Algorithm.SHA256), _mac(mac_key)
    for block in _read_past_cache(path):
        digest.update(block)
        found.authenticate_additional_data(block)
    found.finalize()
    read = Digest(Algorithm.SHA256, digest.digest())
    if found.tag != mac.tag:
        raise FixityError(part=path.name, problem="read back", found=str(read))
    return size, read


@contextlib.contextmanager
def _alone(attempt: Path, flags: int) -> Iterator[int]:
    """Open an attempt's file for one thread of one process at a time.

    A writer who waited while the attempt was completed must not write into what is now an object:
    it finds the name gone. Raises: FileNotFoundError, OSError.
    """
    file = os.open(attempt, flags)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.path.samestat(os.fstat(file), attempt.stat()):
            raise FileNotFoundError(errno.ENOENT, "another attempt of that name", str(attempt))
        yield file
    finally:
        os.close(file)


def _compared(path: Path, final: Path, wanted: Wanted) -> Stored:
    """Read a file past the cache: is it what is wanted? Raises: FixityError, OSError."""
    for reading in wanted.readings():
        for block in _read_past_cache(path):
            reading.update(block)
        if reading.same():
            return Stored(f"{final.parent.name}/{final.name}", reading.size, reading.digest())
    raise FixityError(part=path.name, problem="read back", found=str(reading.digest()))


def _mac(key: bytes) -> AEADEncryptionContext:
    # The key is used once, so the nonce may be constant (NIST SP 800-38D, 8.2).
    return Cipher(algorithms.AES(key), modes.GCM(bytes(12))).encryptor()


def _read_past_cache(path: Path) -> Iterator[memoryview]:
    """Yield a file from the medium: O_DIRECT where the file system has it, else dropped pages.

    A few reads are under way at once, so that hashing and the disk work side by side. A block is
    valid until the next one is asked for.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.fcntl(handle, fcntl.F_SETFL, os.O_DIRECT)
        except OSError:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(handle).st_size
        length = min(_READ, max(1, -(-size // mmap.PAGESIZE)) * mmap.PAGESIZE)
        starts = range(0, size, length)
        # Page-aligned, as O_DIRECT demands; a small file takes little memory and no thread.
        views = [memoryview(mmap.mmap(-1, length)) for _ in starts[:_AHEAD]]
        if len(views) == 1:
            yield views[0][: _read(handle, views[0], 0)]
            return
        with ThreadPoolExecutor(_AHEAD) as pool:
            waiting = iter(starts)
            ahead = deque(
                (view, pool.submit(_read, handle, view, offset))
                for view, offset in zip(views, waiting, strict=False)
            )
            while ahead:
                view, reading = ahead.popleft()
                yield view[: reading.result()]
                if (offset := next(waiting, None)) is not None:
                    ahead.append((view, pool.submit(_read, handle, view, offset)))
    finally:
        os.close(handle)


def _read(handle: int, view: memoryview, offset: int) -> int:
    try:
        return os.preadv(handle, [view], offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Some file systems accept the flag and refuse the read: go on through the cache.
        fcntl.fcntl(handle, fcntl.F_SETFL, 0)
        return os.preadv(handle, [view], offset)


def set_immutable(path: Path, *, immutable: bool) -> bool:
    """Set or clear the immutable flag; return whether the system let us."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        packed = fcntl.ioctl(handle, _FS_IOC_GETFLAGS, struct.pack("l", 0))
        flags = struct.unpack("l", packed)[0]
        wanted = flags | _FS_IMMUTABLE if immutable else flags & ~_FS_IMMUTABLE
        if wanted != flags:
            fcntl.ioctl(handle, _FS_IOC_SETFLAGS, struct.pack("l", wanted))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _translated(error: OSError, key: str) -> VaultError:
    if error.errno in _FULL:
        return StorageFullError(where="objects", key=key)
    if error.errno == errno.ENOENT:
        return ObjectMissingError(key=key)
    return VaultError(key=key, errno=error.errno, problem=error.strerror)
