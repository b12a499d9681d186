"""`due`: every morning's list of what is due, with what the night's jobs found.

The console shows duties as they stand; this keeps what was due on that day, and is what a
reminder is sent from.
"""

from datetime import timedelta

from api.due import due, pressing
from api.jobs.kind import Facts, Kind, Step, as_found
from api.outlook import look
from api.wiring import Office
from policies.duties import DutyState
from policies.plain import plain
from storage.catalogue import jobs
from storage.catalogue.jobs import Job, State

_SHOWN = ("subject", "township", "person", "what_zh", "what_en", "rule", "due_at", "state")
_LONGEST = 5_000


def work(office: Office, _job: Job, _step: Step) -> Facts:
    """Gather the list; it names persons, so it never goes through the engine."""
    now, coming = office.clock(), look(office, None)
    with office.catalogue.read() as session:
        duties = pressing(due(session, office.rulebook, now))
        damaged = [row.recording_id for row in jobs.damaged(session)]
        failed = [row.id for row in jobs.jobs(session, state=State.FAILED, limit=_LONGEST)]
    return {
        "at": plain(now),
        "overdue": sum(one.state is DutyState.OVERDUE for one in duties),
        "duties": [
            {name: plain(getattr(one, name)) for name in _SHOWN} for one in duties[:_LONGEST]
        ],
        "due_in_30_days": coming.due_count,
        "unlinked": [row.id for row in coming.unlinked],
        "late": [row.id for row in coming.late],
        "full_at": plain(coming.forecast.full_at),
        "damaged": damaged,
        "failed": failed,
    }


KIND = Kind(
    name="due",
    zh="到期清单",
    askable=True,
    work=work,
    settle=as_found,
    every=timedelta(days=1),
    at=timedelta(hours=6),
)
