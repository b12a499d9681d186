"""Frozen facts about one action: all that a rule may look at. Whoever asks gathers them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.intervals import Span
from policies.stages import ActionKind, Stage

Offsets = tuple[float, float]  # seconds from the start of the file


@dataclass(frozen=True, slots=True)
class Footage:
    """One recording as coverage sees it.

    `start` and `end` are UTC by file time plus the measured clock offset; None where the start
    is not known. `uncertainty_s` is None where the source's clock was never measured.
    `missing_…` are spans without packets of that track; `doubtful` spans await a person.
    """

    recording: str
    source: str
    start: datetime | None
    end: datetime | None
    uncertainty_s: float | None
    has_video: bool
    has_audio: bool
    missing_video: tuple[Offsets, ...] = ()
    missing_audio: tuple[Offsets, ...] = ()
    doubtful: tuple[tuple[float, float, str], ...] = ()
    officer: str | None = None
    kind: str = "video"

    @property
    def span(self) -> Span | None:
        """When it was recorded, or None."""
        if self.start is None or self.end is None or self.start >= self.end:
            return None
        return Span(self.start, self.end)

    def moments(self, offsets: tuple[Offsets, ...]) -> tuple[Span, ...]:
        """Return offsets in the file as spans of true time, cut with the recording's own."""
        whole = self.span
        if whole is None:
            return ()
        length = whole.seconds
        return tuple(
            Span(
                whole.start + timedelta(seconds=max(a, 0.0)),
                whole.start + timedelta(seconds=min(b, length)),
            )
            for a, b in offsets
            if a < b and a < length and b > 0
        )


@dataclass(frozen=True, slots=True)
class OfficerFact:
    """One person at the action, as qualified on that day."""

    id: str
    certified: bool
    auxiliary: bool = False


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """One action: `footage` holds confirmed exhibits only, `nearby` what might be linked yet."""

    action: str
    case: str
    kind: ActionKind
    stage: Stage
    start: datetime
    end: datetime | None
    township: str
    officers: tuple[OfficerFact, ...] = ()
    footage: tuple[Footage, ...] = ()
    nearby: tuple[Footage, ...] = ()

    @property
    def span(self) -> Span | None:
        """The action's interval, once it has an end."""
        return Span(self.start, self.end) if self.end and self.start < self.end else None
