"""Cases and their actions: opened, moved from stage to stage, closed when the rules allow it.

What the rules say is asked of `policies`; the answer, allowed or refused, is an entry in the log
with every finding. Reading is `case_queries.py`, linking `exhibits.py`; both can be had from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from policies.facts.findings import Verdict
from policies.facts.stages import ENDS, MAIN, RETURNING, ActionKind, Stage, next_stages
from policies.facts.states import ActionStatus
from policies.facts.terms import Feature, Manner
from policies.identifiers import ActionId, CaseId, PersonId, Subject
from policies.rules.rules import Rulebook
from policies.scene_code import tag_of
from storage.catalogue.cases.exhibits import (
    confirm_exhibit,
    link_by_hand,
    propose_exhibits,
    reject_exhibit,
)
from storage.catalogue.people.people import get_person
from storage.catalogue.proofs.proven_rows import require_case
from storage.catalogue.proofs.rulebooks import judged_by
from storage.catalogue.reading.case_queries import (
    case_by_number,
    exhibits_of,
    get_action,
    get_case,
    get_exhibit,
    get_open_action,
    get_open_case,
    list_actions,
    list_cases,
    list_exhibits,
    list_officers,
)
from storage.catalogue.reading.rule_facts import case_facts_of, facts_of, judge_action
from storage.catalogue.tables import ActionOfficerRow, ActionRow, CaseRow
from storage.catalogue.unit_of_work import Attempt, UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.custody.entries.subjects import RULEBOOK
from storage.errors import ConflictError

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
    features: Sequence[Feature] = (),
) -> CaseRow:
    """Open a case file, in a stage of the main way. Raises: ConflictError (number, stage)."""
    if stage not in MAIN or stage in ENDS:
        raise ConflictError(problem="a case begins on the main way", stage=stage.value)
    same_number = case_by_number(uow.session, number)
    if same_number is not None:
        raise ConflictError(problem="case number is taken", case=same_number.id, number=number)
    row = CaseRow(
        id=uow.new_id(),
        number=number,
        title=title,
        party=party,
        township=township,
        stage=stage.value,
        opened_at=uow.at,
        closed_at=None,
        returns_to=None,
        features=sorted(feature.value for feature in features),
        filed_at=uow.at if MAIN.index(stage) >= MAIN.index(Stage.FILING) else None,
        suspended_at=None,
        suspended_s=None,
    )
    uow.session.add(row)
    uow.record("case.open", _CHANGE, row, actor=actor, subject=Subject.of_case(row.id))
    return row


@dataclass(frozen=True, slots=True)
class Move:
    """Outcome of moving a case to a stage: allowed, or a reason with actions and findings."""

    allowed: bool
    reason: str | None = None
    open_actions: tuple[ActionId, ...] = ()
    verdict: Verdict = field(default_factory=lambda: Verdict(()))


def move_case(
    uow: UnitOfWork, case_id: CaseId, stage: Stage, rulebook: Rulebook, *, actor: str
) -> Move:
    """Take a case to another stage, or refuse; either is logged. Commit a refusal too.

    Refused: `not-a-next-stage` (policies.facts.stages), `open-actions` of the present stage, `gate`
    where a rule blocks. Raises: NotFoundError, RowsDifferError.
    """
    row = get_case(uow.session, case_id)
    attempt = Attempt("case.move", PremisType.POLICY_ASSIGNMENT, actor, Subject.of_case(row.id))
    # Rows before rules: one that was changed by SQL could satisfy a rule.
    require_case(uow, row.id, attempt)
    move = judge_move(uow.session, row, stage, rulebook, uow.at)
    before = row.stage
    if move.allowed:
        _enter_stage(row, stage, uow.at)
    uow.record(
        "case.move",
        PremisType.POLICY_ASSIGNMENT,
        *([row] if move.allowed else []),
        actor=actor,
        subject=Subject.of_case(row.id),
        outcome=Outcome.SUCCESS if move.allowed else Outcome.REFUSED,
        before=before,
        asked=stage.value,
        reason=move.reason,
        open_actions=list(move.open_actions),
        findings=[finding.to_json() for finding in move.verdict.findings if not finding.passed],
        heads=[RULEBOOK],
        **judged_by(rulebook),
    )
    return move


def judge_move(
    session: Session, row: CaseRow, stage: Stage, rulebook: Rulebook, at: datetime
) -> Move:
    """Judge whether a case may enter a stage now, with every finding; changes nothing.

    Going on, along the main way or to its end, asks the rules on the case and those on each of
    its actions; leaving the main way asks those on the case alone.
    """
    now = Stage(row.stage)
    if stage not in next_stages(now, Stage(row.returns_to) if row.returns_to else None):
        return Move(allowed=False, reason="not-a-next-stage")
    facts = case_facts_of(session, row.id, at, stage)
    findings = rulebook.judge_facts(facts).findings
    onward = _require_onward(now, stage)
    if onward:
        findings += tuple(
            f for action_facts in facts.actions for f in rulebook.judge_facts(action_facts).findings
        )
    verdict = Verdict(findings)
    left_open = tuple(
        action_facts.action
        for action_facts in facts.actions
        if action_facts.action in facts.open_actions
        and (action_facts.stage is now or stage is Stage.CLOSING)
    )
    if onward and left_open:
        return Move(allowed=False, reason="open-actions", open_actions=left_open, verdict=verdict)
    if not verdict.allowed:
        return Move(allowed=False, reason="gate", verdict=verdict)
    return Move(allowed=True, verdict=verdict)


def _require_onward(now: Stage, stage: Stage) -> bool:
    if stage is Stage.CLOSING:
        return True
    return now in MAIN and stage in MAIN and MAIN.index(stage) > MAIN.index(now)


def _enter_stage(row: CaseRow, stage: Stage, at: datetime) -> None:
    now = Stage(row.stage)
    # From one interruption into another (复议, then 诉讼) the way back stays that of the first.
    if stage in RETURNING and now not in RETURNING:
        row.returns_to = now.value
    elif stage not in RETURNING:
        row.returns_to = None
    if row.suspended_at is not None:
        # 中止 does not count towards the period to decide in (`decide_within.py`).
        row.suspended_s = (row.suspended_s or 0.0) + (at - row.suspended_at).total_seconds()
    row.suspended_at = at if stage is Stage.SUSPENSION else None
    if stage is Stage.FILING and row.filed_at is None:
        row.filed_at = at
    row.stage = stage.value
    row.closed_at = at if stage in ENDS else None


def add_action(
    uow: UnitOfWork,
    *,
    case_id: CaseId,
    kind: ActionKind,
    place: str,
    start_at: datetime,
    officers: Sequence[PersonId],
    actor: str,
    end_at: datetime | None = None,
    stage: Stage | None = None,
    manner: Manner | None = None,
) -> ActionRow:
    """Add an action with its officers (ids of persons); its stage is the case's unless given.

    Raises: NotFoundError; ConflictError when the case is closed or the end is before the start.
    """
    file = get_open_case(uow.session, case_id)
    _check_interval(start_at, end_at)
    row = ActionRow(
        id=uow.new_id(),
        case_id=file.id,
        kind=kind.value,
        stage=(stage or Stage(file.stage)).value,
        place=place,
        start_at=start_at,
        end_at=end_at,
        status=ActionStatus.OPEN,
        manner=manner.value if manner else None,
    )
    # Derived and kept: a filmed code names its action by these digits, and is looked up by them.
    row.scene_tag = tag_of(row.id).hex()
    uow.session.add(row)
    uow.session.flush()
    present = [
        ActionOfficerRow(action_id=row.id, person_id=get_person(uow.session, officer_id).id)
        for officer_id in dict.fromkeys(officers)
    ]
    uow.session.add_all(present)
    uow.record("action.add", _CHANGE, row, *present, actor=actor, subject=Subject.of_action(row.id))
    return row


def set_action_end(
    uow: UnitOfWork, action_id: ActionId, end_at: datetime, *, actor: str
) -> ActionRow:
    """Enter when an open action ended. Raises: NotFoundError, ConflictError."""
    row = get_open_action(uow.session, action_id)
    _check_interval(row.start_at, end_at)
    row.end_at = end_at
    uow.record("action.end", _CHANGE, row, actor=actor, subject=Subject.of_action(row.id))
    return row


def close_action(
    uow: UnitOfWork, action_id: ActionId, rulebook: Rulebook, *, actor: str
) -> Verdict:
    """Judge an open action and close it if no blocking rule failed.

    Allowed or refused, one entry holds the verdict with every finding and every gap: commit
    either. Raises: NotFoundError; RowsDifferError; ConflictError when it is closed or has no end.
    """
    action_row = get_action(uow.session, action_id)
    attempt = Attempt(
        "action.close", PremisType.POLICY_ASSIGNMENT, actor, Subject.of_action(action_row.id)
    )
    require_case(uow, action_row.case_id, attempt)
    row = get_open_action(uow.session, action_id)
    facts = facts_of(uow.session, action_id)
    verdict = rulebook.judge_facts(facts)
    if verdict.allowed and row.end_at is None:
        raise ConflictError(problem="the action has no end", action=row.id)
    if verdict.allowed:
        row.status = ActionStatus.CLOSED
    uow.record(
        "action.close",
        PremisType.POLICY_ASSIGNMENT,
        *([row] if verdict.allowed else []),
        actor=actor,
        subject=Subject.of_action(row.id),
        outcome=Outcome.SUCCESS if verdict.allowed else Outcome.REFUSED,
        verdict=verdict.to_json(),
        facts=facts.to_json(),  # as judged: a verifier judges them again without us
        heads=[RULEBOOK],
        **judged_by(rulebook),
        exhibits=[exhibit_row.id for exhibit_row in list_exhibits(uow.session, row.id)],
    )
    return verdict


def _check_interval(start_at: datetime, end_at: datetime | None) -> None:
    if end_at is not None and end_at <= start_at:
        raise ConflictError(
            problem="the end is not after the start",
            start=start_at.isoformat(),
            end=end_at.isoformat(),
        )


__all__ = [
    "Move",
    "add_action",
    "case_by_number",
    "close_action",
    "confirm_exhibit",
    "exhibits_of",
    "facts_of",
    "get_action",
    "get_case",
    "get_exhibit",
    "judge_action",
    "judge_move",
    "link_by_hand",
    "list_actions",
    "list_cases",
    "list_exhibits",
    "list_officers",
    "move_case",
    "open_case",
    "propose_exhibits",
    "reject_exhibit",
    "set_action_end",
]
