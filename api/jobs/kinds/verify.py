"""`verify`: whether a recording's objects are still what was sealed, and locked as promised.

Every byte is read. The outcome is an entry in the log; what is wrong stands beside the recording
until a later verification finds it right. A lock that is too short, or lost, is also mended
(`lock`).
"""

from datetime import datetime
from typing import Any

from api.jobs.kind import Facts, Kind, Queue, Step, recording_of
from api.office.evidence.integrity_check import expected_objects_of
from api.office.wiring import Office
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType, format_timestamp
from storage.errors import LiuhenError
from storage.upkeep.fixity import Fixity, Problem


class UnreadableError(LiuhenError):
    """An object could not be read now; whether it is damaged is not known yet."""

    code = "unreadable-object"
    retryable = True


def run_job(office: Office, job: Job, step: Step) -> Facts:
    """Read the objects. Raises: UnreadableError while there are tries left, NotFoundError."""

    def read_objects() -> Facts:
        with office.catalogue.read() as session:
            row = recordings.get_present_recording(session, recording_of(job))
        faults = [
            fault.to_json()
            for fault in build_fixity_check(office).check_recordings([expected_objects_of(row)])
        ]
        return {"at": format_timestamp(office.clock()), "wrong": faults}

    # The reading is what costs: it is remembered, and a worker that takes over only settles it.
    facts: Facts = step("read", read_objects)
    # A disk away or a network fault is retried; only the last try logs it as a failure.
    if not job.last_try and _has_problem(facts["wrong"], Problem.UNREADABLE):
        raise UnreadableError(recording=recording_of(job))
    return facts


def settle_job(_office: Office, uow: UnitOfWork, job: Job, facts: Facts) -> Facts:
    """Log the outcome; ask for a `lock` job where a lock is weak."""
    recording, wrong = recording_of(job), facts["wrong"]
    uow.record(
        "recording.verify",
        PremisType.FIXITY_CHECK,
        actor=job.asked_by,
        subject=job.subject,
        outcome=Outcome.FAILURE if wrong else Outcome.SUCCESS,
        read_at=facts["at"],
        wrong=wrong,
    )
    # By when it was read, not by now: a job that waited for its settling says nothing of since.
    recording_upkeep.note_verified(uow, recording, wrong, datetime.fromisoformat(facts["at"]))
    # A lock can be mended, damage cannot: nothing is asked for that would hide what is wrong.
    if _has_problem(wrong, Problem.LOCK) or _has_problem(wrong, Problem.LOCK_LOST):
        jobs.request_job(uow, "lock", job.subject, actor=job.asked_by, slot=f"verify:{job.id}")
    return facts


def build_fixity_check(office: Office) -> Fixity:
    """Return the check over this office's objects and trusted keys."""
    ring = office.ring
    return Fixity(
        office.objects,
        office.station_keys,
        ring.get_verify_key("centre"),
        ring.get_verify_key("log"),
    )


def _has_problem(wrong: list[Any], problem: Problem) -> bool:
    return any(fault["what"] == problem.value for fault in wrong)


KIND = Kind(
    name="verify",
    zh="完整性核验",
    work=run_job,
    settle=settle_job,
    queue=Queue.LONG,
    recording=True,
    askable=True,
)
