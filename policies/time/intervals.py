"""Half-open spans of time and their algebra: union, intersection, subtraction, total.

`Span` is the face: aware datetimes. Beneath it the arithmetic runs on `Runs`, two sorted lists of
seconds (starts, ends) counted from a moment of the caller's choice, because floats sort and
compare many times faster than datetimes. What spans mean (footage, gaps, doubts) is left to
others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

Runs = tuple[list[float], list[float]]  # disjoint, ascending: starts and ends in seconds


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


def merged(starts: Iterable[float], ends: Iterable[float], within: float = 0.0) -> Runs:
    """Return the union of non-empty spans, the n-th from starts[n] to ends[n].

    Breaks of at most `within` seconds are closed. Sorted apart, the union breaks after the n-th
    end exactly where the next start lies beyond it: by then as many spans have ended as begun.
    """
    first, last = sorted(starts), sorted(ends)
    if not first:
        return [], []
    if within:
        breaks = [
            n for n, (a, b) in enumerate(zip(first[1:], last, strict=False)) if a > b + within
        ]
    else:
        breaks = [n for n, (a, b) in enumerate(zip(first[1:], last, strict=False)) if a > b]
    return [first[0], *[first[n + 1] for n in breaks]], [*[last[n] for n in breaks], last[-1]]


def shared(some: Runs, others: Runs) -> Runs:
    """Return the time that lies in both."""
    starts: list[float] = []
    ends: list[float] = []
    (a, b), (c, d) = some, others
    i = j = 0
    while i < len(a) and j < len(c):
        start, end = max(a[i], c[j]), min(b[i], d[j])
        if start < end:
            starts.append(start)
            ends.append(end)
        if b[i] <= d[j]:
            i += 1
        else:
            j += 1
    return starts, ends


def without(whole: Runs, parts: Runs) -> Runs:
    """Return what of `whole` lies in no part."""
    if not parts[0]:
        return whole
    far = float("inf")
    return shared(whole, ([-far, *parts[1]], [*parts[0], far]))


def shrunk(runs: Runs, seconds: float) -> Runs:
    """Return each run shorter by so much at both ends; what is too short is gone."""
    if not seconds:
        return runs
    pairs = [
        (a + seconds, b - seconds) for a, b in zip(*runs, strict=True) if a + seconds < b - seconds
    ]
    return [a for a, _b in pairs], [b for _a, b in pairs]


def length(runs: Runs) -> float:
    """Return how many seconds the runs have together."""
    return sum(runs[1]) - sum(runs[0])


def runs_of(spans: Iterable[Span], since: datetime, within: float = 0.0) -> Runs:
    """Return the union of spans as runs, in seconds since a moment."""
    zero = since.timestamp()
    pairs = [(span.start.timestamp() - zero, span.end.timestamp() - zero) for span in spans]
    full = [(a, b) for a, b in pairs if a < b]
    return merged([a for a, _b in full], [b for _a, b in full], within)


def spans_of(runs: Runs, since: datetime) -> Iterator[Span]:
    """Yield runs as spans, exact to the microsecond."""
    for start, end in zip(*runs, strict=True):
        yield Span(since + timedelta(seconds=start), since + timedelta(seconds=end))


def union(spans: Iterable[Span], within: float = 0.0) -> tuple[Span, ...]:
    """Return the spans merged and sorted; breaks of at most `within` seconds are closed."""
    listed = list(spans)
    if not listed:
        return ()
    since = listed[0].start
    return tuple(spans_of(runs_of(listed, since, within), since))


def subtract(whole: Iterable[Span], parts: Iterable[Span]) -> tuple[Span, ...]:
    """Return what of `whole` no part covers, merged and sorted."""
    listed = list(whole)
    if not listed:
        return ()
    since = listed[0].start
    return tuple(spans_of(without(runs_of(listed, since), runs_of(parts, since)), since))


def intersect(some: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """Return the time that lies in both groups, merged and sorted."""
    listed = list(some)
    if not listed:
        return ()
    since = listed[0].start
    return tuple(spans_of(shared(runs_of(listed, since), runs_of(others, since)), since))


def within(spans: Iterable[Span], frame: Span) -> tuple[Span, ...]:
    """Return each span cut with the frame, in the order given; nothing is merged."""
    return tuple(found for span in spans if (found := span.cut(frame)))


def total(spans: Iterable[Span]) -> float:
    """Return how many seconds the union covers."""
    return sum(span.seconds for span in union(spans))
