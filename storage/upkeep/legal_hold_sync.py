"""The legal holds of the object store follow the holds of the catalogue.

The catalogue's hold counts from its commit; here the store is told, so that it refuses by itself.
A crash in between is mended by whoever calls this next (the `lock` job looks at everything). A
legal hold ends under the writers' lock: no hold can be placed between the look and the release.
"""

from collections.abc import Iterable
from uuid import UUID

from storage.catalogue.holds import holds
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import Catalogue, View
from storage.errors import ObjectMissingError
from storage.recording import RecordingId
from storage.vault.objects import PARTS, ObjectStore, key_of


def follow(catalogue: Catalogue, objects: ObjectStore, ids: Iterable[str]) -> list[str]:
    """Hold in the store what is held, release what is not; return the recordings that changed.

    Objects that are not there are left to `verify`. Raises: NotFoundError, VaultError.
    """
    return [one for one in ids if _follow(catalogue, objects, one)]


def _follow(catalogue: Catalogue, objects: ObjectStore, recording: str) -> bool:
    with catalogue.read() as session:
        wanted = _held(session, recording)
    keys = _differing(objects, recording, held=wanted)
    if not keys:
        return False
    if wanted:
        for key in keys:
            objects.hold(key)
        return True
    with catalogue.write() as uow:
        if _held(uow.session, recording):
            return False  # placed meanwhile; whoever placed it tells the store
        for key in keys:
            objects.release(key)
    return True


def _held(session: View, recording: str) -> bool:
    gone = recordings.by_id(session, recording).destroyed_at is not None
    return not gone and bool(holds.holding(session, recording))


def _differing(objects: ObjectStore, recording: str, *, held: bool) -> list[str]:
    keys = [key_of(RecordingId(UUID(recording)), part) for part in PARTS]
    found = []
    for key in keys:
        try:
            if objects.facts(key).held is not held:
                found.append(key)
        except ObjectMissingError:
            continue
    return found
