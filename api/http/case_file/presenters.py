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
from storage.catalogue.cases.waivers import waivers
from storage.catalogue.holds import proceedings
from storage.catalogue.people import people
from storage.catalogue.reading.rule_facts import case_facts_of, proceeding_facts
from storage.catalogue.tables import CaseRow
from storage.catalogue.unit_of_work import View


def the_way(session: View, row: CaseRow, rulebook: Rulebook, at: datetime) -> WayOut:
    """Return everything about a case's way, with every move judged now."""
    decided = case_file.decision(session, row.id)
    return WayOut(
        features=[Feature(one) for one in row.features or ()],
        major=rulebook.is_major(case_facts_of(session, row.id, at), at),
        parts=[part(session, one) for one in case_file.parts(session, row.id)],
        documents=[document(one) for one in case_file.documents(session, row.id)],
        reviews=[review(session, one) for one in case_file.reviews(session, row.id)],
        decision=decision(session, decided) if decided else None,
        waivers=[waiver(session, one) for one in waivers(session, row.id)],
        moves=findings.moves(session, row, rulebook, at),
    )


def moment(row: MomentRow) -> MomentOut:
    """Return one moment."""
    kind = MomentKind(row.kind)
    return MomentOut(id=row.id, kind=kind, zh=MOMENT_ZH[kind], at=row.at, note=row.note)


def part(session: View, row: CasePartRow) -> PartOut:
    """Return who has a part."""
    kind = Part(row.part)
    name = people.person(session, row.person_id).name
    return PartOut(part=kind, zh=PART_ZH[kind], person=row.person_id, name=name)


def document(row: DocumentRow) -> DocumentOut:
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


def review(session: View, row: ReviewRow) -> ReviewOut:
    """Return one legal review."""
    name = people.person(session, row.person_id).name
    return ReviewOut(at=row.at, name=name, passed=row.passed, opinion=row.opinion)


def decision(session: View, row: DecisionRow) -> DecisionOut:
    """Return a decision."""
    return DecisionOut(
        at=row.at,
        name=people.person(session, row.person_id).name,
        penalty=row.penalty,
        signed_by_head=row.signed_by_head,
        text=row.text,
        disclosed_at=row.disclosed_at,
        disclosed_where=row.disclosed_where,
    )


def waiver(session: View, row: WaiverRow) -> WaiverOut:
    """Return one explanation."""
    reason = WaiverReason(row.reason)
    return WaiverOut(
        id=row.id,
        rule=row.rule,
        reason=reason,
        reason_zh=WAIVER_ZH[reason],
        text=row.text,
        action=row.action_id,
        by=people.person(session, row.person_id).name,
        at=row.at,
        state=row.state,
        settled_by=people.person(session, row.decided_by).name if row.decided_by else None,
        settled_at=row.decided_at,
        answer=row.answer,
        attachments=list(row.attachments),
    )


def proceeding(
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
        held=proceedings.held(session, row.id),
        findings=[one.to_json() for one in rulebook.evaluate(proceeding_facts(row, at)).findings],
    )
