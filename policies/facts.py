"""Frozen facts about one action: all that a rule may look at. Whoever asks gathers them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from policies.intervals import Span
from policies.plain import plain
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

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, times in ISO 8601."""
        return {name: plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, untrusted_document: Mapping[str, Any]) -> Self:
        """Read `to_json`. Raises: ValueError for anything else."""
        try:
            told = dict(untrusted_document)
            told["kind"], told["stage"] = ActionKind(told["kind"]), Stage(told["stage"])
            told["start"], told["end"] = _time(told["start"]), _time(told["end"])
            told["officers"] = tuple(OfficerFact(**one) for one in told["officers"])
            for name in ("footage", "nearby"):
                told[name] = tuple(_footage(one) for one in told[name])
            return cls(**told)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not the facts of an action") from error


def _footage(told: Mapping[str, Any]) -> Footage:
    spans = {name: tuple((a, b) for a, b in told[name]) for name in _OFFSETS}
    doubts = tuple((a, b, kind) for a, b, kind in told["doubtful"])
    times = {name: _time(told[name]) for name in ("start", "end")}
    return Footage(**{**told, **spans, **times, "doubtful": doubts})


_OFFSETS = ("missing_video", "missing_audio")


def _time(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
