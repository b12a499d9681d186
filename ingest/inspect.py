"""Full-process quality: what in a recording is missing or doubtful, as findings with a place.

Structure and packets are facts; picture and sound faults (a later issue) are doubts that a person
confirms or dismisses. Pure: it reads what `probe` saw.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ingest.probe import MediaFacts
from storage.recording import MediaKind

_APART_S = 1.0


class Weight(StrEnum):
    """Whether a machine may conclude from it."""

    FACT = "fact"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One thing seen; seconds from the start of the file, None where it has no place."""

    kind: str
    weight: Weight
    start_s: float | None = None
    end_s: float | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def inspect(facts: MediaFacts) -> tuple[Inspection, ...]:
    """Return what is wrong with this recording, in order of time."""
    if facts.kind not in {MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.UNKNOWN}:
        return ()
    found = []
    if not facts.playable:
        found.append(Inspection("unplayable", Weight.FACT, detail=facts.unplayable_reason or ""))
    if facts.truncated:
        found.append(
            Inspection("truncated", Weight.FACT, detail=f"{facts.missing_bytes} bytes missing")
        )
    if facts.kind is MediaKind.VIDEO and facts.playable:
        if not facts.has_audio:
            found.append(Inspection("no-sound-track", Weight.FACT))
        if not facts.has_video:
            found.append(Inspection("no-picture-track", Weight.FACT))
    found += [Inspection("no-picture", Weight.FACT, a, b) for a, b in facts.missing_video]
    found += [Inspection("no-sound", Weight.FACT, a, b) for a, b in facts.missing_audio]
    declared, true = facts.declared_s, facts.duration_s
    if declared is not None and true is not None and declared - true > _APART_S:
        found.append(
            Inspection(
                "shorter-than-declared", Weight.FACT, true, declared, f"{declared - true:.3f} s"
            )
        )
    return tuple(found)
