"""Which object store is this office's: by its name, and where that was lost, by what it holds.

The home remembers the store's own name in a file. While the office holds nothing, whatever store
is there becomes its store. Later a missing file says nothing of the store: it was lost with a
home that was put back, and the store may be another one. Then some recordings of the catalogue are
looked for in it.
"""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from storage.catalogue.tables import RecordingRow
from storage.digest import Digest
from storage.durable import place
from storage.errors import ObjectMissingError, StoreReplacedError, StoreSetupError
from storage.recording import RecordingId
from storage.vault.objects import PAYLOAD, RECORD, ObjectStore, key_of
from storage.vault.ranges import payload_size


def recognise_store(
    known: Path, objects: ObjectStore, rows: Sequence[RecordingRow], where: str
) -> str:
    """Return the store's name, which the file `known` remembers from then on.

    Without that file the store must hold the records of these rows, and their payloads unless
    those were archived. Raises: StoreReplacedError (another name), StoreSetupError (it does not
    hold them), VaultError (nobody can tell now).
    """
    found = objects.find_identity()
    if known.exists():
        name = known.read_text(encoding="utf-8")
        if found != name:
            raise StoreReplacedError(store=where, found=found or "-", known=name)
        return name
    for row in rows:
        payload = row.archived_at is not None or holds_payload(objects, row)
        if not payload or not _holds_record(objects, row):
            raise not_ours(known, row, where)
    return remember_store(known, objects)


def remember_store(known: Path, objects: ObjectStore) -> str:
    """Write down the store's name, which it is given now if it had none; return it."""
    name = objects.identity()
    place(known, name.encode())
    return name


def holds_payload(objects: ObjectStore, row: RecordingRow) -> bool:
    """Tell whether a store has a recording's payload, by its size."""
    try:
        return objects.facts(_key(row, PAYLOAD)).size == payload_size(row.size)
    except ObjectMissingError:
        return False


def not_ours(known: Path, row: RecordingRow, where: str) -> StoreSetupError:
    """Return the refusal of a store that does not hold what this office has in it."""
    return StoreSetupError(
        bucket=where,
        problem=f"{known.name} is missing, and recording {row.id} is not in this store",
        mend=f"LIUHEN_OBJECTS_URL, LIUHEN_ARCHIVE, {known.name}",
    )


def _holds_record(objects: ObjectStore, row: RecordingRow) -> bool:
    try:
        return objects.digest(_key(row, RECORD)) == Digest.of(row.record_text.encode())
    except ObjectMissingError:
        return False


def _key(row: RecordingRow, part: str) -> str:
    return key_of(RecordingId(UUID(row.id)), part)
