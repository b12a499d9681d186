"""Asking for a job: by the house itself, or by a person with the right to it."""

from uuid import UUID

from api.identity import Visitor
from api.jobs.kind import SYSTEM
from api.jobs.registry import KINDS
from api.problems import ApiError
from api.service import Service
from api.wiring import Office
from policies.access import Act
from storage.catalogue import jobs, recordings
from storage.catalogue.job_tables import JobRow
from storage.errors import NotFoundError


def ask(office: Office, kind: str, recording: str | None, *, actor: str = SYSTEM) -> JobRow:
    """Ask for a job of this kind, upon a recording or upon all.

    Kinds that unwrap footage are refused: a person must ask (`ask_as`).
    Raises: NotFoundError, ApiError(forbidden, invalid).
    """
    if (wanted := KINDS.get(kind)) is not None and wanted.person:
        raise ApiError("forbidden", act=kind, reason="person")
    return _ask(office, kind, recording, actor)


def ask_as(service: Service, visitor: Visitor, kind: str, recording: str | None) -> JobRow:
    """Ask for a job in a person's name; refusals are in the log.

    What unwraps footage needs the right to play it; all else the right to verify.
    Raises: NotFoundError, ApiError(forbidden, invalid).
    """
    office = service.office
    act = Act.PLAY if kind in KINDS and KINDS[kind].person else Act.VERIFY
    if recording is None:
        service.authorise(visitor, act)
    else:
        service.recording(visitor, _id(recording), act)
    return _ask(office, kind, recording, visitor.actor)


def _ask(office: Office, kind: str, recording: str | None, actor: str) -> JobRow:
    wanted = KINDS.get(kind)
    if wanted is None:
        raise NotFoundError(what="job kind", id=kind[:40])
    if wanted.recording and recording is None:
        raise ApiError("invalid", problem="请给出录像编号")
    if recording is None:
        subject = SYSTEM
    else:
        with office.catalogue.read() as session:
            subject = recordings.subject_of(recordings.by_id(session, _id(recording)).id)
    with office.catalogue.write() as uow:
        return jobs.ask(uow, kind, subject, actor=actor)


def _id(recording: str) -> UUID:
    try:
        return UUID(recording.removeprefix("recording:"))
    except ValueError as error:
        raise NotFoundError(what="recording", id=recording[:80]) from error
