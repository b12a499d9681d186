"""情况说明 kept: handed in by one person, approved or refused by another, visible for ever.

Whether an approved one counts is asked of `policies/facts/waivers.py` every time; here is refused
what could never count, so that nobody waits in vain.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.facts.facts import ActionFacts, CaseFacts, Waiver
from policies.facts.states import WAIVER_MOVES, WaiverState, can_become
from policies.facts.terms import Approver, WaiverReason
from policies.facts.waivers import concerned_in, find_objection
from policies.identifiers import ActionId, CaseId, PersonId, Subject
from policies.rules.rules import Rule, Rulebook
from storage.catalogue.cases.tables import WaiverRow
from storage.catalogue.engine.rows import load_row
from storage.catalogue.people.people import get_person
from storage.catalogue.reading import case_queries
from storage.catalogue.reading.rule_facts import case_facts_of, facts_of
from storage.catalogue.recordings.recordings import by_id
from storage.catalogue.tables import CaseRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import ConflictError, NotFoundError

_CHANGE = PremisType.METADATA_MODIFICATION


def hand_in(
    uow: UnitOfWork,
    case_id: CaseId,
    rulebook: Rulebook,
    *,
    rule: str,
    reason: WaiverReason,
    text: str,
    person_id: PersonId,
    actor: str,
    action_id: ActionId | None = None,
    attachments: Sequence[str] = (),
) -> WaiverRow:
    """Hand in an explanation of one rule's finding; `attachments` are recordings.

    Raises: NotFoundError; ConflictError when it could never count (not waivable, a reason that
    the rule does not admit, too late), or the action is another case's.
    """
    case = case_queries.get_case(uow.session, case_id)
    if action_id is not None and case_queries.get_action(uow.session, action_id).case_id != case.id:
        raise ConflictError(problem="the action is another case's", action=action_id)
    new_waiver = Waiver("new", rule, reason, get_person(uow.session, person_id).id, uow.at)
    _check_objection(uow, case.id, action_id, rulebook, new_waiver)
    row = WaiverRow(
        id=uow.new_id(),
        case_id=case.id,
        action_id=action_id,
        rule=rule,
        reason=reason.value,
        text=text,
        attachments=[by_id(uow.session, recording_id).id for recording_id in attachments],
        person_id=new_waiver.by,
        at=uow.at,
        state=WaiverState.PROPOSED,
    )
    uow.session.add(row)
    uow.record("waiver.hand-in", _CHANGE, row, actor=actor, subject=_subject_of_waiver(row))
    return row


def settle_waiver(
    uow: UnitOfWork,
    waiver_id: str,
    rulebook: Rulebook,
    *,
    approved: bool,
    answer: str,
    person_id: PersonId,
    approver: Approver,
    actor: str,
) -> WaiverRow:
    """Approve or refuse an explanation.

    Raises: NotFoundError; ConflictError when it was settled before, or this person may not
    approve it (not whom the rule names, or concerned by the matter).
    """
    row = get_waiver(uow.session, waiver_id)
    state = WaiverState.APPROVED if approved else WaiverState.REFUSED
    if not can_become(WAIVER_MOVES, row.state, state):
        raise ConflictError(problem="settled already", waiver=row.id)
    approver_id = get_person(uow.session, person_id).id
    proposed_waiver = Waiver(row.id, row.rule, WaiverReason(row.reason), row.person_id, row.at)
    settled = replace(
        proposed_waiver, approved_by=approver_id, approved_at=uow.at, approver=approver.value
    )
    _check_objection(uow, row.case_id, row.action_id, rulebook, settled)
    row.state = state
    row.decided_by, row.decided_at = approver_id, uow.at
    row.approver, row.answer = approver.value, answer
    outcome = Outcome.SUCCESS if approved else Outcome.REFUSED
    kind = PremisType.POLICY_ASSIGNMENT
    uow.record(
        "waiver.settle", kind, row, actor=actor, subject=_subject_of_waiver(row), outcome=outcome
    )
    return row


def get_waiver(session: Session, waiver_id: str) -> WaiverRow:
    """Return one explanation. Raises: NotFoundError."""
    return load_row(session, WaiverRow, waiver_id)


def list_waivers(session: Session, case_id: CaseId) -> list[WaiverRow]:
    """Return every explanation handed in for a case and its actions, oldest first."""
    query = select(WaiverRow).where(WaiverRow.case_id == case_id)
    return list(session.scalars(query.order_by(WaiverRow.at, WaiverRow.id)))


def count_waivers(
    session: Session, township: str, since: datetime, until: datetime
) -> tuple[int, int]:
    """Return how many were handed in for a township's cases in a span, and how many approved."""
    query = (
        select(func.count(), func.count().filter(WaiverRow.state == WaiverState.APPROVED))
        .select_from(WaiverRow)
        .join(CaseRow, CaseRow.id == WaiverRow.case_id)
        .where(CaseRow.township == township, WaiverRow.at >= since, WaiverRow.at < until)
    )
    explained, approved = session.execute(query).one()
    return int(explained), int(approved)


def _check_objection(
    uow: UnitOfWork,
    case_id: CaseId,
    action_id: ActionId | None,
    rulebook: Rulebook,
    proposed_waiver: Waiver,
) -> None:
    facts: ActionFacts | CaseFacts = (
        facts_of(uow.session, action_id)
        if action_id
        else case_facts_of(uow.session, case_id, uow.at)
    )
    problem = find_objection(
        _find_rule(rulebook, proposed_waiver.rule, facts).waiver_terms,
        proposed_waiver,
        concerned_in(facts),
        facts.ended_at,
    )
    if problem:
        raise ConflictError(problem=problem, rule=proposed_waiver.rule)


def _find_rule(rulebook: Rulebook, rule_id: str, facts: ActionFacts | CaseFacts) -> Rule:
    rules = [rule for rule in rulebook.in_force(facts.judged_at) if rule.id == rule_id]
    if not rules:
        raise NotFoundError(what="rule", id=rule_id)
    return rules[0]


def _subject_of_waiver(row: WaiverRow) -> Subject:
    return Subject.of_action(row.action_id) if row.action_id else Subject.of_case(row.case_id)
