"""Rows of keeping, holds and dispositions become what faces show; the API and the console share it.

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
from policies.access.access import Act, decide
from policies.facts.terms import FOOTAGE_ZH, FootageClass
from policies.retention import disposition as policy
from policies.retention.disposition import DISPOSITION_ZH, ITEM_ZH, DispositionState, ItemState
from policies.retention.retention import KeptFacts, Reason, Retention, explain
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


def due(
    session: View,
    office: Office,
    at: datetime,
    *,
    township: str | None,
    cursor: str | None,
    limit: int,
) -> DueOut:
    """Return a page of what was promised no longer than `at`. Raises: ApiError(cursor)."""
    after = read_cursor("due", cursor, datetime, str) or None
    found = keeping.due(session, at, after=after, limit=limit + 1, township=township)
    rows = found[:limit]
    ids = [row.id for row in rows]
    told = keeping.explained(session, office.rulebook, ids, at)
    listed = dispositions.listing(session, ids)
    return DueOut(
        at=at,
        items=[_kept(row, told[row.id], at, listed.get(row.id)) for row in rows],
        next=(
            write_cursor("due", rows[-1].retain_until, rows[-1].id) if len(found) > limit else None
        ),
    )


def retention(
    session: View, office: Office, row: RecordingRow, visitor: Visitor, at: datetime
) -> RetentionOut:
    """Say why a recording is kept at a moment."""
    facts = keeping.kept_facts(session, office.rulebook, [row.id], at)[row.id]
    facts, asked_store = _with_store(office, row, facts)
    told = explain(office.rulebook, facts, at)
    look = Look(session, visitor)
    return RetentionOut(
        recording=row.id,
        at=at,
        due=row.destroyed_at is None and not told.keeping(at),
        until=told.until,
        asked_store=asked_store,
        classes=list(facts.classes),
        classes_zh=[FOOTAGE_ZH[one] for one in facts.classes],
        given=[
            ClassOut(
                kind=FootageClass(one.kind),
                zh=FOOTAGE_ZH[FootageClass(one.kind)],
                reason=one.reason,
                by=_name(session, one.given_by),
                at=one.at,
            )
            for one in classification.given(session, row.id)
        ],
        holds=[release_views.hold(look, one) for one in holds.holding(session, row.id)],
        reclassifications=[
            reclassification(session, one, visitor)
            for one in classification.reclassifications(session, row.id)
        ],
        disposition=dispositions.listing(session, [row.id]).get(row.id),
        destroyed=tombstone(session, row),
        reasons=_reasons(told.reasons, at),
    )


def tombstone(session: View, row: RecordingRow) -> TombstoneOut | None:
    """Return what is left of a destroyed recording; None while it is kept."""
    stone = dispositions.tombstone(session, row.id)
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


def reclassification(
    session: View, row: ReclassificationRow, visitor: Visitor
) -> ReclassificationOut:
    """Return one reclassification."""
    taking = [FootageClass(one) for one in row.taking]
    return ReclassificationOut(
        id=row.id,
        recording=row.recording_id,
        name=recordings.by_id(session, row.recording_id).name,
        taking=taking,
        taking_zh=[FOOTAGE_ZH[one] for one in taking],
        reason=row.reason,
        proposed_by=_name(session, row.proposed_by),
        at=row.at,
        approved=row.approved,
        decided_by=_name(session, row.decided_by) if row.decided_by else None,
        decided_at=row.decided_at,
        before=row.before,
        after=row.after,
        yours=row.proposed_by == visitor.person.id,
    )


def disposition(
    session: View, office: Office, row: DispositionRow, visitor: Visitor, at: datetime
) -> DispositionOut:
    """Return one disposition, and what of it this person may do now."""
    state, begun = DispositionState(row.state), dispositions.begun(session, row.id)
    approvals = dispositions.approvals(session, row.id)
    asked = len(approvals)
    no: policy.No | None = policy.No.STATE
    if policy.DISPOSITION_MOVES[state]:
        told = dispositions.proposal(session, row, office.bounds, at)
        asked = policy.approvals_asked(told, office.bounds)
        no = policy.may_approve(told, visitor.person.id, office.bounds)
    approves = decide(visitor.person, Act.APPROVE_DISPOSITION, row.township).allowed
    proposes = decide(visitor.person, Act.PROPOSE_DISPOSITION, row.township).allowed
    return DispositionOut(
        id=row.id,
        township=row.township,
        reason=row.reason,
        state=state,
        state_zh=DISPOSITION_ZH[state],
        items=row.items,
        proposed_by=_name(session, row.proposed_by),
        proposed_at=row.proposed_at,
        approvals=[ApprovalOut(by=_name(session, one.person_id), at=one.at) for one in approvals],
        asked=asked,
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
    found = dispositions.items(session, row.id)
    return DispositionDetail(
        **disposition(session, office, row, visitor, at).model_dump(),
        recordings=[
            ItemOut(
                recording=one.recording_id,
                name=recordings.by_id(session, one.recording_id).name,
                state=ItemState(one.state),
                state_zh=ITEM_ZH[ItemState(one.state)],
                at=one.at,
                why=list(one.why or ()),
            )
            for one in found
        ],
    )


def _kept(row: RecordingRow, told: Retention, at: datetime, listed: str | None) -> KeptOut:
    return KeptOut(
        recording=row.id,
        name=row.name,
        source=row.source_serial,
        township=row.township,
        start_at=row.start_at,
        size=row.size,
        promised=row.retain_until,
        due=not told.keeping(at),
        disposition=listed,
        reasons=_reasons(told.reasons, at),
    )


def _reasons(found: Sequence[Reason], at: datetime) -> list[ReasonOut]:
    return [
        ReasonOut(
            keeper=one.keeper,
            keeps=one.keeps(at),
            until=one.until,
            zh=one.zh,
            en=one.en,
            rule=one.rule,
            version=one.version,
            subject=one.subject,
        )
        for one in found
    ]


def _with_store(office: Office, row: RecordingRow, facts: KeptFacts) -> tuple[KeptFacts, bool]:
    """Add what the object store says; where it does not answer, the catalogue's word stands."""
    if row.destroyed_at is not None:
        return facts, False
    try:
        store = store_of(office.objects, row.id)
    except VaultError:
        return facts, False
    return replace(facts, locked=store.locked, store_held=store.held), True


def _name(session: View, person: str) -> str:
    return people.person(session, person).name
