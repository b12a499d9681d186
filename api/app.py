"""The HTTP service: one application over one opened office. Routes only authorise, call, answer."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.console.pages import add_console
from api.http import bays, custody, forecast, proceedings, rules, sessions
from api.http.case_file import routes as way
from api.http.cases import routes as cases
from api.http.dispositions import certificate_routes
from api.http.dispositions import routes as dispositions
from api.http.holds import release_routes
from api.http.holds import routes as holds
from api.http.jobs import routes as jobs
from api.http.recordings import routes as recordings
from api.http.register import routes as register
from api.http.retention import routes as keeping
from api.http.schemas import Problem
from api.http.security import RETRY_AFTER_S, Guard, ServiceHere, add_handlers
from api.http.stations import administration_routes
from api.http.stations import routes as stations
from api.http.uploads import routes as uploads
from api.http.uploads import submission_routes
from api.office.service import Service
from api.office.settings.settings import both_families
from api.office.system import software_version
from api.problems import problem_body
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.http")
_NOT_READY = 503

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (401, "Nobody is logged in"),
        (403, "Not allowed; the attempt is in the log"),
        (404, "Not found, or not yours to see"),
        (409, "Does not fit the present state"),
        (422, "The input is not valid"),
    )
}


def create_app(
    service: Service,
    start: Callable[[], None] = lambda: None,
    stop: Callable[[], None] = lambda: None,
) -> FastAPI:
    """Build the application; `start` and `stop` run with the server (the station's worker)."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        start()
        yield
        stop()

    app = FastAPI(
        title="Liuhen 留痕",
        version=software_version().rpartition(" ")[2],
        description="基层执法音像留痕服务 Body-camera evidence for township law enforcement",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=PROBLEMS,
    )
    app.state.service = service
    add_handlers(app)
    for part in (
        uploads,  # routes are looked at in this order: first those that stations ask all day
        stations,
        sessions,
        bays,
        recordings,
        cases,
        way,
        proceedings,
        register,
        custody,
        certificate_routes,
        rules,
        administration_routes,
        jobs,
        forecast,
        keeping,
        holds,
        release_routes,
        dispositions,
        submission_routes,
    ):
        app.include_router(part.router, prefix="/api/v1")
    app.include_router(_health)
    # Last: its pages take paths that the API does not, and error pages are its own.
    add_console(app)
    # Around all routes, pages and static files; the proxy's words are read before it.
    app.add_middleware(Guard)
    # Whose word counts for where a request comes from; anybody else's headers change nothing.
    proxies = both_families(service.office.settings.trusted_proxies)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    return app


_health = APIRouter(tags=["health"])


@_health.get("/healthz")
def check_liveness() -> dict[str, str]:
    """Report that the process is alive."""
    return {"status": "ok"}


@_health.get(
    "/readyz",
    response_model=dict[str, str],
    responses={503: {"model": Problem, "description": "Not ready"}},
)
def check_readiness(service: ServiceHere) -> Any:
    """Check that catalogue, log, keys and store are those of the opened office; else 503."""
    try:
        return service.readiness.check_readiness()
    except LiuhenError as error:
        LOG.error("not ready: %s", error)  # noqa: TRY400 - its place says nothing more
        # 503 whatever the error's own status: a proxy reads the status alone, and sends visitors
        # elsewhere.
        body = problem_body(error, "/readyz") | {"status": _NOT_READY}
        return JSONResponse(
            body, _NOT_READY, {"Retry-After": RETRY_AFTER_S}, media_type="application/problem+json"
        )
