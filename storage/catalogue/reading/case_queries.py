"""Reading cases: rows by id, and lists. How rows become facts is `rule_facts.py`'s business."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from policies.facts.states import ACTION_MOVES, ActionStatus, ExhibitState, can_become
from policies.identifiers import ActionId, CaseId
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.tables import (
    ActionOfficerRow,
    ActionRow,
    CaseRow,
    ExhibitRow,
    PersonRow,
    RecordingRow,
)
from storage.errors import ConflictError

NEARBY = timedelta(hours=6)  # how far around an action we look for footage to name
MAX_NEARBY = 500


def get_case(session: Session, case_id: CaseId) -> CaseRow:
    """Return one case. Raises: NotFoundError."""
    return load_row(session, CaseRow, case_id)


def get_open_case(session: Session, case_id: CaseId) -> CaseRow:
    """Return one case that was not closed. Raises: NotFoundError, ConflictError."""
    row = get_case(session, case_id)
    if row.closed_at is not None:
        raise ConflictError(problem="the case is closed", case=row.id)
    return row


def get_action(session: Session, action_id: ActionId) -> ActionRow:
    """Return one action. Raises: NotFoundError."""
    return load_row(session, ActionRow, action_id)


def get_open_action(session: Session, action_id: ActionId) -> ActionRow:
    """Return one action that can be closed yet. Raises: NotFoundError, ConflictError."""
    row = get_action(session, action_id)
    if not can_become(ACTION_MOVES, row.status, ActionStatus.CLOSED):
        raise ConflictError(problem="the action is closed", action=row.id)
    return row


def get_exhibit(session: Session, exhibit_id: str) -> ExhibitRow:
    """Return one exhibit. Raises: NotFoundError."""
    return load_row(session, ExhibitRow, exhibit_id)


def list_cases(
    session: Session,
    *,
    township: str | None = None,
    party: str | None = None,
    text: str | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[CaseRow]:
    """Return cases, newest first (time of opening, id); `text` looks in number, title, party."""
    query = select(CaseRow)
    if township is not None:
        query = query.where(CaseRow.township == township)
    if party is not None:
        query = query.where(CaseRow.party == party)
    if text:
        columns = (CaseRow.number, CaseRow.title, CaseRow.party)
        query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
    keys = (CaseRow.opened_at, CaseRow.id)
    return list(session.scalars(page_by_keys(query, keys, after, limit, newest=True)))


def cases_of(session: Session, township: str, since: datetime, until: datetime) -> list[CaseRow]:
    """Return a township's cases that were opened or acted in from `since` up to `until`, by id."""
    acted = select(ActionRow.id).where(
        ActionRow.case_id == CaseRow.id, ActionRow.start_at >= since, ActionRow.start_at < until
    )
    opened = and_(CaseRow.opened_at >= since, CaseRow.opened_at < until)
    query = select(CaseRow).where(CaseRow.township == township, or_(opened, acted.exists()))
    return list(session.scalars(query.order_by(CaseRow.id)))


def case_by_number(session: Session, number: str) -> CaseRow | None:
    """Return the case of this number, if there is one."""
    return session.scalar(select(CaseRow).where(CaseRow.number == number))


def list_actions(session: Session, case_id: CaseId) -> list[ActionRow]:
    """Return a case's actions, in order of time."""
    query = select(ActionRow).where(ActionRow.case_id == case_id)
    return list(session.scalars(query.order_by(ActionRow.start_at, ActionRow.id)))


def list_officers(session: Session, action_id: ActionId) -> list[PersonRow]:
    """Return who took part in an action, by name."""
    query = (
        select(PersonRow)
        .join(ActionOfficerRow, ActionOfficerRow.person_id == PersonRow.id)
        .where(ActionOfficerRow.action_id == action_id)
    )
    return list(session.scalars(query.order_by(PersonRow.name, PersonRow.id)))


def list_exhibits(session: Session, action_id: ActionId) -> list[ExhibitRow]:
    """Return everything linked to an action, rejected links too, in order of time."""
    query = select(ExhibitRow).where(ExhibitRow.action_id == action_id)
    return list(session.scalars(query.order_by(ExhibitRow.shown_from, ExhibitRow.id)))


def exhibits_of(session: Session, recording_id: str) -> list[ExhibitRow]:
    """Return every link of one recording."""
    query = select(ExhibitRow).where(ExhibitRow.recording_id == recording_id)
    return list(session.scalars(query.order_by(ExhibitRow.id)))


def _recordings_of(action_id: ActionId, *states: ExhibitState) -> Select[Any]:
    return select(ExhibitRow.recording_id).where(
        ExhibitRow.action_id == action_id, ExhibitRow.state.in_(states)
    )


def list_confirmed_recordings(session: Session, row: ActionRow) -> list[RecordingRow]:
    """Return the recordings confirmed for an action, in order of time."""
    query = select(RecordingRow).where(
        RecordingRow.id.in_(_recordings_of(row.id, ExhibitState.CONFIRMED))
    )
    return list(session.scalars(query.order_by(RecordingRow.start_at, RecordingRow.id)))


def list_nearby_recordings(
    session: Session, row: ActionRow, township: str, *, never_linked: bool = False
) -> list[RecordingRow]:
    """Return a township's recordings near an action, not confirmed nor rejected for it.

    With `never_linked` also nothing that is proposed.
    """
    first: datetime = row.start_at - NEARBY
    last: datetime = (row.end_at or row.start_at) + NEARBY
    states = set(ExhibitState) if never_linked else set(ExhibitState) - {ExhibitState.PROPOSED}
    query = (
        select(RecordingRow)
        .where(
            RecordingRow.township == township,
            RecordingRow.start_at < last,
            func.coalesce(RecordingRow.end_at, RecordingRow.start_at) > first,
            RecordingRow.id.not_in(_recordings_of(row.id, *states)),
            RecordingRow.destroyed_at.is_(None),
        )
        .order_by(RecordingRow.start_at, RecordingRow.id)
        .limit(MAX_NEARBY)
    )
    return list(session.scalars(query))
