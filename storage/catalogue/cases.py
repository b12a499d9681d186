"""Cases and their actions: opened, moved from stage to stage, closed when the rules allow it.

What the rules say is asked of `policies`; the answer, allowed or refused, is an entry in the log
with every finding. Reading is `case_facts.py`, linking `exhibits.py`; both can be had from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from policies.findings import Verdict
from policies.rulebook import Rulebook
from policies.stages import MOVES, ActionKind, Stage
from storage.catalogue.case_facts import (
    action,
    actions,
    case,
    case_by_number,
    cases,
    exhibit,
    exhibits,
    exhibits_of,
    facts_of,
    judge,
    officers,
)
from storage.catalogue.exhibits import (
    confirm_exhibit,
    link_by_hand,
    propose_exhibits,
    reject_exhibit,
)
from storage.catalogue.people import person
from storage.catalogue.tables import ActionOfficerRow, ActionRow, CaseRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.event import Outcome, PremisType
from storage.errors import ConflictError

OPEN = "open"
CLOSED = "closed"
_CHANGE = PremisType.METADATA_MODIFICATION


def open_case(
    uow: UnitOfWork,
    *,
    number: str,
    title: str,
    party: str,
    township: str,
    actor: str,
    stage: Stage = Stage.REGISTRATION,
) -> CaseRow:
    """Open a case file. Raises: ConflictError when the number is taken."""
    taken = case_by_number(uow.session, number)
    if taken is not None:
        raise ConflictError(problem="case number is taken", case=taken.id, number=number)
    row = CaseRow(
        id=uow.new_id(),
        number=number,
        title=title,
        party=party,
        township=township,
        stage=stage.value,
        opened_at=uow.at,
        closed_at=None,
    )
    uow.session.add(row)
    uow.record("case.open", _CHANGE, row, actor=actor, subject=f"case:{row.id}")
    return row


@dataclass(frozen=True, slots=True)
class Move:
    """Whether a case went to another stage, and if not, why and for which actions."""

    allowed: bool
    reason: str | None = None
    open_actions: tuple[str, ...] = ()


def move_case(uow: UnitOfWork, case_id: str, stage: Stage, *, actor: str) -> Move:
    """Take a case to another stage, or refuse; either is logged. Commit a refusal too.

    Refused: `not-a-next-stage` (policies.stages), `open-actions` of the present stage.
    Raises: NotFoundError.
    """
    row = case(uow.session, case_id)
    move = _judge_move(uow.session, row, stage)
    before = row.stage
    if move.allowed:
        row.stage = stage.value
        row.closed_at = uow.at if stage is Stage.CLOSING else None
    uow.record(
        "case.move",
        PremisType.POLICY_ASSIGNMENT,
        *([row] if move.allowed else []),
        actor=actor,
        subject=f"case:{row.id}",
        outcome=Outcome.SUCCESS if move.allowed else Outcome.REFUSED,
        before=before,
        asked=stage.value,
        reason=move.reason,
        open_actions=list(move.open_actions),
    )
    return move


def _judge_move(session: Session, row: CaseRow, stage: Stage) -> Move:
    if stage not in MOVES[Stage(row.stage)]:
        return Move(allowed=False, reason="not-a-next-stage")
    left_open = tuple(
        found.id
        for found in actions(session, row.id)
        if found.status == OPEN and (found.stage == row.stage or stage is Stage.CLOSING)
    )
    if left_open:
        return Move(allowed=False, reason="open-actions", open_actions=left_open)
    return Move(allowed=True)


def add_action(
    uow: UnitOfWork,
    *,
    case_id: str,
    kind: ActionKind,
    place: str,
    start_at: datetime,
    officers: Sequence[str],
    actor: str,
    end_at: datetime | None = None,
    stage: Stage | None = None,
) -> ActionRow:
    """Add an action with its officers (ids of persons); its stage is the case's unless given.

    Raises: NotFoundError; ConflictError when the case is closed or the end is before the start.
    """
    file = case(uow.session, case_id)
    if file.closed_at is not None:
        raise ConflictError(problem="the case is closed", case=file.id)
    _check_interval(start_at, end_at)
    row = ActionRow(
        id=uow.new_id(),
        case_id=file.id,
        kind=kind.value,
        stage=(stage or Stage(file.stage)).value,
        place=place,
        start_at=start_at,
        end_at=end_at,
        status=OPEN,
    )
    uow.session.add(row)
    uow.session.flush()
    present = [
        ActionOfficerRow(action_id=row.id, person_id=person(uow.session, found).id)
        for found in dict.fromkeys(officers)
    ]
    uow.session.add_all(present)
    uow.record("action.add", _CHANGE, row, *present, actor=actor, subject=f"action:{row.id}")
    return row


def set_action_end(uow: UnitOfWork, action_id: str, end_at: datetime, *, actor: str) -> ActionRow:
    """Enter when an open action ended. Raises: NotFoundError, ConflictError."""
    row = _open(uow, action_id)
    _check_interval(row.start_at, end_at)
    row.end_at = end_at
    uow.record("action.end", _CHANGE, row, actor=actor, subject=f"action:{row.id}")
    return row


def close_action(uow: UnitOfWork, action_id: str, rulebook: Rulebook, *, actor: str) -> Verdict:
    """Judge an open action and close it if no blocking rule failed.

    Allowed or refused, one entry holds the verdict with every finding and every gap: commit
    either. Raises: NotFoundError; ConflictError when it is closed or has no end.
    """
    row = _open(uow, action_id)
    verdict = judge(uow.session, action_id, rulebook)
    if verdict.allowed and row.end_at is None:
        raise ConflictError(problem="the action has no end", action=row.id)
    if verdict.allowed:
        row.status = CLOSED
    uow.record(
        "action.close",
        PremisType.POLICY_ASSIGNMENT,
        *([row] if verdict.allowed else []),
        actor=actor,
        subject=f"action:{row.id}",
        outcome=Outcome.SUCCESS if verdict.allowed else Outcome.REFUSED,
        verdict=verdict.to_json(),
        exhibits=[found.id for found in exhibits(uow.session, row.id)],
    )
    return verdict


def _open(uow: UnitOfWork, action_id: str) -> ActionRow:
    row = action(uow.session, action_id)
    if row.status != OPEN:
        raise ConflictError(problem="the action is closed", action=row.id)
    return row


def _check_interval(start_at: datetime, end_at: datetime | None) -> None:
    if end_at is not None and end_at <= start_at:
        raise ConflictError(
            problem="the end is not after the start",
            start=start_at.isoformat(),
            end=end_at.isoformat(),
        )


__all__ = [
    "CLOSED",
    "OPEN",
    "Move",
    "action",
    "actions",
    "add_action",
    "case",
    "case_by_number",
    "cases",
    "close_action",
    "confirm_exhibit",
    "exhibit",
    "exhibits",
    "exhibits_of",
    "facts_of",
    "judge",
    "link_by_hand",
    "move_case",
    "officers",
    "open_case",
    "propose_exhibits",
    "reject_exhibit",
    "set_action_end",
]
