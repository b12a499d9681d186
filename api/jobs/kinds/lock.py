"""`lock`: extend retention dates, object locks and legal holds to today's rules; never shorten.

A rulebook may have lengthened, a crash may have come between a hold and the store's. Locks and
promises only grow, so it may run at any time and any number of times. What was extended is an
entry in the log, and says which locks had been lost. A missing object is for `verify` to tell.
"""

from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from api.jobs.kind import Facts, Kind, Queue, Step, recording_of
from api.office.wiring import Office
from policies.identifiers import SYSTEM, Subject
from storage.catalogue.holds import proceedings
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import retention
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ArchiveAwayError, LockLostError, ObjectMissingError
from storage.recording import RecordingId
from storage.upkeep import legal_hold_sync
from storage.vault.objects import PARTS, key_of, limit_lock_date

_PAGE = 200


def run_job(office: Office, job: Job, step: Step) -> Facts:
    """List weak locks first, then extend them, so that a resumed job still reports them all."""
    weak: list[Any] = []
    missing_ids: list[str] = []
    reachable_ids: list[str] = []
    cursor, number = "", 0
    while True:
        # Remembered page by page: after the locks are extended, a second look would find none that
        # was weak, and the log would not say which they were.
        page = step(f"look-{number}", partial(_check_page, office, job, cursor))
        weak += page["weak"]
        missing_ids += page["missing"]
        reachable_ids += page["held"]
        cursor, number = page["next"], number + 1
        if not cursor:
            break
    for entry in weak:
        with office.catalogue.read() as session:
            row = recordings.by_id(session, entry["recording"])
        # Destroyed since the page was listed: there is no object left to lock.
        if row.destroyed_at is not None:
            continue
        for part in entry["parts"]:
            until = datetime.fromisoformat(entry["until"])
            # The store first, the catalogue's promise in `settle_job`: a kill between leaves a lock
            # that is longer than promised, and the next run finds the promise too short.
            office.objects.lock(
                key_of(_recording_id(row), part), limit_lock_date(max(until, row.retain_until))
            )
    # All that can be reached, not the weak ones alone: a hold says nothing of how long a lock is.
    changed = legal_hold_sync.sync_legal_holds(office.catalogue, office.objects, reachable_ids)
    return {"extended": weak, "missing": missing_ids, "held": changed}


def settle_job(_office: Office, uow: UnitOfWork, job: Job, facts: Facts) -> Facts:
    """Say in the log which locks were extended; have what is missing verified.

    Footage of an open proceeding's interval that came in since is held; the store is told next.
    """
    extended = [entry for entry in facts["extended"] if _is_present(uow, entry["recording"])]
    missing_ids = [recording for recording in facts["missing"] if _is_present(uow, recording)]
    for entry in extended:
        until = datetime.fromisoformat(entry["until"])
        reason = Subject.of_job(job.id)
        recordings.extend_retention(
            uow, entry["recording"], until, actor=job.asked_by, reason=reason
        )
        uow.record(
            "recording.lock",
            PremisType.POLICY_ASSIGNMENT,
            actor=job.asked_by,
            subject=Subject.of_recording(entry["recording"]),
            parts=entry["parts"],
            until=entry["until"],
            **({"lost": lost} if (lost := entry.get("lost")) else {}),
        )
    # Asked for in the same transaction: this job does not say what is damaged, `verify` does.
    for recording in missing_ids:
        subject = Subject.of_recording(recording)
        jobs.request_job(uow, "verify", subject, actor=job.asked_by, slot=f"lock:{job.id}")
    # Footage accessioned after a proceeding began belongs under its hold, too.
    if job.subject == SYSTEM:
        for row in proceedings.list_proceedings(uow.session, unanswered=True):
            for placed in proceedings.hold_more(uow, row.id, actor=job.asked_by):
                jobs.request_job(
                    uow, "hold", Subject.of_hold(placed.id), actor=job.asked_by, slot="placed"
                )
    return facts | {"extended": extended, "missing": missing_ids}


def _is_present(uow: UnitOfWork, recording: str) -> bool:
    """Tell whether a recording is there; in the writers' turn nobody destroys it meanwhile.

    What was destroyed after the look got no lock and misses nothing: the log must not say so.
    """
    return recordings.by_id(uow.session, recording).destroyed_at is None


def _check_page(office: Office, job: Job, cursor: str) -> Facts:
    """Return the weak locks in a page of recordings, and the next page's cursor.

    `held` are all of them: whether the store holds what the catalogue does is looked at later.
    """
    with office.catalogue.read() as session:
        if job.subject == SYSTEM:
            rows = recording_upkeep.recordings_after(session, cursor, _PAGE)
        else:
            rows = [recordings.get_present_recording(session, recording_of(job))]
        now, ids = office.clock(), [row.id for row in rows]
        # By today's rules: this is how a newer edition lengthens what came in under an older one.
        why = retention.explain_retention(session, office.rulebook, ids, now)
    weak, missing_ids, away = [], [], []
    for row in rows:
        # The promise is a floor: rules that ask for less change nothing.
        until = max(why[row.id].until, row.retain_until)
        try:
            states = {part: _check_lock(office, row, part, until) for part in PARTS}
        # The recording is named and its other parts are not looked at: `verify` reads all of them.
        except ObjectMissingError:
            missing_ids.append(row.id)
            continue
        except ArchiveAwayError:
            # An unplugged archive disk is no fault; its locks are looked at when it is back.
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
        "missing": missing_ids,
        "held": [recording_id for recording_id in ids if recording_id not in away],
        "next": more,
    }


class _Lock(Enum):
    LONG = "as long as promised"
    SHORT = "too short, none, or without its second fence"
    LOST = "nobody knows how long"


def _check_lock(office: Office, row: RecordingRow, part: str, until: datetime) -> _Lock:
    try:
        facts = office.objects.facts(key_of(_recording_id(row), part))
    except LockLostError:
        return _Lock.LOST
    locked = facts.retain_until
    # Cut as the lock itself is: "for ever" is locked to 2100, and must not look too short each day.
    short = locked is None or locked < limit_lock_date(until) or facts.immutable is False
    return _Lock.SHORT if short else _Lock.LONG


def _recording_id(row: RecordingRow) -> RecordingId:
    return RecordingId(UUID(row.id))


KIND = Kind(
    name="lock",
    zh="保管锁核对",
    askable=True,
    work=run_job,
    settle=settle_job,
    queue=Queue.LONG,
    every=timedelta(days=1),
    at=timedelta(hours=4),
)
