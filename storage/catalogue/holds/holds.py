"""Holds (冻结) in the catalogue: placed on a recording, action, case or party; what they reach.

A hold stands from the moment it is committed, and reaches what is linked later too, because what
it reaches is asked anew each time. The legal hold of the object store follows (`storage/
legal_hold_sync.py`). How a hold ends is `releases.py`'s business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, and_, or_, select
from sqlalchemy.orm import Session

from policies.facts.states import ExhibitState
from policies.facts.terms import HoldReason
from policies.identifiers import ActionId, CaseId, HoldId, Subject
from policies.retention import holds as policy
from storage.catalogue.cases.tables import DocumentRow, HoldRow
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings.recordings import by_id, get_present_recording
from storage.catalogue.tables import ActionRow, CaseRow, ExhibitRow, RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError

_KIND = PremisType.POLICY_ASSIGNMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHold:
    """A hold to be placed: on exactly one of recording, action, case and party.

    `township` bounds a party: the same name elsewhere is somebody else (None: in the whole county).
    """

    reason: HoldReason
    authority: str
    recording_id: str | None = None
    action_id: ActionId | None = None
    case_id: CaseId | None = None
    party: str | None = None
    township: str | None = None
    proceeding_id: str | None = None
    note: str | None = None


def place_hold(uow: UnitOfWork, new: NewHold, *, actor: str) -> HoldRow:
    """Place a hold. It stands from the commit on, for what is linked later too.

    Raises: NotFoundError; ConflictError when it lies on nothing or on several things;
    DestroyedError when the recording is gone.
    """
    lies_on = [new.recording_id, new.action_id, new.case_id, new.party]
    if sum(target is not None for target in lies_on) != 1:
        raise ConflictError(problem="a hold lies on exactly one recording, action, case or party")
    # A hold on a name that is nothing would look as if it kept something.
    if new.recording_id is not None:
        get_present_recording(uow.session, new.recording_id)
    if new.action_id is not None:
        case_queries.get_action(uow.session, new.action_id)
    if new.case_id is not None:
        case_queries.get_case(uow.session, new.case_id)
    row = HoldRow(
        id=uow.new_id(),
        recording_id=new.recording_id,
        proceeding_id=new.proceeding_id,
        reason=new.reason.value,
        placed_by=actor,
        placed_at=uow.at,
        released_by=None,
        released_at=None,
        action_id=new.action_id,
        case_id=new.case_id,
        party=new.party,
        township=new.township,
        authority=new.authority,
        note=new.note,
        released_why=None,
    )
    uow.session.add(row)
    uow.record("hold.place", _KIND, row, actor=actor, subject=subject_of_hold(row))
    return row


def get_hold(session: Session, hold_id: HoldId) -> HoldRow:
    """Return one hold. Raises: NotFoundError."""
    return load_row(session, HoldRow, hold_id)


def list_active_holds(
    session: Session,
    *,
    township: str | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[HoldRow]:
    """Return the holds that stand, newest first (time of placing, id).

    Of a township alone, if it is given, those that lie on what is its own or on the whole county.
    """
    query = select(HoldRow).where(HoldRow.released_at.is_(None))
    if township is not None:
        query = query.where(in_township(township))
    keys = (HoldRow.placed_at, HoldRow.id)
    return list(session.scalars(page_by_keys(query, keys, after, limit, newest=True)))


def in_township(township: str) -> ColumnElement[bool]:
    """Return the condition that a hold lies on what is a township's own, or on the whole county."""
    row, case = HoldRow, CaseRow.township == township
    footage = select(RecordingRow.id).where(
        RecordingRow.id == row.recording_id, RecordingRow.township == township
    )
    acted = select(ActionRow.id).join(CaseRow, CaseRow.id == ActionRow.case_id)
    return or_(
        footage.exists(),
        acted.where(ActionRow.id == row.action_id, case).exists(),
        select(CaseRow.id).where(CaseRow.id == row.case_id, case).exists(),
        and_(
            *(column.is_(None) for column in (row.recording_id, row.action_id, row.case_id)),
            or_(row.township.is_(None), row.township == township),
        ),
    )


def authority_of(row: HoldRow) -> str:
    """Return the authority that placed a hold."""
    return row.authority or policy.of_proceeding(row.proceeding_id or "")


def subject_of_hold(row: HoldRow) -> Subject:
    """Return what a hold lies on, as the log names it."""
    if row.recording_id is not None:
        return Subject.of_recording(row.recording_id)
    if row.action_id is not None:
        return Subject.of_action(row.action_id)
    return Subject.of_case(row.case_id) if row.case_id is not None else Subject.of_hold(row.id)


@dataclass(slots=True)
class Linked:
    """Links of a recording by which holds reach it: actions, cases, parties by township."""

    actions: set[str] = field(default_factory=set)
    cases: set[str] = field(default_factory=set)
    parties: set[tuple[str, str]] = field(default_factory=set)

    def is_under_hold(self, recording: str, row: HoldRow) -> bool:
        """Tell whether a hold reaches the recording."""
        return (
            row.recording_id == recording
            or row.action_id in self.actions
            or row.case_id in self.cases
            or any(
                row.party == party and row.township in {None, township}
                for party, township in self.parties
            )
        )


def find_links(session: Session, recordings: Iterable[str]) -> dict[str, Linked]:
    """Return what some recordings are linked to: by exhibits not rejected, and as documents."""
    ids = list(recordings)
    # A proposed link is held, too: it may turn out to be evidence. A rejected one holds nothing.
    links = {recording_id: Linked() for recording_id in ids}
    exhibits = (
        select(ExhibitRow.recording_id, ActionRow.id, CaseRow)
        .join(ActionRow, ActionRow.id == ExhibitRow.action_id)
        .join(CaseRow, CaseRow.id == ActionRow.case_id)
        .where(ExhibitRow.recording_id.in_(ids), ExhibitRow.state != ExhibitState.REJECTED)
    )
    papers = (
        select(DocumentRow.recording_id, DocumentRow.action_id, CaseRow)
        .join(CaseRow, CaseRow.id == DocumentRow.case_id)
        .where(DocumentRow.recording_id.in_(ids))
    )
    queries: tuple[Executable, ...] = (exhibits, papers)
    for recording, action, case in (row for query in queries for row in session.execute(query)):
        if recording is not None:
            link = links[recording]
            link.actions |= {action} if action is not None else set()
            link.cases.add(case.id)
            link.parties.add((case.party, case.township))
    return links


def list_holds_by_recording(
    session: Session, links: Mapping[str, Linked]
) -> dict[str, list[HoldRow]]:
    """Return the holds, released ones too, that reach each of some recordings, in order."""
    actions = {action for linked in links.values() for action in linked.actions}
    cases = {case for linked in links.values() for case in linked.cases}
    parties = {party for linked in links.values() for party, _township in linked.parties}
    on: list[ColumnElement[bool]] = [HoldRow.recording_id.in_(list(links))]
    if actions:
        on.append(HoldRow.action_id.in_(sorted(actions)))
    if cases:
        on += [HoldRow.case_id.in_(sorted(cases)), HoldRow.party.in_(sorted(parties))]
    rows = session.scalars(
        select(HoldRow).where(or_(*on)).order_by(HoldRow.placed_at, HoldRow.id)
    ).all()
    return {
        recording: [row for row in rows if linked.is_under_hold(recording, row)]
        for recording, linked in links.items()
    }


def list_holds_of_recording(session: Session, recording_id: str) -> list[HoldRow]:
    """Return the holds that keep a recording now; an empty list keeps nothing."""
    links = find_links(session, [by_id(session, recording_id).id])
    return [
        row
        for row in list_holds_by_recording(session, links)[recording_id]
        if row.released_at is None
    ]


def list_holds_on_case(
    session: Session, case: CaseRow, actions: Iterable[ActionId]
) -> list[HoldRow]:
    """Return the holds that stand on a case, on its party or on these of its actions."""
    link = Linked({*actions}, {case.id}, {(case.party, case.township)})
    rows = list_holds_by_recording(session, {case.id: link})[case.id]
    return [row for row in rows if row.released_at is None]


def list_recordings_of_hold(session: Session, row: HoldRow) -> list[str]:
    """Return the recordings that a hold reaches now, destroyed ones left out, by id."""
    if row.recording_id is not None:
        query = select(RecordingRow.id).where(RecordingRow.id == row.recording_id)
    else:
        query = select(RecordingRow.id).where(
            or_(
                RecordingRow.id.in_(_select_exhibits(row)),
                RecordingRow.id.in_(_select_documents(row)),
            )
        )
    query = query.where(RecordingRow.destroyed_at.is_(None))
    return list(session.scalars(query.order_by(RecordingRow.id)))


def _select_exhibits(row: HoldRow) -> Select[Any]:
    query = (
        select(ExhibitRow.recording_id)
        .join(ActionRow, ActionRow.id == ExhibitRow.action_id)
        .join(CaseRow, CaseRow.id == ActionRow.case_id)
        .where(ExhibitRow.state != ExhibitState.REJECTED)
    )
    return query.where(_scope_condition(row, ActionRow.id))


def _select_documents(row: HoldRow) -> Select[Any]:
    query = (
        select(DocumentRow.recording_id)
        .join(CaseRow, CaseRow.id == DocumentRow.case_id)
        .where(DocumentRow.recording_id.is_not(None))
    )
    return query.where(_scope_condition(row, DocumentRow.action_id))


def _scope_condition(row: HoldRow, action: Any) -> Any:
    if row.action_id is not None:
        return action == row.action_id
    if row.case_id is not None:
        return CaseRow.id == row.case_id
    on = CaseRow.party == row.party
    return on if row.township is None else on & (CaseRow.township == row.township)
