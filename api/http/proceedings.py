"""Complaints, reconsiderations, lawsuits with their holds; and what is due."""

from datetime import datetime, timedelta

from fastapi import APIRouter, BackgroundTasks, Response

from api.http.case_file import presenters as way_views
from api.http.case_file.schemas import Answered, DutyOut, NewProceedingIn, ProceedingOut
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
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act
from policies.duties import Place, feed
from storage.catalogue.cases.tables import ProceedingRow
from storage.catalogue.holds import proceedings, releases
from storage.catalogue.holds.proceedings import NewProceeding
from storage.catalogue.people import people

router = APIRouter(tags=["proceedings"])
_LASTS = timedelta(days=1)


@router.get("/proceedings")
def listed(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[ProceedingOut]:
    """Return the proceedings of your township, newest first."""
    service.authorise(visitor, Act.KEEP_PROCEEDING)
    office, now = service.office, service.office.clock()
    with office.catalogue.read() as session:
        rows = proceedings.proceedings(
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
            lambda row: way_views.proceeding(session, row, office.rulebook, now),
        )


@router.post("/proceedings", status_code=201)
def register(new: NewProceedingIn, service: ServiceHere, visitor: VisitorHere) -> ProceedingOut:
    """Register a proceeding; the footage concerned is held from now on."""
    township = visitor.person.township or service.office.settings.township
    if new.case is not None:
        township = case_of(service, visitor, new.case, Act.KEEP_PROCEEDING).township
    service.authorise(visitor, Act.KEEP_PROCEEDING, township)
    on = f"case:{new.case}" if new.case is not None else "system"
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
        for hold in proceedings.holds_of(uow.session, row.id):
            tell_store(uow, hold, visitor)
    return _shown(service, row)


@router.post("/proceedings/{proceeding}/holds")
def hold_more(proceeding: Id, service: ServiceHere, visitor: VisitorHere) -> ProceedingOut:
    """Hold what came in since and concerns the proceeding."""
    row = _proceeding(service, visitor, proceeding)
    with service.office.catalogue.write() as uow:
        for hold in proceedings.hold_more(uow, row.id, actor=visitor.actor):
            tell_store(uow, hold, visitor)
    return _shown(service, row)


@router.post("/proceedings/{proceeding}/answer")
def answer(
    proceeding: Id, new: Answered, service: ServiceHere, visitor: VisitorHere
) -> ProceedingOut:
    """Enter how the proceeding was answered; for heads and reviewers whom it does not concern."""
    row = _proceeding(service, visitor, proceeding)
    with (
        service.logging_refusal(visitor, Act.ANSWER_PROCEEDING.value, f"proceeding:{row.id}"),
        service.office.catalogue.write() as uow,
    ):
        answered = proceedings.answer(uow, row.id, new.text, by=visitor.person)
    return _shown(service, answered)


@router.post("/proceedings/{proceeding}/release", status_code=201)
def release(
    proceeding: Id, new: Answered, service: ServiceHere, visitor: VisitorHere
) -> ReleaseOut:
    """Propose that all that an answered proceeding holds ends; another person approves."""
    row = _proceeding(service, visitor, proceeding)
    with (
        service.logging_refusal(visitor, "hold.release.propose", f"proceeding:{row.id}"),
        service.office.catalogue.write() as uow,
    ):
        proposed = releases.propose_for_proceeding(uow, row.id, new.text, by=visitor.person)
    with service.office.catalogue.read() as session:
        return release_views.release(Look(session, visitor), proposed)


@router.get("/duties")
def duties(
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
    at, after = _place(cursor, office.clock())
    found = duty_list.page(
        office, at=at, limit=limit, township=visitor.person.township, after=after
    )
    later.add_task(duty_list.keep, office, found.judged)
    with office.catalogue.read() as session:
        names = people.names(session, {one.person for one in found.duties if one.person})
    return Page(
        items=[
            DutyOut(
                subject=one.subject,
                township=one.township,
                person=names.get(one.person, one.person) if one.person else None,
                what=one.what_zh,
                what_en=one.what_en,
                rule=one.rule,
                due_at=one.due_at,
                done_at=one.done_at,
                state=one.state.value,
            )
            for one in found.duties
        ],
        next=write_cursor("duties", at, *found.last) if found.last else None,
    )


@router.get("/duties.ics", response_class=Response)
def subscribed(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Return what is due as a calendar (RFC 5545) that can be subscribed to."""
    service.authorise(visitor, Act.SEE_DUTIES, visitor.person.township)
    office, township = service.office, visitor.person.township
    now = office.clock()
    text = feed(duty_list.due(office, now, township=township), now)
    return Response(text, media_type="text/calendar; charset=utf-8")


def _place(untrusted_cursor: str | None, now: datetime) -> tuple[datetime, Place | None]:
    """Return the moment of a list and where its next page begins. Raises: ApiError(cursor)."""
    read = read_cursor("duties", untrusted_cursor, datetime, int, datetime, str, str, str)
    if not read:
        return now, None
    at, *place = read
    if not now - _LASTS < at <= now:  # nothing may be judged as of a moment of somebody's choice
        raise ApiError("cursor")
    return at, tuple(place)


def _proceeding(service: Service, visitor: Visitor, proceeding: str) -> ProceedingRow:
    with service.office.catalogue.read() as session:
        row = proceedings.proceeding(session, proceeding)
    service.authorise(visitor, Act.KEEP_PROCEEDING, row.township, f"proceeding:{row.id}")
    return row


def _shown(service: Service, row: ProceedingRow) -> ProceedingOut:
    office = service.office
    with office.catalogue.read() as session:
        return way_views.proceeding(session, row, office.rulebook, office.clock())
