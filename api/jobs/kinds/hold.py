"""`hold`: tell the object store of a hold that was placed or released, for all that it reaches.

The catalogue's hold counts from its commit on; this makes the store refuse by itself.
"""

from api.jobs.kind import Facts, Kind, Queue, Step, as_found
from api.office.wiring import Office
from policies.identifiers import HoldId
from storage.catalogue.holds import holds
from storage.catalogue.jobs.jobs import Job
from storage.upkeep import legal_hold_sync

_SUBJECT = "hold:"


def run_job(office: Office, job: Job, _step: Step) -> Facts:
    """Update the store's legal holds; repeatable. Raises: NotFoundError, VaultError."""
    # What it reaches is asked now, not when the job was asked for: a link since then counts too.
    with office.catalogue.read() as session:
        ids = holds.list_recordings_of_hold(
            session, holds.get_hold(session, HoldId(job.subject.removeprefix(_SUBJECT)))
        )
    changed = legal_hold_sync.sync_legal_holds(office.catalogue, office.objects, ids)
    return {"reached": len(ids), "changed": len(changed)}


KIND = Kind(
    name="hold",
    zh="冻结下达存储",
    work=run_job,
    settle=as_found,
    queue=Queue.LONG,
    retriable=True,
)
