"""Bays as an operator sees them: states, moves, and the report of each file. Values only.

A bay turns green by one way only: everything on it was accessioned, and a later look found nothing
left to do. `MOVES` says so; `Progress` refuses any other move.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from storage.errors import ConflictError


class BayState(StrEnum):
    """What an operator sees of a bay."""

    UNKNOWN = (
        "unknown"  # not looked at since this station started: an old colour counts for nothing
    )
    EMPTY = "empty"
    MOUNTING = "mounting"  # something was put in; whose it is, is being found out
    SCANNING = "scanning"  # files are read, to know them or to look at them
    SEALING = "sealing"
    WAITING = "waiting"  # files are still being written
    DELIVERING = "delivering"  # all is sealed here; the centre's receipts are still to come
    ACCESSIONED = "accessioned"  # everything offered holds a verified receipt; not looked at again
    CLEARED = "cleared"  # and all of it was removed from the source, against those receipts
    SAFE = "safe"  # a look at what was accessioned found nothing left to do: safe to remove
    ATTENTION = "attention"  # something could not be taken; `reason` says what


_CONCLUDED = frozenset(
    {BayState.WAITING, BayState.DELIVERING, BayState.ACCESSIONED, BayState.ATTENTION}
)
# What nobody may see before every file offered holds a verified receipt.
GREEN = frozenset({BayState.ACCESSIONED, BayState.CLEARED, BayState.SAFE})
# From any state a bay may be found empty, hold another device, or ask for a person.
_ALWAYS = frozenset({BayState.EMPTY, BayState.MOUNTING, BayState.ATTENTION})
_DOCKED = _ALWAYS | _CONCLUDED | {BayState.SCANNING}

# To show the same state once more is no move. Nothing leads to UNKNOWN but a start of the station.
MOVES: dict[BayState, frozenset[BayState]] = {
    BayState.UNKNOWN: _ALWAYS,
    BayState.EMPTY: _ALWAYS,
    BayState.MOUNTING: _ALWAYS | {BayState.SCANNING},
    BayState.SCANNING: _ALWAYS | _CONCLUDED | {BayState.SEALING},
    BayState.SEALING: _ALWAYS | _CONCLUDED,
    BayState.WAITING: _DOCKED,
    BayState.DELIVERING: _DOCKED,
    BayState.ACCESSIONED: _DOCKED | {BayState.CLEARED, BayState.SAFE},
    BayState.CLEARED: _DOCKED | {BayState.SAFE},
    BayState.SAFE: _DOCKED,
    BayState.ATTENTION: _DOCKED,
}


class Outcome(StrEnum):
    """What became of one submission in this sweep."""

    SEALED = "sealed"  # durable at the station, on its way to the centre
    ACCESSIONED = "accessioned"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    WAITING = "waiting"  # not taken yet: `reason` says what for
    IGNORED = "ignored"  # left where it is: `reason` says why it is no evidence
    FAILED = "failed"  # the look ended before it came to this, for `reason`


# What a file waits for that does not come by itself: a person makes room or moves it elsewhere.
NO_ROOM = frozenset({"storage-full", "spool-full"})


@dataclass(frozen=True, slots=True)
class FileReport:
    """One entry's outcome; `path` is safe to show, and `.` is the place itself."""

    path: str
    outcome: Outcome
    recording: str | None = None
    sha256: str | None = None
    reason: str | None = None
    cleared: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "path": self.path,
            "outcome": self.outcome,
            "recording": self.recording,
            "sha256": self.sha256,
            "reason": self.reason,
            "cleared": self.cleared,
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "FileReport":
        """Return the result that `to_json` wrote. Raises: KeyError, TypeError, ValueError."""
        return cls(**{**document, "outcome": Outcome(document["outcome"])})


def derive_bay_state(reports: Sequence[FileReport]) -> BayState:
    """State of a bay after a sweep; no better than its worst file's.

    Green only where every result is accessioned, known before, or ignored for a reason.
    """
    # The worst first: one file that is stuck hides behind no number of good ones.
    if any(needs_person(report) for report in reports):
        return BayState.ATTENTION
    outcomes = {report.outcome for report in reports}
    if Outcome.WAITING in outcomes:
        return BayState.WAITING
    if Outcome.SEALED in outcomes:
        return BayState.DELIVERING
    return BayState.ACCESSIONED


def needs_person(report: FileReport) -> bool:
    """Whether a file stays where it is until somebody does something about it."""
    stuck = report.outcome in {Outcome.QUARANTINED, Outcome.FAILED}
    return stuck or (report.outcome is Outcome.WAITING and report.reason in NO_ROOM)


class HandInSource(Protocol):
    """Source of the files that logged-in persons hand in through a bay."""

    def collect_leftovers(self) -> None:
        """Move into the bay the files that a crash left in the intake folder."""

    def find_submitter(self, parts: Sequence[bytes]) -> str | None:
        """Find the person who handed in the file at this path, as the log names persons."""


@dataclass(frozen=True, slots=True)
class Bay:
    """A slot of the station, or a landing folder (then each file names its own source).

    `only` names the one file in the root's own folder that is offered, where not all are. `whole`
    says that the root is all of a volume: what is not there is on the volume no more. `clears`
    says that the station's setting clears here too: what a person names by hand stays. Bays
    of one `hub` share its line, so that only so many of them are read at once. `quiet_s` is
    how long a file must stay unchanged here, where that is not as everywhere. `handed` is set where
    persons hand files in: a copy of theirs, which goes as soon as its receipt is verified.
    """

    name: str
    root: Path
    landing: bool = False
    only: bytes | None = None
    whole: bool = True
    clears: bool = True
    hub: str | None = None
    quiet_s: float | None = None
    hand_in_source: HandInSource | None = None


@dataclass(slots=True)
class Progress:
    """What a bay shows now; `report` is called whenever it changes, by several threads too.

    `worked` tells whether this look read, took or removed anything.
    """

    bay: str
    report: Callable[["Progress"], None]
    state: BayState = BayState.UNKNOWN
    source: str | None = None
    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    current: str | None = None
    reason: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    worked: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def show_changes(self, **changes: Any) -> None:
        """Apply changes and report them.

        Raises: ConflictError when the state's move is not in `MOVES`.
        """
        with self._lock:
            self._apply_changes(changes)
        self.report(self)

    def show_reading(self) -> None:
        """Show that a file is read; while a bay's files are being sealed that is part of it."""
        with self._lock:
            # Several files are read at once: the first one shows it, the others change nothing.
            if self.state in {BayState.SCANNING, BayState.SEALING}:
                return
            self._apply_changes({"state": BayState.SCANNING})
        self.report(self)

    def _apply_changes(self, changes: Mapping[str, Any]) -> None:
        new_state = changes.get("state", self.state)
        # Refused and not corrected: a bay that turns green by a wrong way is a defect of ours.
        if new_state != self.state and new_state not in MOVES[self.state]:
            raise ConflictError(subject="bay", bay=self.bay, was=self.state, wanted=new_state)
        # Only when the move is allowed: a refused change leaves nothing half shown.
        for name, change in changes.items():
            setattr(self, name, change)

    def advance_bytes(self, count: int) -> None:
        """Show that so many bytes more are done; several threads may."""
        with self._lock:
            self.bytes_done += count
        self.report(self)

    def skip_bytes(self, count: int) -> None:
        """Count bytes of files finished earlier, without a report."""
        with self._lock:
            self.bytes_done += count

    def finish_file(self) -> None:
        """Count one more file as looked at."""
        with self._lock:
            self.files_done += 1


BEGUN = 0.005  # of a file: shown as soon as something is done with it


@dataclass(slots=True)
class FileProgress:
    """How far one file has come in a look, through all that is done with it; it never goes back.

    `heed` is called whenever anything is heard: what it raises ends the work on the file.
    """

    bay: Progress
    size: int
    heed: Callable[[], None] = lambda: None
    _share: float = 0.0
    _shown_bytes: int = 0

    def open_phase(self, part: float = 1.0) -> Callable[[float], None]:
        """Open a phase, this part of the rest; return its callback for progress, 0 to 1."""
        # A phase begins where the file stands, so that a second attempt never goes back.
        first = max(self._share, BEGUN)
        self._advance_to(first)

        def report_share(share: float) -> None:
            self.heed()
            self._advance_to(first + (1 - first) * part * share)

        return report_share

    def finish(self) -> None:
        """Show that the file is done."""
        self._advance_to(1.0)

    def take_back(self) -> None:
        """Show that nothing of the file is done after all: it waits."""
        shown_bytes, self._shown_bytes, self._share = self._shown_bytes, 0, 0.0
        if shown_bytes:
            self.bay.advance_bytes(-shown_bytes)

    def _advance_to(self, share: float) -> None:
        self._share = max(self._share, min(share, 1.0))
        now = int(self.size * self._share)
        # Whole bytes only, and forward only: several phases may report one share.
        if now > self._shown_bytes:
            count, self._shown_bytes = now - self._shown_bytes, now
            self.bay.advance_bytes(count)
