"""`scrub`: every day asks to verify what was read longest ago, so that in n days all is read."""

from datetime import timedelta

from api.jobs.kind import Facts, Kind, nothing
from api.wiring import Office
from storage.catalogue import jobs, recordings
from storage.catalogue.jobs import Job
from storage.catalogue.unit_of_work import UnitOfWork


def settle(office: Office, uow: UnitOfWork, job: Job, _found: Facts) -> Facts:
    """Ask for the day's share, and for whatever would else be read too late."""
    days = office.settings.scrub_days
    share = -(-jobs.recordings_kept(uow.session) // days)
    before = uow.at - timedelta(days=days - 1)
    chosen = jobs.longest_unread(uow.session, share, before, archived=office.archive_attached)
    for recording in chosen:
        subject = recordings.subject_of(recording)
        slot = f"scrub:{job.slot or job.id}"
        jobs.ask(uow, "verify", subject, actor=job.asked_by, slot=slot)
    return {"asked": len(chosen)}


KIND = Kind(
    name="scrub",
    zh="定期巡检",
    askable=True,
    work=nothing,
    settle=settle,
    every=timedelta(days=1),
    at=timedelta(hours=1),
)
