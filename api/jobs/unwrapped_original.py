"""Temporary plaintext of an original for one job, authorised as the person who requested it.

The right of that person is decided anew and the access is in the log before the first byte is
decrypted. The file has no name, so that it is gone with the process that holds it, however that
ends; it lies in memory where there is room.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from api.jobs.kind import recording_of
from api.office.service import Service
from api.office.wiring import Office
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import RecordingRow
from storage.digest import StatedDigests
from storage.errors import FixityError, LiuhenError, StorageFullError
from storage.record import SealedRecord

_MEMORY = Path("/dev/shm")  # noqa: S108 - files here have no name
_SPARE = 64 << 20


class TooLargeError(LiuhenError):
    """The recording is larger than may be unwrapped here (`unwrap_gb`)."""

    code = "too-large"


@contextmanager
def unwrap_original(
    office: Office, job: Job, purpose: str
) -> Iterator[tuple[RecordingRow, BinaryIO]]:
    """Give the recording's row and its original, whole and as it was sealed, until the block ends.

    Raises: ApiError(unauthenticated, forbidden), TooLargeError, StorageFullError, FixityError,
    SignatureError, KeyRingError, EnvelopeError, VaultError.
    """
    service = Service.of_office(office)
    visitor = service.identity.authenticate_job(job)
    with office.catalogue.read() as session:
        row = recordings.get_present_recording(session, recording_of(job))
    # Before anything is opened or logged: it would fill the memory or the disk.
    if row.size > office.settings.unwrap_gb * (1 << 30):
        raise TooLargeError(size=row.size)
    # Room is made sure of before the access is logged: an entry for what nobody could read
    # misleads.
    with _open_nameless_file(office, row.size) as file:
        reader = service.open_plaintext(visitor, row, purpose)
        record = SealedRecord.verify(row.record_text.encode(), office.station_keys)
        stated = StatedDigests(record.digests)
        for piece in reader.read(0, row.size):
            stated.update(piece)
            file.write(piece)
        # Tools are given only what the signed record states: neither the row nor the payload
        # decides it alone.
        if row.sha256 != record.original.hex or stated.differing():
            raise FixityError(part="payload", recording=row.id, problem="original")
        file.flush()
        file.seek(0)
        office.on_step("job-unwrapped")
        yield row, file


def _open_nameless_file(office: Office, size: int) -> BinaryIO:
    """Return an open file without a name that has room for so many bytes."""
    own = office.settings.home / "unwrapped"
    # For its owner alone: without O_TMPFILE a file in it has a name for a moment.
    own.mkdir(mode=0o700, exist_ok=True)
    for folder in (_MEMORY, own):
        # Memory before the disk: what never was on it cannot be read from deleted blocks.
        if folder.is_dir() and shutil.disk_usage(folder).free > size + _SPARE:
            # O_TMPFILE where it can: no name, so kill -9 leaves no plaintext behind.
            return tempfile.TemporaryFile(dir=folder)
    raise StorageFullError(where="unwrapped")
