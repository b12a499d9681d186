"""Rows of a case's file become what faces show; `api/http/presenters.py` shows the rest."""

from datetime import datetime

from api.http.case_file import findings
from api.http.case_file.schemas import (
    DecisionOut,
    DocumentOut,
    MomentOut,
    PartOut,
    ProceedingOut,
    ReviewOut,
    WaiverOut,
    WayOut,
)
from policies.facts.terms import (
    DOCUMENT_ZH,
    MOMENT_ZH,
    PART_ZH,
    PROCEEDING_ZH,
    WAIVER_ZH,
    DocumentKind,
    Feature,
    Manner,
    MomentKind,
    Part,
    ProceedingKind,
    WaiverReason,
)
from policies.rules.rules import Rulebook
from storage.catalogue.cases import case_file
from storage.catalogue.cases.tables import (
    CasePartRow,
    DecisionRow,
    DocumentRow,
    MomentRow,
    ProceedingRow,
    ReviewRow,
    WaiverRow,
)
from storage.catalogue.cases.waivers import list_waivers
from storage.catalogue.holds import proceedings
from storage.catalogue.people import people
from storage.catalogue.reading.rule_facts import case_facts_of, proceeding_facts
from storage.catalogue.tables import CaseRow
from storage.catalogue.unit_of_work import View


def the_way(session: View, row: CaseRow, rulebook: Rulebook, at: datetime) -> WayOut:
    """Return everything about a case's way, with every move judged now."""
    decided = case_file.current_decision(session, row.id)
    return WayOut(
        features=[Feature(feature) for feature in row.features or ()],
        major=rulebook.is_major(case_facts_of(session, row.id, at), at),
        parts=[
            present_part(session, part_row) for part_row in case_file.list_parts(session, row.id)
        ],
        documents=[
            present_document(document_row)
            for document_row in case_file.list_documents(session, row.id)
        ],
        reviews=[
            present_review(session, review_row)
            for review_row in case_file.list_reviews(session, row.id)
        ],
        decision=present_decision(session, decided) if decided else None,
        waivers=[
            present_waiver(session, waiver_row) for waiver_row in list_waivers(session, row.id)
        ],
        moves=findings.present_moves(session, row, rulebook, at),
    )


def present_moment(row: MomentRow) -> MomentOut:
    """Return one moment."""
    kind = MomentKind(row.kind)
    return MomentOut(id=row.id, kind=kind, zh=MOMENT_ZH[kind], at=row.at, note=row.note)


def present_part(session: View, row: CasePartRow) -> PartOut:
    """Return one person's part in the case."""
    kind = Part(row.part)
    name = people.get_person(session, row.person_id).name
    return PartOut(part=kind, zh=PART_ZH[kind], person=row.person_id, name=name)


def present_document(row: DocumentRow) -> DocumentOut:
    """Return one document."""
    kind = DocumentKind(row.kind)
    return DocumentOut(
        id=row.id,
        kind=kind,
        zh=DOCUMENT_ZH[kind],
        number=row.number,
        at=row.at,
        action=row.action_id,
        served_at=row.served_at,
        manner=Manner(row.manner) if row.manner else None,
        recording=row.recording_id,
    )


def present_review(session: View, row: ReviewRow) -> ReviewOut:
    """Return one legal review."""
    name = people.get_person(session, row.person_id).name
    return ReviewOut(at=row.at, name=name, passed=row.passed, opinion=row.opinion)


def present_decision(session: View, row: DecisionRow) -> DecisionOut:
    """Return a decision."""
    return DecisionOut(
        at=row.at,
        name=people.get_person(session, row.person_id).name,
        penalty=row.penalty,
        signed_by_head=row.signed_by_head,
        text=row.text,
        disclosed_at=row.disclosed_at,
        disclosed_where=row.disclosed_where,
    )


def present_waiver(session: View, row: WaiverRow) -> WaiverOut:
    """Return one explanation."""
    reason = WaiverReason(row.reason)
    return WaiverOut(
        id=row.id,
        rule=row.rule,
        reason=reason,
        reason_zh=WAIVER_ZH[reason],
        text=row.text,
        action=row.action_id,
        by=people.get_person(session, row.person_id).name,
        at=row.at,
        state=row.state,
        settled_by=people.get_person(session, row.decided_by).name if row.decided_by else None,
        settled_at=row.decided_at,
        answer=row.answer,
        attachments=list(row.attachments),
    )


def present_proceeding(
    session: View, row: ProceedingRow, rulebook: Rulebook, at: datetime
) -> ProceedingOut:
    """Return a proceeding with what it holds now."""
    kind = ProceedingKind(row.kind)
    return ProceedingOut(
        id=row.id,
        kind=kind,
        zh=PROCEEDING_ZH[kind],
        number=row.number,
        case=row.case_id,
        township=row.township,
        about=row.about,
        brought_by=row.brought_by,
        handler=row.handler_id,
        received_at=row.received_at,
        answered_at=row.answered_at,
        answer=row.answer,
        held=proceedings.list_held_recordings(session, row.id),
        findings=[
            rule_finding.to_json()
            for rule_finding in rulebook.judge_facts(proceeding_facts(row, at)).findings
        ],
    )
