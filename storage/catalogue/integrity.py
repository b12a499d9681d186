"""Whether what the office keeps is in doubt: an alarm or a failed check that nothing answered.

Alarms and checks are entries in one chain (`custody.subjects.INTEGRITY`); only a check of
everything that found nothing wrong ends a doubt.
"""

from sqlalchemy.orm import Session

from storage.catalogue.custody_log import LogReader
from storage.catalogue.log_tables import CustodyEventRow
from storage.custody.event import Outcome
from storage.custody.subjects import INTEGRITY


def doubt(session: Session) -> CustodyEventRow | None:
    """Return the newest alarm or failed check that no check of everything has answered; or None."""
    log = LogReader(session)
    for index in reversed(log.chain_entries([INTEGRITY])[INTEGRITY]):
        event = log.event(index)
        if event.outcome != Outcome.SUCCESS:
            return event
        if event.details.get("whole"):
            return None
    return None


def code(event: CustodyEventRow) -> str:
    """Return the stable word for a doubt: why the alarm was raised, or `audit-failed`."""
    return str(event.details.get("why", "audit-failed"))
