"""`verify`: whether a recording's objects are still what was sealed, and locked as promised.

Every byte is read. The outcome is an entry in the log; what is wrong stands beside the recording
until a later verification finds it right. A lock that is too short, or lost, is also mended
(`lock`).
"""

from datetime import datetime
from typing import Any

from api.jobs.kind import Facts, Kind, Queue, Step, recording_of
from api.office.evidence.integrity_check import kept
from api.office.wiring import Office
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType, timestamp
from storage.errors import LiuhenError
from storage.upkeep.fixity import Fixity, Problem


class UnreadableError(LiuhenError):
    """An object could not be read now; whether it is damaged is not known yet."""

    code = "unreadable-object"
    retryable = True


def work(office: Office, job: Job, step: Step) -> Facts:
    """Read the objects. Raises: UnreadableError while there are tries left, NotFoundError."""

    def read() -> Facts:
        with office.catalogue.read() as session:
            row = recordings.present(session, recording_of(job))
        faults = [fault.to_json() for fault in fixity(office).check([kept(row)])]
        return {"at": timestamp(office.clock()), "wrong": faults}

    found: Facts = step("read", read)
    if not job.last_try and _has(found["wrong"], Problem.UNREADABLE):
        raise UnreadableError(recording=recording_of(job))
    return found


def settle(_office: Office, uow: UnitOfWork, job: Job, found: Facts) -> Facts:
    """Say in the log what was found."""
    recording, wrong = recording_of(job), found["wrong"]
    uow.record(
        "recording.verify",
        PremisType.FIXITY_CHECK,
        actor=job.asked_by,
        subject=job.subject,
        outcome=Outcome.FAILURE if wrong else Outcome.SUCCESS,
        read_at=found["at"],
        wrong=wrong,
    )
    jobs.note_verified(uow, recording, wrong, datetime.fromisoformat(found["at"]))
    if _has(wrong, Problem.LOCK) or _has(wrong, Problem.LOCK_LOST):
        jobs.ask(uow, "lock", job.subject, actor=job.asked_by, slot=f"verify:{job.id}")
    return found


def fixity(office: Office) -> Fixity:
    """Return the check over this office's objects and trusted keys."""
    ring = office.ring
    return Fixity(office.objects, office.stations, ring.verifying("centre"), ring.verifying("log"))


def _has(wrong: list[Any], problem: Problem) -> bool:
    return any(one["what"] == problem.value for one in wrong)


KIND = Kind(
    name="verify",
    zh="完整性核验",
    work=work,
    settle=settle,
    queue=Queue.LONG,
    recording=True,
    askable=True,
)
