"""Rows become the frozen facts that policies judge; nothing is decided and nothing is written."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.facts.facts import (
    ActionFacts,
    CaseFacts,
    DecisionFact,
    Document,
    Footage,
    Moment,
    OfficerFact,
    Offsets,
    ProceedingFacts,
    Review,
    Waiver,
)
from policies.facts.findings import Verdict
from policies.facts.stages import ActionKind, Stage
from policies.facts.states import ActionStatus, WaiverState
from policies.facts.terms import (
    DocumentKind,
    Feature,
    Manner,
    MomentKind,
    Part,
    ProceedingKind,
    SourceKind,
    WaiverReason,
)
from policies.identifiers import ActionId, CaseId, PersonId
from policies.rules.rules import Rulebook
from storage.catalogue.cases.tables import (
    CasePartRow,
    DecisionRow,
    DocumentRow,
    DoubtRow,
    MomentRow,
    ProceedingRow,
    ReviewRow,
    WaiverRow,
)
from storage.catalogue.people import register
from storage.catalogue.reading import case_queries
from storage.catalogue.tables import ActionRow, CaseRow, PersonRow, RecordingRow


def facts_of(session: Session, action_id: ActionId) -> ActionFacts:
    """Return the frozen facts about an action: confirmed exhibits, and footage nearby.

    `nearby` holds what was recorded in the same township within six hours of the action and is
    neither confirmed for it nor rejected. Raises: NotFoundError.
    """
    row = case_queries.get_action(session, action_id)
    case = case_queries.get_case(session, row.case_id)
    marked = select(MomentRow).where(MomentRow.action_id == row.id).order_by(MomentRow.at)
    filed = select(DocumentRow).where(DocumentRow.action_id == row.id).order_by(DocumentRow.at)
    waiver_query = select(WaiverRow).where(WaiverRow.action_id == row.id).order_by(WaiverRow.at)
    return ActionFacts(
        action=row.id,
        case=row.case_id,
        kind=ActionKind(row.kind),
        stage=Stage(row.stage),
        start=row.start_at,
        end=row.end_at,
        township=case.township,
        officers=tuple(
            _officer_of(session, officer, row.start_at)
            for officer in case_queries.list_officers(session, row.id)
        ),
        footage=_list_footage(session, case_queries.list_confirmed_recordings(session, row)),
        nearby=_list_footage(
            session, case_queries.list_nearby_recordings(session, row, case.township)
        ),
        moments=tuple(
            Moment(MomentKind(moment.kind), moment.at, moment.note)
            for moment in session.scalars(marked)
        ),
        documents=tuple(document_of(document) for document in session.scalars(filed)),
        waivers=tuple(_waiver_of(waiver) for waiver in session.scalars(waiver_query)),
        features=entered_features(case),
        manner=Manner(row.manner) if row.manner else None,
    )


def judge_action(session: Session, action_id: ActionId, rulebook: Rulebook) -> Verdict:
    """Return the verdict of the rules in force on an action now; changes nothing."""
    return rulebook.judge_facts(facts_of(session, action_id))


def list_candidates(session: Session, action_id: ActionId) -> tuple[Footage, ...]:
    """Return the recordings that might be proposed for an action: nearby and never linked."""
    row = case_queries.get_action(session, action_id)
    township = case_queries.get_case(session, row.case_id).township
    return _list_footage(
        session, case_queries.list_nearby_recordings(session, row, township, never_linked=True)
    )


def case_facts_of(
    session: Session, case_id: CaseId, at: datetime, target_stage: Stage | None = None
) -> CaseFacts:
    """Return the facts about a case at a moment, with its actions. Raises: NotFoundError."""
    row = case_queries.get_case(session, case_id)
    actions = case_queries.list_actions(session, row.id)
    filed = select(DocumentRow).where(DocumentRow.case_id == row.id).order_by(DocumentRow.at)
    waiver_query = select(WaiverRow).where(
        WaiverRow.case_id == row.id, WaiverRow.action_id.is_(None)
    )
    reviewed = select(ReviewRow).where(ReviewRow.case_id == row.id).order_by(ReviewRow.at)
    return CaseFacts(
        case=row.id,
        township=row.township,
        stage=Stage(row.stage),
        opened_at=row.opened_at,
        at=at,
        asked=target_stage,
        filed_at=row.filed_at,
        suspended_s=suspended_s(row, at),
        features=case_features(row, actions),
        handlers=_list_participants(session, row.id, Part.HANDLES),
        reviewers=_list_participants(session, row.id, Part.REVIEWS),
        deciders=_list_participants(session, row.id, Part.DECIDES),
        reviews=tuple(Review(o.person_id, o.at, o.passed) for o in session.scalars(reviewed)),
        decision=_find_decision(session, row.id),
        documents=tuple(document_of(document) for document in session.scalars(filed)),
        actions=tuple(facts_of(session, action.id) for action in actions),
        open_actions=tuple(action.id for action in actions if action.status == ActionStatus.OPEN),
        waivers=tuple(
            _waiver_of(waiver) for waiver in session.scalars(waiver_query.order_by(WaiverRow.at))
        ),
    )


def proceeding_facts(row: ProceedingRow, at: datetime) -> ProceedingFacts:
    """Return the facts about a complaint, reconsideration or lawsuit."""
    return ProceedingFacts(
        proceeding=row.id,
        kind=ProceedingKind(row.kind),
        township=row.township,
        received_at=row.received_at,
        at=at,
        answered_at=row.answered_at,
        summary=row.summary,
    )


def footage_of(
    row: RecordingRow, doubt_rows: Iterable[DoubtRow] = (), *, assigned: bool = True
) -> Footage:
    """Return a recording as coverage sees it.

    What inspection doubts stays doubtful until a person confirmed (`faulty`) or dismissed it.
    """
    decided = {(doubt.kind, doubt.start_s): doubt.confirmed for doubt in doubt_rows}
    doubts = list(doubts_of(row))
    return Footage(
        recording=row.id,
        source=row.source_serial,
        start=row.start_at,
        end=row.end_at,
        uncertainty_s=row.clock_uncertainty_s,
        has_video=row.has_video,
        has_audio=row.has_audio,
        missing_video=_to_offsets(row.video_gaps),
        missing_audio=_to_offsets(row.audio_gaps),
        doubtful=tuple(doubt for doubt in doubts if (doubt[2], doubt[0]) not in decided),
        faulty=tuple(doubt for doubt in doubts if decided.get((doubt[2], doubt[0]))),
        officer=row.officer_id,
        kind=row.kind,
        source_kind=_source_kind(row.source_kind),
        sequence=row.sequence,
        docked_at=row.docked_at,
        accessioned_at=row.accessioned_at,
        assigned=assigned,
        troubles=tuple(row.troubles or ()),
    )


def doubts_of(row: RecordingRow) -> Iterable[tuple[float, float, str]]:
    """Yield what inspection doubts, as (start, end, kind); without an end, to the file's end."""
    for finding in row.inspection:
        if finding.get("weight") == "doubt":
            start, stop = finding.get("start_s"), finding.get("end_s")
            yield (
                float(start or 0),
                float((row.duration_s or 0) if stop is None else stop),
                str(finding["kind"]),
            )


def _list_footage(session: Session, rows: Iterable[RecordingRow]) -> tuple[Footage, ...]:
    recordings = list(rows)
    doubts_by_recording: dict[str, list[DoubtRow]] = {}
    query = select(DoubtRow).where(DoubtRow.recording_id.in_([row.id for row in recordings]))
    for doubt in session.scalars(query):
        doubts_by_recording.setdefault(doubt.recording_id, []).append(doubt)
    return tuple(
        footage_of(row, doubts_by_recording.get(row.id, ()), assigned=_has_holder(session, row))
        for row in recordings
    )


def _has_holder(session: Session, row: RecordingRow) -> bool:
    """Tell whether the register says who had the source; a room camera needs nobody."""
    if row.officer_id is not None or row.source_kind == SourceKind.ROOM_CAMERA:
        return True
    return row.start_at is not None and (
        register.find_holder(session, row.source_serial, row.start_at) is not None
    )


def _officer_of(session: Session, person: PersonRow, at: datetime) -> OfficerFact:
    qualification = register.judge_qualification(session, person, at)
    auxiliary = person.kind == register.AUXILIARY
    return OfficerFact(person.id, qualification.certified, auxiliary, qualification.why)


def document_of(row: DocumentRow) -> Document:
    """Return a document as rules see it."""
    manner = Manner(row.manner) if row.manner else None
    return Document(row.id, DocumentKind(row.kind), row.at, row.served_at, manner)


def _waiver_of(row: WaiverRow) -> Waiver:
    approved = row.state == WaiverState.APPROVED
    return Waiver(
        id=row.id,
        rule=row.rule,
        reason=WaiverReason(row.reason),
        by=row.person_id,
        at=row.at,
        approved_by=row.decided_by if approved else None,
        approved_at=row.decided_at if approved else None,
        approver=row.approver if approved else None,
        refused=row.state == WaiverState.REFUSED,
    )


def _list_participants(session: Session, case_id: CaseId, part: Part) -> tuple[PersonId, ...]:
    query = select(CasePartRow.person_id).where(
        CasePartRow.case_id == case_id, CasePartRow.part == part.value
    )
    return tuple(session.scalars(query.order_by(CasePartRow.person_id)))


def _find_decision(session: Session, case_id: CaseId) -> DecisionFact | None:
    query = select(DecisionRow).where(DecisionRow.case_id == case_id)
    row = session.scalar(query.order_by(DecisionRow.at.desc(), DecisionRow.id.desc()).limit(1))
    if row is None:
        return None
    return decision_of(row)


def decision_of(row: DecisionRow) -> DecisionFact:
    """Return a decision as rules see it."""
    return DecisionFact(row.at, row.person_id, row.penalty, row.signed_by_head, row.disclosed_at)


def entered_features(row: CaseRow) -> tuple[Feature, ...]:
    """Return what was entered of a case, as an action of it sees that."""
    return tuple(Feature(feature) for feature in row.features or ())


def case_features(row: CaseRow, actions: Sequence[ActionRow]) -> tuple[Feature, ...]:
    """Return what was entered, and what the actions show by themselves: a hearing was held."""
    features = set(entered_features(row))
    if any(action.kind == ActionKind.HEARING for action in actions):
        features.add(Feature.AFTER_HEARING)
    return tuple(sorted(features))


def suspended_s(row: CaseRow, at: datetime) -> float:
    """Return for how many seconds a case was suspended, up to a moment."""
    running = (at - row.suspended_at).total_seconds() if row.suspended_at else 0.0
    return (row.suspended_s or 0.0) + max(0.0, running)


def _source_kind(kind_text: str | None) -> SourceKind:
    try:
        return SourceKind(kind_text or SourceKind.UNKNOWN)
    except ValueError:
        return SourceKind.UNKNOWN


def _to_offsets(gaps: list[list[float]]) -> tuple[Offsets, ...]:
    return tuple((float(start), float(stop)) for start, stop in gaps)
