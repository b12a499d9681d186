"""Linking recordings to actions: proposed by rule, decided by a person, or linked by hand.

A closed action's exhibits are settled. Every proposal and every decision is an entry in the log,
with the interval that the recording is said to show.
"""

from datetime import datetime

from sqlalchemy import select

from policies.facts.states import EXHIBIT_MOVES, ActionStatus, ExhibitState, can_become
from policies.identifiers import ActionId, Subject
from policies.linking import propose_links
from storage.catalogue.holds import concerns, holds, releases
from storage.catalogue.reading import case_queries, rule_facts
from storage.catalogue.recordings.recordings import get_present_recording
from storage.catalogue.tables import ActionRow, ExhibitRow, RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError
from storage.recording import MediaKind

_LINK = PremisType.METADATA_MODIFICATION
_TIMED = {MediaKind.VIDEO.value, MediaKind.AUDIO.value}


def propose_exhibits(uow: UnitOfWork, action_id: ActionId, *, actor: str) -> list[ExhibitRow]:
    """Propose every recording that fits the action by officer and time and was never linked.

    Calling it again proposes only what came since. Raises: NotFoundError, ConflictError (closed).
    """
    action = case_queries.get_open_action(uow.session, action_id)
    found_facts = rule_facts.facts_of(uow.session, action_id)
    rows = [
        ExhibitRow(
            id=uow.new_id(),
            recording_id=proposal.recording,
            action_id=action.id,
            shown_from=proposal.interval.start,
            shown_to=proposal.interval.end,
            state=ExhibitState.PROPOSED,
            how=proposal.reason,
            proposed_by=actor,
            decided_by=None,
        )
        for proposal in propose_links(
            found_facts, rule_facts.list_candidates(uow.session, action_id)
        )
    ]
    for row in rows:
        uow.session.add(row)
        _log_link(uow, "exhibit.propose", row, actor)
    return rows


def link_by_hand(
    uow: UnitOfWork,
    action_id: ActionId,
    recording_id: str,
    *,
    actor: str,
    shown_from: datetime | None = None,
    shown_to: datetime | None = None,
) -> ExhibitRow:
    """Link a recording because a person says so; it is confirmed by that.

    Without an interval given, what recording and action share; for a paper, a photo, or footage
    whose time nobody knows, the whole action. A link that was proposed or rejected is taken over.
    Coverage reckons with the recording's own time, never with the interval given here.
    Raises: NotFoundError, DestroyedError; ConflictError (closed, confirmed already, or nothing is
    shared).
    """
    action = case_queries.get_open_action(uow.session, action_id)
    recording = get_present_recording(uow.session, recording_id)
    start, stop = _compute_interval(action, recording, shown_from, shown_to)
    row = uow.session.scalar(
        select(ExhibitRow).where(
            ExhibitRow.action_id == action.id, ExhibitRow.recording_id == recording.id
        )
    )
    if row is None:
        row = ExhibitRow(
            id=uow.new_id(), recording_id=recording.id, action_id=action.id, proposed_by=actor
        )
        uow.session.add(row)
    elif not can_become(EXHIBIT_MOVES, row.state, ExhibitState.CONFIRMED):
        raise ConflictError(problem="the exhibit is confirmed already", exhibit=row.id)
    row.shown_from, row.shown_to = start, stop
    row.state, row.how, row.decided_by = ExhibitState.CONFIRMED, "hand", actor
    _log_link(uow, "exhibit.link", row, actor)
    return row


def confirm_exhibit(uow: UnitOfWork, exhibit_id: str, *, actor: str) -> ExhibitRow:
    """Confirm that a recording shows its action. Raises: NotFoundError, ConflictError."""
    return _decide_exhibit(uow, exhibit_id, ExhibitState.CONFIRMED, "exhibit.confirm", actor)


def reject_exhibit(uow: UnitOfWork, exhibit_id: str, *, actor: str) -> ExhibitRow:
    """Reject a link between recording and action; it is not proposed again.

    Whom a hold concerns takes nothing out of its reach so.
    Raises: NotFoundError, ConflictError, InvolvedError.
    """
    row = case_queries.get_exhibit(uow.session, exhibit_id)
    before = holds.list_holds_of_recording(uow.session, row.recording_id)
    matters = [
        releases.covered_with(uow.session, hold_row).hold_facts.matter for hold_row in before
    ]
    rejected = _decide_exhibit(uow, exhibit_id, ExhibitState.REJECTED, "exhibit.reject", actor)
    still = {
        hold_row.id for hold_row in holds.list_holds_of_recording(uow.session, row.recording_id)
    }
    person_id = concerns.person_of(actor)
    for hold, matter in zip(before, matters, strict=True):
        if person_id is not None and hold.id not in still:
            concerns.check_uninvolved(matter, person_id)
    return rejected


def link_by_code(
    uow: UnitOfWork, action_id: ActionId, recording_id: str, *, actor: str
) -> ExhibitRow | None:
    """Link a recording because its source filmed the action's scene code; confirmed by that.

    A link that a person decided stays as it is (None), as does one of a closed action.
    Raises: NotFoundError.
    """
    action = case_queries.get_action(uow.session, action_id)
    recording = get_present_recording(uow.session, recording_id)
    row = uow.session.scalar(
        select(ExhibitRow).where(
            ExhibitRow.action_id == action.id, ExhibitRow.recording_id == recording.id
        )
    )
    # What a person decided, either way, outranks what a camera happened to film.
    if action.status != ActionStatus.OPEN or (
        row is not None and row.state != ExhibitState.PROPOSED
    ):
        return None
    if row is None:
        row = ExhibitRow(
            id=uow.new_id(), recording_id=recording.id, action_id=action.id, proposed_by=actor
        )
        uow.session.add(row)
    row.shown_from, row.shown_to = _compute_interval(action, recording, None, None)
    row.state, row.how, row.decided_by = ExhibitState.CONFIRMED, "scene-code", actor
    _log_link(uow, "exhibit.self-link", row, actor)
    return row


def _decide_exhibit(
    uow: UnitOfWork, exhibit_id: str, state: ExhibitState, act: str, actor: str
) -> ExhibitRow:
    row = case_queries.get_exhibit(uow.session, exhibit_id)
    case_queries.get_open_action(uow.session, row.action_id)
    if not can_become(EXHIBIT_MOVES, row.state, state):
        raise ConflictError(problem=f"the exhibit is {state} already", exhibit=row.id)
    # A link to what was destroyed may still be rejected; it can be evidence no more.
    if state is ExhibitState.CONFIRMED:
        get_present_recording(uow.session, row.recording_id)
    row.state, row.decided_by = state, actor
    _log_link(uow, act, row, actor)
    return row


def _log_link(uow: UnitOfWork, act: str, row: ExhibitRow, actor: str) -> None:
    # The subject is the recording: its chain of custody names every link made with it.
    uow.record(
        act,
        _LINK,
        row,
        actor=actor,
        subject=Subject.of_recording(row.recording_id),
        action=row.action_id,
        exhibit=row.id,
    )


def _compute_interval(
    action: ActionRow,
    recording: RecordingRow,
    shown_from: datetime | None,
    shown_to: datetime | None,
) -> tuple[datetime, datetime]:
    end = action.end_at or action.start_at
    start, stop = action.start_at, end
    if recording.kind in _TIMED and recording.start_at is not None and recording.end_at is not None:
        start = max(action.start_at, recording.start_at)
        stop = min(action.end_at or recording.end_at, recording.end_at)
    start, stop = shown_from or start, shown_to or stop
    if start > stop:
        raise ConflictError(
            problem="recording and action share no time", action=action.id, recording=recording.id
        )
    return start, stop
