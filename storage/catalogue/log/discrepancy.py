"""Findings of an audit, as values with stable names and facts; the texts stand elsewhere."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class DiscrepancyKind(StrEnum):
    """Kinds of discrepancy between rows, entries and signed heads."""

    DAMAGED_DATABASE = "damaged-database"
    EDITED_ENTRY = "edited-entry"
    MISSING_ENTRY = "missing-entry"
    EDITED_DETAILS = "edited-details"
    MISSING_DETAILS = "missing-details"
    EDITED_NODE = "edited-node"
    BROKEN_CHAIN = "broken-chain"
    EDITED_ROW = "edited-row"
    MISSING_ROW = "missing-row"
    UNLOGGED_ROW = "unlogged-row"
    MISSING_CHECKPOINT = "missing-checkpoint"
    EDITED_CHECKPOINT = "edited-checkpoint"
    CONTRADICTED_CHECKPOINT = "contradicted-checkpoint"
    EDITED_TILE = "edited-tile"
    TIME_RUNS_BACK = "time-runs-back"
    ACT_OUTSIDE_SESSION = "act-outside-session"
    ROLLBACK = "rollback"
    UNENROLLED_KEY = "unenrolled-key"
    OPEN_TO_OTHERS = "open-to-others"  # a file or folder of the office's, by its mode


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is not as it was logged. `subject` names it: `entry 7`, `recording <id>`."""

    kind: DiscrepancyKind
    subject: str
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"what": self.kind.value, "subject": self.subject, "facts": self.facts}


def about_entry(kind: DiscrepancyKind, index: int, **facts: Any) -> Discrepancy:
    """Name an entry of the log by its number."""
    return Discrepancy(kind, f"entry {index}", {"index": index, **facts})
