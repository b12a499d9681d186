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


def sync_legal_holds(catalogue: Catalogue, objects: ObjectStore, ids: Iterable[str]) -> list[str]:
    """Set the store's legal holds to the catalogue's; return the recordings that changed.

    Objects that are not there are left to `verify`. Raises: NotFoundError, VaultError.
    """
    return [recording for recording in ids if _sync_recording(catalogue, objects, recording)]


def _sync_recording(catalogue: Catalogue, objects: ObjectStore, recording: str) -> bool:
    with catalogue.read() as session:
        on_hold = _is_on_hold(session, recording)
    keys = _find_mismatched_keys(objects, recording, on_hold=on_hold)
    if not keys:
        return False
    # Outside the writers' turn: a hold too many is ended by the next call, and costs nothing.
    if on_hold:
        for key in keys:
            objects.hold(key)
        return True
    # In it: a hold that is placed while we release would be lost in the store.
    with catalogue.write() as uow:
        if _is_on_hold(uow.session, recording):
            return False  # placed meanwhile; whoever placed it tells the store
        for key in keys:
            objects.release(key)
    return True


def _is_on_hold(session: View, recording: str) -> bool:
    is_destroyed = recordings.by_id(session, recording).destroyed_at is not None
    return not is_destroyed and bool(holds.list_holds_of_recording(session, recording))


def _find_mismatched_keys(objects: ObjectStore, recording: str, *, on_hold: bool) -> list[str]:
    keys = [key_of(RecordingId(UUID(recording)), part) for part in PARTS]
    mismatches = []
    for key in keys:
        try:
            if objects.facts(key).on_hold is not on_hold:
                mismatches.append(key)
        except ObjectMissingError:
            continue
    return mismatches
