"""`lock`: promise, lock and hold what rules, links and holds ask for by now; only ever upwards.

A rulebook may have lengthened, a crash may have come between a hold and the store's. Locks and
promises only grow, so it may run at any time and any number of times. What was extended is an
entry in the log, and says which locks had been lost. A missing object is for `verify` to tell.
"""

from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from api.jobs.kind import SYSTEM, Facts, Kind, Queue, Step, recording_of
from api.office.wiring import Office
from storage.catalogue.holds import proceedings
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import retention
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ArchiveAwayError, LockLostError, ObjectMissingError
from storage.recording import RecordingId
from storage.upkeep import legal_hold_sync
from storage.vault.objects import PARTS, key_of, lockable

_PAGE = 200


def work(office: Office, job: Job, step: Step) -> Facts:
    """Look first, then extend, so that a resumed job still knows what it has to tell."""
    weak: list[Any] = []
    missing: list[str] = []
    held: list[str] = []
    cursor, number = "", 0
    while True:
        page = step(f"look-{number}", partial(_look, office, job, cursor))
        weak += page["weak"]
        missing += page["missing"]
        held += page["held"]
        cursor, number = page["next"], number + 1
        if not cursor:
            break
    for one in weak:
        with office.catalogue.read() as session:
            row = recordings.by_id(session, one["recording"])
        if row.destroyed_at is not None:
            continue
        for part in one["parts"]:
            until = datetime.fromisoformat(one["until"])
            office.objects.lock(key_of(_id(row), part), lockable(max(until, row.retain_until)))
    changed = legal_hold_sync.follow(office.catalogue, office.objects, held)
    return {"extended": weak, "missing": missing, "held": changed}


def settle(_office: Office, uow: UnitOfWork, job: Job, found: Facts) -> Facts:
    """Say in the log which locks were extended; have what is missing verified.

    Footage of an open proceeding's interval that came in since is held; the store is told next.
    """
    for one in found["extended"]:
        until = datetime.fromisoformat(one["until"])
        reason = f"job:{job.id}"
        recordings.extend_retention(uow, one["recording"], until, actor=job.asked_by, reason=reason)
        uow.record(
            "recording.lock",
            PremisType.POLICY_ASSIGNMENT,
            actor=job.asked_by,
            subject=recordings.subject_of(one["recording"]),
            parts=one["parts"],
            until=one["until"],
            **({"lost": lost} if (lost := one.get("lost")) else {}),
        )
    for recording in found["missing"]:
        subject = recordings.subject_of(recording)
        jobs.ask(uow, "verify", subject, actor=job.asked_by, slot=f"lock:{job.id}")
    if job.subject == SYSTEM:
        for row in proceedings.proceedings(uow.session, unanswered=True):
            for placed in proceedings.hold_more(uow, row.id, actor=job.asked_by):
                jobs.ask(uow, "hold", f"hold:{placed.id}", actor=job.asked_by, slot="placed")
    return found


def _look(office: Office, job: Job, cursor: str) -> Facts:
    """Return what is weak in a page of recordings, and where the next page begins.

    `held` are all of them: whether the store holds what the catalogue does is looked at later.
    """
    with office.catalogue.read() as session:
        if job.subject == SYSTEM:
            rows = jobs.recordings_after(session, cursor, _PAGE)
        else:
            rows = [recordings.present(session, recording_of(job))]
        now, ids = office.clock(), [row.id for row in rows]
        why = retention.explained(session, office.rulebook, ids, now)
    weak, missing, away = [], [], []
    for row in rows:
        until = max(why[row.id].until, row.retain_until)
        try:
            states = {part: _state(office, row, part, until) for part in PARTS}
        except ObjectMissingError:
            missing.append(row.id)
            continue
        except ArchiveAwayError:
            away.append(row.id)
            continue
        parts = [part for part, state in states.items() if state is not _Lock.LONG]
        if parts or until > row.retain_until:
            lost = [part for part in parts if states[part] is _Lock.LOST]
            entry = {"recording": row.id, "parts": parts, "until": until.isoformat()}
            weak.append(entry | ({"lost": lost} if lost else {}))
    more = rows[-1].id if job.subject == SYSTEM and len(rows) == _PAGE else ""
    return {
        "weak": weak,
        "missing": missing,
        "held": [one for one in ids if one not in away],
        "next": more,
    }


class _Lock(Enum):
    LONG = "as long as promised"
    SHORT = "too short, none, or without its second fence"
    LOST = "nobody knows how long"


def _state(office: Office, row: RecordingRow, part: str, until: datetime) -> _Lock:
    try:
        facts = office.objects.facts(key_of(_id(row), part))
    except LockLostError:
        return _Lock.LOST
    locked = facts.retain_until
    short = locked is None or locked < lockable(until) or facts.immutable is False
    return _Lock.SHORT if short else _Lock.LONG


def _id(row: RecordingRow) -> RecordingId:
    return RecordingId(UUID(row.id))


KIND = Kind(
    name="lock",
    zh="保管锁核对",
    askable=True,
    work=work,
    settle=settle,
    queue=Queue.LONG,
    every=timedelta(days=1),
    at=timedelta(hours=4),
)
