"""The chains of the log, as the catalogue finds them: what belongs to a case, and their beginning.

What a chain is says `custody/chain.py`; which entry stands in which, `custody/subjects.py`.
"""

from collections.abc import Collection, Iterator
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM, CaseId, Subject
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.tables import ActionRow, CaseRow, ExhibitRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import PremisType, parse_leaf
from storage.custody.entries.subjects import find_related_subjects, list_touched_subjects

BEGUN = Subject("system:log-chains")
AT_ONCE = 200  # subjects in one entry: a leaf has 65,535 bytes, and a head takes 130


def belonging_to(session: Session, case_id: CaseId) -> set[str]:
    """Return every subject whose chain belongs to a case, its own included."""
    return find_related_subjects(
        [Subject.of_case(case_id)], partial(touched_by, LogReader(session))
    )


def touched_by(log: LogReader, subjects: Collection[str]) -> dict[str, list[set[str]]]:
    """Return, for each of some subjects, what each entry in its chain touches."""
    places = log.chain_entries(subjects)
    entry_indexes = sorted({index for indexes in places.values() for index in indexes})
    entries = {
        index: list_touched_subjects(parse_leaf(leaf.encode()), event.details)
        for index, leaf, event in log.read_readable_halves(entry_indexes)
    }
    return {
        subject: [entries[entry_index] for entry_index in indexes if entry_index in entries]
        for subject, indexes in places.items()
    }


def in_entries(subjects: Collection[str]) -> list[list[str]]:
    """Return the subjects in as many parts as entries have room for; one at least."""
    ordered_subjects = sorted(subjects)
    return [
        ordered_subjects[n : n + AT_ONCE] for n in range(0, max(len(ordered_subjects), 1), AT_ONCE)
    ]


def begin_chains(catalogue: Catalogue) -> None:
    """Tie together what a log of version 1 left apart: each case, its actions and their footage.

    Done once, when a log gets its first entries of version 2; what came before is told in one
    digest for each subject (`custody/chain.py`). A log that has begun is left alone.
    """
    # First without the writers' lock: every start asks this, and nearly always it is done.
    with catalogue.read() as session:
        if _has_begun(session):
            return
    with catalogue.write() as uow:
        # Another process may have done it while this one waited for its turn.
        if _has_begun(uow.session):
            return
        # What was before this number has no chain: `read_unchained` looks for it there.
        size = uow.next_index
        for case_id in uow.session.scalars(select(CaseRow.id).order_by(CaseRow.id)).all():
            for some in _list_chain_parts(uow.session, case_id):
                uow.record(
                    "case.chain",
                    PremisType.METADATA_MODIFICATION,
                    actor=SYSTEM,
                    subject=Subject.of_case(case_id),
                    chains=some,
                    subjects=some,
                )
        uow.record(
            "log.begin-chains",
            PremisType.METADATA_MODIFICATION,
            actor=SYSTEM,
            subject=BEGUN,
            size=size,
        )


def _has_begun(session: Session) -> bool:
    """Tell whether the chains have begun: the log is new, or said so."""
    log = LogReader(session)
    if log.size == 0 or log.chain_entries([BEGUN])[BEGUN]:
        return True
    # A log whose first entry is of version 2 has nothing to tie together.
    return bool(parse_leaf(log.get_leaf(0).encode())["v"] > 1)


def _list_chain_parts(session: Session, case_id: CaseId) -> Iterator[list[str]]:
    """Yield, entry by entry, each action of a case with the footage that was linked to it."""
    actions = session.scalars(select(ActionRow.id).where(ActionRow.case_id == case_id)).all()
    for action in sorted(actions):
        # All that was ever linked, rejected links too: they are about the action as well.
        linked = select(ExhibitRow.recording_id).where(ExhibitRow.action_id == action).distinct()
        recordings = [
            Subject.of_recording(recording_id) for recording_id in sorted(session.scalars(linked))
        ]
        for some in in_entries(recordings):
            yield [Subject.of_action(action), *some]
