"""`audit`: every day compares rows, entries, nodes, heads, static log and keys, by itself.

A log of office size is audited whole each day; of a larger one each day has its part of the
entries, by number, so that in n days all is. Where the last part ended says its entry in the log.
The outcome is an entry; what is wrong stands in what is due, and in `/readyz`, until a person had
everything verified. Objects, their locks and modes are the business of `verify`.
"""

from datetime import timedelta

from api.jobs.kind import Facts, Kind, Queue, Step
from api.office.evidence.integrity_check import catalogue_check
from api.office.wiring import Office
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.unit_of_work import UnitOfWork, View
from storage.custody.entries.event import Outcome, PremisType
from storage.custody.entries.subjects import INTEGRITY

ACT = "custody.audit"
OFFICE_SIZE = 100_000  # entries that are audited whole in one day
_LONGEST = 100  # differences told of in one result and entry


def work(office: Office, _job: Job, _step: Step) -> Facts:
    """Audit the day's part. What is found stays out of the engine."""
    with office.catalogue.read() as session:
        size = LogReader(session).size
        part = next_part(session, size, office.settings.audit_days)
    found = {(one.what, one.subject) for one in catalogue_check(office, part)}
    wrong = [{"what": what, "subject": subject} for what, subject in sorted(found)]
    first, stop = (part.start, part.stop) if part is not None else (0, size)
    told = {"first": first, "stop": stop, "size": size}
    return told | {"count": len(wrong), "wrong": wrong[:_LONGEST]}


def next_part(session: View, size: int, days: int) -> range | None:
    """Return the entries whose turn it is; None: all of them."""
    if size <= OFFICE_SIZE:
        return None
    done = LogReader(session).events_of(INTEGRITY, act=ACT)
    last = done[-1].details if done else {"stop": 0, "size": 0}
    first = int(last["stop"]) if last["stop"] < last["size"] else 0  # at the end: begin anew
    return range(first, min(first + max(OFFICE_SIZE, -(-size // days)), size))


def settle(_office: Office, uow: UnitOfWork, job: Job, found: Facts) -> Facts:
    """Say in the log what was found."""
    uow.record(
        ACT,
        PremisType.FIXITY_CHECK,
        actor=job.asked_by,
        subject=INTEGRITY,
        outcome=Outcome.FAILURE if found["count"] else Outcome.SUCCESS,
        **found,
    )
    return found


KIND = Kind(
    name="audit",
    zh="数据库与日志核查",
    askable=True,
    work=work,
    settle=settle,
    queue=Queue.LONG,
    every=timedelta(days=1),
    at=timedelta(hours=2),
)
