"""`scrub`: daily verification of the recordings read longest ago; all are read in n days.

The store is listed once, too: what lies in it and is none of ours is an entry in the log, and what
the administrator sees at the job. A store that cannot be listed now holds up no verification.
"""

from datetime import timedelta

from api.jobs.kind import Facts, Kind, Queue, Step
from api.jobs.kinds.verify import build_fixity_check
from api.office.wiring import Office
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import LiuhenError

_LONGEST = 1000  # strangers told of in one result and entry


def run_job(office: Office, job: Job, step: Step) -> Facts:
    """Look for what is strange in the store. Raises: VaultError while there are tries left."""

    def find_strangers() -> Facts:
        faults = [fault.to_json() for fault in build_fixity_check(office).find_strangers()]
        return {"count": len(faults), "wrong": faults[:_LONGEST]}

    try:
        # Listing a bucket costs minutes: remembered, should the worker die before the job is
        # settled.
        strangers: Facts = step("strangers", find_strangers)
    except LiuhenError as error:
        # On the last try the day's share is asked for all the same: a store that cannot be listed
        # may well be read.
        if error.retryable and not job.last_try:
            raise
        return {"unlisted": error.code}
    return strangers if strangers["count"] else {}


def settle_job(office: Office, uow: UnitOfWork, job: Job, facts: Facts) -> Facts:
    """Ask for the day's share, and for whatever would else be read too late; tell of strangers."""
    days = office.settings.scrub_days
    # Rounded up, so that in n days everything was asked for, and not all but a few.
    share = -(-recording_upkeep.recordings_kept(uow.session) // days)
    # What would otherwise be read too late is asked for beyond the share: a day without a worker is
    # made up for.
    before = uow.at - timedelta(days=days - 1)
    chosen = recording_upkeep.longest_unread(
        uow.session, share, before, archived=office.archive_attached
    )
    for recording in chosen:
        subject = Subject.of_recording(recording)
        # Under the day's slot: whatever else asks for it that day, a recording is read once for it.
        slot = f"scrub:{job.slot or job.id}"
        jobs.request_job(uow, "verify", subject, actor=job.asked_by, slot=slot)
    if facts:
        uow.record(
            "store.check",
            PremisType.FIXITY_CHECK,
            actor=job.asked_by,
            subject=Subject("system:store"),
            outcome=Outcome.FAILURE,
            **facts,
        )
    return {"asked": len(chosen)} | facts


KIND = Kind(
    name="scrub",
    zh="定期巡检",
    askable=True,
    work=run_job,
    settle=settle_job,
    queue=Queue.LONG,
    every=timedelta(days=1),
    at=timedelta(hours=1),
)
