"""Complaints, reconsiderations, lawsuits with their holds; and what is due."""

from datetime import datetime, timedelta

from fastapi import APIRouter, BackgroundTasks, Response

from api.http.case_file import presenters as way_views
from api.http.case_file.schemas import DutyOut, NewProceedingIn, ProceedingAnswer, ProceedingOut
from api.http.cases.routes import case_of
from api.http.holds import presenters as release_views
from api.http.holds.presenters import Look
from api.http.holds.routes import tell_store
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor, write_cursor
from api.http.retention.schemas import ReleaseOut
from api.http.schemas import Id
from api.http.security import ServiceHere, VisitorHere
from api.office.identity import Visitor
from api.office.reports import duty_list
from api.office.reports.duty_calendar import format_calendar
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act
from policies.duties import Place
from policies.identifiers import SYSTEM, Subject
from storage.catalogue.cases.tables import ProceedingRow
from storage.catalogue.holds import proceedings, releases
from storage.catalogue.holds.proceedings import NewProceeding
from storage.catalogue.people import people

router = APIRouter(tags=["proceedings"])
_LASTS = timedelta(days=1)


@router.get("/proceedings")
def list_proceedings(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[ProceedingOut]:
    """Return the proceedings of your township, newest first."""
    service.authorise(visitor, Act.KEEP_PROCEEDING)
    office, now = service.office, service.office.clock()
    with office.catalogue.read() as session:
        rows = proceedings.list_proceedings(
            session,
            township=visitor.person.township,
            after=read_cursor("proceedings", cursor, datetime, str),
            limit=limit + 1,
        )
        return page_of(
            "proceedings",
            rows,
            limit,
            lambda row: (row.received_at, row.id),
            lambda row: way_views.present_proceeding(session, row, office.rulebook, now),
        )


@router.post("/proceedings", status_code=201)
def register_proceeding(
    new: NewProceedingIn, service: ServiceHere, visitor: VisitorHere
) -> ProceedingOut:
    """Register a proceeding; the footage concerned is held from now on."""
    township = visitor.person.township or service.office.settings.township
    # The case decides whose proceeding it is: another township's officer cannot draw it to himself.
    if new.case is not None:
        township = case_of(service, visitor, new.case, Act.KEEP_PROCEEDING).township
    service.authorise(visitor, Act.KEEP_PROCEEDING, township)
    on = Subject.of_case(new.case) if new.case is not None else SYSTEM
    with (
        service.logging_refusal(visitor, "proceeding.register", on),
        service.office.catalogue.write() as uow,
    ):
        row = proceedings.register_proceeding(
            uow,
            NewProceeding(
                kind=new.kind,
                number=new.number,
                township=township,
                about=new.about,
                brought_by=new.brought_by,
                received_at=new.received_at,
                case_id=new.case,
                place=new.place,
                since=new.since,
                until=new.until,
                summary=new.summary,
                handler_id=new.handler,
            ),
            actor=visitor.actor,
        )
        # In the same transaction: what the proceeding holds and what the store is told begin
        # together.
        for hold in proceedings.holds_of(uow.session, row.id):
            tell_store(uow, hold, visitor)
    return _present_by_id(service, row)


@router.post("/proceedings/{proceeding}/holds")
def hold_more(proceeding: Id, service: ServiceHere, visitor: VisitorHere) -> ProceedingOut:
    """Hold what came in since and concerns the proceeding."""
    row = _find_proceeding(service, visitor, proceeding)
    with service.office.catalogue.write() as uow:
        for hold in proceedings.hold_more(uow, row.id, actor=visitor.actor):
            tell_store(uow, hold, visitor)
    return _present_by_id(service, row)


@router.post("/proceedings/{proceeding}/answer")
def answer_proceeding(
    proceeding: Id, new: ProceedingAnswer, service: ServiceHere, visitor: VisitorHere
) -> ProceedingOut:
    """Enter how the proceeding was answered; for heads and reviewers whom it does not concern."""
    row = _find_proceeding(service, visitor, proceeding)
    with (
        service.logging_refusal(
            visitor, Act.ANSWER_PROCEEDING.value, Subject.of_proceeding(row.id)
        ),
        service.office.catalogue.write() as uow,
    ):
        answer_row = proceedings.answer_proceeding(uow, row.id, new.text, by=visitor.person)
    return _present_by_id(service, answer_row)


@router.post("/proceedings/{proceeding}/release", status_code=201)
def propose_proceeding_release(
    proceeding: Id, new: ProceedingAnswer, service: ServiceHere, visitor: VisitorHere
) -> ReleaseOut:
    """Propose that all that an answered proceeding holds ends; another person approves."""
    row = _find_proceeding(service, visitor, proceeding)
    with (
        service.logging_refusal(visitor, "hold.release.propose", Subject.of_proceeding(row.id)),
        service.office.catalogue.write() as uow,
    ):
        proposed = releases.propose_for_proceeding(uow, row.id, new.text, by=visitor.person)
    with service.office.catalogue.read() as session:
        return release_views.present_release(Look(session, visitor), proposed)


@router.get("/duties")
def list_duties(
    service: ServiceHere,
    visitor: VisitorHere,
    later: BackgroundTasks,
    *,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[DutyOut]:
    """Return what is due in your township, the most pressing first, as it stood at the first page.

    A day later its pages are gone: the list is to be asked for anew.
    """
    service.authorise(visitor, Act.SEE_DUTIES, visitor.person.township)
    office = service.office
    at, after = _parse_place(cursor, office.clock())
    duty_page = duty_list.read_duty_page(
        office, at=at, limit=limit, township=visitor.person.township, after=after
    )
    # After the answer: reading a list must not wait for the writers' lock, nor fail without it.
    later.add_task(duty_list.store_judgements, office, duty_page.judgements)
    with office.catalogue.read() as session:
        # One query for the page, where one for each duty would be fifty.
        names = people.find_names(
            session, {duty.person for duty in duty_page.duties if duty.person}
        )
    return Page(
        items=[
            DutyOut(
                subject=duty.subject,
                township=duty.township,
                person=names.get(duty.person, duty.person) if duty.person else None,
                what=duty.what_zh,
                what_en=duty.what_en,
                rule=duty.rule,
                due_at=duty.due_at,
                done_at=duty.done_at,
                state=duty.state.value,
            )
            for duty in duty_page.duties
        ],
        # The moment goes along: the order moves with time, and a page of another moment would
        # repeat duties or leave some out.
        next=write_cursor("duties", at, *duty_page.last) if duty_page.last else None,
    )


@router.get("/duties.ics", response_class=Response)
def get_duty_calendar(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Return what is due as a calendar (RFC 5545) that can be subscribed to."""
    service.authorise(visitor, Act.SEE_DUTIES, visitor.person.township)
    office, township = service.office, visitor.person.township
    now = office.clock()
    # The moment of asking is the stamp (DTSTAMP): the feed differs by nothing else when nothing
    # changed.
    text = format_calendar(duty_list.iterate_duties(office, now, township=township), now)
    return Response(text, media_type="text/calendar; charset=utf-8")


def _parse_place(untrusted_cursor: str | None, now: datetime) -> tuple[datetime, Place | None]:
    """Return the moment of a list and where its next page begins. Raises: ApiError(cursor)."""
    read = read_cursor("duties", untrusted_cursor, datetime, int, datetime, str, str, str)
    if not read:
        return now, None
    at, *place = read
    if not now - _LASTS < at <= now:  # nothing may be judged as of a moment of somebody's choice
        raise ApiError("cursor")
    return at, tuple(place)


def _find_proceeding(service: Service, visitor: Visitor, proceeding: str) -> ProceedingRow:
    with service.office.catalogue.read() as session:
        row = proceedings.get_proceeding(session, proceeding)
    service.authorise(visitor, Act.KEEP_PROCEEDING, row.township, Subject.of_proceeding(row.id))
    return row


def _present_by_id(service: Service, row: ProceedingRow) -> ProceedingOut:
    office = service.office
    with office.catalogue.read() as session:
        return way_views.present_proceeding(session, row, office.rulebook, office.clock())
