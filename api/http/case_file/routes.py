"""A case's way: parts, documents, moments, reviews, decision, explanations, doubts."""

from datetime import datetime

from fastapi import APIRouter

from api.http.case_file import findings
from api.http.case_file import presenters as way_views
from api.http.case_file.scene_codes import scene_code as shown
from api.http.case_file.schemas import (
    DecisionOut,
    DocumentOut,
    ExplanationOut,
    MomentOut,
    NewDecision,
    NewDisclosure,
    NewDocument,
    NewDoubt,
    NewFeatures,
    NewMoment,
    NewPart,
    NewReview,
    NewServiceOf,
    NewWaiver,
    PartOut,
    ReviewOut,
    SceneCodeOut,
    Settlement,
    WaiverOut,
    WayOut,
)
from api.http.cases.routes import action_of, case_of
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.schemas import ActionIdInput, CaseIdInput, Id, VerdictOut
from api.http.security import ServiceHere, VisitorHere
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act, Role
from policies.facts.terms import Approver
from policies.identifiers import Subject
from policies.scene_code import Kind
from storage.catalogue.cases import case_file, doubts
from storage.catalogue.cases import waivers as explanations
from storage.catalogue.recordings import recordings

router = APIRouter(tags=["way"])


@router.get("/cases/{case}/way")
def the_way(case: CaseIdInput, service: ServiceHere, visitor: VisitorHere) -> WayOut:
    """Return all about a case's way, and where it may go now and why."""
    row = case_of(service, visitor, case, Act.SEE_CASE)
    office = service.office
    with office.catalogue.read() as session:
        return way_views.the_way(session, row, office.rulebook, office.clock())


@router.get("/cases/{case}/explanation")
def explain_case(case: CaseIdInput, service: ServiceHere, visitor: VisitorHere) -> ExplanationOut:
    """Explain why the case may or may not go on: rule, article, facts, what mends, who waives."""
    row = case_of(service, visitor, case, Act.SEE_CASE)
    office = service.office
    with office.catalogue.read() as session:
        return findings.present_explanation(session, row, office.rulebook, office.clock())


@router.put("/cases/{case}/features")
def set_case_features(
    case: CaseIdInput, new: NewFeatures, service: ServiceHere, visitor: VisitorHere
) -> NewFeatures:
    """Set the features that make the case special."""
    row = case_of(service, visitor, case, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        case_file.set_features(uow, row.id, new.features, actor=visitor.actor)
    return new


@router.post("/cases/{case}/parts", status_code=201)
def take_part(
    case: CaseIdInput, new: NewPart, service: ServiceHere, visitor: VisitorHere
) -> PartOut:
    """Enter who handles, reviews or decides the case: three persons."""
    row = case_of(service, visitor, case, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        part_row = case_file.take_part(uow, row.id, new.part, new.person, actor=visitor.actor)
    with service.office.catalogue.read() as session:
        return way_views.present_part(session, part_row)


@router.post("/cases/{case}/documents", status_code=201)
def enter_document(
    case: CaseIdInput, new: NewDocument, service: ServiceHere, visitor: VisitorHere
) -> DocumentOut:
    """Enter a document of the case or of one of its actions."""
    row = case_of(service, visitor, case, Act.KEEP_CASE)
    # Naming a scan links it to the case and keeps it for ever: that takes the right to the
    # recording as well, which may be another township's.
    if new.recording is not None:
        with service.office.catalogue.read() as session:
            scan = recordings.by_id(session, new.recording)
        subject = Subject.of_recording(scan.id)
        service.authorise(visitor, Act.LINK, scan.township, subject)
    with service.office.catalogue.write() as uow:
        entered = case_file.enter_document(
            uow,
            row.id,
            new.kind,
            number=new.number,
            at=new.at,
            action_id=new.action,
            served_at=new.served_at,
            manner=new.manner,
            recording_id=new.recording,
            actor=visitor.actor,
        )
    return way_views.present_document(entered)


@router.post("/documents/{document}/service")
def record_service(
    document: Id, new: NewServiceOf, service: ServiceHere, visitor: VisitorHere
) -> DocumentOut:
    """Enter when and how a document was served."""
    with service.office.catalogue.read() as session:
        row = case_file.get_document(session, document)
    # The document names its case; whose that is decides, not what the request says.
    case_of(service, visitor, row.case_id, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        served = case_file.serve_document(
            uow, document, at=new.at, manner=new.manner, actor=visitor.actor
        )
    return way_views.present_document(served)


@router.post("/cases/{case}/reviews", status_code=201)
def record_review(
    case: CaseIdInput, new: NewReview, service: ServiceHere, visitor: VisitorHere
) -> ReviewOut:
    """Enter your legal review of the case."""
    row = case_of(service, visitor, case, Act.REVIEW)
    with service.office.catalogue.write() as uow:
        entered = case_file.record_review(
            uow,
            row.id,
            visitor.person.id,
            passed=new.passed,
            opinion=new.opinion,
            actor=visitor.actor,
        )
    with service.office.catalogue.read() as session:
        return way_views.present_review(session, entered)


@router.post("/cases/{case}/decision", status_code=201)
def decide_case(
    case: CaseIdInput, new: NewDecision, service: ServiceHere, visitor: VisitorHere
) -> VerdictOut:
    """Sign the decision; 409 with every finding where the rules forbid it, and logged."""
    row = case_of(service, visitor, case, Act.DECIDE)
    office = service.office
    # The rows that a decision rests on are compared with entries under the last signed head: it
    # should cover them.
    service.publish_checkpoint()
    with office.catalogue.write() as uow:
        verdict = case_file.record_decision(
            uow,
            row.id,
            visitor.person.id,
            office.rulebook,
            penalty=new.penalty,
            # From the role, not from the request: nobody ticks a box that the head has signed
            # (第十九条).
            signed_by_head=visitor.person.role is Role.HEAD,
            text=new.text,
            actor=visitor.actor,
        )
    body = verdict.to_json()
    # Outside the transaction, which has committed: the refusal with its findings is an entry as
    # well.
    if not verdict.allowed:
        raise ApiError(
            "gate", blocking=sum(rule_finding.blocks for rule_finding in verdict.findings), **body
        )
    return VerdictOut(**body)


@router.post("/cases/{case}/disclosure")
def record_disclosure(
    case: CaseIdInput, new: NewDisclosure, service: ServiceHere, visitor: VisitorHere
) -> DecisionOut:
    """Enter when and where the decision was disclosed."""
    row = case_of(service, visitor, case, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        disclosure = case_file.record_disclosure(
            uow, row.id, at=new.at, where=new.where, actor=visitor.actor
        )
    with service.office.catalogue.read() as session:
        return way_views.present_decision(session, disclosure)


@router.post("/actions/{action}/moments", status_code=201)
def mark_moment(
    action: ActionIdInput, new: NewMoment, service: ServiceHere, visitor: VisitorHere
) -> MomentOut:
    """Mark a moment on the action's timeline."""
    row = action_of(service, visitor, action, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        marked = case_file.mark_moment(
            uow, row.id, new.kind, new.at, note=new.note, actor=visitor.actor
        )
    return way_views.present_moment(marked)


@router.get("/actions/{action}/moments")
def list_moments(
    action: ActionIdInput,
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[MomentOut]:
    """Return the marked moments, in order of time."""
    row = action_of(service, visitor, action, Act.SEE_CASE)
    after = read_cursor("moments", cursor, datetime, str)
    with service.office.catalogue.read() as session:
        # One row more than asked for tells whether there is a next page, without counting.
        rows = case_file.list_moments(session, row.id, after=after, limit=limit + 1)
    return page_of(
        "moments",
        rows,
        limit,
        lambda moment_row: (moment_row.at, moment_row.id),
        way_views.present_moment,
    )


@router.get("/actions/{action}/scene-code")
def scene_code(
    action: ActionIdInput, service: ServiceHere, visitor: VisitorHere, kind: Kind = Kind.START
) -> SceneCodeOut:
    """Return the scene code of this very second, to be shown and filmed; ask each second."""
    row = action_of(service, visitor, action, Act.KEEP_CASE)
    return shown(service.office, row.id, kind)


@router.delete("/moments/{moment}", status_code=204)
def unmark_moment(moment: Id, service: ServiceHere, visitor: VisitorHere) -> None:
    """Take a mark back while the action is open."""
    with service.office.catalogue.read() as session:
        # Whether it may still be taken back is asked in the transaction that does it.
        row = case_file.get_moment(session, moment)
    action_of(service, visitor, row.action_id, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        case_file.unmark_moment(uow, moment, actor=visitor.actor)


@router.post("/cases/{case}/waivers", status_code=201)
def hand_in(
    case: CaseIdInput, new: NewWaiver, service: ServiceHere, visitor: VisitorHere
) -> WaiverOut:
    """Hand in an explanation (情况说明) of one rule's finding."""
    row = case_of(service, visitor, case, Act.EXPLAIN)
    # Every scan is asked for before anything is written: an explanation comes in whole or not at
    # all.
    for attached in new.attachments:
        with service.office.catalogue.read() as session:
            scan = recordings.by_id(session, attached)
        service.authorise(visitor, Act.LINK, scan.township, Subject.of_recording(scan.id))
    with service.office.catalogue.write() as uow:
        waiver_row = explanations.hand_in(
            uow,
            row.id,
            service.office.rulebook,
            rule=new.rule,
            reason=new.reason,
            text=new.text,
            person_id=visitor.person.id,
            action_id=new.action,
            attachments=new.attachments,
            actor=visitor.actor,
        )
    with service.office.catalogue.read() as session:
        return way_views.present_waiver(session, waiver_row)


@router.post("/waivers/{waiver}/settlement")
def settle_waiver(
    waiver: Id, new: Settlement, service: ServiceHere, visitor: VisitorHere
) -> WaiverOut:
    """Approve or refuse an explanation; never by whom the matter concerns."""
    with service.office.catalogue.read() as session:
        case = explanations.get_waiver(session, waiver).case_id
    subject = Subject.of_case(case_of(service, visitor, case, Act.APPROVE).id)
    # Who may approve nothing was turned away above; here it is whom the matter concerns, or whom
    # the rule does not name.
    with (
        service.logging_refusal(visitor, Act.APPROVE.value, subject),
        service.office.catalogue.write() as uow,
    ):
        row = explanations.settle_waiver(
            uow,
            waiver,
            service.office.rulebook,
            approved=new.approved,
            answer=new.answer,
            person_id=visitor.person.id,
            approver=_find_approver(visitor),
            actor=visitor.actor,
        )
    with service.office.catalogue.read() as session:
        return way_views.present_waiver(session, row)


@router.post("/recordings/{recording}/doubts", status_code=201)
def settle_doubt(
    recording: Id, new: NewDoubt, service: ServiceHere, visitor: VisitorHere
) -> NewDoubt:
    """Confirm or dismiss what inspection doubts; a dismissal needs a reason."""
    row = _find_recording(service, visitor, recording)
    with (
        service.logging_refusal(visitor, Act.SETTLE_DOUBT.value, Subject.of_recording(row)),
        service.office.catalogue.write() as uow,
    ):
        doubts.settle_doubt(
            uow,
            row,
            new.kind,
            new.start_s,
            confirmed=new.confirmed,
            reason=new.reason,
            person_id=visitor.person.id,
            actor=visitor.actor,
        )
    return new


def _find_recording(service: Service, visitor: Visitor, recording: str) -> str:
    with service.office.catalogue.read() as session:
        row = recordings.by_id(session, recording)
    service.authorise(visitor, Act.SETTLE_DOUBT, row.township, Subject.of_recording(row.id))
    return row.id


def _find_approver(visitor: Visitor) -> Approver:
    return Approver.HEAD if visitor.person.role is Role.HEAD else Approver.COUNTY
