"""Clear a source: the only place in the project that deletes an original, and what it demands.

The receipt must verify (signature, leaf, inclusion proof, checkpoint) and be for exactly these
bytes; the file on the source is read once more, whole, from its medium, and must still be those
bytes and bear that name. Then the name is removed and the folder synced. Promise 1 of the design.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO

from ingest.bays.settle import written_now
from ingest.bays.submission import (
    Submission,
    check_same,
    check_unchanged,
    folder_beneath,
    open_source,
)
from ingest.media.sandbox import ignore_progress
from ingest.station.clear_when import When
from storage.digest import Algorithm, Digest, create_hasher
from storage.errors import SignatureError, SubmissionError
from storage.medium import read_open_past_cache
from storage.record import Receipt
from storage.signed.signing import VerifyKey

UNSURE = "clear-unsure"  # the name is gone, and the medium did not confirm it


@dataclass(frozen=True, slots=True)
class Clearing:
    """When a receipted file may go from its source."""

    when: When = When.NEVER
    days: int = 0

    def is_due(self, accessioned_at: datetime, now: datetime) -> bool:
        """Tell whether a file accessioned then may be cleared now."""
        if self.when is When.NEVER:
            return False
        days = self.days if self.when is When.AFTER_DAYS else 0
        return now >= accessioned_at + timedelta(days=days)


def digest_source(
    submission: Submission, hear: Callable[[float], None] = ignore_progress
) -> Digest:
    """Read the file once, from its medium and not from memory, and return its SHA-256.

    `hear` is told how far the read is, from 0 to 1; what it raises ends it.
    Raises: SubmissionError (changed, gone, unreadable), OSError.
    """
    with open_source(submission) as source:
        return _digest_open_file(source, submission, hear)


def _digest_open_file(
    source: FileIO, submission: Submission, hear: Callable[[float], None]
) -> Digest:
    digest = create_hasher(Algorithm.SHA256)
    count = 0
    for block in read_open_past_cache(source.fileno()):
        digest.update(block)
        count += len(block)
        hear(count / max(submission.size, 1))
    check_unchanged(source, submission)
    return Digest(Algorithm.SHA256, digest.digest())


def verify_receipt(
    receipt: bytes, centre: VerifyKey, log: VerifyKey, original: Digest, size: int
) -> Receipt:
    """Return the receipt if it is the centre's word for exactly these bytes.

    Raises: SignatureError, CustodyError.
    """
    verified_receipt = Receipt.verify(receipt, centre, log)
    if verified_receipt.original != str(original) or verified_receipt.size != size:
        raise SignatureError(
            problem="the receipt is for other bytes", recording=verified_receipt.recording
        )
    return verified_receipt


def clear_file(
    submission: Submission,
    receipt: bytes,
    centre: VerifyKey,
    log: VerifyKey,
    hear: Callable[[float], None] = ignore_progress,
) -> Receipt:
    """Remove the file from its source, durably, against its receipt.

    From the first byte that is hashed until the name is gone, one open file is held: what is
    removed is what was hashed, nobody is known to write to it, and what a writer added in the very
    moment of the removal is put back under its name.
    Raises: SignatureError, CustodyError, SubmissionError; then nothing was removed.
    """
    with open_source(submission) as source:
        original = _digest_open_file(source, submission, hear)
        verified_receipt = verify_receipt(receipt, centre, log, original, submission.size)
        with folder_beneath(submission.root, submission.path) as (folder, name):
            if _still_named(source, folder, name, submission):
                _remove_name(source, folder, name, submission)
    return verified_receipt


def _still_named(source: FileIO, folder: int, name: bytes, submission: Submission) -> bool:
    """Whether the name still leads to the open file; False where there is none any more.

    Raises: SubmissionError(reason=changed | still-writing).
    """
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not os.path.samestat(now, os.fstat(source.fileno())):
        raise SubmissionError(reason="changed", problem="another file bears the name")
    check_same(now, submission)
    if (now.st_dev, now.st_ino) in (written_now() or ()):
        raise SubmissionError(reason="still-writing")
    return True


def _remove_name(source: FileIO, folder: int, name: bytes, submission: Submission) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SubmissionError(reason="cannot-clear", errno=error.errno) from error
    unsynced = _sync_folder(folder)
    try:
        check_unchanged(source, submission)
    except SubmissionError:
        if os.fstat(source.fileno()).st_nlink == 0:
            _put_back(source, folder, name)
        raise
    if unsynced is not None:
        raise SubmissionError(reason=UNSURE, errno=unsynced)


def _sync_folder(folder: int) -> int | None:
    """Sync a folder's names; return the error's number where the medium refuses."""
    try:
        os.fsync(folder)
    except OSError as error:
        return error.errno
    return None


def _put_back(source: FileIO, folder: int, name: bytes) -> None:
    """Write the open file, whose name is gone, under that name again; never over another file."""
    while True:
        try:
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            break
        except FileExistsError:
            name += b".again"
    with os.fdopen(handle, "wb", buffering=0) as target:
        for block in read_open_past_cache(source.fileno()):
            view = memoryview(block)
            while view:
                view = view[target.write(view) :]
        os.fsync(handle)
    os.fsync(folder)
