"""Objects of attempts that were never accessioned: how they are removed, and who must look again.

A removal is said in the log first; then the objects go under the writers' lock, where nobody can
be accessioning them. Whoever verified an attempt's objects before its own turn came asks
`removed_attempts` within that turn: only what the log names must be looked at once more.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from policies.identifiers import Subject
from storage.catalogue.log import custody_log
from storage.catalogue.unit_of_work import Catalogue, View
from storage.custody.entries.event import PremisType
from storage.vault.objects import ObjectStore, strange_versions

_ACT = "object.sweep"


def remove_attempt(
    catalogue: Catalogue,
    objects: ObjectStore,
    recording: str,
    keys: Sequence[str],
    *,
    actor: str,
    is_wanted: Callable[[View], bool],
) -> bool:
    """Remove an attempt's objects unless somebody wants them by then; tell whether it was done.

    `wanted` is asked within each of both turns. Raises: RetentionError, VaultError.
    """
    # Before the writers' turn, since it lists what the store has.
    strange = strange_versions(objects, keys)
    details: dict[str, Any] = {"keys": list(keys)} | ({"strangers": strange} if strange else {})
    with catalogue.write() as uow:
        if is_wanted(uow.session):
            return False
        subject = Subject.of_recording(recording)
        uow.record(_ACT, PremisType.DELETION, actor=actor, subject=subject, **details)
    with catalogue.write() as uow:
        if is_wanted(uow.session):
            return False
        for key in keys:
            objects.delete(key, uow.at)
    return True


def removed_attempts(session: View, recordings: Iterable[str]) -> set[str]:
    """Return those of the recordings of which objects were removed, or are about to be."""
    subjects: dict[str, str] = {Subject.of_recording(name): name for name in recordings}
    return {subjects[subject] for subject in custody_log.subjects_with(session, _ACT, subjects)}
