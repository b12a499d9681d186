"""Durable jobs, for whoever keeps them: how each stands; ask for one, or for another try."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api.http.jobs import presenters as job_views
from api.http.jobs.presenters import JobOut, KindOut, WorkerOut
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.schemas import RequestModel
from api.http.security import ServiceHere, VisitorHere
from api.jobs import request
from policies.access.access import Act
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State

router = APIRouter(tags=["jobs"])
KindName = Annotated[str, Query(pattern=r"^[a-z][a-z-]{0,39}$")]


class NewJob(RequestModel):
    """A job that is asked for; `recording` is the id of the one that it is about."""

    kind: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")
    recording: UUID | None = None


@router.get("/jobs")
def list_jobs(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    state: State | None = None,
    kind: KindName | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[JobOut]:
    """Return the jobs that fit, the newest first."""
    service.authorise(visitor, Act.SEE_JOBS)
    # The newest first: ids are ordered by time, so that the next page lies before the last id.
    before = next(iter(read_cursor("jobs", cursor, str)), None)
    with service.office.catalogue.read() as session:
        rows = jobs.list_jobs(session, kind=kind, state=state, before=before, limit=limit + 1)
        show = partial(job_views.present_job, session)
        return page_of("jobs", rows, limit, lambda row: (row.id,), show)


@router.get("/jobs/kinds")
def list_job_kinds(service: ServiceHere, visitor: VisitorHere) -> list[KindOut]:
    """Return every kind of job: how often, when it was last done, and what was found then."""
    service.authorise(visitor, Act.SEE_JOBS)
    with service.office.catalogue.read() as session:
        return job_views.present_kinds(session)


@router.get("/jobs/workers")
def list_workers(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[WorkerOut]:
    """Return the workers there ever were, by name; jobs wait where none is at work."""
    service.authorise(visitor, Act.SEE_JOBS)
    after = read_cursor("workers", cursor, str)
    with service.office.catalogue.read() as session:
        rows = jobs.list_workers(session, after=after, limit=limit + 1)
    show = partial(job_views.present_worker, service.office)
    return page_of("workers", rows, limit, lambda row: (row.name,), show)


@router.post("/jobs", status_code=201)
def request_job(new: NewJob, service: ServiceHere, visitor: VisitorHere) -> JobOut:
    """Ask for a job, once: one that is under way for the same is returned, and waits no longer."""
    recording = str(new.recording) if new.recording else None
    row = request.ask_as(service, visitor, new.kind, recording)
    with service.office.catalogue.read() as session:
        return job_views.present_job(session, row)


@router.get("/jobs/{job}")
def get_job(job: UUID, service: ServiceHere, visitor: VisitorHere) -> JobOut:
    """Return one job."""
    service.authorise(visitor, Act.SEE_JOBS, subject=Subject.of_job(str(job)))
    with service.office.catalogue.read() as session:
        return job_views.present_job(session, jobs.by_id(session, str(job)))


@router.post("/jobs/{job}/retry")
def retry_job(job: UUID, service: ServiceHere, visitor: VisitorHere) -> JobOut:
    """Have a job that failed tried again, in the name of who asked for it."""
    row = request.retry_as(service, visitor, job)
    with service.office.catalogue.read() as session:
        return job_views.present_job(session, row)
