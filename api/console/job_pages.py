"""Durable jobs on a page: what failed first, what runs and waits, who works; ask and try again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from api.console.rendering import render
from api.http.jobs import presenters as job_views
from api.http.jobs.presenters import JobOut
from api.http.security import ServiceHere, VisitorHere
from api.jobs.registry import KINDS
from api.problems import JOB_STATES
from policies.access.access import Act
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State
from storage.catalogue.unit_of_work import View

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_MOST = 50  # rows of each state


@router.get("/jobs")
def jobs_page(
    service: ServiceHere,
    visitor: VisitorHere,
    state: Annotated[str, Query(max_length=20)] = "",
    kind: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show the jobs; a script keeps the page live. Unknown filters count as none."""
    service.authorise(visitor, Act.SEE_JOBS)
    wanted = [State(state)] if state in JOB_STATES else list(_ORDER)
    one_kind = kind if kind in KINDS else None
    with service.office.catalogue.read() as session:
        counts = jobs.counts(session)
        return render(
            "jobs.html",
            visitor,
            jobs=[row for one in wanted for row in _rows(session, one, one_kind)],
            kinds=job_views.kinds(session),
            workers=[
                job_views.worker(service.office, row) for row in jobs.workers(session, at_work=True)
            ],
            counts={one.value: counts.get(one.value, 0) for one in State},
            states=JOB_STATES,
            asked={"state": state, "kind": kind},
            most=_MOST,
            now=service.office.clock(),
        )


_ORDER = (State.FAILED, State.RUNNING, State.WAITING, State.DONE)  # the most pressing first


def _rows(session: View, state: State, kind: str | None) -> list[JobOut]:
    rows = jobs.jobs(session, kind=kind, state=state, limit=_MOST)
    return [job_views.job(session, row) for row in rows]
