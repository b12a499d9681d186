"""Cases, actions, exhibits: open, link, judge, close, export."""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http import presenters as views
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.schemas import (
    ActionDetail,
    ActionEnd,
    ActionIdInput,
    ActionOut,
    CaseDetail,
    CaseIdInput,
    CaseOut,
    EntryOut,
    ExhibitOut,
    Id,
    NewAction,
    NewBundle,
    NewCase,
    NewExhibit,
    NewStage,
    PersonOut,
    VerdictOut,
)
from api.http.security import ServiceHere, VisitorHere
from api.office.evidence.export import name_bundle, stream_bundle
from api.office.evidence.export_slots import ExportSlot
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError
from ingest.centre import linking
from policies.access.access import Act
from policies.identifiers import ActionId, CaseId, Subject
from storage.catalogue.cases import cases
from storage.catalogue.people import people, register
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import ActionRow, CaseRow, ExhibitRow

router = APIRouter(tags=["cases"])


@router.get("/officers")
def list_case_officers(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[PersonOut]:
    """Return the people of your township who may take part in an action, by name."""
    service.authorise(visitor, Act.SEE_CASE)
    after = read_cursor("officers", cursor, str, str)
    with service.office.catalogue.read() as session:
        rows = people.list_persons(
            session,
            township=visitor.person.township,
            kinds=register.ENFORCING,
            after=after,
            limit=limit + 1,
        )
    return page_of("officers", rows, limit, lambda row: (row.name, row.id), views.present_person)


@router.get("/cases")
def list_cases(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    text: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[CaseOut]:
    """Return the cases of your township, newest first; `text` is looked for in all they say."""
    service.authorise(visitor, Act.SEE_CASE)
    with service.office.catalogue.read() as session:
        rows = cases.list_cases(
            session,
            township=visitor.person.township,
            text=text,
            after=read_cursor("cases", cursor, datetime, str),
            limit=limit + 1,
        )
    return page_of("cases", rows, limit, lambda row: (row.opened_at, row.id), views.present_case)


@router.post("/cases", status_code=201)
def open_case(new: NewCase, service: ServiceHere, visitor: VisitorHere) -> CaseOut:
    """Open a case in your township."""
    township = visitor.person.township
    service.authorise(visitor, Act.KEEP_CASE, township)
    # Roles of the whole county have no township of their own to open a case in.
    if township is None:
        raise ApiError("forbidden", act=Act.KEEP_CASE.value, reason="township")
    with service.office.catalogue.write() as uow:
        row = cases.open_case(
            uow,
            number=new.number,
            title=new.title,
            party=new.party,
            township=township,
            stage=new.stage,
            features=new.features,
            actor=visitor.actor,
        )
    return views.present_case(row)


@router.get("/cases/{case}")
def get_case(case: CaseIdInput, service: ServiceHere, visitor: VisitorHere) -> CaseDetail:
    """Return one case with its actions."""
    row = case_of(service, visitor, case, Act.SEE_CASE)
    with service.office.catalogue.read() as session:
        return views.case_detail(session, row)


@router.get("/cases/{case}/custody")
def list_case_custody(
    case: CaseIdInput,
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[EntryOut]:
    """Return the custody entries upon the case and its actions, oldest first."""
    row = case_of(service, visitor, case, Act.SEE_CASE)
    with service.office.catalogue.read() as session:
        actions = [
            Subject.of_action(action_row.id) for action_row in cases.list_actions(session, row.id)
        ]
        return views.present_entries(session, [Subject.of_case(row.id), *actions], cursor, limit)


@router.post("/cases/{case}/stage")
def move_case(
    case: CaseIdInput, new: NewStage, service: ServiceHere, visitor: VisitorHere
) -> CaseOut:
    """Take the case to another stage; a refusal is logged as well."""
    row = case_of(service, visitor, case, Act.KEEP_CASE)
    rulebook = service.office.rulebook
    # The rows that a move rests on are compared with entries under the last signed head: it should
    # cover them.
    service.publish_checkpoint()
    with service.office.catalogue.write() as uow:
        stage_move = cases.move_case(uow, row.id, new.stage, rulebook, actor=visitor.actor)
    if stage_move.reason == "gate":
        blocking = sum(rule_finding.blocks for rule_finding in stage_move.verdict.findings)
        raise ApiError("gate", blocking=blocking, **stage_move.verdict.to_json())
    if not stage_move.allowed:
        raise ApiError("move", reason=stage_move.reason, open_actions=list(stage_move.open_actions))
    # Read again: `row` is as it was before the move.
    with service.office.catalogue.read() as session:
        return views.present_case(cases.get_case(session, row.id))


@router.post("/cases/{case}/actions", status_code=201)
def add_action(
    case: CaseIdInput, new: NewAction, service: ServiceHere, visitor: VisitorHere
) -> ActionOut:
    """Add an action with its officers."""
    row = case_of(service, visitor, case, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        added = cases.add_action(
            uow,
            case_id=row.id,
            kind=new.kind,
            place=new.place,
            start_at=new.start_at,
            end_at=new.end_at,
            officers=new.officers,
            manner=new.manner,
            actor=visitor.actor,
        )
    with service.office.catalogue.read() as session:
        return views.present_action(session, added)


@router.post("/cases/{case}/bundle", response_class=StreamingResponse)
def export_case_bundle(
    case: CaseIdInput, new: NewBundle, service: ServiceHere, visitor: VisitorHere
) -> StreamingResponse:
    """Export the case as a bundle that verifies offline, as a zip made while it is sent."""
    row = case_of(service, visitor, case, Act.EXPORT)
    blocks, slot = stream_bundle(service, visitor, row.id, sealed=new.sealed)
    headers = {"Content-Disposition": f'attachment; filename="{name_bundle(row.id)}.zip"'}
    return BundleResponse(blocks, slot, headers)


class BundleResponse(StreamingResponse):
    """A download that gives its slot back when the last byte is sent or the client is gone."""

    def __init__(
        self, blocks: Generator[bytes], slot: ExportSlot, headers: Mapping[str, str]
    ) -> None:
        super().__init__(blocks, media_type="application/zip", headers=headers)
        self._blocks = blocks
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the blocks; then drop what was opened for them, and give the slot back."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._blocks.close()  # drops the opened originals now, not when the collector comes by
            self._slot.release()


@router.get("/actions/{action}")
def one_action(action: ActionIdInput, service: ServiceHere, visitor: VisitorHere) -> ActionDetail:
    """Return one action with exhibits, coverage and findings, computed now."""
    row = action_of(service, visitor, action, Act.SEE_CASE)
    with service.office.catalogue.read() as session:
        return views.action_detail(session, row, service.office.rulebook, service.office.clock())


@router.put("/actions/{action}/end")
def end_action(
    action: ActionIdInput, new: ActionEnd, service: ServiceHere, visitor: VisitorHere
) -> ActionOut:
    """Enter when an open action ended."""
    row = action_of(service, visitor, action, Act.KEEP_CASE)
    with service.office.catalogue.write() as uow:
        changed = cases.set_action_end(uow, row.id, new.end_at, actor=visitor.actor)
    with service.office.catalogue.read() as session:
        return views.present_action(session, changed)


@router.post("/actions/{action}/proposals")
def propose_exhibits(
    action: ActionIdInput, service: ServiceHere, visitor: VisitorHere
) -> list[ExhibitOut]:
    """Propose what fits by officer and time and was never linked; return what is new."""
    row = action_of(service, visitor, action, Act.LINK)
    with service.office.catalogue.write() as uow:
        rows = cases.propose_exhibits(uow, row.id, actor=visitor.actor)
    return _present_exhibits(service, rows)


@router.post("/actions/{action}/exhibits", status_code=201)
def link_exhibit(
    action: ActionIdInput, new: NewExhibit, service: ServiceHere, visitor: VisitorHere
) -> ExhibitOut:
    """Link a recording by hand; it is confirmed by that."""
    row = action_of(service, visitor, action, Act.LINK)
    with service.office.catalogue.read() as session:
        # Two rights, for two things: linking in this case, and showing this recording, which may
        # lie in another township.
        recording = recordings.by_id(session, new.recording)
    subject = Subject.of_recording(recording.id)
    service.authorise(visitor, Act.LINK, recording.township, subject)
    linked = linking.link_recording(
        service.office,
        row.id,
        recording.id,
        shown_from=new.shown_from,
        shown_to=new.shown_to,
        actor=visitor.actor,
    )
    return _present_exhibits(service, [linked])[0]


@router.post("/exhibits/{exhibit}/confirm")
def confirm_exhibit(exhibit: Id, service: ServiceHere, visitor: VisitorHere) -> ExhibitOut:
    """Confirm that the recording shows the action."""
    row = _find_exhibit(service, visitor, exhibit)
    decided = linking.confirm_exhibit(service.office, row.id, actor=visitor.actor)
    return _present_exhibits(service, [decided])[0]


@router.post("/exhibits/{exhibit}/reject")
def reject_exhibit(exhibit: Id, service: ServiceHere, visitor: VisitorHere) -> ExhibitOut:
    """Reject the exhibit: the recording does not show the action; never proposed again."""
    row = _find_exhibit(service, visitor, exhibit)
    subject = Subject.of_recording(row.recording_id)
    with (
        service.logging_refusal(visitor, "exhibit.reject", subject),
        service.office.catalogue.write() as uow,
    ):
        decided = cases.reject_exhibit(uow, row.id, actor=visitor.actor)
    return _present_exhibits(service, [decided])[0]


@router.post("/actions/{action}/close")
def close_action(action: ActionIdInput, service: ServiceHere, visitor: VisitorHere) -> VerdictOut:
    """Close the action if no blocking rule fails; else 409 with every finding, and logged."""
    row = action_of(service, visitor, action, Act.CLOSE)
    office = service.office
    service.publish_checkpoint()
    with office.catalogue.write() as uow:
        verdict = cases.close_action(uow, row.id, office.rulebook, actor=visitor.actor)
    body = verdict.to_json()
    if not verdict.allowed:
        blocking = sum(finding.blocks for finding in verdict.findings)
        raise ApiError("gate", blocking=blocking, **body)
    return VerdictOut(**body)


def case_of(service: Service, visitor: Visitor, case: CaseId, act: Act) -> CaseRow:
    """Return a case upon which this person may do the act. Raises: NotFoundError, ApiError."""
    with service.office.catalogue.read() as session:
        row = cases.get_case(session, case)
    service.authorise(visitor, act, row.township, Subject.of_case(row.id))
    return row


def action_of(service: Service, visitor: Visitor, action: ActionId, act: Act) -> ActionRow:
    """Return an action upon which this person may do the act. Raises: NotFoundError, ApiError."""
    with service.office.catalogue.read() as session:
        row = cases.get_action(session, action)
        township = cases.get_case(session, row.case_id).township
    service.authorise(visitor, act, township, Subject.of_action(row.id))
    return row


def _find_exhibit(service: Service, visitor: Visitor, exhibit: str) -> ExhibitRow:
    with service.office.catalogue.read() as session:
        row = cases.get_exhibit(session, exhibit)
    action_of(service, visitor, row.action_id, Act.LINK)
    return row


def _present_exhibits(service: Service, rows: list[ExhibitRow]) -> list[ExhibitOut]:
    with service.office.catalogue.read() as session:
        return [views.present_exhibit(session, row) for row in rows]
