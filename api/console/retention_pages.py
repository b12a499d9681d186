"""Retention pages: recordings due on a day, dispositions, holds, reclassifications."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from api.console.rendering import render
from api.http.dispositions.routes import get_disposition as one_disposition
from api.http.dispositions.routes import list_dispositions as listed_dispositions
from api.http.holds import presenters as release_views
from api.http.holds.presenters import Look
from api.http.holds.release_routes import list_releases as listed_releases
from api.http.holds.routes import list_holds
from api.http.paging import MOST, Cursor
from api.http.retention import presenters as keeping_views
from api.http.retention.routes import list_due_recordings as listed_due
from api.http.retention.routes import list_reclassifications
from api.http.retention.schemas import HoldOut, RetentionOut
from api.http.security import ServiceHere, VisitorHere
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import TABLE
from policies.access.access import Act, decide_access
from policies.identifiers import ActionId
from policies.time.wording import COUNTY_TIME
from storage.catalogue.holds import holds
from storage.catalogue.people import people
from storage.catalogue.tables import CaseRow, RecordingRow
from storage.catalogue.unit_of_work import View

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/keeping")
def keeping_page(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    day: Annotated[str, Query(max_length=10)] = "",
    cursor: Cursor = None,
    open_cursor: Cursor = None,
    ended_cursor: Cursor = None,
    holds_cursor: Cursor = None,
    releases_cursor: Cursor = None,
    waiting_cursor: Cursor = None,
) -> Response:
    """Show what could be destroyed on a day (today), and everything that waits for a decision."""
    now = service.office.clock()
    today = now.astimezone(COUNTY_TIME).date().isoformat()
    # Today means now: what falls due this evening is not due yet.
    at = _end_of(day) if day and day != today else now
    # The API's own functions: they authorise and page, so that page and API cannot differ.
    page = listed_due(service, visitor, at=at or now, cursor=cursor, limit=MOST)
    with service.office.catalogue.read() as session:
        townships = people.list_townships(session)
    return render(
        "keeping.html",
        visitor,
        found=page,
        day=day if at else today,
        later=page.at > now,
        due=[row for row in page.items if row.due],
        kept=[row for row in page.items if not row.due],
        under_way=listed_dispositions(service, visitor, under_way=True, cursor=open_cursor),
        ended=listed_dispositions(service, visitor, under_way=False, cursor=ended_cursor),
        holds=list_holds(service, visitor, cursor=holds_cursor),
        waiting=list_reclassifications(service, visitor, cursor=waiting_cursor),
        releases=listed_releases(service, visitor, waiting=True, cursor=releases_cursor),
        refusals=_REFUSALS,
        townships=townships,
        own=visitor.person.township,
    )


@router.get("/keeping/{disposition}")
def disposition_page(disposition: UUID, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show one disposition with its recordings, its approvals and its certificate."""
    detail = one_disposition(str(disposition), service, visitor)
    return render("disposition.html", visitor, one=detail, refusals=_REFUSALS)


def retention_of_recording(
    service: Service, visitor: Visitor, row: RecordingRow
) -> RetentionOut | None:
    """Return a recording's retention for its page; None if the visitor may not see it."""
    # Asked without an entry: a page that leaves a part out has refused nothing.
    if not decide_access(visitor.person, Act.SEE_KEEPING, row.township).allowed:
        return None
    office = service.office
    with office.catalogue.read() as session:
        return keeping_views.present_retention(session, office, row, visitor, office.clock())


def holds_of_case(
    session: View, visitor: Visitor, case: CaseRow, actions: Iterable[ActionId]
) -> list[HoldOut]:
    """Return the holds on a case, its party or some of its actions, for their pages."""
    look = Look(session, visitor)
    return [
        release_views.present_hold(look, row)
        for row in holds.list_holds_on_case(session, case, actions)
    ]


_REFUSALS = {
    code.removeprefix("disposition-"): wording.zh + wording.next_zh
    for code, wording in TABLE.items()
    if code.startswith("disposition-")
}


def _end_of(untrusted_day: str) -> datetime | None:
    try:
        day = date.fromisoformat(untrusted_day)
        return datetime(day.year, day.month, day.day, tzinfo=COUNTY_TIME) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
