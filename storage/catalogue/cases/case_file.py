"""Records of a case file: parts, moments, documents, reviews and decisions.

Each act is an entry in the log upon the case or the action. Whether it suffices is asked of
`policies`; a decision is made only where the rules allow it, and a refusal is logged too.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.facts.facts import DecisionFact
from policies.facts.findings import Verdict
from policies.facts.stages import Stage
from policies.facts.terms import DocumentKind, Feature, Manner, MomentKind, Part
from policies.identifiers import ActionId, CaseId, PersonId, Subject
from policies.rules.rules import Rulebook
from storage.catalogue.cases.tables import (
    CasePartRow,
    DecisionRow,
    DocumentRow,
    MomentRow,
    ReviewRow,
)
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.people.people import get_person
from storage.catalogue.proofs.proven_rows import require_case
from storage.catalogue.proofs.rulebooks import judged_by
from storage.catalogue.reading import case_queries
from storage.catalogue.reading.rule_facts import case_facts_of
from storage.catalogue.tables import CaseRow
from storage.catalogue.unit_of_work import Attempt, UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.custody.entries.subjects import RULEBOOK
from storage.errors import ConflictError, NotFoundError

_CHANGE = PremisType.METADATA_MODIFICATION


def set_features(
    uow: UnitOfWork, case_id: CaseId, features: Iterable[Feature], *, actor: str
) -> CaseRow:
    """Set the special features of a case. Raises: NotFoundError, ConflictError (closed)."""
    row = case_queries.get_open_case(uow.session, case_id)
    row.features = sorted({feature.value for feature in features})
    uow.record("case.features", _CHANGE, row, actor=actor, subject=Subject.of_case(row.id))
    return row


def take_part(
    uow: UnitOfWork, case_id: CaseId, part: Part, person_id: PersonId, *, actor: str
) -> CasePartRow:
    """Enter who handles, reviews or decides a case; taking it twice changes nothing.

    Raises: NotFoundError; ConflictError when the person has another part in it (第十条).
    """
    row = case_queries.get_open_case(uow.session, case_id)
    participant_id = get_person(uow.session, person_id).id
    for stored_part in list_parts(uow.session, row.id):
        if stored_part.person_id == participant_id and stored_part.part == part.value:
            return stored_part
        if stored_part.person_id == participant_id:
            raise ConflictError(problem="has another part in this case", part=stored_part.part)
    added = CasePartRow(case_id=row.id, part=part.value, person_id=participant_id, since=uow.at)
    uow.session.add(added)
    uow.record("case.part", _CHANGE, added, actor=actor, subject=Subject.of_case(row.id))
    return added


def list_parts(session: Session, case_id: CaseId) -> list[CasePartRow]:
    """Return who has which part in a case, in order of time."""
    query = select(CasePartRow).where(CasePartRow.case_id == case_id)
    return list(session.scalars(query.order_by(CasePartRow.since, CasePartRow.person_id)))


def mark_moment(
    uow: UnitOfWork,
    action_id: ActionId,
    kind: MomentKind,
    at: datetime,
    *,
    actor: str,
    note: str = "",
) -> MomentRow:
    """Mark a moment on the timeline of an open action. Raises: NotFoundError, ConflictError."""
    action = case_queries.get_open_action(uow.session, action_id)
    row = MomentRow(
        id=uow.new_id(), action_id=action.id, kind=kind.value, at=at, note=note, marked_by=actor
    )
    uow.session.add(row)
    uow.record("moment.mark", _CHANGE, row, actor=actor, subject=Subject.of_action(action.id))
    return row


def unmark_moment(uow: UnitOfWork, moment_id: str, *, actor: str) -> None:
    """Take a mark back while the action is open. Raises: NotFoundError, ConflictError."""
    row = get_moment(uow.session, moment_id)
    action = case_queries.get_open_action(uow.session, row.action_id)
    uow.session.delete(row)
    uow.session.flush()
    uow.record("moment.unmark", _CHANGE, row, actor=actor, subject=Subject.of_action(action.id))


def get_moment(session: Session, moment_id: str) -> MomentRow:
    """Return one mark. Raises: NotFoundError."""
    return load_row(session, MomentRow, moment_id)


def list_moments(
    session: Session, action_id: ActionId, *, after: Place = (), limit: int | None = None
) -> list[MomentRow]:
    """Return the marked moments of an action, in order of time (and id)."""
    query = select(MomentRow).where(MomentRow.action_id == action_id)
    return list(session.scalars(page_by_keys(query, (MomentRow.at, MomentRow.id), after, limit)))


def enter_document(
    uow: UnitOfWork,
    case_id: CaseId,
    kind: DocumentKind,
    *,
    number: str,
    at: datetime,
    actor: str,
    action_id: ActionId | None = None,
    served_at: datetime | None = None,
    manner: Manner | None = None,
    recording_id: str | None = None,
) -> DocumentRow:
    """Enter a document of a case; its scan may be a recording that was accessioned.

    Raises: NotFoundError; ConflictError for a closed case, an action of another case, or a
    document that was served before it was made.
    """
    row = case_queries.get_open_case(uow.session, case_id)
    if action_id is not None and case_queries.get_action(uow.session, action_id).case_id != row.id:
        raise ConflictError(problem="the action is another case's", action=action_id)
    if served_at is not None and served_at < at:
        raise ConflictError(problem="served before it was made", number=number)
    added = DocumentRow(
        id=uow.new_id(),
        case_id=row.id,
        action_id=action_id,
        recording_id=recording_id,
        kind=kind.value,
        number=number,
        at=at,
        served_at=served_at,
        manner=manner.value if manner else None,
        entered_by=actor,
    )
    uow.session.add(added)
    uow.record("document.enter", _CHANGE, added, actor=actor, subject=Subject.of_case(row.id))
    return added


def serve_document(
    uow: UnitOfWork, document_id: str, *, at: datetime, manner: Manner, actor: str
) -> DocumentRow:
    """Enter when and how a document was served. Raises: NotFoundError, ConflictError."""
    row = get_document(uow.session, document_id)
    if row.served_at is not None or at < row.at:
        raise ConflictError(problem="served already, or before it was made", document=row.id)
    row.served_at, row.manner = at, manner.value
    uow.record("document.serve", _CHANGE, row, actor=actor, subject=Subject.of_case(row.case_id))
    return row


def get_document(session: Session, document_id: str) -> DocumentRow:
    """Return one document. Raises: NotFoundError."""
    return load_row(session, DocumentRow, document_id)


def list_documents(session: Session, case_id: CaseId) -> list[DocumentRow]:
    """Return a case's documents, in order of time."""
    query = select(DocumentRow).where(DocumentRow.case_id == case_id)
    return list(session.scalars(query.order_by(DocumentRow.at, DocumentRow.id)))


def record_review(
    uow: UnitOfWork, case_id: CaseId, person_id: PersonId, *, passed: bool, opinion: str, actor: str
) -> ReviewRow:
    """Enter a legal review (第九条); who reviews takes that part.

    Raises: NotFoundError; ConflictError outside 审查 and 决定, or for one with another part.
    """
    case = case_queries.get_open_case(uow.session, case_id)
    if Stage(case.stage) not in {Stage.REVIEW, Stage.DECISION}:
        raise ConflictError(problem="not a stage to review in", stage=case.stage)
    take_part(uow, case_id, Part.REVIEWS, person_id, actor=actor)
    row = ReviewRow(
        id=uow.new_id(),
        case_id=case.id,
        person_id=person_id,
        at=uow.at,
        passed=passed,
        opinion=opinion,
    )
    uow.session.add(row)
    uow.record(
        "case.review", PremisType.VALIDATION, row, actor=actor, subject=Subject.of_case(case.id)
    )
    return row


def list_reviews(session: Session, case_id: CaseId) -> list[ReviewRow]:
    """Return a case's legal reviews, oldest first."""
    query = select(ReviewRow).where(ReviewRow.case_id == case_id)
    return list(session.scalars(query.order_by(ReviewRow.at, ReviewRow.id)))


def record_decision(
    uow: UnitOfWork,
    case_id: CaseId,
    person_id: PersonId,
    rulebook: Rulebook,
    *,
    penalty: bool,
    signed_by_head: bool,
    text: str,
    actor: str,
) -> Verdict:
    """Enter the decision of a case if no blocking rule on deciding fails; commit a refusal too.

    Raises: NotFoundError; RowsDifferError; ConflictError outside the stage 决定, or for one with
    another part.
    """
    attempt = Attempt("case.decide", PremisType.POLICY_ASSIGNMENT, actor, Subject.of_case(case_id))
    require_case(uow, case_queries.get_case(uow.session, case_id).id, attempt)
    case = case_queries.get_open_case(uow.session, case_id)
    if Stage(case.stage) is not Stage.DECISION:
        raise ConflictError(problem="not the stage to decide in", stage=case.stage)
    take_part(uow, case_id, Part.DECIDES, person_id, actor=actor)
    facts = case_facts_of(uow.session, case_id, uow.at, Stage.DECISION)
    decision_fact = DecisionFact(uow.at, person_id, penalty, signed_by_head)
    verdict = rulebook.judge_facts(replace(facts, decision=decision_fact))
    rows = []
    if verdict.allowed:
        row = DecisionRow(
            id=uow.new_id(),
            case_id=case.id,
            person_id=person_id,
            at=uow.at,
            penalty=penalty,
            signed_by_head=signed_by_head,
            text=text,
            disclosed_at=None,
            disclosed_where=None,
        )
        uow.session.add(row)
        rows.append(row)
    uow.record(
        "case.decide",
        PremisType.POLICY_ASSIGNMENT,
        *rows,
        actor=actor,
        subject=Subject.of_case(case.id),
        outcome=Outcome.SUCCESS if verdict.allowed else Outcome.REFUSED,
        verdict=verdict.to_json(),
        heads=[RULEBOOK],
        **judged_by(rulebook),
    )
    return verdict


def current_decision(session: Session, case_id: CaseId) -> DecisionRow | None:
    """Return the decision that holds: the last."""
    query = select(DecisionRow).where(DecisionRow.case_id == case_id)
    return session.scalar(query.order_by(DecisionRow.at.desc(), DecisionRow.id.desc()).limit(1))


def record_disclosure(
    uow: UnitOfWork, case_id: CaseId, *, at: datetime, where: str, actor: str
) -> DecisionRow:
    """Enter when and where the decision was disclosed (第七条).

    Raises: NotFoundError (no decision), ConflictError (disclosed already, or before it was made).
    """
    row = current_decision(uow.session, case_id)
    if row is None:
        raise NotFoundError(what="decision", id=case_id)
    if row.disclosed_at is not None or at < row.at:
        raise ConflictError(problem="disclosed already, or before it was made", decision=row.id)
    row.disclosed_at, row.disclosed_where = at, where
    uow.record("case.disclose", _CHANGE, row, actor=actor, subject=Subject.of_case(case_id))
    return row
