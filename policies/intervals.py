"""Half-open spans of time and their algebra: union, intersection, subtraction, total.

Pure and linear after sorting. What the spans mean (footage, gaps, doubts) is left to others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


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
        start = max(self.start, other.start)
        end = min(self.end, other.end)
        return Span(start, end) if start < end else None

    def shrunk(self, seconds: float) -> "Span | None":
        """Return the span shorter by so much at both ends, or None when nothing is left."""
        by = timedelta(seconds=seconds)
        start, end = self.start + by, self.end - by
        return Span(start, end) if start < end else None

    def widened(self, before: float, after: float) -> "Span":
        """Return the span longer by so many seconds at either end."""
        return Span(self.start - timedelta(seconds=before), self.end + timedelta(seconds=after))

    def distance(self, other: "Span") -> float:
        """Return the seconds between both; 0 where they touch or overlap."""
        return max(
            0.0,
            (other.start - self.end).total_seconds(),
            (self.start - other.end).total_seconds(),
        )


def union(spans: Iterable[Span], within: float = 0.0) -> tuple[Span, ...]:
    """Return the spans merged and sorted; breaks of at most `within` seconds are closed."""
    merged: list[Span] = []
    tolerance = timedelta(seconds=within)
    start: datetime | None = None
    end = datetime.min.replace(tzinfo=UTC)
    for span in sorted(span for span in spans if span.start < span.end):
        if start is not None and span.start <= end + tolerance:
            end = max(end, span.end)
            continue
        if start is not None:
            merged.append(Span(start, end))
        start, end = span.start, span.end
    if start is not None:
        merged.append(Span(start, end))
    return tuple(merged)


def intersect(some: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """Return the time that lies in both groups, merged and sorted."""
    left, right = union(some), union(others)
    shared: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if both := left[i].cut(right[j]):
            shared.append(both)
        if left[i].end <= right[j].end:
            i += 1
        else:
            j += 1
    return tuple(shared)


def subtract(whole: Iterable[Span], parts: Iterable[Span]) -> tuple[Span, ...]:
    """Return what of `whole` no part covers, merged and sorted."""
    left: list[Span] = []
    removed = union(parts)
    first = 0
    for span in union(whole):
        start = span.start
        while first < len(removed) and removed[first].end <= start:
            first += 1
        at = first
        while at < len(removed) and removed[at].start < span.end:
            if start < removed[at].start:
                left.append(Span(start, removed[at].start))
            start = max(start, removed[at].end)
            at += 1
        if start < span.end:
            left.append(Span(start, span.end))
    return tuple(left)


def within(spans: Iterable[Span], frame: Span) -> tuple[Span, ...]:
    """Return each span cut with the frame, in the order given; nothing is merged."""
    return tuple(shared for span in spans if (shared := span.cut(frame)))


def total(spans: Iterable[Span]) -> float:
    """Return how many seconds the union covers."""
    return sum(span.seconds for span in union(spans))
