"""Presenters of jobs: kind, state, cause of failure and remedy.

What a job found stays where it belongs (the log, the recording's page); here is only how much was
wrong, for a job that is done may have found evidence damaged.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel

from api.jobs.registry import KINDS
from api.office.wiring import Office
from api.problems import JOB_STATES, job_error_zh, job_next_zh
from policies.identifiers import SYSTEM, PersonId, split_subject
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.tables import JobRow, WorkerRow
from storage.catalogue.people import people
from storage.catalogue.unit_of_work import View
from storage.errors import NotFoundError

_WHOLE = "全部"
_SUBJECTS = {"recording": "录像", "hold": "冻结", "disposition": "处置"}
_ACTORS = {"station": "采集站"}


class JobOut(BaseModel):
    """One job. `error` is why the last try failed; `wrong` counts what it found damaged."""

    id: str
    kind: str
    kind_zh: str
    subject: str
    subject_zh: str
    state: str
    state_zh: str
    asked_by: str
    asked_by_zh: str
    asked_at: datetime
    due_at: datetime
    ended_at: datetime | None
    attempt: int
    failures: int
    error: str | None
    error_zh: str | None
    next_zh: str | None
    wrong: int
    may_retry: bool


class KindOut(BaseModel):
    """A kind of job. `every_s` is its period in seconds; `askable` whether one may ask for it."""

    kind: str
    zh: str
    every_s: int | None
    askable: bool
    recording: bool
    done_at: datetime | None
    failed: int


class WorkerOut(BaseModel):
    """A worker, by its own clock; `alive` is false once it ended, or its beats stopped."""

    name: str
    started_at: datetime
    beat_at: datetime
    ended_at: datetime | None
    alive: bool


def present_job(session: View, row: JobRow) -> JobOut:
    """Return one job."""
    # A job of another version's kind stands in the table still, and must not hide the others.
    kind = KINDS.get(row.kind)
    wrong = (row.result or {}).get("wrong", ())
    return JobOut(
        id=row.id,
        kind=row.kind,
        kind_zh=kind.zh if kind else row.kind,
        subject=row.subject,
        subject_zh=_subject_zh(row.subject),
        state=row.state,
        state_zh=JOB_STATES[row.state],
        asked_by=row.asked_by,
        asked_by_zh=_actor_zh(session, row.asked_by),
        asked_at=row.asked_at,
        due_at=row.due_at,
        ended_at=row.ended_at,
        attempt=row.attempt,
        failures=row.failures,
        error=row.error,
        error_zh=job_error_zh(row.error, row.kind) if row.error else None,
        next_zh=job_next_zh(row.error) if row.error and row.state == jobs.State.FAILED else None,
        wrong=len(wrong) if isinstance(wrong, list) else 0,
        # As `request.retry_as` decides it: no button for what would be refused.
        may_retry=row.state == jobs.State.FAILED and kind is not None and kind.may_retry,
    )


def present_kinds(session: View) -> list[KindOut]:
    """Return every kind, in the order of the registry."""
    failed = jobs.failures_by_kind(session)
    entries = []
    for kind in KINDS.values():
        last = jobs.newest_done(session, kind.name)
        entries.append(
            KindOut(
                kind=kind.name,
                zh=kind.zh,
                every_s=int(kind.every.total_seconds()) if kind.every else None,
                askable=kind.askable,
                recording=kind.recording,
                done_at=last.ended_at if last else None,
                failed=failed.get(kind.name, 0),
            )
        )
    return entries


def present_worker(office: Office, row: WorkerRow) -> WorkerOut:
    """Return one worker. Which jobs are freed is never decided by this, but by beats."""
    # Twice the silence: another machine's clock may be a little off, and this is for a screen.
    silent = timedelta(seconds=2 * office.settings.worker_silent_s)
    return WorkerOut(
        name=row.name,
        started_at=row.started_at,
        beat_at=row.beat_at,
        ended_at=row.ended_at,
        alive=row.ended_at is None and office.clock() - row.beat_at < silent,
    )


def _subject_zh(subject: str) -> str:
    kind, identity = split_subject(subject)
    return _WHOLE if subject == SYSTEM else f"{_SUBJECTS.get(kind, kind)} {identity}"


def _actor_zh(session: View, actor: str) -> str:
    kind, identity = split_subject(actor)
    if kind == "person":
        # An actor may be gone from the register; a list of jobs is shown all the same.
        try:
            return people.get_person(session, PersonId(identity)).name
        except NotFoundError:
            return identity
    return "系统" if actor == SYSTEM else f"{_ACTORS.get(kind, kind)} {identity}"
