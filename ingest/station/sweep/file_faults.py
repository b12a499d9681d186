"""What a fault of one file comes to: its own result, or the end of the look at its bay.

A fault is the file's own (it is quarantined, or waits), the volume's (it was pulled out), or the
centre's (whatever is tried next would meet the same one). Only the first keeps the look going.
"""

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ingest.bays.bay import FileReport, Outcome
from ingest.bays.census import display_path
from ingest.bays.docking import version_of
from ingest.bays.submission import Submission
from ingest.bays.watch import MountGoneError
from ingest.station.clear import UNSURE
from ingest.station.journal import State
from ingest.station.sweep.docked_files import DockedFiles
from policies.identifiers import Subject
from storage.errors import (
    CatalogueReplacedError,
    CatalogueSetupError,
    CustodyError,
    KeyRingError,
    LiuhenError,
    StorageFullError,
    StoreClockError,
    StoreRefusedError,
    StoreReplacedError,
    StoreSetupError,
    SubmissionError,
)

LOG = logging.getLogger("liuhen.station")
_VOLUME_GONE_ERRNOS = {errno.ENODEV, errno.ENOTCONN, errno.ENXIO, errno.ESTALE}
_RETRY = frozenset({"changed", "gone", "still-writing", "taken-anew", UNSURE})
# Faults of the centre as a whole: whatever is tried next would meet the same one.
_EVERY_FILES = (
    CatalogueReplacedError,
    CatalogueSetupError,
    CustodyError,
    KeyRingError,
    StoreClockError,
    StoreRefusedError,
    StoreReplacedError,
    StoreSetupError,
)
_PER_FILE_ROOM = frozenset({"objects", "spool"})  # a smaller file may still fit


def affects_every_file(error: LiuhenError) -> bool:
    """Whether the next file would meet the same fault: it ends the look, and blames no file."""
    return error.retryable or isinstance(error, _EVERY_FILES)


@dataclass(frozen=True, slots=True)
class FileFaults:
    """Guard of all that is done with the files of one docking."""

    files: DockedFiles

    def try_act(self, submission: Submission, act: Callable[[], FileReport]) -> FileReport:
        """Return what an act on one file gives; a fault of this file alone is its result.

        So is a fault met while the first one is written down.
        """
        try:
            return self._try_once(submission, act)
        except MountGoneError:
            raise
        except Exception as error:
            if isinstance(error, LiuhenError) and affects_every_file(error):
                raise
            LOG.exception("a file of %s failed, and its refusal too", submission.bay)
            reason = error.code if isinstance(error, LiuhenError) else "defect"
            return FileReport(display_path(submission.path), Outcome.FAILED, reason=reason)

    def _try_once(self, submission: Submission, act: Callable[[], FileReport]) -> FileReport:
        try:
            return act()
        except SubmissionError as error:
            return self._quarantine_file(
                submission, error.facts.get("reason", error.code), error.facts
            )
        except StorageFullError as error:
            # The half-written payload goes first: it takes the very room that is missing.
            self.files.undo_attempt(submission)
            if error.facts.get("where") not in _PER_FILE_ROOM:
                raise
            path = display_path(submission.path)
            return FileReport(path, Outcome.WAITING, reason=error.code, facts=error.facts)
        except LiuhenError as error:
            if affects_every_file(error):
                raise
            return self._quarantine_file(submission, error.code, error.facts)
        except OSError as error:
            return self._report_read_error(submission, error)
        except MountGoneError:
            raise
        except Exception as error:
            # The edge of the station: what one file brings about must not stop the others.
            LOG.exception("a file of %s failed", submission.bay)
            return self._quarantine_file(submission, "defect", {"error": type(error).__name__})

    def _report_read_error(self, submission: Submission, error: OSError) -> FileReport:
        """Return a read error as the file's own. Raises: MountGoneError, where it is not."""
        # The recorder was pulled out: the volume's fault, not this file's; no quarantine.
        if error.errno in _VOLUME_GONE_ERRNOS or not submission.root.is_dir():
            self.files.undo_attempt(submission)
            raise MountGoneError(str(submission.root)) from error
        # A source that lacks the file is told as gone: a name missing elsewhere is ours, and
        # went by another thread's hand. It is tried again.
        reason = "changed" if error.errno == errno.ENOENT else "read-error"
        return self._quarantine_file(submission, reason, {"errno": error.errno})

    def _quarantine_file(
        self, submission: Submission, reason: str, facts: dict[str, Any]
    ) -> FileReport:
        entry = self.files.undo_attempt(submission)
        path = display_path(submission.path)
        if reason in _RETRY:
            return FileReport(path, Outcome.WAITING, reason=reason)
        details = {name: fact for name, fact in facts.items() if name != "reason"}
        report = FileReport(path, Outcome.QUARANTINED, reason=reason, facts=details)
        given_up, equipment = self.files.docking.given_up, self.files.equipment
        first = version_of(submission) not in given_up
        if entry.state is State.WAITING:
            equipment.journal.move_entry(entry, State.QUARANTINED, reason=reason, facts=details)
        if first:
            equipment.centre.note_act(
                "submission.refuse",
                subject=Subject.of_submission(str(entry.id)),
                outcome="refused",
                details={"reason": reason, "path": path, "source": submission.source},
            )
        given_up[version_of(submission)] = report  # last: what was not logged is tried again
        return report
