"""`lock`: extend an object's lock where it ends before the recording may go.

Locks only ever grow, so it may run at any time and any number of times. What was extended is an
entry in the log. A missing object is for `verify` to tell.
"""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from api.jobs.kind import SYSTEM, Facts, Kind, Queue, Step, recording_of
from api.wiring import Office
from storage.catalogue import jobs, recordings
from storage.catalogue.jobs import Job
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.event import PremisType
from storage.errors import ObjectMissingError
from storage.recording import RecordingId
from storage.vault.objects import PARTS, key_of, lockable

_PAGE = 200


def work(office: Office, job: Job, step: Step) -> Facts:
    """Look first, then extend, so that a resumed job still knows what it has to tell."""
    weak: list[Any] = []
    missing: list[str] = []
    cursor, number = "", 0
    while True:
        page = step(f"look-{number}", partial(_look, office, job, cursor))
        weak += page["weak"]
        missing += page["missing"]
        cursor, number = page["next"], number + 1
        if not cursor:
            break
    for one in weak:
        with office.catalogue.read() as session:
            row = recordings.by_id(session, one["recording"])
        for part in one["parts"]:
            office.objects.lock(key_of(_id(row), part), lockable(row.retain_until))
    return {"extended": weak, "missing": missing}


def settle(_office: Office, uow: UnitOfWork, job: Job, found: Facts) -> Facts:
    """Say in the log which locks were extended; have what is missing verified."""
    for one in found["extended"]:
        uow.record(
            "recording.lock",
            PremisType.POLICY_ASSIGNMENT,
            actor=job.asked_by,
            subject=recordings.subject_of(one["recording"]),
            parts=one["parts"],
            until=one["until"],
        )
    for recording in found["missing"]:
        subject = recordings.subject_of(recording)
        jobs.ask(uow, "verify", subject, actor=job.asked_by, slot=f"lock:{job.id}")
    return found


def _look(office: Office, job: Job, cursor: str) -> Facts:
    """Return the weak locks of one page of recordings, and where the next page begins."""
    with office.catalogue.read() as session:
        if job.subject == SYSTEM:
            rows = jobs.recordings_after(session, cursor, _PAGE)
        else:
            rows = [recordings.by_id(session, recording_of(job))]
    weak, missing = [], []
    for row in rows:
        until = lockable(row.retain_until)
        try:
            parts = [part for part in PARTS if _short(office, row, part)]
        except ObjectMissingError:
            missing.append(row.id)
            continue
        if parts:
            weak.append({"recording": row.id, "parts": parts, "until": until.isoformat()})
    more = rows[-1].id if job.subject == SYSTEM and len(rows) == _PAGE else ""
    return {"weak": weak, "missing": missing, "next": more}


def _short(office: Office, row: RecordingRow, part: str) -> bool:
    locked = office.objects.facts(key_of(_id(row), part)).retain_until
    return locked is None or locked < lockable(row.retain_until)


def _id(row: RecordingRow) -> RecordingId:
    return RecordingId(UUID(row.id))


KIND = Kind(
    name="lock",
    zh="保管锁核对",
    work=work,
    settle=settle,
    queue=Queue.LONG,
    every=timedelta(days=7),
    at=timedelta(hours=4),
)
