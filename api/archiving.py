"""Old payloads into the archive, and back: copied, locked, read back, let go of, logged.

Killed anywhere, the next run goes on with the same recordings: what is copied is found there, what
was let go of is only logged. Records and envelopes stay where they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.wiring import Office
from storage.catalogue import keeping, recordings
from storage.catalogue.tables import RecordingRow
from storage.errors import ArchiveAwayError
from storage.recording import RecordingId
from storage.vault.objects import PAYLOAD, key_of
from storage.vault.tiered_objects import TieredObjects


@dataclass(frozen=True, slots=True)
class Moved:
    """One payload that was archived; `freed` tells whether the first store let go of it."""

    recording: str
    size: int
    freed: bool


def archive(
    office: Office,
    before: datetime,
    limit: int,
    *,
    actor: str,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Iterator[Moved]:
    """Archive what was accessioned before then, oldest first; yield each as it is done.

    Raises: ArchiveAwayError, FixityError, VaultError; what was done before stays done.
    """
    store = _tiered(office)
    name = store.archive_store.identity()
    with office.catalogue.read() as session:
        rows = keeping.archivable(session, before, limit)
    for row in rows:
        key = _key(row)
        digest = store.archive(key)
        on_step("copied")
        freed = store.let_go(key)
        on_step("let-go")
        with office.catalogue.write() as uow:
            recordings.note_archived(uow, row.id, digest, name, actor=actor)
        on_step("noted")
        yield Moved(row.id, row.size, freed)


def recall(office: Office, recording: UUID, *, actor: str) -> RecordingRow:
    """Copy an archived payload back; the archive keeps its copy.

    Raises: NotFoundError, DestroyedError, ArchiveAwayError, FixityError, VaultError.
    """
    store = _tiered(office)
    with office.catalogue.read() as session:
        row = recordings.present(session, recording)
    digest = store.recall(_key(row))
    with office.catalogue.write() as uow:
        name = store.archive_store.identity()
        return recordings.note_recalled(uow, row.id, digest, name, actor=actor)


def _tiered(office: Office) -> TieredObjects:
    if not isinstance(office.objects, TieredObjects):
        raise ArchiveAwayError(problem="no archive is set", archive="LIUHEN_ARCHIVE")
    return office.objects


def _key(row: RecordingRow) -> str:
    return key_of(RecordingId(UUID(row.id)), PAYLOAD)
