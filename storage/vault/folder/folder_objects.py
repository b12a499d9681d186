"""Objects in a local folder: write-once, read back, read-only, immutable where permitted.

Order of a put: temporary file, past the page cache unless small -> fsync -> read back past the
page cache and compare by MAC -> hard link under the final name (fails if it exists: no overwrite)
-> fsync the folder -> unlink the temporary name.
An object that comes in parts grows in one temporary file per attempt and ends in the same way.
kill -9 after any line leaves a whole object or a temporary that `sweep` removes. Locks and holds
stand in `<id>/.lock/<part>.json`, written the same way; the immutable flag (ioctl_iflags(2)) is set
on locked objects where the file system and our rights allow it, as a second fence, not as the lock.

A note can be lost, with its whole folder: an object that was ever locked or held bears a mark, the
sticky bit of its inode (chmod(2)), which is set before the note is written and which cp -a, rsync
-a and tar keep. Where it does not stay on, a file under `.marked/` stands for it. Marked and
without a readable note is nobody's permission: `LockLostError` until it is locked anew. Objects of
releases that set no mark get it with the first look at their note.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import (
    AEADEncryptionContext,
    Cipher,
    algorithms,
    modes,
)

from storage.digest import Algorithm, Digest, create_hasher
from storage.durable import TEMPORARY, replace_file, sync_folder
from storage.errors import (
    FixityError,
    LockLostError,
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    StorageFullError,
    VaultError,
)
from storage.medium import read_past_cache, write_open_past_cache
from storage.signed import canonical
from storage.vault.objects import (
    MODES,
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
from storage.vault.parts import ExpectedObject, mark_of

Entropy = Callable[[int], bytes]

_TEMPORARY = ".put-"
_IDENTITY = "store.json"
_MARKED = ".marked"
_LOST_AND_FOUND = "lost+found"  # a file system's own, where the store is all of a disk
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PART = r"(?:payload|record\.json|envelope\.json|rendition)"
_FOLDER = re.compile(_ID)
_OWN_FOLDER = re.compile(rf"{_ID}(?:/\.lock)?|\.marked")
_OWN_FILE = re.compile(
    rf"store\.json|\.store\.json\.[0-9a-f]+"
    rf"|{_ID}/\.put-{_PART}-[0-9a-f]+"
    rf"|{_ID}/\.lock/(?:{_PART}\.json|\.{_PART}\.json\.[0-9]+-[0-9]+\.new)"
    rf"|\.marked/(?:{_ID}\.{_PART}|\.{_ID}\.{_PART}\.[0-9]+-[0-9]+\.new)"
)
_HANDLE = re.compile(r"[0-9a-f]{32}")
_RESERVE = 16 << 20  # bytes that payloads leave to catalogue and log, on a disk of some size
_MAC_KEY = 32
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE = 0x10
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

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
        self._immutable = immutable
        root.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, blocks: Iterable[Block]) -> Stored:
        """See ObjectStore.put."""
        final = self._root / check_key(key)
        self._make_folder(final.parent)
        temporary = final.parent / f"{_TEMPORARY}{final.name}-{self._entropy(16).hex()}"
        try:
            size, digest = _write_file(temporary, blocks, self._entropy(_MAC_KEY))
            self._link_object(temporary, final, digest)
        except OSError as error:
            raise _translate_error(error, key) from error
        finally:
            temporary.unlink(missing_ok=True)
            sync_folder(final.parent)
        return Stored(key, size, digest)

    def begin(self, key: str) -> str:
        """See ObjectStore.begin."""
        final = self._root / check_key(key)
        self._make_folder(final.parent)
        handle = self._entropy(16).hex()
        path = self._attempt_path(key, handle)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            sync_folder(path.parent)
        except OSError as error:
            raise _translate_error(error, key) from error
        return handle

    def add_part(self, key: str, handle: str, number: int, offset: int, block: Block) -> str:
        """See ObjectStore.add_part."""
        try:
            with _open_exclusively(self._attempt_path(key, handle), os.O_RDWR) as file:
                if os.fstat(file).st_size < offset:
                    raise ObjectMissingError(key=key, problem="a part is missing", number=number)
                os.ftruncate(file, offset)  # a part that comes again replaces what followed it
                write_open_past_cache(file, [block], offset)
                os.fdatasync(file)
        except OSError as error:
            raise _translate_error(error, key) from error
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
            raise _translate_error(error, key) from error

    def abort(self, key: str, handle: str) -> None:
        """See ObjectStore.abort."""
        attempt = self._attempt_path(key, handle)
        try:
            attempt.unlink(missing_ok=True)
        except OSError as error:
            raise _translate_error(error, key) from error

    def lock(self, key: str, until: datetime) -> None:
        """See ObjectStore.lock."""
        mode = MODES[check_key(key).rpartition("/")[2]]
        with self._lock_note(key, mending=True) as facts:
            if facts.retain_until is None or facts.retain_until < until:
                self._write_note(replace(facts, mode=mode, retain_until=until))
            elif facts.immutable:  # somebody may have cleared it
                self._fence(facts)

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
            raise _translate_error(error, "") from error
        return max(0, disk.free - min(_RESERVE, disk.total // 16))

    def facts(self, key: str) -> ObjectFacts:
        """See ObjectStore.facts."""
        facts = self._read_facts(check_key(key), mending=False)
        try:
            mode = (self._root / key).stat().st_mode
            noted = facts.immutable and self._fences
            immutable = is_immutable(self._root / key) if noted else None
        except OSError as error:
            raise _translate_error(error, key) from error
        # Modes mean something where the mark of a locked object stays on.
        permissions = mode & _PERMISSIONS if mode & stat.S_ISVTX else None
        return replace(facts, permissions=permissions, immutable=immutable)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """See ObjectStore.read."""
        try:
            with (self._root / check_key(key)).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), length, offset)
        except OSError as error:
            raise _translate_error(error, key) from error

    def digest(self, key: str) -> Digest:
        """See ObjectStore.digest."""
        try:
            return self._digest_of(self._root / check_key(key))
        except OSError as error:
            raise _translate_error(error, key) from error

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
        yield from _find_strangers(self._root / folder, folder)

    def delete(self, key: str, at: datetime) -> None:
        """See ObjectStore.delete."""
        try:
            with self._lock_note(key) as facts:
                self._delete_unlocked(facts, at)
        except ObjectMissingError:
            return

    def let_go(self, key: str, keeper: ObjectStore) -> bool:
        """See ObjectStore.let_go. A lock is no obstacle here once the other store has it too."""
        with self._lock_note(key):
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
            raise _translate_error(error, _IDENTITY) from error
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
            raise _translate_error(error, _IDENTITY) from error
        except (KeyError, TypeError, ValueError) as error:
            raise VaultError(key=_IDENTITY, problem="identity unreadable") from error

    @cached_property
    def _fences(self) -> bool:
        """Whether the second fence is asked for, and this system and process can set it here."""
        if not self._immutable:
            return False
        try:
            with tempfile.TemporaryFile(dir=self._root) as trial:
                return _set_flag(trial.fileno(), immutable=True)
        except OSError:
            return False

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
        with _open_exclusively(attempt, os.O_RDONLY) as file:
            os.fchmod(file, 0o400)
            os.fsync(file)
            stored = _compare_file(attempt, final, expected)
            self._link_object(attempt, final, stored.digest)
            attempt.unlink()
            sync_folder(final.parent)
        return stored

    def _verify_existing(self, final: Path, expected: ExpectedObject) -> Stored:
        try:
            return _compare_file(final, final, expected)
        except FixityError as error:
            raise ObjectConflictError(key=final.name, folder=final.parent.name) from error

    def _read_facts(self, key: str, *, mending: bool) -> ObjectFacts:
        """Return size and lock; `mending`: a lock that was lost as none, and held."""
        try:
            status = (self._root / key).stat()
        except OSError as error:
            raise _translate_error(error, key) from error
        marked = bool(status.st_mode & stat.S_ISVTX) or self._witness_path(key).exists()
        try:
            facts = self._read_note(key, status.st_size)
        except FileNotFoundError:
            if not marked:
                return ObjectFacts(key, status.st_size, None, None)
            problem = "lock note missing"
        except (OSError, KeyError, TypeError, ValueError):
            problem = "lock unreadable"
        else:
            if not marked:  # an earlier release locked it
                with contextlib.suppress(OSError, VaultError):
                    self._mark_object(key)
            return facts
        if not mending:
            raise LockLostError(key=key, problem=problem, size=status.st_size)
        return ObjectFacts(key, status.st_size, None, None, on_hold=True)

    def _read_note(self, key: str, size: int) -> ObjectFacts:
        """Read what is written of a lock. Raises: OSError, KeyError, TypeError, ValueError."""
        document = json.loads(self._lock_path(key).read_bytes())
        mode, until = document["mode"], document["retain_until"]
        return ObjectFacts(
            key,
            size,
            mode and LockMode(mode),
            until and datetime.fromisoformat(until),
            on_hold=document.get("held", False) is not False,
            immutable=document.get("immutable") is True or None,
        )

    def _mark_object(self, key: str) -> None:
        """Mark an object durably as one that was locked or held. Raises: OSError."""
        if _set_mark(self._root / key):
            return
        witness = self._witness_path(key)
        self._make_folder(witness.parent)
        replace_file(witness, b"")

    def _witness_path(self, key: str) -> Path:
        return self._root / _MARKED / key.replace("/", ".")

    @contextlib.contextmanager
    def _lock_note(self, key: str, *, mending: bool = False) -> Iterator[ObjectFacts]:
        """Read the lock and let no other thread or process change it meanwhile."""
        self._read_facts(key, mending=mending)
        note = self._lock_path(key)
        self._make_folder(note.parent)
        try:
            folder = os.open(note.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield self._read_facts(key, mending=mending)
            finally:
                os.close(folder)
        except OSError as error:
            raise _translate_error(error, key) from error

    def _write_note(self, facts: ObjectFacts) -> None:
        self._mark_object(facts.key)  # first: from here on no lost note is taken for none
        until = facts.retain_until
        document = {
            "mode": facts.mode,
            "retain_until": until and until.astimezone(UTC).isoformat(),
            "held": facts.on_hold,
        }
        if self._fence(facts) or facts.immutable:
            document["immutable"] = True  # what was set, so that it is missed when it is gone
        replace_file(self._lock_path(facts.key), canonical.encode(document))

    def _fence(self, facts: ObjectFacts) -> bool:
        """Set the second fence of a locked object where it is asked for; tell whether it is set."""
        fenced = self._immutable and facts.mode is LockMode.COMPLIANCE
        return fenced and set_immutable(self._root / facts.key, immutable=True)

    def _set_hold(self, key: str, *, on_hold: bool) -> None:
        with self._lock_note(key) as facts:
            if facts.on_hold != on_hold:
                self._write_note(replace(facts, on_hold=on_hold))

    def _delete_unlocked(self, facts: ObjectFacts, at: datetime) -> None:
        if facts.on_hold:
            raise RetentionError(key=facts.key, problem="held")
        if facts.retain_until is not None and facts.retain_until > at:
            raise RetentionError(key=facts.key, until=facts.retain_until.isoformat())
        self._unlink_object(facts.key)

    def _unlink_object(self, key: str) -> None:
        path = self._root / key
        set_immutable(path, immutable=False)
        path.unlink()
        self._lock_path(key).unlink(missing_ok=True)
        self._witness_path(key).unlink(missing_ok=True)
        sync_folder(path.parent)

    def _lock_path(self, key: str) -> Path:
        path = self._root / check_key(key)
        return path.parent / ".lock" / f"{path.name}.json"

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(folder.parent)
            except OSError as error:
                raise _translate_error(error, folder.name) from error

    def _link_object(self, temporary: Path, final: Path, written: Digest) -> None:
        try:
            os.link(temporary, final)
        except FileExistsError as error:
            if self._digest_of(final) != written:
                raise ObjectConflictError(key=final.name, folder=final.parent.name) from error

    def _digest_of(self, path: Path) -> Digest:
        digest = create_hasher(Algorithm.SHA256)
        for block in read_past_cache(path):
            digest.update(block)
        return Digest(Algorithm.SHA256, digest.digest())


def _write_file(path: Path, blocks: Iterable[Block], mac_key: bytes) -> tuple[int, Digest]:
    """Write a new file, durably, and read all of it back; return its size and SHA-256 as read.

    What was given and what the medium holds are compared by a MAC (GMAC under a key of this one
    write), which costs next to nothing beside SHA-256.
    Raises: FixityError, OSError.
    """
    mac = _create_mac(mac_key)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        size = write_open_past_cache(handle, _authenticate_blocks(blocks, mac))
        os.fsync(handle)
    finally:
        os.close(handle)
    mac.finalize()
    digest, read_mac = create_hasher(Algorithm.SHA256), _create_mac(mac_key)
    for block in read_past_cache(path):
        digest.update(block)
        read_mac.authenticate_additional_data(block)
    read_mac.finalize()
    read = Digest(Algorithm.SHA256, digest.digest())
    if read_mac.tag != mac.tag:
        raise FixityError(part=path.name, problem="read back", found=str(read))
    return size, read


def _authenticate_blocks(blocks: Iterable[Block], mac: AEADEncryptionContext) -> Iterator[Block]:
    for block in blocks:
        mac.authenticate_additional_data(block)
        yield block


@contextlib.contextmanager
def _open_exclusively(attempt: Path, flags: int) -> Iterator[int]:
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


def _compare_file(path: Path, final: Path, expected: ExpectedObject) -> Stored:
    """Compare a file, past the cache, with the expectation. Raises: FixityError, OSError."""
    for reading in expected.list_readings():
        for block in read_past_cache(path):
            reading.update(block)
        if reading.is_match():
            return Stored(f"{final.parent.name}/{final.name}", reading.size, reading.digest())
    raise FixityError(part=path.name, problem="read back", found=str(reading.digest()))


def _create_mac(key: bytes) -> AEADEncryptionContext:
    # The key is used once, so the nonce may be constant (NIST SP 800-38D, 8.2).
    return Cipher(algorithms.AES(key), modes.GCM(bytes(12))).encryptor()


def set_immutable(path: Path, *, immutable: bool) -> bool:
    """Set or clear the immutable flag; return whether the system let us."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _set_flag(handle, immutable=immutable)
    finally:
        os.close(handle)


def is_immutable(path: Path) -> bool:
    """Tell whether the immutable flag is set. Raises: OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return bool(_flags(handle) & _FS_IMMUTABLE)
    finally:
        os.close(handle)


def _flags(handle: int) -> int:
    packed = fcntl.ioctl(handle, _FS_IOC_GETFLAGS, struct.pack("l", 0))
    return int(struct.unpack("l", packed)[0])


def _set_flag(handle: int, *, immutable: bool) -> bool:
    try:
        flags = _flags(handle)
        new_flags = flags | _FS_IMMUTABLE if immutable else flags & ~_FS_IMMUTABLE
        if new_flags != flags:
            fcntl.ioctl(handle, _FS_IOC_SETFLAGS, struct.pack("l", new_flags))
    except OSError:
        return False
    return True


def _find_strangers(folder: Path, name: str) -> Iterator[Stranger]:
    """Yield what is strange in a folder of the store and below; what vanishes meanwhile is none."""
    try:
        with os.scandir(folder) as found_here:
            entries = sorted(found_here, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        place_ = f"{name}/{entry.name}" if name else entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        is_folder = stat.S_ISDIR(status.st_mode)
        if is_folder and _OWN_FOLDER.fullmatch(place_):
            yield from _find_strangers(folder / entry.name, place_)
        elif is_folder and place_ != _LOST_AND_FOUND:
            yield Stranger(place_, StrangerKind.FOLDER, 0)
        elif stat.S_ISREG(status.st_mode) and (is_key(place_) or _OWN_FILE.fullmatch(place_)):
            continue
        elif not is_folder:
            kind = StrangerKind.LINK if stat.S_ISLNK(status.st_mode) else StrangerKind.FILE
            yield Stranger(place_, kind, status.st_size)


def _set_mark(path: Path) -> bool:
    """Set the sticky bit durably; tell whether it stays on: not every file system has it.

    Nor can it be set on an object that is immutable already.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if not mode & stat.S_ISVTX:
            os.fchmod(handle, stat.S_IMODE(mode) | stat.S_ISVTX)
            os.fsync(handle)
        return bool(os.fstat(handle).st_mode & stat.S_ISVTX)
    except OSError:
        return False
    finally:
        os.close(handle)


def _names_in(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted; nothing of one that went while others were listed."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _translate_error(error: OSError, key: str) -> VaultError:
    if error.errno in _FULL:
        return StorageFullError(where="objects", key=key)
    if error.errno == errno.ENOENT:
        return ObjectMissingError(key=key)
    return VaultError(key=key, errno=error.errno, problem=error.strerror)
