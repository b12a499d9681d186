"""`sweep`: clear away what deliveries left unfinished; tell what objects have no recording.

Given up are uploads that nobody wrote to for weeks, and the parts of writes older than every
upload still under way. An object without a row is only told at first. It is removed when every
sweep of `sweep_days` found it so, it has no lock, no upload, no entry of an accession and no place
in this station's journal: evidence is none of these. A station that still has the file begins anew.
A rendition that no row refers to (its maker died, or came too late) goes after a day.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from api.jobs.kind import Facts, Kind, Queue, Step, as_found
from api.office.wiring import Office
from ingest.station.journal import State
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.log import custody_log
from storage.catalogue.recordings import recordings, uploads
from storage.catalogue.stations.tables import UploadRow
from storage.catalogue.unit_of_work import View
from storage.errors import LockLostError, ObjectMissingError
from storage.recording import RecordingId
from storage.upkeep import attempts
from storage.vault.objects import RENDITION

_IDLE_UPLOAD = timedelta(days=14)
_STRAY = timedelta(days=1)
_LONGEST = 10_000  # objects told of in one result


def run_job(office: Office, job: Job, _step: Step) -> Facts:
    """Sweep uploads, hand-ins, partial writes and orphans; each part is repeatable."""
    now = office.clock()
    # Uploads first: what is given up has no row, and its parts are older than any that is left.
    given_up = office.uploads.sweep_idle(now - _IDLE_UPLOAD)
    handed_in = office.reception.sweep_idle(now)
    unfinished = office.objects.sweep(_find_oldest_upload(office, now - _IDLE_UPLOAD))
    # Reported first, removed only after a grace time: its delivery may still complete.
    orphans = _list_orphans(office, now)
    grace = timedelta(days=office.settings.sweep_days)
    old = [
        key
        for key, since in orphans.items()
        if datetime.fromisoformat(since) <= now - (_STRAY if key.endswith(RENDITION) else grace)
    ]
    # By attempt: its objects go together, or none does.
    removed, kept_ids = [], []
    for recording, keys in groupby(sorted(old), key=lambda key: key.partition("/")[0]):
        if _remove_attempt(office, job, recording, list(keys)):
            removed.append(recording)
        else:
            kept_ids.append(recording)
    remaining_orphans = {
        key: at for key, at in orphans.items() if key.partition("/")[0] not in removed
    }
    return {
        "uploads": given_up,
        "handed_in": handed_in,
        "unfinished": unfinished,
        "orphans": dict(sorted(remaining_orphans.items())[:_LONGEST]),
        "removed": removed,
        "kept": kept_ids,
    }


def _find_oldest_upload(office: Office, at: datetime) -> datetime:
    """Return the time before which no upload that is still under way began."""
    with office.catalogue.read() as session:
        # An unfinished write may belong to an upload that goes on slowly: none that is younger than
        # the oldest of these is touched.
        return min(at, uploads.find_oldest_start(session) or at)


def _list_orphans(office: Office, now: datetime) -> dict[str, str]:
    """Return the objects without a row, with the time of the first sweep that found them so."""
    with office.catalogue.read() as session:
        last = jobs.newest_done(session, "sweep")
        # Rows are read before keys are listed. An object that comes in between may look like an
        # orphan; it is told of now, and asked about again before anything is removed.
        referenced_ids = set(recording_upkeep.object_ids(session))
    # Since when each was found so stands in the last sweep's result alone: an object's own date
    # says when it was written, not since when no row names it.
    before = (last.result or {}).get("orphans", {}) if last is not None else {}
    keys = office.objects.keys()
    return {
        key: before.get(key, now.isoformat())
        for key in keys
        if key.partition("/")[0] not in referenced_ids
    }


def _remove_attempt(office: Office, job: Job, recording: str, keys: list[str]) -> bool:
    """Remove one attempt's objects; True if removed."""
    # First what costs nothing to ask: the station would deliver what had just been removed.
    if _in_hand(office, recording) or _any_locked(office, keys):
        return False
    return attempts.remove_attempt(
        office.catalogue,
        office.objects,
        recording,
        keys,
        actor=job.asked_by,
        # Asked again inside the removal: an accession may commit after the first look.
        is_wanted=lambda session: _is_referenced(session, recording),
    )


def _is_referenced(session: View, recording: str) -> bool:
    identity = UUID(recording)
    acts = custody_log.LogReader(session).events_of(Subject.of_recording(recording))
    # The log is asked beside the rows: somebody who deleted a recording's row must not have the
    # sweep delete its objects for him.
    return (
        recordings.is_accessioned(session, identity)
        or recording_upkeep.is_rendition(session, recording)
        or uploads.find_upload(session, UploadRow, identity) is not None
        or any(event.act == "recording.accession" for event in acts)
    )


def _in_hand(office: Office, recording: str) -> bool:
    """Tell whether this machine's own station still has the recording to deliver."""
    recording_ids = [RecordingId(UUID(recording))]
    return bool(office.journal.recordings_in((State.SEALING, State.SEALED), recording_ids))


def _any_locked(office: Office, keys: Iterable[str]) -> bool:
    """Tell whether one of them is locked: then it was accessioned, whatever the rows say."""
    for key in keys:
        try:
            facts = office.objects.facts(key)
        except ObjectMissingError:
            continue
        except LockLostError:
            # Nobody knows how long it was locked: it counts as locked and stays.
            return True
        if facts.on_hold or facts.retain_until is not None:
            return True
    return False


KIND = Kind(
    name="sweep",
    zh="清理未完成的上传",
    askable=True,
    work=run_job,
    settle=as_found,
    queue=Queue.LONG,
    every=timedelta(days=1),
    at=timedelta(hours=3),
)
