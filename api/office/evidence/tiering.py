"""Old payloads into the archive, and back: copied, locked, read back, let go of, logged.

Renditions lie where their payload does. Killed anywhere, the next run goes on with the same
recordings: what is copied is found there, what was let go of is only logged. Records and envelopes
stay where they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.office.wiring import Office
from storage.catalogue.jobs import recording_upkeep
from storage.catalogue.jobs.tables import RenditionRow
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import retention
from storage.catalogue.tables import RecordingRow
from storage.errors import ArchiveAwayError, DestroyedError, ObjectMissingError
from storage.recording import RecordingId
from storage.upkeep.destruction import keys_of
from storage.vault.objects import PAYLOAD, RENDITION, key_of, strange_versions
from storage.vault.tiered_objects import TieredObjects


@dataclass(frozen=True, slots=True)
class Moved:
    """One payload that was archived; `freed` tells whether the first store let go of it."""

    recording: str
    size: int
    freed: bool


def archive_payloads(
    office: Office,
    before: datetime,
    limit: int,
    *,
    actor: str,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Iterator[Moved]:
    """Archive payloads accessioned before a moment, oldest first; yield each one.

    Raises: ArchiveAwayError, FixityError, VaultError; what was done before stays done.
    """
    store = _require_tiered_store(office)
    name = store.archive_store.identity()
    # Which are to go is read once; whether each still may is asked where it is noted.
    with office.catalogue.read() as session:
        rows = retention.list_archivable(session, before, limit)
    for row in rows:
        key = _object_key(row.id, PAYLOAD)
        # Archived and read back before the first store may let go; a crash leaves two copies.
        digest = store.archive_object(key)
        on_step("copied")
        strange = strange_versions(store.first, [key])  # they would go when it is let go of
        # False where a bucket keeps what is locked: then the archive is a second copy for now.
        freed = store.let_go(key)
        on_step("let-go")
        renditions = [
            rendition
            for rendition in _list_renditions(office, row.id)
            if _archive_rendition(store, rendition, on_step, freed=freed)
        ]
        # Noted last: a kill before it leaves copies in both, and the same recording comes up again.
        with _unless_destroyed(office, row.id), office.catalogue.write() as uow:
            recordings.note_archived(
                uow,
                row.id,
                digest,
                name,
                renditions=[rendition.sealed_sha256 for rendition in renditions],
                actor=actor,
                **({"strangers": strange} if strange and freed else {}),
            )
        on_step("noted")
        yield Moved(row.id, row.size, freed)


def recall_recording(office: Office, recording: UUID, *, actor: str) -> RecordingRow:
    """Copy an archived payload and its renditions back; the archive keeps its copies.

    Raises: NotFoundError, DestroyedError, ArchiveAwayError, FixityError, VaultError.
    """
    store = _require_tiered_store(office)
    with office.catalogue.read() as session:
        row = recordings.get_present_recording(session, recording)
    digest = store.recall_object(_object_key(row.id, PAYLOAD))
    for rendition in _list_renditions(office, row.id):
        with suppress(ObjectMissingError):  # made since, or lost: not archived
            store.recall_object(_object_key(rendition.id, RENDITION))
    with _unless_destroyed(office, row.id), office.catalogue.write() as uow:
        name = store.archive_store.identity()
        return recordings.note_recalled(uow, row.id, digest, name, actor=actor)


@contextmanager
def _unless_destroyed(office: Office, recording: str) -> Iterator[None]:
    """Take copies away again that were made while their recording was destroyed.

    Killed before that, the whole check names what is left. Raises: DestroyedError.
    """
    try:
        yield
    except DestroyedError:
        with office.catalogue.read() as session:
            keys = keys_of(session, recording)
        # The recording was destroyed between the copying and the noting: a copy that came after its
        # deletion would outlive it.
        for key in keys:
            office.objects.delete(key, office.clock())
        raise


def _require_tiered_store(office: Office) -> TieredObjects:
    if not isinstance(office.objects, TieredObjects):
        raise ArchiveAwayError(problem="no archive is set", archive="LIUHEN_ARCHIVE")
    return office.objects


def _list_renditions(office: Office, recording: str) -> list[RenditionRow]:
    with office.catalogue.read() as session:
        return recording_upkeep.renditions_of(session, recording)


def _archive_rendition(
    store: TieredObjects, rendition: RenditionRow, on_step: Callable[[str], None], *, freed: bool
) -> bool:
    """Archive a rendition behind its payload; tell whether it is there now, whole.

    No evidence waits for one that is lost or damaged: that is told to who looks at it, and it can
    be made anew.
    """
    key = _object_key(rendition.id, RENDITION)
    try:
        digest = store.archive_object(key)
    except ObjectMissingError:
        return False
    on_step("rendition-copied")
    # Copied, but not what its row says: it is not named in the entry, and the first store keeps it.
    if digest.hex != rendition.sealed_sha256:
        return False
    if freed:
        store.let_go(key)
        on_step("rendition-let-go")
    return True


def _object_key(own: str, part: str) -> str:
    return key_of(RecordingId(UUID(own)), part)
