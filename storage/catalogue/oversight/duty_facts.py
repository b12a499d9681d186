"""Facts for requirements with a time limit, read for many cases at once.

It is less than `rule_facts.py` gathers for a verdict: no footage nearby, no moments, reviews or
explanations, and of officers and footage only who and when. A test holds every such requirement
to this, and another compares what both ways lead to.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.facts.facts import ActionFacts, CaseFacts, Footage, OfficerFact
from policies.facts.stages import ActionKind, Stage
from policies.facts.states import ExhibitState
from policies.facts.terms import Manner, Part
from policies.identifiers import CaseId
from storage.catalogue.cases.tables import CasePartRow, DecisionRow, DocumentRow
from storage.catalogue.reading.rule_facts import (
    case_features,
    decision_of,
    document_of,
    entered_features,
    suspended_s,
)
from storage.catalogue.tables import (
    ActionOfficerRow,
    ActionRow,
    CaseRow,
    ExhibitRow,
    PersonRow,
    RecordingRow,
)

SEEN_OF_CASE = (
    *("case", "township", "stage", "opened_at", "at", "filed_at", "suspended_s", "features"),
    *("handlers", "decision", "documents", "actions"),
)
SEEN_OF_ACTION = (
    *("action", "case", "kind", "stage", "start", "end", "township", "officers", "footage"),
    *("documents", "features", "manner"),
)


def clocked_facts(session: Session, rows: Sequence[CaseRow], at: datetime) -> list[CaseFacts]:
    """Return what clocks look at of these cases at a moment, in their order."""
    ids = [row.id for row in rows]
    actions = _group_rows(
        _list_rows(session, ActionRow, ids, ActionRow.start_at, ActionRow.id), "case_id"
    )
    documents = _list_rows(session, DocumentRow, ids, DocumentRow.at, DocumentRow.id)
    decisions = _list_rows(session, DecisionRow, ids, DecisionRow.at, DecisionRow.id)
    decided = {
        decision_row.case_id: decision_row for decision_row in decisions
    }  # the last one holds
    handlers = _group_rows(
        session.execute(
            select(CasePartRow.case_id, CasePartRow.person_id)
            .where(CasePartRow.case_id.in_(ids), CasePartRow.part == Part.HANDLES.value)
            .order_by(CasePartRow.person_id)
        ),
        "case_id",
    )
    gathered = _Gathered(session, ids, documents)
    filed = _group_rows(documents, "case_id")
    case_facts = []
    for row in rows:
        own = actions.get(row.id, [])
        decision = decided.get(row.id)
        case_facts.append(
            CaseFacts(
                case=row.id,
                township=row.township,
                stage=Stage(row.stage),
                opened_at=row.opened_at,
                at=at,
                filed_at=row.filed_at,
                suspended_s=suspended_s(row, at),
                features=case_features(row, own),
                handlers=tuple(handler.person_id for handler in handlers.get(row.id, [])),
                decision=decision and decision_of(decision),
                documents=tuple(document_of(document) for document in filed.get(row.id, [])),
                actions=tuple(gathered.build_action_facts(row, action) for action in own),
            )
        )
    return case_facts


class _Gathered:
    """What belongs to the actions of some cases, by action."""

    def __init__(self, session: Session, cases: list[CaseId], documents: list[DocumentRow]) -> None:
        self._documents = _group_rows(documents, "action_id")
        self._officers = _group_rows(
            session.execute(
                select(ActionOfficerRow.action_id, ActionOfficerRow.person_id)
                .join(ActionRow, ActionRow.id == ActionOfficerRow.action_id)
                .join(PersonRow, PersonRow.id == ActionOfficerRow.person_id)
                .where(ActionRow.case_id.in_(cases))
                .order_by(PersonRow.name, PersonRow.id)
            ),
            "action_id",
        )
        self._footage = _group_rows(
            session.execute(
                select(
                    ExhibitRow.action_id,
                    RecordingRow.id,
                    RecordingRow.source_serial,
                    RecordingRow.accessioned_at,
                )
                .join(ActionRow, ActionRow.id == ExhibitRow.action_id)
                .join(RecordingRow, RecordingRow.id == ExhibitRow.recording_id)
                .where(ActionRow.case_id.in_(cases), ExhibitRow.state == ExhibitState.CONFIRMED)
                .order_by(RecordingRow.start_at, RecordingRow.id)
            ),
            "action_id",
        )

    def build_action_facts(self, case: CaseRow, row: ActionRow) -> ActionFacts:
        """Return what clocks look at of one action."""
        return ActionFacts(
            action=row.id,
            case=row.case_id,
            kind=ActionKind(row.kind),
            stage=Stage(row.stage),
            start=row.start_at,
            end=row.end_at,
            township=case.township,
            officers=tuple(
                OfficerFact(officer.person_id, certified=False)
                for officer in self._officers.get(row.id, [])
            ),
            footage=tuple(_to_footage(recording) for recording in self._footage.get(row.id, [])),
            documents=tuple(document_of(document) for document in self._documents.get(row.id, [])),
            features=entered_features(case),
            manner=Manner(row.manner) if row.manner else None,
        )


def _list_rows(session: Session, table: type[Any], cases: list[CaseId], *order: Any) -> list[Any]:
    return list(session.scalars(select(table).where(table.case_id.in_(cases)).order_by(*order)))


def _group_rows(rows: Iterable[Any], column: str) -> dict[str | None, list[Any]]:
    groups: dict[str | None, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, column), []).append(row)
    return groups


def _to_footage(row: Any) -> Footage:
    return Footage(
        recording=row.id,
        source=row.source_serial,
        start=None,
        end=None,
        uncertainty_s=None,
        has_video=False,
        has_audio=False,
        accessioned_at=row.accessioned_at,
    )
