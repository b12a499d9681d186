"""`due`: every morning's list of what is due, with what the night's jobs found.

The console shows duties as they stand; this keeps what was due on that day, and is what a
reminder is sent from. Before, it judges everything anew: what was stored otherwise than it should
be, as after a change past the units of work, is named, and mended by that.
"""

import logging
from datetime import timedelta
from itertools import islice

from api.jobs.kind import Facts, Kind, Step, as_found
from api.office.reports.duty_list import count_overdue, iterate_duties, judge_all
from api.office.reports.forecast import build_outlook
from api.office.wiring import Office
from policies.facts.facts_json import to_plain
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.jobs.jobs import Job, State

_DUTY_FIELDS = ("subject", "township", "person", "what_zh", "what_en", "rule", "due_at", "state")
_LONGEST = 5_000
_NAMED = 20

LOG = logging.getLogger("liuhen.duties")


def run_job(office: Office, _job: Job, _step: Step) -> Facts:
    """Gather the list; it names persons, so it never goes through the engine."""
    now, coming = office.clock(), build_outlook(office, None)
    # Detects duties edited by SQL to hide an overdue one; judging anew also repairs them.
    misjudged = judge_all(office, now)
    if misjudged:
        LOG.error("stored duties were not what their entries say: %s", misjudged[:_NAMED])
    # Bounded, for the result is kept in a row of the catalogue.
    duties = list(islice(iterate_duties(office, now), _LONGEST))
    with office.catalogue.read() as session:
        damaged = [row.recording_id for row in recording_upkeep.list_damaged(session)]
        failed = [row.id for row in jobs.list_jobs(session, state=State.FAILED, limit=_LONGEST)]
    return {
        "at": to_plain(now),
        "overdue": count_overdue(office, now),
        "misjudged": misjudged[:_LONGEST],
        "duties": [
            {name: to_plain(getattr(duty, name)) for name in _DUTY_FIELDS} for duty in duties
        ],
        "due_in_30_days": coming.due_count,
        "unlinked": [row.id for row in coming.unlinked],
        "late": [row.id for row in coming.late],
        "full_at": to_plain(coming.forecast.full_at),
        "damaged": damaged,
        "failed": failed,
    }


KIND = Kind(
    name="due",
    zh="到期清单",
    askable=True,
    work=run_job,
    settle=as_found,
    every=timedelta(days=1),
    at=timedelta(hours=6),
)
