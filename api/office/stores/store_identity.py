"""Recognition of the office's own object store: by its name, or else by its content.

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
from storage.durable import replace_file
from storage.errors import ObjectMissingError, StoreReplacedError, StoreSetupError
from storage.recording import RecordingId
from storage.vault.objects import PAYLOAD, RECORD, ObjectStore, key_of
from storage.vault.ranges import payload_size


def recognise_store(
    identity_file: Path, objects: ObjectStore, rows: Sequence[RecordingRow], where: str
) -> str:
    """Check that a store is this office's own; return its name and remember it in a file.

    Without that file the store must hold the records of these rows, and their payloads unless
    those were archived. Raises: StoreReplacedError (another name), StoreSetupError (it does not
    hold them), VaultError (nobody can tell now).
    """
    # Only looked for: a store without a name gets one when it is known to be ours.
    identity = objects.find_identity()
    if identity_file.exists():
        name = identity_file.read_text(encoding="utf-8")
        # Another disk or bucket under the same address would look like mass destruction.
        if identity != name:
            raise StoreReplacedError(store=where, found=identity or "-", known=name)
        return name
    # The identity file was lost with the home: the store must prove itself by its content.
    for row in rows:
        payload = row.archived_at is not None or holds_payload(objects, row)
        if not payload or not _holds_record(objects, row):
            raise not_ours(identity_file, row, where)
    return remember_store(identity_file, objects)


def remember_store(identity_file: Path, objects: ObjectStore) -> str:
    """Store the object store's name in a file, naming the store first if needed; return it."""
    name = objects.identity()
    # After the store has its name: a kill between leaves the file missing, and the store is
    # recognised by its content.
    replace_file(identity_file, name.encode())
    return name


def holds_payload(objects: ObjectStore, row: RecordingRow) -> bool:
    """Tell whether a store has a recording's payload, by its size."""
    try:
        # By size alone: reading payloads would take hours, and their bytes are the scrub's
        # business.
        return objects.facts(_object_key(row, PAYLOAD)).size == payload_size(row.size)
    except ObjectMissingError:
        return False


def not_ours(identity_file: Path, row: RecordingRow, where: str) -> StoreSetupError:
    """Return the refusal of a store that does not hold what this office has in it."""
    return StoreSetupError(
        bucket=where,
        problem=f"{identity_file.name} is missing, and recording {row.id} is not in this store",
        mend=f"LIUHEN_OBJECTS_URL, LIUHEN_ARCHIVE, {identity_file.name}",
    )


def _holds_record(objects: ObjectStore, row: RecordingRow) -> bool:
    try:
        return objects.digest(_object_key(row, RECORD)) == Digest.compute(row.record_text.encode())
    except ObjectMissingError:
        return False


def _object_key(row: RecordingRow, part: str) -> str:
    return key_of(RecordingId(UUID(row.id)), part)
