"""A folder or file that a person names: docked once, as a bay would be, and left as it is.

Only one process at a time is the station of a home. Whoever is not asks it through the journal
that both share: a request waits there until the running station answers it.
"""

import logging
import os
from datetime import timedelta
from pathlib import Path

from ingest.bays.bay import Bay, Outcome, Result
from ingest.bays.bay_names import BY_HAND
from ingest.station.journal import Journal
from ingest.station.station import Station
from storage.errors import SubmissionError

LOG = logging.getLogger("liuhen.station")
BAY = BY_HAND  # never a name of a folder or file: bays stand in the log
_LOOKS = 3
_KEPT = timedelta(days=1)  # an answer whose asker was killed
_EMPTY = Result(".", Outcome.FAILED, reason="nothing-here")


def bay_of(path: Path) -> Bay:
    """Return a folder, or the one file, as a bay that is looked at once.

    Raises: SubmissionError(reason=gone): no folder and no regular file.
    """
    if path.is_dir():
        return Bay(BAY, path.resolve(), whole=False, clears=False, quiet_s=0.0)
    if path.is_file() and not path.is_symlink():
        return Bay(
            BAY,
            path.resolve().parent,
            landing=True,
            only=os.fsencode(path.name),
            whole=False,
            clears=False,
            quiet_s=0.0,
        )
    raise SubmissionError(reason="gone", path=str(path))


def take(station: Station, path: Path) -> list[Result]:
    """Take what a person named: look until nothing waits any more, or nothing changes.

    Returns one result for each entry, and never none: what was not there is a failure too.
    """
    try:
        bay = bay_of(path)
    except SubmissionError:
        return [_EMPTY]
    except OSError as error:  # not ours to look at, or no name that a file can have
        return [Result(".", Outcome.FAILED, reason="unreadable", facts={"errno": error.errno})]
    results: list[Result] = []
    try:
        for _ in range(_LOOKS):
            results = station.sweep(bay)
            if all(result.outcome is not Outcome.WAITING for result in results):
                break
    finally:
        station.forget(bay)
    return results or [_EMPTY]


def answer_requests(station: Station, journal: Journal) -> int:
    """Answer every request that waits, oldest first; return how many.

    A request that a crash interrupted waits still and is answered anew: all of it may be repeated.
    """
    requests = journal.requests()
    for request in requests:
        try:
            results = take(station, Path(os.fsdecode(request.path)))
        except Exception as error:
            # The edge of the station: one request's trouble must not keep the others waiting.
            LOG.exception("request %s failed", request.number)
            facts = {"error": type(error).__name__}
            results = [Result(".", Outcome.FAILED, reason="defect", facts=facts)]
        journal.answer_request(request.number, results)
    if requests:
        journal.forget_answers(station.clock() - _KEPT)
    return len(requests)
