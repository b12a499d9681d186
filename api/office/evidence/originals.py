"""An original in the clear: its envelope opened, its payload read, its digests compared.

Whoever asks has the right to, and an entry in the log that says so, before anything here is read.
"""

from uuid import UUID

from api.office.wiring import Office
from storage.catalogue.tables import RecordingRow
from storage.digest import StatedDigests
from storage.errors import FixityError
from storage.record import SealedRecord
from storage.recording import RecordingId
from storage.vault.objects import ENVELOPE, PAYLOAD, key_of, size_of
from storage.vault.ranges import PlainReader
from storage.vault.sealing import OpenedEnvelope, open_envelope, recipients_of

_ENVELOPE_LIMIT = 1 << 20


def unwrap(office: Office, row: RecordingRow) -> OpenedEnvelope:
    """Return a recording's data key. Raises: KeyRingError, EnvelopeError, VaultError."""
    recording = RecordingId(UUID(row.id))
    # Bounded: the store may hold anything under that key.
    envelope = office.objects.read(key_of(recording, ENVELOPE), 0, _ENVELOPE_LIMIT)
    return open_envelope(
        envelope, office.ring.open_key(recipients_of(envelope, recording)), recording
    )


def reader_of(office: Office, row: RecordingRow, opened: OpenedEnvelope) -> PlainReader:
    """Return a reader of an original. Raises: FixityError, VaultError."""
    key = key_of(opened.recording, PAYLOAD)
    size = size_of(office.objects, key)

    def read_at(offset: int, length: int) -> bytes:
        return office.objects.read(key, offset, length)

    reader = PlainReader(read_at, size, opened.data_key, opened.context)
    # From the payload's own length: one of another size is found before a byte is read.
    if reader.size != row.size:
        raise FixityError(part="payload", recording=row.id, problem="size")
    return reader


def differing_digests(office: Office, row: RecordingRow) -> list[str]:
    """Return the algorithms by which an original is not what its signed record says.

    Reads all of it. Raises: SignatureError, KeyRingError, EnvelopeError, FixityError, VaultError.
    """
    # The signed record says which digests, not the row, which can be edited.
    record = SealedRecord.verify(row.record_text.encode(), office.station_keys)
    stated = StatedDigests(record.digests)
    reader = reader_of(office, row, unwrap(office, row))
    for piece in reader.read(0, reader.size):
        stated.update(piece)
    return stated.differing()
