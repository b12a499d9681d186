"""Requests for a job or a retry: by the system, or by an authorised person.

Each is an entry in the log, in the transaction that makes it so.
"""

from typing import NoReturn
from uuid import UUID

from api.jobs.registry import KINDS
from api.office.identity import Visitor
from api.office.service import Service
from api.office.wiring import Office
from api.problems import ApiError
from policies.access.access import Act
from policies.identifiers import SYSTEM, Subject
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.tables import JobRow
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import NotFoundError


def ask_for_job(office: Office, kind: str, recording: str | None, *, actor: str = SYSTEM) -> JobRow:
    """Request a job of this kind, for one recording or for all.

    Kinds that unwrap footage are refused: a person must ask (`ask_as`).
    Raises: NotFoundError, ApiError(forbidden, invalid).
    """
    if (job_kind := KINDS.get(kind)) is not None and job_kind.person:
        raise ApiError("forbidden", act=kind, reason="person")
    return _ask_for_job(office, kind, recording, actor)


def ask_as(service: Service, visitor: Visitor, kind: str, recording: str | None) -> JobRow:
    """Ask for a job in a person's name; refusals are in the log.

    What unwraps footage needs the right to play it; all else the right to keep jobs. What follows
    from a decision (a hold, a disposition) is asked for by that decision alone.
    Raises: NotFoundError, ApiError(forbidden, invalid).
    """
    office = service.office
    job_kind = KINDS.get(kind)
    act = Act.PLAY if job_kind is not None and job_kind.person else Act.KEEP_JOBS
    # Rights come before anything is said of the kind: the refusal is an entry either way.
    if recording is None:
        service.authorise(visitor, act)
    else:
        service.authorise_recording(visitor, _parse_recording_id(recording), act)
    # Of holds and dispositions the deciding persons are asked for, not who keeps jobs.
    if job_kind is not None and not (job_kind.person or job_kind.askable):
        _refuse_act(service, visitor, act, SYSTEM)
    return _ask_for_job(office, kind, recording, visitor.actor)


def _ask_for_job(office: Office, kind: str, recording: str | None, actor: str) -> JobRow:
    job_kind = KINDS.get(kind)
    if job_kind is None:
        raise NotFoundError(what="job kind", id=kind[:40])
    if job_kind.recording and recording is None:
        raise ApiError("invalid", problem="请给出录像编号")
    if recording is None:
        subject = SYSTEM
    else:
        with office.catalogue.read() as session:
            subject = Subject.of_recording(
                recordings.by_id(session, _parse_recording_id(recording)).id
            )
    with office.catalogue.write() as uow:
        # In whose name footage is unwrapped matters; anything else is done once for all who ask.
        row = None if job_kind.person else jobs.expedite_job(uow, kind, subject)
        row = row or jobs.request_job(uow, kind, subject, actor=actor)
        # In the same transaction: `Identity.authenticate_job` believes a job's row only by this
        # entry.
        _log_request(uow, "job.ask", row, actor)
        return row


def retry_job(office: Office, job: str, *, actor: str = SYSTEM) -> JobRow:
    """Have a job that failed tried again. Raises: NotFoundError, ConflictError."""
    with office.catalogue.write() as uow:
        row = jobs.retry_job(uow, job)
        _log_request(uow, "job.retry", row, actor)
        return row


def retry_as(service: Service, visitor: Visitor, job: UUID) -> JobRow:
    """Have a failed job tried again at a person's word; refusals are in the log.

    What unwraps footage would be done in another's name, and a destruction that failed is for
    those to see who decided it: neither is tried again by whoever keeps jobs.
    Raises: NotFoundError, ConflictError (it did not fail), ApiError(forbidden).
    """
    office, subject = service.office, Subject.of_job(str(job))
    service.authorise(visitor, Act.KEEP_JOBS, subject=subject)
    with office.catalogue.read() as session:
        kind = KINDS.get(jobs.by_id(session, str(job)).kind)
    # A kind that this version does not know cannot be retried either: nobody knows what it would
    # do.
    if kind is None or not kind.may_retry:
        _refuse_act(service, visitor, Act.KEEP_JOBS, subject)
    return retry_job(office, str(job), actor=visitor.actor)


def _refuse_act(service: Service, visitor: Visitor, act: Act, subject: Subject) -> NoReturn:
    service.log_refusal(visitor, act.value, subject, "kind")
    raise ApiError("forbidden", act=act.value, reason="kind")


def _log_request(uow: UnitOfWork, act: str, row: JobRow, actor: str) -> None:
    uow.record(
        act,
        PremisType.METADATA_MODIFICATION,
        actor=actor,
        subject=Subject.of_job(row.id),
        what=row.kind,
        about=row.subject,
    )


def _parse_recording_id(recording: str) -> UUID:
    try:
        return UUID(recording.removeprefix("recording:"))
    except ValueError as error:
        raise NotFoundError(what="recording", id=recording[:80]) from error
