"""Presenters of retention, holds and dispositions; shared by the API and the console.

`explained` asks the object store too where one recording is looked at: a lock that outlives its
promise is a reason like any other.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from api.http.holds import presenters as release_views
from api.http.holds.presenters import Look
from api.http.paging import read_cursor, write_cursor
from api.http.retention.schemas import (
    ApprovalOut,
    ClassOut,
    DispositionDetail,
    DispositionOut,
    DueOut,
    ItemOut,
    KeptOut,
    ReasonOut,
    ReclassificationOut,
    RetentionOut,
    TombstoneOut,
)
from api.office.identity import Visitor
from api.office.wiring import Office
from policies.access.access import Act, decide_access
from policies.facts.terms import FOOTAGE_ZH, FootageClass
from policies.identifiers import PersonId
from policies.retention import disposition as policy
from policies.retention.disposition import DISPOSITION_ZH, ITEM_ZH, DispositionState, ItemState
from policies.retention.retention import KeptFacts, Reason, Retention, judge_retention
from storage.catalogue.holds import holds
from storage.catalogue.people import people
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import classification, dispositions
from storage.catalogue.retention import retention as keeping
from storage.catalogue.retention.tables import DispositionRow, ReclassificationRow
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import View
from storage.errors import VaultError
from storage.upkeep.destruction import store_of


def present_due(
    session: View,
    office: Office,
    at: datetime,
    *,
    township: str | None,
    cursor: str | None,
    limit: int,
) -> DueOut:
    """Return a page of recordings whose promise ended by `at`. Raises: ApiError(cursor)."""
    after = read_cursor("due", cursor, datetime, str) or None
    due_rows = keeping.list_due_recordings(
        session, at, after=after, limit=limit + 1, township=township
    )
    rows = due_rows[:limit]
    ids = [row.id for row in rows]
    explanations = keeping.explain_retention(session, office.rulebook, ids, at)
    disposition_ids = dispositions.find_open_dispositions(session, ids)
    return DueOut(
        at=at,
        items=[
            _present_due_recording(row, explanations[row.id], at, disposition_ids.get(row.id))
            for row in rows
        ],
        next=(
            write_cursor("due", rows[-1].retain_until, rows[-1].id)
            if len(due_rows) > limit
            else None
        ),
    )


def present_retention(
    session: View, office: Office, row: RecordingRow, visitor: Visitor, at: datetime
) -> RetentionOut:
    """Say why a recording is kept at a moment."""
    facts = keeping.kept_facts(session, office.rulebook, [row.id], at)[row.id]
    # Asked for one recording alone: a list would wait for the store once for each row.
    facts, asked_store = _with_store(office, row, facts)
    explanation = judge_retention(office.rulebook, facts, at)
    look = Look(session, visitor)
    return RetentionOut(
        recording=row.id,
        at=at,
        due=row.destroyed_at is None and not explanation.reasons_at(at),
        until=explanation.until,
        asked_store=asked_store,
        classes=list(facts.classes),
        classes_zh=[FOOTAGE_ZH[footage_class] for footage_class in facts.classes],
        given=[
            ClassOut(
                kind=FootageClass(class_row.kind),
                zh=FOOTAGE_ZH[FootageClass(class_row.kind)],
                reason=class_row.reason,
                by=_find_name(session, class_row.given_by),
                at=class_row.at,
            )
            for class_row in classification.list_assigned_classes(session, row.id)
        ],
        holds=[
            release_views.present_hold(look, hold_row)
            for hold_row in holds.list_holds_of_recording(session, row.id)
        ],
        reclassifications=[
            present_reclassification(session, reclassification_row, visitor)
            for reclassification_row in classification.list_reclassifications(session, row.id)
        ],
        disposition=dispositions.find_open_dispositions(session, [row.id]).get(row.id),
        destroyed=present_tombstone(session, row),
        reasons=_present_reasons(explanation.reasons, at),
    )


def present_tombstone(session: View, row: RecordingRow) -> TombstoneOut | None:
    """Return what is left of a destroyed recording; None while it is kept."""
    stone = dispositions.find_tombstone(session, row.id)
    if stone is None:
        return None
    return TombstoneOut(
        disposition=stone.disposition_id,
        sha256=stone.sha256,
        size=stone.size,
        record=stone.record,
        retained_until=stone.retained_until,
        destroyed_at=stone.destroyed_at,
        verified_at=stone.verified_at,
    )


def present_reclassification(
    session: View, row: ReclassificationRow, visitor: Visitor
) -> ReclassificationOut:
    """Return one reclassification."""
    taking = [FootageClass(class_name) for class_name in row.taking]
    return ReclassificationOut(
        id=row.id,
        recording=row.recording_id,
        name=recordings.by_id(session, row.recording_id).name,
        taking=taking,
        taking_zh=[FOOTAGE_ZH[footage_class] for footage_class in taking],
        reason=row.reason,
        proposed_by=_find_name(session, row.proposed_by),
        at=row.at,
        approved=row.approved,
        decided_by=_find_name(session, row.decided_by) if row.decided_by else None,
        decided_at=row.decided_at,
        before=row.before,
        after=row.after,
        yours=row.proposed_by == visitor.person.id,
    )


def present_disposition(
    session: View, office: Office, row: DispositionRow, visitor: Visitor, at: datetime
) -> DispositionOut:
    """Return one disposition, and what of it this person may do now."""
    state, begun = DispositionState(row.state), dispositions.has_destruction_begun(session, row.id)
    approvals = dispositions.list_approvals(session, row.id)
    # Of one that is over, what it took stands: the brake is not asked again.
    approvals_required = len(approvals)
    no: policy.DispositionRefusal | None = policy.DispositionRefusal.STATE
    if policy.DISPOSITION_MOVES[state]:
        proposal = dispositions.gather_proposal(session, row, office.disposition_bounds, at)
        approvals_required = policy.approvals_asked(proposal, office.disposition_bounds)
        no = policy.may_approve(proposal, visitor.person.id, office.disposition_bounds)
    # Both must hold: the role's right upon that township, and that this person is none of those
    # before (`no`).
    approves = decide_access(visitor.person, Act.APPROVE_DISPOSITION, row.township).allowed
    proposes = decide_access(visitor.person, Act.PROPOSE_DISPOSITION, row.township).allowed
    return DispositionOut(
        id=row.id,
        township=row.township,
        reason=row.reason,
        state=state,
        state_zh=DISPOSITION_ZH[state],
        items=row.items,
        proposed_by=_find_name(session, row.proposed_by),
        proposed_at=row.proposed_at,
        approvals=[
            ApprovalOut(by=_find_name(session, approval.person_id), at=approval.at)
            for approval in approvals
        ],
        asked=approvals_required,
        not_before=row.not_before,
        begun=begun,
        ended_at=row.ended_at,
        ended_why=row.ended_why,
        certified=row.certificate is not None,
        may_approve=approves and no is None,
        may_withdraw=proposes and policy.may_withdraw(state, begun) is None,
        refusal=no.value if no is not None else None,
    )


def disposition_detail(
    session: View, office: Office, row: DispositionRow, visitor: Visitor, at: datetime
) -> DispositionDetail:
    """Return one disposition with its recordings."""
    item_rows = dispositions.list_items(session, row.id)
    return DispositionDetail(
        **present_disposition(session, office, row, visitor, at).model_dump(),
        recordings=[
            ItemOut(
                recording=item_row.recording_id,
                name=recordings.by_id(session, item_row.recording_id).name,
                state=ItemState(item_row.state),
                state_zh=ITEM_ZH[ItemState(item_row.state)],
                at=item_row.at,
                why=list(item_row.why or ()),
            )
            for item_row in item_rows
        ],
    )


def _present_due_recording(
    row: RecordingRow, explanation: Retention, at: datetime, disposition_id: str | None
) -> KeptOut:
    return KeptOut(
        recording=row.id,
        name=row.name,
        source=row.source_serial,
        township=row.township,
        start_at=row.start_at,
        size=row.size,
        promised=row.retain_until,
        due=not explanation.reasons_at(at),
        disposition=disposition_id,
        reasons=_present_reasons(explanation.reasons, at),
    )


def _present_reasons(reasons: Sequence[Reason], at: datetime) -> list[ReasonOut]:
    return [
        ReasonOut(
            keeper=reason.keeper,
            keeps=reason.keeps_at(at),
            until=reason.until,
            zh=reason.zh,
            en=reason.en,
            rule=reason.rule,
            version=reason.version,
            subject=reason.subject,
        )
        for reason in reasons
    ]


def _with_store(office: Office, row: RecordingRow, facts: KeptFacts) -> tuple[KeptFacts, bool]:
    """Add what the object store says; where it does not answer, the catalogue's word stands."""
    if row.destroyed_at is not None:
        return facts, False
    try:
        store = store_of(office.objects, row.id)
    except VaultError:
        return facts, False
    return replace(facts, locked=store.locked, store_held=store.on_hold), True


def _find_name(session: View, person: PersonId) -> str:
    return people.get_person(session, person).name
