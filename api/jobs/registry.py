"""Every kind of job, and when those come up that nobody asks for."""

from collections.abc import Iterator
from datetime import datetime

from api.jobs.kind import Kind, Queue
from api.jobs.kinds import (
    audit,
    daily_digest,
    destroy,
    hold,
    inspect,
    lock,
    publish,
    rendition,
    scrub,
    sweep,
    verify,
)
from policies.time.wording import COUNTY_TIME

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        verify,
        audit,
        scrub,
        sweep,
        publish,
        daily_digest,
        lock,
        hold,
        inspect,
        rendition,
        destroy,
    )
}
_BEGIN = datetime(2026, 1, 5)  # noqa: DTZ001 - a Monday, on the clock of the county's wall


def list_kind_names(queue: Queue) -> list[str]:
    """Return the kinds that wait in this queue."""
    return [kind.name for kind in KINDS.values() if kind.queue is queue]


def list_current_slots(now: datetime) -> Iterator[tuple[Kind, str]]:
    """Yield every periodic kind with the name of its present period, in county time."""
    # Counted on the county's wall clock, so that "at 02:00" is two in the morning there.
    wall = now.astimezone(COUNTY_TIME).replace(tzinfo=None)
    for kind in KINDS.values():
        if kind.every is not None:
            # The present period alone: after a week without a worker a daily job is done once, not
            # seven times.
            periods = (wall - _BEGIN - kind.at) // kind.every
            start = _BEGIN + kind.at + periods * kind.every
            yield kind, start.isoformat(timespec="minutes")
