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

    def intersection(self, other: "Span") -> "Span | None":
        """Return the intersection with another span, or None if it is empty."""
        start = max(self.start, other.start)
        end = min(self.end, other.end)
        return Span(start, end) if start < end else None

    def widen(self, before: float, after: float) -> "Span":
        """Return the span longer by so many seconds at either end."""
        return Span(self.start - timedelta(seconds=before), self.end + timedelta(seconds=after))

    def distance_to(self, other: "Span") -> float:
        """Return the seconds between both; 0 where they touch or overlap."""
        return max(
            0.0,
            (other.start - self.end).total_seconds(),
            (self.start - other.end).total_seconds(),
        )


def merge_runs(starts: Iterable[float], ends: Iterable[float], within: float = 0.0) -> Runs:
    """Return the union of non-empty spans, the n-th from starts[n] to ends[n].

    Breaks of at most `within` seconds are closed. Sorted apart, the union breaks after the n-th
    end exactly where the next start lies beyond it: by then as many spans have ended as begun.
    """
    first, last = sorted(starts), sorted(ends)
    if not first:
        return [], []
    # Two loops for speed alone: an addition less for each of a thousand recordings.
    if within:
        breaks = [
            n for n, (a, b) in enumerate(zip(first[1:], last, strict=False)) if a > b + within
        ]
    else:
        breaks = [n for n, (a, b) in enumerate(zip(first[1:], last, strict=False)) if a > b]
    return [first[0], *[first[n + 1] for n in breaks]], [*[last[n] for n in breaks], last[-1]]


def intersect_runs(some: Runs, other_runs: Runs) -> Runs:
    """Return the time that lies in both."""
    starts: list[float] = []
    ends: list[float] = []
    (a, b), (c, d) = some, other_runs
    i = j = 0
    while i < len(a) and j < len(c):
        start, end = max(a[i], c[j]), min(b[i], d[j])
        if start < end:
            starts.append(start)
            ends.append(end)
        # Whichever ends first can share nothing with what the other list has yet to come.
        if b[i] <= d[j]:
            i += 1
        else:
            j += 1
    return starts, ends


def subtract_runs(whole: Runs, parts: Runs) -> Runs:
    """Return what of `whole` lies in no part."""
    if not parts[0]:
        return whole
    far = float("inf")
    # What lies in no part is what lies between the parts: from each end to the next start.
    return intersect_runs(whole, ([-far, *parts[1]], [*parts[0], far]))


def shrink_runs(runs: Runs, seconds: float) -> Runs:
    """Return each run shorter by so much at both ends; what is too short is gone."""
    if not seconds:
        return runs
    pairs = [
        (a + seconds, b - seconds) for a, b in zip(*runs, strict=True) if a + seconds < b - seconds
    ]
    return [a for a, _b in pairs], [b for _a, b in pairs]


def sum_run_seconds(runs: Runs) -> float:
    """Return how many seconds the runs have together."""
    return sum(runs[1]) - sum(runs[0])


def runs_of(spans: Iterable[Span], since: datetime, within: float = 0.0) -> Runs:
    """Return the union of spans as runs, in seconds since a moment."""
    # A float holds today's timestamps to 2**-22 s (0.24 µs), so that whole microseconds survive.
    zero = since.timestamp()
    pairs = [(span.start.timestamp() - zero, span.end.timestamp() - zero) for span in spans]
    # Sorted apart, an inverted span would break others: `merge_runs` counts starts against ends.
    full = [(a, b) for a, b in pairs if a < b]
    return merge_runs([a for a, _b in full], [b for _a, b in full], within)


def spans_of(runs: Runs, since: datetime) -> Iterator[Span]:
    """Yield runs as spans, exact to the microsecond."""
    for start, end in zip(*runs, strict=True):
        yield Span(since + timedelta(seconds=start), since + timedelta(seconds=end))


def unite_spans(spans: Iterable[Span], within: float = 0.0) -> tuple[Span, ...]:
    """Return the spans merged and sorted; breaks of at most `within` seconds are closed."""
    span_list = list(spans)
    if not span_list:
        return ()
    since = span_list[0].start
    return tuple(spans_of(runs_of(span_list, since, within), since))


def subtract_spans(whole: Iterable[Span], parts: Iterable[Span]) -> tuple[Span, ...]:
    """Return what of `whole` no part covers, merged and sorted."""
    span_list = list(whole)
    if not span_list:
        return ()
    since = span_list[0].start
    return tuple(spans_of(subtract_runs(runs_of(span_list, since), runs_of(parts, since)), since))


def intersect_spans(some: Iterable[Span], other_spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the time that lies in both groups, merged and sorted."""
    span_list = list(some)
    if not span_list:
        return ()
    since = span_list[0].start
    return tuple(
        spans_of(intersect_runs(runs_of(span_list, since), runs_of(other_spans, since)), since)
    )


def clip_spans(spans: Iterable[Span], frame: Span) -> tuple[Span, ...]:
    """Return each span cut with the frame, in the order given; nothing is merged."""
    return tuple(clipped for span in spans if (clipped := span.intersection(frame)))


def sum_span_seconds(spans: Iterable[Span]) -> float:
    """Return how many seconds the union covers."""
    return sum(span.seconds for span in unite_spans(spans))
