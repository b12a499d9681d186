"""What an operator sees: bays, their states, and what became of each file. Values only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class BayState(StrEnum):
    """What an operator sees of a bay."""

    EMPTY = "empty"
    SCANNING = "scanning"
    SEALING = "sealing"
    WAITING = "waiting"  # files are still being written
    DELIVERING = "delivering"  # all is sealed here; the centre's receipts are still to come
    SAFE = "safe"  # everything offered holds a verified receipt: safe to remove
    ATTENTION = "attention"  # something could not be taken; `reason` says what


class Outcome(StrEnum):
    """What became of one submission in this sweep."""

    SEALED = "sealed"  # durable at the station, on its way to the centre
    ACCESSIONED = "accessioned"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    WAITING = "waiting"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Result:
    """One submission's outcome; `path` is safe to show."""

    path: str
    outcome: Outcome
    recording: str | None = None
    sha256: str | None = None
    reason: str | None = None
    cleared: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "path": self.path,
            "outcome": self.outcome,
            "recording": self.recording,
            "sha256": self.sha256,
            "reason": self.reason,
            "cleared": self.cleared,
        }


@dataclass(frozen=True, slots=True)
class Bay:
    """A slot of the station, or a landing folder (then each file names its own source).

    `only` names the one file in the root's own folder that is offered, where not all are. Bays
    of one `hub` share its line, so that only so many of them are read at once. `quiet_s` is
    how long a file must stay unchanged here, where that is not as everywhere.
    """

    name: str
    root: Path
    landing: bool = False
    only: bytes | None = None
    hub: str | None = None
    quiet_s: float | None = None


@dataclass(slots=True)
class Progress:
    """What a bay shows now; `report` is called whenever it changes."""

    bay: str
    report: Callable[["Progress"], None]
    state: BayState = BayState.EMPTY
    source: str | None = None
    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    current: str | None = None
    reason: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def show(self, **changes: Any) -> None:
        """Change what is shown."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.report(self)
