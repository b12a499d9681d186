"""Persons whom cases, recordings and holds concern, gathered from the tables.

Parts in a case are read where they are entered: officers of its actions, 办审定, reviews and
decisions; who opened a case and who handed footage in stand in the custody log alone. Footage is
its officer's, and theirs who had its source when it began.
"""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.access.access import Person, Role
from policies.access.concern import TIE_EN, TIE_ZH, Matter, Tie, tie_of
from policies.facts.states import ExhibitState
from policies.facts.terms import Part
from policies.identifiers import ActionId, CaseId, PersonId, Subject
from policies.retention import releases
from policies.retention.holds import authority_zh, is_proceeding
from policies.retention.releases import WHO_EN, WHO_ZH, HoldContext
from storage.catalogue.cases.tables import CasePartRow, DecisionRow, HoldRow, ReviewRow
from storage.catalogue.holds import holds
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.people.tables import AssignmentRow
from storage.catalogue.reading import case_queries
from storage.catalogue.tables import (
    AccountRow,
    ActionOfficerRow,
    ActionRow,
    CaseRow,
    ExhibitRow,
    PersonRow,
    RecordingRow,
)
from storage.errors import ConflictError

_PERSON = "person:"
_AT_ONCE = 500  # ids in one question: databases bound how many a statement may name


class ConcernedError(ConflictError):
    """The matter concerns who would decide upon it; `facts` say how, and who may instead."""

    code = "concerned"

    def __init__(self, tie: Tie, hold_facts: HoldContext, *, second: bool = False) -> None:
        """Keep how it concerns him, and who may."""
        how = {"tie": tie.value, "tie_zh": TIE_ZH[tie], "tie_en": TIE_EN[tie]}
        super().__init__(**how, **who_may(hold_facts, second=second))


class NotEntitledError(ConflictError):
    """Neither placed by his authority nor his to answer; `facts` say whose it is and who may."""

    def __init__(self, hold_facts: HoldContext, *, second: bool = False) -> None:
        """Keep who may."""
        authority = authority_zh(hold_facts.authority)
        super().__init__(authority=authority, **who_may(hold_facts, second=second))
        self.code = (
            "proceeding-authority" if is_proceeding(hold_facts.authority) else "hold-authority"
        )


class InvolvedError(ConflictError):
    """Footage that is one's own, or shows what one took part in, is for others to judge."""

    code = "involved"

    def __init__(self, tie: Tie) -> None:
        """Keep how it concerns him."""
        super().__init__(tie=tie.value, tie_zh=TIE_ZH[tie], tie_en=TIE_EN[tie])


def check_not_concerned(hold_facts: HoldContext, person_id: PersonId) -> None:
    """Require that a hold or proceeding does not concern a person. Raises: ConcernedError."""
    tie = tie_of(hold_facts.matter, person_id)
    if tie is not None:
        raise ConcernedError(tie, hold_facts)


def check_uninvolved(matter: Matter, person_id: PersonId) -> None:
    """Require that a matter does not concern a person. Raises: InvolvedError."""
    tie = tie_of(matter, person_id)
    if tie is not None:
        raise InvolvedError(tie)


def who_may(hold_facts: HoldContext, *, second: bool) -> dict[str, str]:
    """Return the role that may act instead, in both languages."""
    role = releases.who_may(hold_facts, second=second)
    return {"who_zh": WHO_ZH[role], "who_en": WHO_EN[role]}


def of_case(session: Session, case_id: CaseId) -> Matter:
    """Return whom a case concerns by itself; its footage is asked by `of_recordings`."""
    played = session.execute(
        select(CasePartRow.part, CasePartRow.person_id).where(CasePartRow.case_id == case_id)
    )
    parts: dict[str, set[PersonId]] = {part.value: set() for part in Part}
    for part, person in played:
        parts.setdefault(part, set()).add(person)
    reviewed = session.scalars(select(ReviewRow.person_id).where(ReviewRow.case_id == case_id))
    decided = session.scalars(select(DecisionRow.person_id).where(DecisionRow.case_id == case_id))
    took_part = (
        select(ActionOfficerRow.person_id)
        .join(ActionRow, ActionRow.id == ActionOfficerRow.action_id)
        .where(ActionRow.case_id == case_id)
    )
    # Who opened a case stands in its entry alone, in no row.
    opened = select(CustodyEventRow.actor).where(
        CustodyEventRow.subject == Subject.of_case(case_id), CustodyEventRow.act == "case.open"
    )
    return Matter(
        officers=frozenset(session.scalars(took_part)),
        handlers=frozenset(parts[Part.HANDLES]),
        reviewers=frozenset({*parts[Part.REVIEWS], *reviewed}),
        deciders=frozenset({*parts[Part.DECIDES], *decided}),
        openers=_extract_person_ids(session.scalars(opened)),
    )


def of_action(session: Session, action_id: ActionId) -> Matter:
    """Return whom one action concerns: its officers, and whoever has a part in its case."""
    row = case_queries.get_action(session, action_id)
    took_part = select(ActionOfficerRow.person_id).where(ActionOfficerRow.action_id == row.id)
    case = of_case(session, row.case_id)
    return Matter(
        officers=frozenset(session.scalars(took_part)),
        handlers=case.handlers,
        reviewers=case.reviewers,
        deciders=case.deciders,
        openers=case.openers,
    )


def of_recordings(session: Session, ids: Iterable[str]) -> Matter:
    """Return whom footage concerns: who made it, handed it in, or took part in what it shows."""
    recording_ids = sorted(set(ids))
    matter = of_footage(session, recording_ids)
    for some in _parts_of(recording_ids):
        took_part = (
            select(ActionOfficerRow.person_id)
            .join(ExhibitRow, ExhibitRow.action_id == ActionOfficerRow.action_id)
            .where(ExhibitRow.recording_id.in_(some), ExhibitRow.state != ExhibitState.REJECTED)
        )
        matter |= Matter(officers=frozenset(session.scalars(took_part)))
    return matter


def of_footage(session: Session, ids: Iterable[str]) -> Matter:
    """Return whose footage it is: who made it, or handed it in."""
    matter = Matter()
    for some in _parts_of(sorted(set(ids))):
        accessions = select(CustodyEventRow.details).where(
            CustodyEventRow.subject.in_(
                [Subject.of_recording(recording_id) for recording_id in some]
            ),
            CustodyEventRow.act == "recording.accession",
        )
        matter |= Matter(
            recorders=_list_recorders(session, some),
            submitters=_extract_person_ids(
                str(details.get("operator", "")) for details in session.scalars(accessions)
            ),
        )
    return matter


def of_holds(session: Session, placed: Iterable[HoldRow]) -> Matter:
    """Return whom the things that some holds lie on concern, with all footage that they reach."""
    matter, reached = Matter(), set[str]()
    for row in placed:
        if row.recording_id is not None:
            reached.add(row.recording_id)
            continue
        reached.update(holds.list_recordings_of_hold(session, row))
        if row.action_id is not None:
            matter |= of_action(session, row.action_id)
        for case_id in _cases_of(session, row):
            matter |= of_case(session, case_id)
    return matter | of_recordings(session, reached)


def list_heads(session: Session, township: str | None) -> frozenset[PersonId]:
    """Return the persons who can act as head of a township now; of None there are none."""
    query = (
        select(AccountRow.person_id)
        .join(PersonRow, PersonRow.id == AccountRow.person_id)
        .where(
            AccountRow.role == Role.HEAD.value,
            ~AccountRow.disabled,
            PersonRow.township == township,
        )
    )
    return frozenset(session.scalars(query)) if township is not None else frozenset()


def actor_of(person: Person) -> str:
    """Return how the log names a person who acts."""
    return person.actor or f"{_PERSON}{person.id}"


def person_of(actor: str) -> PersonId | None:
    """Return the id of the person whom the log names so; None for stations and the system."""
    return PersonId(actor.removeprefix(_PERSON)) if actor.startswith(_PERSON) else None


def _cases_of(session: Session, row: HoldRow) -> list[CaseId]:
    if row.case_id is not None:
        return [row.case_id]
    if row.party is None:
        return []
    query = select(CaseRow.id).where(CaseRow.party == row.party)
    if row.township is not None:
        query = query.where(CaseRow.township == row.township)
    return list(session.scalars(query))


def _list_recorders(session: Session, ids: Sequence[str]) -> frozenset[PersonId]:
    query = select(RecordingRow.officer_id).where(
        RecordingRow.id.in_(ids), RecordingRow.officer_id.is_not(None)
    )
    had = (
        select(AssignmentRow.person_id)
        .join(RecordingRow, RecordingRow.source_serial == AssignmentRow.source_serial)
        .where(
            RecordingRow.id.in_(ids),
            AssignmentRow.from_at <= RecordingRow.start_at,
            AssignmentRow.to_at.is_(None) | (AssignmentRow.to_at > RecordingRow.start_at),
        )
    )
    officer_ids = {person for person in session.scalars(query) if person is not None}
    return frozenset({*officer_ids, *session.scalars(had)})


def _extract_person_ids(actors: Iterable[str]) -> frozenset[PersonId]:
    person_ids = (person_of(actor) for actor in actors)
    return frozenset(person_id for person_id in person_ids if person_id is not None)


def _parts_of(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), _AT_ONCE):
        yield ids[first : first + _AT_ONCE]
