"""Coverage of a large action, the algebra beneath it, and the rulebook over ten thousand cases.

All on one core, on facts built beforehand, best of several rounds: what else runs on the machine
only ever adds. The limits are absolute: what a gate may cost an officer who waits for it.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bench.result import Result, within
from policies.facts.facts import ActionFacts, Document, Footage, Moment, OfficerFact
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import DocumentKind, MomentKind
from policies.requirements.footage.coverage import Coverage, compute_coverage
from policies.rules.rulebook import load_rulebook
from policies.time.intervals import merge_runs

SOURCES, SEGMENTS = 20, 50
INTERVALS = 100_000
CASES = 10_000
ROUNDS = 7
T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def measure() -> Iterator[Result]:
    """Yield coverage in ms, intervals a second, cases a second."""
    facts, rule = large(), Coverage()
    took = _best(lambda: compute_coverage(rule, facts))
    what = f"coverage, {SOURCES} x {SEGMENTS} segments"
    yield within(what, took * 1e3, 1.0, "ms", f"best of {ROUNDS} rounds")
    chance = random.Random(1)  # noqa: S311 - to be repeated, not to be secret
    starts = [chance.uniform(0, INTERVALS) for _ in range(INTERVALS)]
    ends = [start + chance.uniform(0, 2) for start in starts]
    rate = INTERVALS / _best(lambda: merge_runs(starts, ends))
    yield _rate("intervals merged", rate, 1e6, f"{INTERVALS} in random order")
    book, cases = load_rulebook(area="兴隆县"), [seizure(number) for number in range(CASES)]
    took = _best(lambda: [book.judge_facts(one) for one in cases], rounds=2)
    yield _rate("cases judged", CASES / took, 2000.0, "a seizure with six recordings each")


def _rate(what: str, rate: float, least: float, note: str) -> Result:
    return Result(what, f"{rate:,.0f}/s", f"at least {least:,.0f}/s", rate / least, 1.0, note)


def large() -> ActionFacts:
    """Return an action of four hours that twenty sources show in fifty segments each."""
    footage = tuple(
        Footage(
            f"r{source}-{part}",
            f"S{source}",
            T0 + timedelta(seconds=part * 300 + source),
            T0 + timedelta(seconds=part * 300 + source + 299.5),
            0.5,
            has_video=True,
            has_audio=True,
            officer=f"o{source}",
        )
        for source in range(SOURCES)
        for part in range(SEGMENTS)
    )
    end = T0 + timedelta(seconds=14_000)
    start = T0 + timedelta(seconds=100)
    return replace(seizure(0), start=start, end=end, footage=footage)


def seizure(number: int) -> ActionFacts:
    """Return the facts of an ordinary seizure: two officers, six recordings, all on file."""
    at = T0 + timedelta(minutes=number)
    footage = tuple(
        Footage(
            f"r{number}-{part}",
            f"S{part % 2}",
            at + timedelta(seconds=part // 2 * 300 - 30),
            at + timedelta(seconds=part // 2 * 300 + 269),
            0.3,
            has_video=True,
            has_audio=True,
            officer=f"o{part % 2}",
            sequence=str(part // 2 + 1),
            accessioned_at=at + timedelta(hours=3),
        )
        for part in range(6)
    )
    return ActionFacts(
        f"a{number}",
        f"c{number}",
        ActionKind.SEIZURE,
        Stage.INVESTIGATION,
        at,
        at + timedelta(seconds=800),
        "兴隆镇",
        officers=(OfficerFact("o0", certified=True), OfficerFact("o1", certified=True)),
        footage=footage,
        moments=tuple(Moment(kind, at + timedelta(seconds=60)) for kind in MomentKind),
        documents=(
            Document("d1", DocumentKind.SEIZURE_APPROVAL, at - timedelta(days=1)),
            Document("d2", DocumentKind.SEIZURE_DECISION, at, at + timedelta(seconds=700)),
            Document("d3", DocumentKind.SEIZURE_LIST, at, at + timedelta(seconds=700)),
        ),
    )


def _best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)
