"""From samples in time to spans: where something holds for long enough. Pure."""

import itertools
import statistics
from collections.abc import Iterator, Sequence

# One good picture in five does not end a covered lens; two in five do.
SHARE = 0.8
_HAIR = 1e-6


def usual_step(times: Sequence[float]) -> float:
    """Return the usual distance of two samples; 0 for fewer than two."""
    steps = [after - at for at, after in itertools.pairwise(times)]
    return statistics.median(steps) if steps else 0.0


def find_spans(
    times: Sequence[float], bad: Sequence[bool], least: float, end: float
) -> list[list[float]]:
    """Return where `bad` holds for at least `least` seconds, in order.

    A sample speaks for the time up to the next one, the last one up to `end`; but none for more
    than three usual steps, for what lies in a hole was not seen. A single good sample is bridged
    as long as four in five are bad.
    """
    if not times:
        return []
    step = usual_step(times) or max(end - times[0], 0.0)
    ends = [min(max(b, a), a + 3 * step) for a, b in zip(times, [*times[1:], end], strict=True)]
    return [
        [round(times[first], 3), round(ends[last], 3)]
        for first, last in _join_runs(times, bad, ends)
        if ends[last] - times[first] >= least - _HAIR
    ]


def _join_runs(
    times: Sequence[float], bad: Sequence[bool], ends: Sequence[float]
) -> Iterator[tuple[int, int]]:
    """Yield runs as (first, last) sample; what is parted by one good sample alone is one run."""
    first = last = -1
    count = 0
    for at in (index for index, is_bad in enumerate(bad) if is_bad):
        # A hole between two samples ends a run: nobody saw what was in it.
        unbroken = all(ends[k] >= times[k + 1] - _HAIR for k in range(last, at)) and first >= 0
        near = at - last == 1 or (at - last == 2 and (count + 1) / (at - first + 1) >= SHARE)  # noqa: PLR2004 - one between
        if not (unbroken and near):
            if first >= 0:
                yield first, last
            first, count = at, 0
        last, count = at, count + 1
    if first >= 0:
        yield first, last
