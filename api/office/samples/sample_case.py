"""Sample case file of a lawful seizure, for the demonstration and the tests.

Approval before it begins; identity, reasons, rights, statement, counting, witness and signatures
marked while it goes on; decision and list handed over at its end.
"""

from datetime import datetime, timedelta

from policies.facts.terms import DocumentKind, Manner, MomentKind
from policies.identifiers import ActionId
from storage.catalogue.cases import case_file
from storage.catalogue.reading import case_queries
from storage.catalogue.unit_of_work import UnitOfWork

MOMENTS = (
    MomentKind.ANNOUNCED,
    MomentKind.IDENTITY,
    MomentKind.REASONS,
    MomentKind.RIGHTS,
    MomentKind.STATEMENT,
    MomentKind.WITNESS,
    MomentKind.INVENTORY,
    MomentKind.DELIVERY,
    MomentKind.SIGNED,
)
SERVED_DOCUMENTS = (DocumentKind.SEIZURE_DECISION, DocumentKind.SEIZURE_LIST)


def mark_moments(
    uow: UnitOfWork,
    action_id: ActionId,
    *,
    actor: str,
    leave_out: frozenset[MomentKind] = frozenset(),
) -> None:
    """Mark every moment, evenly between a quarter and three quarters of the action."""
    start, length = _find_interval(uow, action_id)
    for number, kind in enumerate(MOMENTS):
        if kind not in leave_out:
            at = start + length * (0.25 + 0.5 * number / len(MOMENTS))
            case_file.mark_moment(uow, action_id, kind, at, actor=actor)


def file_documents(uow: UnitOfWork, action_id: ActionId, *, actor: str) -> None:
    """File the approval of the day before, and what was handed over at the end."""
    action = case_queries.get_action(uow.session, action_id)
    start, length = _find_interval(uow, action_id)
    approved = start - timedelta(days=1)
    case_file.enter_document(
        uow,
        action.case_id,
        DocumentKind.SEIZURE_APPROVAL,
        number="审批",
        at=approved,
        action_id=action.id,
        actor=actor,
    )
    for kind in SERVED_DOCUMENTS:
        case_file.enter_document(
            uow,
            action.case_id,
            kind,
            number="当场",
            at=start + length,
            action_id=action.id,
            served_at=start + length,
            manner=Manner.DIRECT,
            actor=actor,
        )


def _find_interval(uow: UnitOfWork, action_id: ActionId) -> tuple[datetime, timedelta]:
    action = case_queries.get_action(uow.session, action_id)
    return action.start_at, (action.end_at or action.start_at) - action.start_at
