"""Pages of the console. Each authorises and reads as the API does, and renders a template.

Pages only show; a form's act is a call of the HTTP API (`static/console.js`), so that there is
one way to do a thing. The exceptions are plain forms: logging in and out, and the bundle, whose
download a browser handles best.
"""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, FastAPI, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from api.console import forecast_page, job_pages, retention_pages, station_pages
from api.console.rendering import HERE, KINDS, render
from api.http import presenters as views
from api.http.case_file import findings
from api.http.case_file import presenters as way_views
from api.http.cases.routes import bundle as export_bundle
from api.http.cases.routes import find as listed_cases
from api.http.paging import PAGE, Cursor, page_of, read_cursor
from api.http.proceedings import duties as listed_duties
from api.http.retention import presenters as keeping_views
from api.http.schemas import NewBundle
from api.http.security import (
    COOKIE,
    ServiceHere,
    VisitorHere,
    known_visitor,
    origin_of,
    same_site,
    token_of,
)
from api.http.sessions import set_cookie
from api.office.evidence.key_list import shown_keys
from api.office.identity import Visitor
from api.problems import ApiError, words
from policies.access.access import Act, Role
from policies.time.wording import COUNTY_TIME, national_rules_only
from storage.catalogue.cases import case_file, cases, doubts
from storage.catalogue.log import custody_log, refused_time
from storage.catalogue.people import people, register
from storage.catalogue.recordings import recordings
from storage.catalogue.recordings.recordings import RecordingFilter
from storage.catalogue.retention import classification
from storage.catalogue.tables import ActionRow
from storage.catalogue.unit_of_work import View
from storage.errors import CatalogueBusyError, CatalogueUnavailableError, LiuhenError
from storage.recording import MediaKind

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def console(app: FastAPI) -> None:
    """Add the console to an application."""
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(router)
    app.include_router(station_pages.router)
    app.include_router(job_pages.router)
    app.include_router(forecast_page.router)
    app.include_router(retention_pages.router)
    app.state.error_page = error_page


@router.get("/")
def home(visitor: VisitorHere) -> Response:
    """Go to what this role works with."""
    return RedirectResponse(_first_page(visitor), status_code=303)


@router.get("/login")
def login_page(next_page: Annotated[str, Query(alias="next", max_length=500)] = "/") -> Response:
    """Show the login form."""
    return render("login.html", None, next_page=_local(next_page), error=None, username="")


@router.post("/login")
async def log_in(
    request: Request,
    service: ServiceHere,
    username: Annotated[str, Form(max_length=100)],
    password: Annotated[str, Form(max_length=1000)],
    next_page: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Log in and go on to where somebody wanted to go."""
    if not same_site(request):
        raise ApiError("cross-site")
    try:
        token, _until = await service.logins.log_in(username, password, origin_of(request))
    except ApiError as error:
        told = words(error)
        response = render(
            "login.html", None, next_page=_local(next_page), error=told, username=username
        )
        response.status_code = told.status
        return response
    answer = RedirectResponse(_local(next_page), status_code=303)
    set_cookie(answer, request, token)
    return answer


@router.post("/logout")
def log_out(request: Request, service: ServiceHere, _visitor: VisitorHere) -> Response:
    """Log out."""
    service.identity.logout(token_of(request) or "", origin_of(request))
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/bays")
def bays_page(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show the station's bays; a script keeps them live."""
    service.authorise(visitor, Act.SEE_BAYS)
    return render("bays.html", visitor, bays=views.bays(service.office), settings=service.office)


@router.get("/recordings")
def recordings_page(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    text: Annotated[str, Query(max_length=200)] = "",
    officer: Annotated[str, Query(max_length=100)] = "",
    kind: Annotated[str, Query(max_length=20)] = "",
    day: Annotated[str, Query(max_length=10)] = "",
    unanswered: bool = False,
    cursor: Cursor = None,
) -> Response:
    """Find recordings."""
    service.authorise(visitor, Act.LIST_RECORDINGS)
    since = _day(day)
    wanted = RecordingFilter(
        township=visitor.person.township,
        officer=officer or None,
        text=text or None,
        kind=MediaKind(kind) if kind in KINDS else None,
        since=since,
        until=since + timedelta(days=1) if since else None,
        unanswered=unanswered,
    )
    with service.office.catalogue.read() as session:
        after = read_cursor("recordings", cursor, str)
        found = recordings.search(session, wanted, after, PAGE + 1)
        show = partial(views.recording, session)
        page = page_of("recordings", found, PAGE, lambda row: (row.id,), show)
        officers = _officers(session, visitor)
    asked = {"text": text, "officer": officer, "kind": kind, "day": day, "unanswered": unanswered}
    return render(
        "recordings.html",
        visitor,
        rows=page.items,
        next=page.next,
        asked=asked,
        officers=officers,
    )


@router.get("/recordings/{recording}")
def recording_page(
    recording: UUID, service: ServiceHere, visitor: VisitorHere, entries: Cursor = None
) -> Response:
    """Show one recording: player, facts, questions, why it is kept, chain of custody."""
    row = service.recording(visitor, recording, Act.LIST_RECORDINGS)
    kept = retention_pages.kept(service, visitor, row)
    with service.office.catalogue.read() as session:
        links = []
        for link in cases.exhibits_of(session, row.id):
            action = cases.action(session, link.action_id)
            case = cases.case(session, action.case_id)
            links.append((link, views.action(session, action), views.case(case)))
        return render(
            "recording.html",
            visitor,
            row=views.recording(session, row),
            kept=kept,
            stone=keeping_views.tombstone(session, row),
            classes=classification.BY_HAND,
            links=links,
            custody=views.custody(session, row, entries, PAGE),
            officers=_officers(session, visitor),
            fps=_frames_per_second(row.media),
            settled={(one.kind, one.start_s): one for one in doubts.settled(session, row.id)},
            tracks=row.media.get("tracks", []),
        )


@router.get("/cases")
def cases_page(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    text: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
) -> Response:
    """Find cases."""
    found = listed_cases(service, visitor, text=text or None, cursor=cursor)
    area = service.office.rulebook.without_edition
    return render(
        "cases.html",
        visitor,
        rows=found.items,
        next=found.next,
        text=text,
        notice=national_rules_only(area)[0] if area else None,
    )


@router.get("/cases/{case}")
def case_page(
    case: UUID, service: ServiceHere, visitor: VisitorHere, entries: Cursor = None
) -> Response:
    """Show one case: its stages, its actions with coverage and findings."""
    with service.office.catalogue.read() as session:
        row = cases.case(session, str(case))
    service.authorise(visitor, Act.SEE_CASE, row.township, f"case:{row.id}")
    now = service.office.clock()
    with service.office.catalogue.read() as session:
        found = [
            views.action_detail(session, action, service.office.rulebook, now)
            for action in cases.actions(session, row.id)
        ]
        subjects = [f"case:{row.id}", *(f"action:{action.id}" for action in found)]
        return render(
            "case.html",
            visitor,
            case=views.case(row),
            actions=found,
            officers=_officers(session, visitor),
            everybody=_everybody(session, row.township),
            way=way_views.the_way(session, row, service.office.rulebook, now),
            holds=retention_pages.held(session, visitor, row, [action.id for action in found]),
            explanation=findings.explanation(session, row, service.office.rulebook, now),
            custody=views.entries(session, subjects, entries, PAGE),
        )


@router.post("/cases/{case}/bundle")
def bundle(
    case: UUID,
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    sealed: Annotated[bool, Form()] = False,
) -> Response:
    """Download the case's bundle."""
    return export_bundle(str(case), NewBundle(sealed=sealed), service, visitor)


@router.get("/actions/{action}")
def action_page(action: UUID, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show one action: ribbon, findings, exhibits, what might be linked."""
    with service.office.catalogue.read() as session:
        row = cases.action(session, str(action))
        case = cases.case(session, row.case_id)
    service.authorise(visitor, Act.SEE_CASE, case.township, f"action:{row.id}")
    with service.office.catalogue.read() as session:
        nearby = cases.facts_of(session, row.id).nearby
        linked = {one.recording_id for one in cases.exhibits(session, row.id)}
        return render(
            "action.html",
            visitor,
            action=views.action_detail(
                session, row, service.office.rulebook, service.office.clock()
            ),
            case=views.case(case),
            moments=[way_views.moment(one) for one in case_file.moments(session, row.id)],
            marks=_marks(session, row),
            holds=retention_pages.held(session, visitor, case, [row.id]),
            nearby=[
                views.recording(session, recordings.by_id(session, item.recording))
                for item in nearby
                if item.recording not in linked
            ],
        )


@router.get("/actions/{action}/code")
def code_page(action: UUID, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show the action's scene code, a new one each second."""
    with service.office.catalogue.read() as session:
        row = cases.action(session, str(action))
        case = cases.case(session, row.case_id)
    service.authorise(visitor, Act.KEEP_CASE, case.township, f"action:{row.id}")
    with service.office.catalogue.read() as session:
        return render("code.html", visitor, action=views.action(session, row))


@router.get("/duties")
def duties_page(
    service: ServiceHere, visitor: VisitorHere, later: BackgroundTasks, cursor: Cursor = None
) -> Response:
    """Show what is due, the most pressing first."""
    found = listed_duties(service, visitor, later, cursor=cursor)
    return render("duties.html", visitor, duties=found.items, next=found.next)


@router.get("/custody")
def custody_page(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show the log's head and keys; a button checks everything."""
    service.authorise(visitor, Act.VERIFY)
    with service.office.catalogue.read() as session:
        log = custody_log.LogReader(session)
        head, size, doubt = log.checkpoint(), log.size, refused_time.doubt(session)
    keys = shown_keys(service.office)
    return render("custody.html", visitor, head=head, size=size, keys=keys, doubt=doubt)


def error_page(error: LiuhenError, request: Request) -> Response:
    """Show an error as a page; who is not logged in goes to the login."""
    if error.code == "unauthenticated":
        back = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={quote(back)}", status_code=303)
    told = words(error)
    try:
        # A catalogue that is away is not asked, and waited for, once more.
        away = isinstance(error, CatalogueUnavailableError | CatalogueBusyError)
        visitor = None if away else known_visitor(request)
    except LiuhenError:
        visitor = None
    response = render("error.html", visitor, told=told)
    response.status_code = told.status
    return response


def _first_page(visitor: Visitor) -> str:
    order = ("/cases", "/bays") if visitor.person.role is Role.OFFICER else ("/bays",)
    if visitor.person.role in {Role.REVIEWER, Role.HEAD}:
        order = ("/cases",)
    return order[0]


def _officers(session: View, visitor: Visitor) -> list[Any]:
    rows = people.persons(session, township=visitor.person.township, kinds=register.ENFORCING)
    return [views.person(row) for row in rows]


def _everybody(session: View, township: str) -> list[Any]:
    """Return who may handle, review or decide: the township's people and the county's."""
    rows = people.persons_for(session, township, county=Role.REVIEWER.value)
    return [views.person(row) for row in rows]


def _marks(session: View, row: ActionRow) -> list[tuple[float, str]]:
    """Return the marked moments as places on the ribbon, in percent of the action."""
    if row.end_at is None or row.end_at <= row.start_at:
        return []
    whole = (row.end_at - row.start_at).total_seconds()
    told = [way_views.moment(one) for one in case_file.moments(session, row.id)]
    places = [((one.at - row.start_at).total_seconds() / whole * 100, one.zh) for one in told]
    return [(round(at, 3), name) for at, name in places if 0 <= at <= 100]  # noqa: PLR2004 - %


def _local(untrusted_path: str) -> str:
    """Return a path of our own pages; anything else would be an open redirect."""
    plain = untrusted_path.startswith("/") and not untrusted_path.startswith(("//", "/\\"))
    return untrusted_path if plain else "/"


def _day(untrusted_day: str) -> datetime | None:
    try:
        day = date.fromisoformat(untrusted_day)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=COUNTY_TIME)


def _frames_per_second(media: dict[str, Any]) -> float:
    rates = [track.get("rate") for track in media.get("tracks", ()) if track.get("type") == "video"]
    rate = rates[0] if rates else None
    return float(rate) if isinstance(rate, int | float) and 1 <= rate <= 240 else 25.0  # noqa: PLR2004 - Hz
