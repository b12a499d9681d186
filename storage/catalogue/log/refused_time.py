"""Open doubts about the office's holdings: alarms and failed checks that nothing answered.

Alarms and checks are entries in one chain (`custody.subjects.INTEGRITY`); only a check of
everything that found nothing wrong ends a doubt. A clock behind the log is in doubt by itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.tables import CustodyEventRow
from storage.custody.entries.event import Outcome
from storage.custody.entries.log_time import SKEW
from storage.custody.entries.subjects import INTEGRITY


def find_doubt(session: Session) -> CustodyEventRow | None:
    """Return the newest alarm or failed check that no check of everything has answered; or None."""
    return next(_list_unanswered(session), None)


def is_raised(session: Session, wrong: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether an alarm for these differences stands: nobody needs the same one again."""
    return any(event.details.get("wrong") == wrong for event in _list_unanswered(session))


def log_ahead(session: Session, now: datetime) -> datetime | None:
    """Return the last entry's time where our clock is so far behind it that nothing is written."""
    last = LogReader(session).last_at
    return last if last is not None and last - now > SKEW else None


def doubt_code(event: CustodyEventRow) -> str:
    """Return the stable word for a doubt: why the alarm was raised, or `audit-failed`."""
    return str(event.details.get("why", "audit-failed"))


def _list_unanswered(session: Session) -> Iterator[CustodyEventRow]:
    """Yield what nothing has answered, the newest first."""
    log = LogReader(session)
    # From the newest: the first whole check that found nothing ends the walk.
    for index in reversed(log.chain_entries([INTEGRITY])[INTEGRITY]):
        event = log.get_event(index)
        if event.outcome != Outcome.SUCCESS:
            yield event
        elif event.details.get("whole"):
            return
