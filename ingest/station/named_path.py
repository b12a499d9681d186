"""A folder or file that a person names: docked once, as a bay would be, and left as it is.

Only one process at a time is the station of a home. Whoever is not asks it through the journal
that both share: a request waits there until the running station answers it.
"""

import logging
import os
from datetime import timedelta
from pathlib import Path

from ingest.bays.bay import Bay, FileReport, Outcome
from ingest.bays.bay_names import BY_HAND
from ingest.station.journal import Journal
from ingest.station.station import Station
from storage.errors import SubmissionError

LOG = logging.getLogger("liuhen.station")
BAY = BY_HAND  # never a name of a folder or file: bays stand in the log
_LOOKS = 3
_ANSWER_AGE = timedelta(days=1)  # an answer whose asker was killed
_EMPTY = FileReport(".", Outcome.FAILED, reason="nothing-here")


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


def take_path(station: Station, path: Path) -> list[FileReport]:
    """Take what a person named: look until nothing waits any more, or nothing changes.

    Returns one result for each entry, and never none: what was not there is a failure too.
    """
    try:
        bay = bay_of(path)
    except SubmissionError:
        return [_EMPTY]
    except OSError as error:  # not ours to look at, or no name that a file can have
        return [FileReport(".", Outcome.FAILED, reason="unreadable", facts={"errno": error.errno})]
    reports: list[FileReport] = []
    try:
        for _ in range(_LOOKS):
            reports = station.sweep_bay(bay)
            if all(report.outcome is not Outcome.WAITING for report in reports):
                break
    finally:
        station.forget_docking(bay)
    return reports or [_EMPTY]


def answer_requests(station: Station, journal: Journal) -> int:
    """Answer every request that waits, oldest first; return how many.

    A request that a crash interrupted waits still and is answered anew: all of it may be repeated.
    """
    requests = journal.list_requests()
    for request in requests:
        try:
            reports = take_path(station, Path(os.fsdecode(request.path)))
        except Exception as error:
            # The edge of the station: one request's trouble must not keep the others waiting.
            LOG.exception("request %s failed", request.number)
            facts = {"error": type(error).__name__}
            reports = [FileReport(".", Outcome.FAILED, reason="defect", facts=facts)]
        journal.answer_request(request.number, reports)
    if requests:
        journal.forget_answers(station.clock() - _ANSWER_AGE)
    return len(requests)
