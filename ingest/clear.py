"""Clear a source: the only place in the project that deletes an original, and what it demands.

The receipt must verify (signature, leaf, inclusion proof, checkpoint) and be for exactly these
bytes; the file on the source is read once more, whole, and must still be those bytes. Then the
name is removed and the folder synced. Promise 1 of the design.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ingest.submission import Submission, check_unchanged, folder_of, open_source
from storage.digest import Algorithm, Digest, hasher
from storage.errors import SignatureError, SubmissionError
from storage.record import Receipt
from storage.signing import VerifyKey

_READ = 4 << 20


class When(StrEnum):
    """The station's setting."""

    NEVER = "never"
    AT_ONCE = "at-once"
    AFTER_DAYS = "after-days"


@dataclass(frozen=True, slots=True)
class Clearing:
    """When a receipted file may go from its source."""

    when: When = When.NEVER
    days: int = 0

    def due(self, accessioned_at: datetime, now: datetime) -> bool:
        """Tell whether a file accessioned then may be cleared now."""
        if self.when is When.NEVER:
            return False
        days = self.days if self.when is When.AFTER_DAYS else 0
        return now >= accessioned_at + timedelta(days=days)


def digest_source(submission: Submission) -> Digest:
    """Read the file once and return its SHA-256.

    Raises: SubmissionError (changed, gone, unreadable), OSError.
    """
    digest = hasher(Algorithm.SHA256)
    buffer = memoryview(bytearray(_READ))
    with open_source(submission) as source:
        while count := source.readinto(buffer):
            digest.update(buffer[:count])
        check_unchanged(source, submission)
    return Digest(Algorithm.SHA256, digest.digest())


def verified(
    receipt: bytes, centre: VerifyKey, log: VerifyKey, original: Digest, size: int
) -> Receipt:
    """Return the receipt if it is the centre's word for exactly these bytes.

    Raises: SignatureError, CustodyError.
    """
    found = Receipt.verify(receipt, centre, log)
    if found.original != str(original) or found.size != size:
        raise SignatureError(problem="the receipt is for other bytes", recording=found.recording)
    return found


def clear(submission: Submission, receipt: bytes, centre: VerifyKey, log: VerifyKey) -> Receipt:
    """Remove the file from its source, durably, against its receipt.

    Raises: SignatureError, CustodyError, SubmissionError; then nothing was removed.
    """
    original = digest_source(submission)
    found = verified(receipt, centre, log, original, submission.size)
    with folder_of(submission) as (folder, name):
        try:
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        except FileNotFoundError:
            return found
        except OSError as error:
            raise SubmissionError(reason="cannot-clear", errno=error.errno) from error
    return found
