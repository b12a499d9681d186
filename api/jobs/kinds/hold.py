"""`hold`: tell the object store of a hold that was placed or released, for all that it reaches.

The catalogue's hold counts from its commit on; this makes the store refuse by itself.
"""

from api.jobs.kind import Facts, Kind, Queue, Step, as_found
from api.office.wiring import Office
from storage.catalogue.holds import holds
from storage.catalogue.jobs.jobs import Job
from storage.upkeep import legal_hold_sync

_SUBJECT = "hold:"


def work(office: Office, job: Job, _step: Step) -> Facts:
    """Do all of it; it may be done again. Raises: NotFoundError, VaultError."""
    with office.catalogue.read() as session:
        ids = holds.reached(session, holds.hold(session, job.subject.removeprefix(_SUBJECT)))
    changed = legal_hold_sync.follow(office.catalogue, office.objects, ids)
    return {"reached": len(ids), "changed": len(changed)}


KIND = Kind(
    name="hold",
    zh="冻结下达存储",
    work=work,
    settle=as_found,
    queue=Queue.LONG,
    retriable=True,
)
