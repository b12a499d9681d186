"""Files of a folder store: written, read back past the page cache, compared, and linked.

Order of a write: temporary file, past the page cache unless small -> fsync -> read back past the
page cache and compare by MAC. Its final name is a hard link, which fails where there is one: what
is there is never overwritten.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import (
    AEADEncryptionContext,
    Cipher,
    algorithms,
    modes,
)

from storage.digest import Algorithm, Digest, create_hasher
from storage.durable import sync_folder
from storage.errors import (
    FixityError,
    ObjectConflictError,
    ObjectMissingError,
    StorageFullError,
    VaultError,
)
from storage.medium import read_past_cache, write_open_past_cache
from storage.vault.objects import Block, Stored
from storage.vault.parts import ExpectedObject

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_file(path: Path, blocks: Iterable[Block], mac_key: bytes) -> tuple[int, Digest]:
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


def link_file(temporary: Path, final: Path, written: Digest) -> None:
    """Give a file its final name; one of the same bytes may have it already.

    Raises: ObjectConflictError, OSError.
    """
    try:
        os.link(temporary, final)
    except FileExistsError as error:
        if digest_file(final) != written:
            raise ObjectConflictError(key=final.name, folder=final.parent.name) from error


def digest_file(path: Path) -> Digest:
    """Return a file's SHA-256, read past the page cache. Raises: OSError."""
    digest = create_hasher(Algorithm.SHA256)
    for block in read_past_cache(path):
        digest.update(block)
    return Digest(Algorithm.SHA256, digest.digest())


def compare_file(path: Path, final: Path, expected: ExpectedObject) -> Stored:
    """Compare a file, past the cache, with the expectation. Raises: FixityError, OSError."""
    for reading in expected.list_readings():
        for block in read_past_cache(path):
            reading.update(block)
        if reading.is_match():
            return Stored(f"{final.parent.name}/{final.name}", reading.size, reading.digest())
    raise FixityError(part=path.name, problem="read back", found=str(reading.digest()))


@contextlib.contextmanager
def open_exclusively(attempt: Path, flags: int) -> Iterator[int]:
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


def make_folder(folder: Path) -> None:
    """Make a folder durably, if it is not there. Raises: VaultError."""
    if not folder.is_dir():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
        except OSError as error:
            raise translate_error(error, folder.name) from error


def translate_error(error: OSError, key: str) -> VaultError:
    """Return our error for the system's."""
    if error.errno in _FULL:
        return StorageFullError(where="objects", key=key)
    if error.errno == errno.ENOENT:
        return ObjectMissingError(key=key)
    return VaultError(key=key, errno=error.errno, problem=error.strerror)


def _authenticate_blocks(blocks: Iterable[Block], mac: AEADEncryptionContext) -> Iterator[Block]:
    for block in blocks:
        mac.authenticate_additional_data(block)
        yield block


def _create_mac(key: bytes) -> AEADEncryptionContext:
    # The key is used once, so the nonce may be constant (NIST SP 800-38D, 8.2).
    return Cipher(algorithms.AES(key), modes.GCM(bytes(12))).encryptor()
