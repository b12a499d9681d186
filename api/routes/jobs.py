"""Durable jobs, for whoever keeps them: how each stands; ask for one, or for another try."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api import job_views
from api.gate import ServiceHere, VisitorHere
from api.job_views import JobOut, KindOut, WorkerOut
from api.jobs import asking
from policies.access import Act
from storage.catalogue import jobs
from storage.catalogue.jobs import State

router = APIRouter(tags=["jobs"])
KindName = Annotated[str, Query(pattern=r"^[a-z][a-z-]{0,39}$")]


class JobPage(BaseModel):
    """Some jobs, the newest first; `next` is the cursor of the next page."""

    items: list[JobOut]
    next: str | None


class NewJob(BaseModel):
    """A job that is asked for; `recording` is the id of the one that it is about."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")
    recording: UUID | None = None


@router.get("/jobs")
def listed(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    state: State | None = None,
    kind: KindName | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Return the jobs that fit, the newest first."""
    service.authorise(visitor, Act.SEE_JOBS)
    before = str(cursor) if cursor else None
    with service.office.catalogue.read() as session:
        rows = jobs.jobs(session, kind=kind, state=state, before=before, limit=limit + 1)
        items = [job_views.job(session, row) for row in rows[:limit]]
    return JobPage(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/jobs/kinds")
def kinds(service: ServiceHere, visitor: VisitorHere) -> list[KindOut]:
    """Return every kind of job: how often, when it was last done, and what was found then."""
    service.authorise(visitor, Act.SEE_JOBS)
    with service.office.catalogue.read() as session:
        return job_views.kinds(session)


@router.get("/jobs/workers")
def workers(service: ServiceHere, visitor: VisitorHere) -> list[WorkerOut]:
    """Return the workers there ever were; jobs wait where none is at work."""
    service.authorise(visitor, Act.SEE_JOBS)
    with service.office.catalogue.read() as session:
        return job_views.workers(session, service.office)


@router.post("/jobs", status_code=201)
def ask(new: NewJob, service: ServiceHere, visitor: VisitorHere) -> JobOut:
    """Ask for a job, once: one that is under way for the same is returned, and waits no longer."""
    recording = str(new.recording) if new.recording else None
    row = asking.ask_as(service, visitor, new.kind, recording)
    with service.office.catalogue.read() as session:
        return job_views.job(session, row)


@router.get("/jobs/{job}")
def one(job: UUID, service: ServiceHere, visitor: VisitorHere) -> JobOut:
    """Return one job."""
    service.authorise(visitor, Act.SEE_JOBS, subject=f"job:{job}")
    with service.office.catalogue.read() as session:
        return job_views.job(session, jobs.by_id(session, str(job)))


@router.post("/jobs/{job}/retry")
def retry(job: UUID, service: ServiceHere, visitor: VisitorHere) -> JobOut:
    """Have a job that failed tried again, in the name of who asked for it."""
    row = asking.retry_as(service, visitor, job)
    with service.office.catalogue.read() as session:
        return job_views.job(session, row)
