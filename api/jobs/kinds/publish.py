"""`publish`: sign and publish the log's head, so that no entry stays unsigned for long."""

from datetime import timedelta

from api.jobs.kind import Facts, Kind, Step, as_found
from api.office.printed.key_letter import keep_letter
from api.office.wiring import Office
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.people import sessions
from storage.catalogue.proofs.publish import publish_head
from storage.custody.checkpoint import untrusted_checkpoint


def run_job(office: Office, _job: Job, _step: Step) -> Facts:
    """Sign the newest head; nothing new gives the last one again. Raises: CustodyError.

    Sessions that have expired are ended first, so that the log tells it soon. The key letter
    follows the keys: a station that was enrolled since stands in it.
    """
    with office.catalogue.read() as session:
        over = sessions.any_expired(session, office.clock())
    # Read first: most runs find none, and need not take the writer's turn every 5 minutes.
    if over:
        with office.catalogue.write() as uow:
            sessions.end_expired(uow)
    # After the sessions: their ends are under the head that is signed now.
    text = publish_head(office.catalogue, office.signer, office.settings.home / "log")
    keep_letter(office)
    return {"size": untrusted_checkpoint(text).size}


KIND = Kind(
    name="publish",
    zh="签发日志头",
    work=run_job,
    settle=as_found,
    every=timedelta(minutes=5),
    askable=True,
)
