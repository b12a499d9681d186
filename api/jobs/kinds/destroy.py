"""`destroy`: execute one approved disposition, when its cooling-off time is over.

Asked for by the last approval. Every step is resumable and asks again whether it may be done
(`storage/upkeep/destruction.py`); a job that fails destroys no more and is there for a person to
see.
"""

from api.jobs.kind import Facts, Kind, Queue, Step, as_found
from api.office.wiring import Office
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.retention.dispositions import JOB

_SUBJECT = "disposition:"


def run_job(office: Office, job: Job, _step: Step) -> Facts:
    """Execute a disposition; return recordings by end state. Raises: as `execute`."""
    disposition = job.subject.removeprefix(_SUBJECT)
    return dict(office.build_destruction().execute(disposition, actor=job.asked_by))


KIND = Kind(name=JOB, zh="执行处置", work=run_job, settle=as_found, queue=Queue.LONG)
