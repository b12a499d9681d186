"""Job pages: failed jobs first, running and waiting ones, workers; request and retry."""

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
    # Each state has its own rows: a thousand done jobs must not push one that failed off the page.
    states = [State(state)] if state in JOB_STATES else list(_ORDER)
    one_kind = kind if kind in KINDS else None
    with service.office.catalogue.read() as session:
        counts = jobs.count_by_state(session)
        return render(
            "jobs.html",
            visitor,
            jobs=[
                row for job_state in states for row in _present_rows(session, job_state, one_kind)
            ],
            kinds=job_views.present_kinds(session),
            workers=[
                job_views.present_worker(service.office, row)
                for row in jobs.list_workers(session, at_work=True)
            ],
            counts={job_state.value: counts.get(job_state.value, 0) for job_state in State},
            states=JOB_STATES,
            asked={"state": state, "kind": kind},
            most=_MOST,
            now=service.office.clock(),
        )


_ORDER = (State.FAILED, State.RUNNING, State.WAITING, State.DONE)  # the most pressing first


def _present_rows(session: View, state: State, kind: str | None) -> list[JobOut]:
    rows = jobs.list_jobs(session, kind=kind, state=state, limit=_MOST)
    return [job_views.present_job(session, row) for row in rows]
