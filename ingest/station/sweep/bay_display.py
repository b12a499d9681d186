"""What a bay shows: how far a look is, how it ended, and how often the screen's row is written.

Shown is never evidence: a bay that shows too little is looked at again, and one that shows green
does so by `bay.MOVES` alone.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ingest.bays.bay import (
    GREEN,
    BayState,
    FileReport,
    Outcome,
    Progress,
    derive_bay_state,
    needs_person,
)
from ingest.bays.census import display_path
from ingest.bays.submission import Submission
from ingest.station.equipment import Equipment
from storage.errors import LiuhenError, LogContradictedError

_AT_WORK = frozenset({BayState.MOUNTING, BayState.SCANNING, BayState.SEALING})
_SHOWN_S = 0.5
_NAMED = 20  # ignored files whose names a bay shows


@dataclass(slots=True)
class BayDisplay:
    """What one bay shows for as long as the station runs, whatever is docked in it."""

    equipment: Equipment
    name: str
    _state: BayState = BayState.UNKNOWN  # written down last
    _shown_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_look(self) -> Progress:
        """Return the progress of a new look, in the state that the bay shows."""
        return Progress(self.name, self._publish_progress, self._state)

    def show_gone(self, progress: Progress) -> None:
        """Show that the volume went amid a look: nothing of what was counted stays."""
        Progress(self.name, self._publish_progress, progress.state).show_changes(
            state=BayState.EMPTY
        )

    def _publish_progress(self, progress: Progress) -> None:
        """Pass progress on; the journal's row for screens is written at most twice a second.

        A bay at rest is looked at in silence: nothing of it changes until it is at work again.
        Raises: StoppingError: whoever shows how far it is hears here that it shall stop.
        """
        self.equipment.check_stopping()
        moving = self._state is progress.state and progress.current is not None
        if moving and progress.state not in _AT_WORK:
            return
        self.equipment.listen(progress)
        with self._lock:  # several files of one bay are under way
            now = self.equipment.clock().timestamp()
            if moving and 0 <= now - self._shown_at < _SHOWN_S:
                return
            self._shown_at = now
            self.equipment.journal.show_bay(
                progress.bay,
                state=progress.state,
                source=progress.source,
                files_total=progress.files_total,
                files_done=progress.files_done,
                bytes_total=progress.bytes_total,
                bytes_done=progress.bytes_done,
                current=progress.current,
                reason=progress.reason,
                facts=progress.facts,
            )
            # After the row: a state that could not be written down counts as not shown yet.
            self._state = progress.state


def show_stop(
    progress: Progress, pending: Sequence[Submission], reason: str, facts: dict[str, Any]
) -> list[FileReport]:
    """Show why a look ended early; return that as the result of all that it did not reach.

    Where no file was to come any more it is the result of the bay itself (`.`).
    """
    paths = [display_path(submission.path) for submission in pending]
    facts = {name: fact for name, fact in facts.items() if name != "reason"}
    with suppress(LiuhenError):  # a journal that cannot be written to is told of by its reader
        progress.show_changes(state=BayState.ATTENTION, reason=reason, facts=facts, current=None)
    return [FileReport(path, Outcome.FAILED, reason=reason, facts=facts) for path in paths or ["."]]


def show_conclusion(
    progress: Progress, reports: list[FileReport], alarm: LogContradictedError | None
) -> None:
    """Show what a look came to; an alarm over the centre's log is a result beside the others."""
    if alarm is not None:  # nothing of this centre's is green now
        reports.append(FileReport(".", Outcome.FAILED, reason=alarm.code, facts=alarm.facts))
    state = derive_bay_state(reports)
    words = _describe_state(state, reports)
    # Safe to remove only when a later look found nothing to do: not by the look that worked.
    resting = state is BayState.ACCESSIONED and not progress.worked
    if not (resting and progress.state in GREEN):
        progress.show_changes(state=state, current=None, **words)
    evidence = [report for report in reports if report.outcome is not Outcome.IGNORED]
    if resting:
        progress.show_changes(state=BayState.SAFE, current=None, **words)
    elif state is BayState.ACCESSIONED and evidence and all(report.cleared for report in evidence):
        progress.show_changes(state=BayState.CLEARED)


def _describe_state(state: BayState, reports: list[FileReport]) -> dict[str, Any]:
    """Return the reason and facts that a bay shows beside its state: what, how many, which first.

    What is ignored is counted and named in every state, so that green says what it leaves out.
    """
    concerned: list[FileReport] = []
    reason = None
    if state is BayState.ATTENTION:
        concerned = [report for report in reports if needs_person(report)]
    elif state is BayState.WAITING:
        concerned = [report for report in reports if report.outcome is Outcome.WAITING]
    elif state is BayState.DELIVERING:
        concerned = [report for report in reports if report.outcome is Outcome.SEALED]
    facts: dict[str, Any] = {}
    if concerned:
        first = next((report for report in concerned if report.reason), concerned[0])
        reason = first.reason
        facts = {**first.facts, "files": len(concerned), "first": first.path}
    ignored = [report.path for report in reports if report.outcome is Outcome.IGNORED]
    if ignored:
        facts |= {"ignored": len(ignored), "ignored_names": ignored[:_NAMED]}
    return {"reason": reason, "facts": facts}
