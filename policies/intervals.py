"""Half-open spans of time and their algebra: union, cut, subtraction, total. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The time from `start` up to, not including, `end`; both aware."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Length in seconds; an inverted span is empty."""
        return max(0.0, (self.end - self.start).total_seconds())

    def cut(self, other: "Span") -> "Span | None":
        """Return what both share, or None."""
        shared = Span(max(self.start, other.start), min(self.end, other.end))
        return shared if shared.start < shared.end else None

    def shrunk(self, seconds: float) -> "Span | None":
        """Return the span shorter by so much at both ends, or None when nothing is left."""
        by = timedelta(seconds=seconds)
        inner = Span(self.start + by, self.end - by)
        return inner if inner.start < inner.end else None


def union(spans: Iterable[Span], within: float = 0.0) -> tuple[Span, ...]:
    """Return the spans merged and sorted; breaks of at most `within` seconds are closed."""
    merged: list[Span] = []
    tolerance = timedelta(seconds=within)
    for span in sorted(span for span in spans if span.start < span.end):
        if merged and span.start <= merged[-1].end + tolerance:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def subtract(whole: Iterable[Span], parts: Iterable[Span]) -> tuple[Span, ...]:
    """Return what of `whole` no part covers."""
    left = list(union(whole))
    for part in union(parts):
        remaining: list[Span] = []
        for span in left:
            if part.end <= span.start or span.end <= part.start:
                remaining.append(span)
                continue
            if span.start < part.start:
                remaining.append(Span(span.start, part.start))
            if part.end < span.end:
                remaining.append(Span(part.end, span.end))
        left = remaining
    return tuple(left)


def within(spans: Iterable[Span], frame: Span) -> tuple[Span, ...]:
    """Return the spans cut with the frame."""
    return tuple(shared for span in spans if (shared := span.cut(frame)))


def total(spans: Iterable[Span]) -> float:
    """Return how many seconds the union covers."""
    return sum(span.seconds for span in union(spans))
