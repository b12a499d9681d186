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
from api.http.cases.routes import export_case_bundle as export_bundle
from api.http.cases.routes import list_cases as listed_cases
from api.http.paging import PAGE, Cursor, page_of, read_cursor
from api.http.proceedings import list_duties as listed_duties
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
from api.problems import ApiError, describe_error
from policies.access.access import Act, Role
from policies.identifiers import ActionId, CaseId, Subject
from policies.time.wording import COUNTY_TIME, national_rules_only
from storage.catalogue.cases import case_file, cases, doubts
from storage.catalogue.log import custody_log, refused_time
from storage.catalogue.people import people, register
from storage.catalogue.recordings import recording_search, recordings
from storage.catalogue.recordings.recording_search import RecordingFilter
from storage.catalogue.retention import classification
from storage.catalogue.tables import ActionRow
from storage.catalogue.unit_of_work import View
from storage.errors import CatalogueBusyError, CatalogueUnavailableError, LiuhenError
from storage.recording import MediaKind

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def add_console(app: FastAPI) -> None:
    """Add the console to an application."""
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(router)
    app.include_router(station_pages.router)
    app.include_router(job_pages.router)
    app.include_router(forecast_page.router)
    app.include_router(retention_pages.router)
    # Set here, so that the HTTP part needs no page: without a console errors stay problem+json.
    app.state.error_page = error_page


@router.get("/")
def redirect_home(visitor: VisitorHere) -> Response:
    """Go to what this role works with."""
    return RedirectResponse(_first_page(visitor), status_code=303)


@router.get("/login")
def login_page(next_page: Annotated[str, Query(alias="next", max_length=500)] = "/") -> Response:
    """Show the login form."""
    return render("login.html", None, next_page=_local_path(next_page), error=None, username="")


@router.post("/login")
async def log_in(
    request: Request,
    service: ServiceHere,
    username: Annotated[str, Form(max_length=100)],
    password: Annotated[str, Form(max_length=1000)],
    next_page: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Log in and go on to where somebody wanted to go."""
    # A page of another site must not log a browser in under an account of its own.
    if not same_site(request):
        raise ApiError("cross-site")
    try:
        token, _until = await service.logins.log_in(username, password, origin_of(request))
    except ApiError as error:
        wording = describe_error(error)
        # The name is kept in the form, the password never is.
        response = render(
            "login.html", None, next_page=_local_path(next_page), error=wording, username=username
        )
        response.status_code = wording.status
        return response
    # 303: the browser must not send the password on to the next page.
    answer = RedirectResponse(_local_path(next_page), status_code=303)
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
    return render(
        "bays.html", visitor, bays=views.present_bays(service.office), settings=service.office
    )


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
    since = _parse_day(day)
    # Filters that nobody offers count as none: a page is no API, and an old link should open.
    recording_filter = RecordingFilter(
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
        rows = recording_search.search_recordings(session, recording_filter, after, PAGE + 1)
        show = partial(views.present_recording, session)
        page = page_of("recordings", rows, PAGE, lambda row: (row.id,), show)
        officers = _list_officers(session, visitor)
    search_terms = {
        "text": text,
        "officer": officer,
        "kind": kind,
        "day": day,
        "unanswered": unanswered,
    }
    return render(
        "recordings.html",
        visitor,
        rows=page.items,
        next=page.next,
        asked=search_terms,
        officers=officers,
    )


@router.get("/recordings/{recording}")
def recording_page(
    recording: UUID, service: ServiceHere, visitor: VisitorHere, entries: Cursor = None
) -> Response:
    """Show one recording: player, facts, questions, why it is kept, chain of custody."""
    row = service.authorise_recording(visitor, recording, Act.LIST_RECORDINGS)
    # Outside the transaction: it asks the object store, which may take seconds.
    retention_panel = retention_pages.retention_of_recording(service, visitor, row)
    with service.office.catalogue.read() as session:
        links = []
        for link in cases.exhibits_of(session, row.id):
            action = cases.get_action(session, link.action_id)
            case = cases.get_case(session, action.case_id)
            links.append((link, views.present_action(session, action), views.present_case(case)))
        return render(
            "recording.html",
            visitor,
            row=views.present_recording(session, row),
            kept=retention_panel,
            stone=keeping_views.present_tombstone(session, row),
            classes=classification.BY_HAND,
            links=links,
            custody=views.present_custody(session, row, entries, PAGE),
            officers=_list_officers(session, visitor),
            fps=_frames_per_second(row.media),
            settled={
                (doubt.kind, doubt.start_s): doubt
                for doubt in doubts.list_settled_doubts(session, row.id)
            },
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
    page = listed_cases(service, visitor, text=text or None, cursor=cursor)
    area = service.office.rulebook.without_edition
    return render(
        "cases.html",
        visitor,
        rows=page.items,
        next=page.next,
        text=text,
        notice=national_rules_only(area)[0] if area else None,
    )


@router.get("/cases/{case}")
def case_page(
    case: UUID, service: ServiceHere, visitor: VisitorHere, entries: Cursor = None
) -> Response:
    """Show one case: its stages, its actions with coverage and findings."""
    with service.office.catalogue.read() as session:
        row = cases.get_case(session, CaseId(str(case)))
    service.authorise(visitor, Act.SEE_CASE, row.township, Subject.of_case(row.id))
    now = service.office.clock()
    with service.office.catalogue.read() as session:
        actions = [
            views.action_detail(session, action, service.office.rulebook, now)
            for action in cases.list_actions(session, row.id)
        ]
        subjects = [
            Subject.of_case(row.id),
            *(Subject.of_action(action.id) for action in actions),
        ]
        return render(
            "case.html",
            visitor,
            case=views.present_case(row),
            actions=actions,
            officers=_list_officers(session, visitor),
            everybody=_list_people(session, row.township),
            way=way_views.the_way(session, row, service.office.rulebook, now),
            holds=retention_pages.holds_of_case(
                session, visitor, row, [action.id for action in actions]
            ),
            explanation=findings.present_explanation(session, row, service.office.rulebook, now),
            custody=views.present_entries(session, subjects, entries, PAGE),
        )


@router.post("/cases/{case}/bundle")
def download_bundle(
    case: UUID,
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    sealed: Annotated[bool, Form()] = False,
) -> Response:
    """Download the case's bundle."""
    # As the API does it, the check for another site's form included (`VisitorHere`).
    return export_bundle(CaseId(str(case)), NewBundle(sealed=sealed), service, visitor)


@router.get("/actions/{action}")
def action_page(action: UUID, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show one action: ribbon, findings, exhibits, what might be linked."""
    with service.office.catalogue.read() as session:
        row = cases.get_action(session, ActionId(str(action)))
        case = cases.get_case(session, row.case_id)
    service.authorise(visitor, Act.SEE_CASE, case.township, Subject.of_action(row.id))
    with service.office.catalogue.read() as session:
        nearby = cases.facts_of(session, row.id).nearby
        linked = {exhibit.recording_id for exhibit in cases.list_exhibits(session, row.id)}
        return render(
            "action.html",
            visitor,
            action=views.action_detail(
                session, row, service.office.rulebook, service.office.clock()
            ),
            case=views.present_case(case),
            moments=[
                way_views.present_moment(moment_row)
                for moment_row in case_file.list_moments(session, row.id)
            ],
            marks=_place_marks(session, row),
            holds=retention_pages.holds_of_case(session, visitor, case, [row.id]),
            nearby=[
                views.present_recording(session, recordings.by_id(session, match.recording))
                for match in nearby
                if match.recording not in linked
            ],
        )


@router.get("/actions/{action}/code")
def code_page(action: UUID, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show the action's scene code, a new one each second."""
    with service.office.catalogue.read() as session:
        row = cases.get_action(session, ActionId(str(action)))
        case = cases.get_case(session, row.case_id)
    service.authorise(visitor, Act.KEEP_CASE, case.township, Subject.of_action(row.id))
    with service.office.catalogue.read() as session:
        return render("code.html", visitor, action=views.present_action(session, row))


@router.get("/duties")
def duties_page(
    service: ServiceHere, visitor: VisitorHere, later: BackgroundTasks, cursor: Cursor = None
) -> Response:
    """Show what is due, the most pressing first."""
    page = listed_duties(service, visitor, later, cursor=cursor)
    return render("duties.html", visitor, duties=page.items, next=page.next)


@router.get("/custody")
def custody_page(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show the log's head and keys; a button checks everything."""
    service.authorise(visitor, Act.VERIFY)
    with service.office.catalogue.read() as session:
        log = custody_log.LogReader(session)
        head, size, doubt = log.find_newest_checkpoint(), log.size, refused_time.find_doubt(session)
    keys = shown_keys(service.office)
    return render("custody.html", visitor, head=head, size=size, keys=keys, doubt=doubt)


def error_page(error: LiuhenError, request: Request) -> Response:
    """Show an error as a page; who is not logged in goes to the login."""
    if error.code == "unauthenticated":
        # Only a GET can be gone back to.
        back = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={quote(back)}", status_code=303)
    wording = describe_error(error)
    try:
        # A catalogue that is away is not asked, and waited for, once more.
        away = isinstance(error, CatalogueUnavailableError | CatalogueBusyError)
        visitor = None if away else known_visitor(request)
    except LiuhenError:
        visitor = None
    response = render("error.html", visitor, told=wording)
    response.status_code = wording.status
    return response


def _first_page(visitor: Visitor) -> str:
    order = ("/cases", "/bays") if visitor.person.role is Role.OFFICER else ("/bays",)
    if visitor.person.role in {Role.REVIEWER, Role.HEAD}:
        order = ("/cases",)
    return order[0]


def _list_officers(session: View, visitor: Visitor) -> list[Any]:
    rows = people.list_persons(session, township=visitor.person.township, kinds=register.ENFORCING)
    return [views.present_person(row) for row in rows]


def _list_people(session: View, township: str) -> list[Any]:
    """Return who may handle, review or decide: the township's people and the county's."""
    rows = people.persons_for(session, township, county=Role.REVIEWER.value)
    return [views.present_person(row) for row in rows]


def _place_marks(session: View, row: ActionRow) -> list[tuple[float, str]]:
    """Return the marked moments as places on the ribbon, in percent of the action."""
    if row.end_at is None or row.end_at <= row.start_at:
        return []
    whole = (row.end_at - row.start_at).total_seconds()
    moments = [
        way_views.present_moment(moment_row)
        for moment_row in case_file.list_moments(session, row.id)
    ]
    places = [
        ((moment.at - row.start_at).total_seconds() / whole * 100, moment.zh) for moment in moments
    ]
    return [(round(at, 3), name) for at, name in places if 0 <= at <= 100]  # noqa: PLR2004 - %


def _local_path(untrusted_path: str) -> str:
    """Return a path of our own pages; anything else would be an open redirect."""
    # Browsers read "//host" and "/\host" as another site's address.
    plain = untrusted_path.startswith("/") and not untrusted_path.startswith(("//", "/\\"))
    return untrusted_path if plain else "/"


def _parse_day(untrusted_day: str) -> datetime | None:
    try:
        day = date.fromisoformat(untrusted_day)
    except ValueError:
        return None
    # The day is the county's, whatever zone the browser is in.
    return datetime(day.year, day.month, day.day, tzinfo=COUNTY_TIME)


def _frames_per_second(media: dict[str, Any]) -> float:
    rates = [track.get("rate") for track in media.get("tracks", ()) if track.get("type") == "video"]
    rate = rates[0] if rates else None
    return float(rate) if isinstance(rate, int | float) and 1 <= rate <= 240 else 25.0  # noqa: PLR2004 - Hz
