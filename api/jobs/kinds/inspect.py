"""`inspect`: look at a recording once more at the centre, with today's eyes.

The sealed record keeps what the station saw; what is seen now stands beside it, with an entry.
"""

from api.jobs.kind import Facts, Kind, Queue, Step, recording_of
from api.jobs.unwrapped_original import unwrap_original
from api.office.wiring import Office
from ingest.media.inspect import inspect_media
from ingest.media.probe import probe_file
from ingest.media.sandbox import Effort
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.jobs.tables import LaterLookRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.recording import MediaKind


def run_job(office: Office, job: Job, _step: Step) -> Facts:
    """Unwrap and look, in the same sandbox as at intake; nothing of it goes through the engine."""
    with unwrap_original(office, job, "inspect") as (row, file):
        text = row.kind == MediaKind.DOCUMENT
        effort = Effort(share=office.settings.inspect_share)
        facts = probe_file(file, row.size, office.sandbox, text=text, effort=effort)
    return {
        "media": facts.to_json(),
        "inspection": [finding.to_json() for finding in inspect_media(facts)],
    }


def settle_job(_office: Office, uow: UnitOfWork, job: Job, facts: Facts) -> Facts:
    """Store the inspection and log it."""
    # A row of its own, under the job's id: the sealed record stays as the station signed it.
    row = LaterLookRow(
        id=job.id,
        recording_id=recording_of(job),
        at=uow.at,
        asked_by=job.asked_by,
        media=facts["media"],
        inspection=facts["inspection"],
    )
    uow.session.add(row)
    uow.record(
        "recording.inspect",
        PremisType.METADATA_EXTRACTION,
        row,
        actor=job.asked_by,
        subject=job.subject,
    )
    return {"kinds": sorted({finding["kind"] for finding in facts["inspection"]})}


KIND = Kind(
    name="inspect",
    zh="重新检查画面与声音",
    work=run_job,
    settle=settle_job,
    queue=Queue.LONG,
    recording=True,
    person=True,
)
