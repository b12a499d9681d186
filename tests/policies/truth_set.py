"""Scenes whose truth is known: what was really recorded when, and what the system gets to see.

Each scene draws an action, its sources with clocks that are wrong within what is known of them,
and defects: files that are missing, late starts, early ends, silent, black, frozen or missing
parts, tracks that are not there. `judge` compares coverage with the truth. Deterministic by seed.
Run `python -m tests.policies.truth_set` for the table.
"""

import random
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from policies.facts.facts import ActionFacts, Footage
from policies.facts.stages import ActionKind, Stage
from policies.requirements.footage.coverage import Coverage, compute_coverage

T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DEFECTS = (
    "none",
    "missing-file",
    "late-start",
    "early-end",
    "silent",
    "black",
    "frozen",
    "no-picture-part",
    "no-sound-track",
    "no-picture-track",
)
RULE = Coverage()
Spans = list[tuple[float, float]]


@dataclass
class Scene:
    """One action of `length` seconds; `truth` is what qualifying footage really shows of it."""

    seed: int
    defect: str
    length: float
    measured: bool
    footage: list[Footage] = field(default_factory=list)
    truth: Spans = field(default_factory=list)
    slack: float = 0.0  # twice the greatest uncertainty of a clock


def scene(seed: int, defect: str) -> Scene:
    """Draw one scene; the defect strikes the first source, the others fill some of it at times."""
    chance = random.Random(f"{defect}/{seed}")
    made = Scene(seed, defect, chance.uniform(30, 900), measured=chance.random() < 0.6)
    for number in range(chance.choice((1, 1, 1, 2, 3))):
        mine = defect if number == 0 else chance.choice(("none", "late-start", "early-end", "away"))
        if number == 0 or mine != "away":
            _source(made, chance, number, mine)
    return made


def _source(made: Scene, chance: random.Random, number: int, defect: str) -> None:
    known = chance.uniform(0.05, 0.4) if made.measured else RULE.assumed_uncertainty_s
    error = chance.uniform(-known, known)
    made.slack = max(made.slack, 2 * known)
    start, end = -chance.uniform(5, 60), made.length + chance.uniform(5, 60)
    if defect == "late-start":
        start = chance.uniform(0.05, 0.5) * made.length
    if defect == "early-end":
        end = chance.uniform(0.5, 0.95) * made.length
    files = _files(chance, start, end)
    if defect == "missing-file" and len(files) > 1:
        lost = chance.randrange(len(files))
        del files[lost]
    for index, (a, b) in enumerate(files):
        hurt = index == len(files) // 2
        bad, facts = _hurt(chance, a, b, defect if hurt else "none")
        made.truth += _minus((a, b), bad)
        made.footage.append(
            Footage(
                recording=f"{number}-{index}",
                source=f"S{number}",
                start=T0 + timedelta(seconds=a - error),
                end=T0 + timedelta(seconds=b - error),
                uncertainty_s=known if made.measured else None,
                officer=f"o{number}",
                **facts,
            )
        )


def _files(chance: random.Random, start: float, end: float) -> Spans:
    """Split what one source recorded into files, with breaks within the rollover."""
    files, at = [], start
    while at < end:
        stop = min(end, at + chance.uniform(20, 300))
        files.append((at, stop))
        at = stop + chance.uniform(0, 0.9)
    return [(a, b) for a, b in files if b - a > 0.5] or [(start, end)]


def _hurt(chance: random.Random, a: float, b: float, defect: str) -> tuple[Spans, dict]:
    length = b - a
    tracks = {"has_video": defect != "no-picture-track", "has_audio": defect != "no-sound-track"}
    if not all(tracks.values()):
        return [(a, b)], tracks
    if defect not in {"silent", "black", "frozen", "no-picture-part"}:
        return [], tracks
    first = chance.uniform(0, length * 0.8)
    last = min(length, first + chance.uniform(2.0, max(2.5, length * 0.3)))
    bad = [(a + first, a + last)]
    if defect == "no-picture-part":
        return bad, tracks | {"missing_video": ((first, last),)}
    if defect == "silent" and chance.random() < 0.5:
        return bad, tracks | {"missing_audio": ((first, last),)}
    name = "faulty" if chance.random() < 0.3 else "doubtful"
    return bad, tracks | {name: ((first, last, defect),)}


def _minus(whole: tuple[float, float], parts: Spans) -> Spans:
    left, at = [], whole[0]
    for a, b in sorted(parts):
        left.append((at, a))
        at = max(at, b)
    return [(a, b) for a, b in [*left, (at, whole[1])] if b > a]


def true_gaps(made: Scene) -> Spans:
    """Return what nothing shows of the action, breaks of a rollover within one source closed.

    Plain second thoughts on purpose: a sweep over sorted ends, none of the algebra under test.
    """
    gaps, at = [], 0.0
    for a, b in sorted(made.truth):
        if a > at and a - at > 0.95:  # breaks between files are at most 0.9 s here
            gaps.append((at, min(a, made.length)))
        at = max(at, b)
        if at >= made.length:
            break
    if at < made.length:
        gaps.append((at, made.length))
    return [(a, b) for a, b in gaps if b - a > 0]


@dataclass
class Judged:
    """How coverage did on one scene, in seconds.

    `error` is by how much a gap was told too short at an edge, `over` too long.
    """

    false_complete: bool
    missed: int
    error: float
    over: float
    alarmed: bool


def judge(made: Scene) -> Judged:
    """Compare coverage with the truth of a scene."""
    facts = ActionFacts(
        "a",
        "c",
        ActionKind.SEIZURE,
        Stage.INVESTIGATION,
        T0,
        T0 + timedelta(seconds=made.length),
        "x",
        footage=tuple(made.footage),
    )
    outcome, result = RULE.check_facts(facts), compute_coverage(RULE, facts)
    holes = [((h.start - T0).total_seconds(), (h.end - T0).total_seconds()) for h in result.holes]
    truth = [gap for gap in true_gaps(made) if gap[1] - gap[0] > RULE.max_gap_s]
    missed, error, over = 0, 0.0, 0.0
    for a, b in truth:
        near = [h for h in holes if h[0] < b and h[1] > a]
        if not near:
            missed += 1
            continue
        error = max(error, min(h[0] for h in near) - a, b - max(h[1] for h in near))
    for a, b in holes:
        inside = [gap for gap in truth if gap[0] < b and gap[1] > a]
        if inside:
            over = max(over, min(g[0] for g in inside) - a, b - max(g[1] for g in inside))
    return Judged(
        false_complete=outcome.passed and bool(truth),
        missed=missed,
        error=error,
        over=over,
        alarmed=not outcome.passed and not truth,
    )


def table(count: int = 60) -> tuple[list[str], dict[str, list[Judged]]]:
    """Judge `count` scenes of each defect; return the table's lines and all that was judged."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for defect in DEFECTS:
        for seed in range(count):
            made = scene(seed, defect)
            kind = f"{defect}{'' if made.measured else ', clock unmeasured'}"
            found[kind].append(judge(made))
    lines = [
        "defect | scenes | false complete | gaps missed | told too short, s | too long, s | alarms"
    ]
    for kind, judged in sorted(found.items()):
        lines.append(
            f"{kind} | {len(judged)} | {sum(j.false_complete for j in judged)} | "
            f"{sum(j.missed for j in judged)} | {max(j.error for j in judged):.2f} | "
            f"{max(j.over for j in judged):.2f} | {sum(j.alarmed for j in judged)}"
        )
    return lines, found


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()[0]) + "\n")
