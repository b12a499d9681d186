"""Reading cases: rows by id, lists, and the frozen facts about an action that policies judge.

Here rows become facts; nothing is decided and nothing is written.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from policies.facts import ActionFacts, Footage, OfficerFact, Offsets
from policies.findings import Verdict
from policies.rulebook import Rulebook
from policies.stages import ActionKind, Stage
from storage.catalogue import register
from storage.catalogue.tables import (
    ActionOfficerRow,
    ActionRow,
    CaseRow,
    ExhibitRow,
    PersonRow,
    RecordingRow,
)
from storage.errors import NotFoundError

CONFIRMED = "confirmed"
PROPOSED = "proposed"
REJECTED = "rejected"

NEARBY = timedelta(hours=6)  # how far around an action we look for footage to name
MAX_NEARBY = 500


def case(session: Session, case_id: str) -> CaseRow:
    """Return one case. Raises: NotFoundError."""
    row = session.get(CaseRow, case_id)
    if row is None:
        raise NotFoundError(what="case", id=case_id)
    return row


def action(session: Session, action_id: str) -> ActionRow:
    """Return one action. Raises: NotFoundError."""
    row = session.get(ActionRow, action_id)
    if row is None:
        raise NotFoundError(what="action", id=action_id)
    return row


def exhibit(session: Session, exhibit_id: str) -> ExhibitRow:
    """Return one exhibit. Raises: NotFoundError."""
    row = session.get(ExhibitRow, exhibit_id)
    if row is None:
        raise NotFoundError(what="exhibit", id=exhibit_id)
    return row


def cases(
    session: Session,
    *,
    township: str | None = None,
    party: str | None = None,
    text: str | None = None,
) -> list[CaseRow]:
    """Return cases, newest first; `text` looks in number, title and party."""
    wanted = select(CaseRow).order_by(CaseRow.opened_at.desc(), CaseRow.id.desc())
    if township is not None:
        wanted = wanted.where(CaseRow.township == township)
    if party is not None:
        wanted = wanted.where(CaseRow.party == party)
    if text:
        columns = (CaseRow.number, CaseRow.title, CaseRow.party)
        wanted = wanted.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
    return list(session.scalars(wanted))


def case_by_number(session: Session, number: str) -> CaseRow | None:
    """Return the case of this number, if there is one."""
    return session.scalar(select(CaseRow).where(CaseRow.number == number))


def actions(session: Session, case_id: str) -> list[ActionRow]:
    """Return a case's actions, in order of time."""
    wanted = select(ActionRow).where(ActionRow.case_id == case_id)
    return list(session.scalars(wanted.order_by(ActionRow.start_at, ActionRow.id)))


def officers(session: Session, action_id: str) -> list[PersonRow]:
    """Return who took part in an action, by name."""
    wanted = (
        select(PersonRow)
        .join(ActionOfficerRow, ActionOfficerRow.person_id == PersonRow.id)
        .where(ActionOfficerRow.action_id == action_id)
    )
    return list(session.scalars(wanted.order_by(PersonRow.name, PersonRow.id)))


def exhibits(session: Session, action_id: str) -> list[ExhibitRow]:
    """Return everything linked to an action, rejected links too, in order of time."""
    wanted = select(ExhibitRow).where(ExhibitRow.action_id == action_id)
    return list(session.scalars(wanted.order_by(ExhibitRow.shown_from, ExhibitRow.id)))


def exhibits_of(session: Session, recording_id: str) -> list[ExhibitRow]:
    """Return every link of one recording."""
    wanted = select(ExhibitRow).where(ExhibitRow.recording_id == recording_id)
    return list(session.scalars(wanted.order_by(ExhibitRow.id)))


def facts_of(session: Session, action_id: str) -> ActionFacts:
    """Return the frozen facts about an action: confirmed exhibits, and footage nearby.

    `nearby` holds what was recorded in the same township within six hours of the action and is
    neither confirmed for it nor rejected. Raises: NotFoundError.
    """
    row = action(session, action_id)
    township = case(session, row.case_id).township
    return ActionFacts(
        action=row.id,
        case=row.case_id,
        kind=ActionKind(row.kind),
        stage=Stage(row.stage),
        start=row.start_at,
        end=row.end_at,
        township=township,
        officers=tuple(
            _officer(session, person, row.start_at) for person in officers(session, row.id)
        ),
        footage=_footage(session.scalars(_linked(row.id, CONFIRMED))),
        nearby=_footage(session.scalars(_around(row, township))),
    )


def judge(session: Session, action_id: str, rulebook: Rulebook) -> Verdict:
    """Say what the rules in force find about an action now; changes nothing."""
    return rulebook.evaluate(facts_of(session, action_id))


def candidates(session: Session, action_id: str) -> tuple[Footage, ...]:
    """Return the recordings that might be proposed for an action: nearby and never linked."""
    row = action(session, action_id)
    never = RecordingRow.id.not_in(_recordings_of(row.id, PROPOSED, CONFIRMED, REJECTED))
    township = case(session, row.case_id).township
    return _footage(session.scalars(_around(row, township).where(never)))


def _officer(session: Session, person: PersonRow, at: datetime) -> OfficerFact:
    found = register.qualification(session, person, at)
    auxiliary = person.kind == register.AUXILIARY
    return OfficerFact(person.id, found.certified, auxiliary, found.why)


def _recordings_of(action_id: str, *states: str) -> Select[Any]:
    return select(ExhibitRow.recording_id).where(
        ExhibitRow.action_id == action_id, ExhibitRow.state.in_(states)
    )


def _linked(action_id: str, state: str) -> Select[RecordingRow]:
    return (
        select(RecordingRow)
        .where(RecordingRow.id.in_(_recordings_of(action_id, state)))
        .order_by(RecordingRow.start_at, RecordingRow.id)
    )


def _around(row: ActionRow, township: str) -> Select[RecordingRow]:
    first: datetime = row.start_at - NEARBY
    last: datetime = (row.end_at or row.start_at) + NEARBY
    return (
        select(RecordingRow)
        .where(
            RecordingRow.township == township,
            RecordingRow.start_at < last,
            func.coalesce(RecordingRow.end_at, RecordingRow.start_at) > first,
            RecordingRow.id.not_in(_recordings_of(row.id, CONFIRMED, REJECTED)),
        )
        .order_by(RecordingRow.start_at, RecordingRow.id)
        .limit(MAX_NEARBY)
    )


def _footage(rows: Iterable[RecordingRow]) -> tuple[Footage, ...]:
    return tuple(footage_of(row) for row in rows)


def footage_of(row: RecordingRow) -> Footage:
    """Return a recording as coverage sees it; what inspection doubts stays doubtful."""
    return Footage(
        recording=row.id,
        source=row.source_serial,
        start=row.start_at,
        end=row.end_at,
        uncertainty_s=row.clock_uncertainty_s,
        has_video=row.has_video,
        has_audio=row.has_audio,
        missing_video=_offsets(row.video_gaps),
        missing_audio=_offsets(row.audio_gaps),
        doubtful=tuple(_doubts(row)),
        officer=row.officer_id,
        kind=row.kind,
    )


def _doubts(row: RecordingRow) -> Iterator[tuple[float, float, str]]:
    """Yield what inspection doubts; without an end, up to the end of the file."""
    for found in row.inspection:
        if found.get("weight") == "doubt":
            start, stop = found.get("start_s"), found.get("end_s")
            yield (
                float(start or 0),
                float((row.duration_s or 0) if stop is None else stop),
                (str(found["kind"])),
            )


def _offsets(gaps: list[list[float]]) -> tuple[Offsets, ...]:
    return tuple((float(start), float(stop)) for start, stop in gaps)
