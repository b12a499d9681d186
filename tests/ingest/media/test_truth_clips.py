"""The truth set's filmed half: clips with known defects, rendered, probed, inspected, judged.

Each clip is an action of its own length; what the picture and the sound lack is known by
construction, and coverage must name it to a second, whatever the file lost on the way.
"""

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ingest.media.inspect import Weight, inspect_media
from ingest.media.probe import probe_file
from ingest.media.sandbox import Sandbox
from policies.facts.facts import ActionFacts, Footage
from policies.facts.stages import ActionKind, Stage
from policies.requirements.footage.coverage import Coverage

T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
RULE = Coverage()
PER_DEFECT = 11
LENGTH = 18
# a keyframe a second: what a defect's edge can be told to, and what a file's own end costs
WITHIN_S = 1.3
DEFECTS = ("none", "black", "frozen", "silent", "no-sound-track", "cut-short")


def part(seed):
    """Draw where the defect lies: long enough to be seen, short enough to leave something."""
    chance = random.Random(seed)
    first = chance.randint(1, LENGTH - 9)
    return first, first + chance.randint(6, min(8, LENGTH - 1 - first))


def render(folder, defect, seed):
    first, last = part(seed)
    during = f"between(t,{first},{last - 0.05})"
    sway = "crop=160:120:x='10+9*sin(1.7*t)':y='8+7*sin(2.3*t)'"
    picture = f"testsrc2=s=184x140:r=10:d={LENGTH},{sway},noise=alls=8:allf=t"
    sound = f"aevalsrc='0.2*sin(2*PI*(180+40*sin(5*t))*t)*(1+sin(9*t))/2':d={LENGTH}:s=16000"
    if defect == "black":
        picture += f",drawbox=c=black:t=fill:enable='{during}'"
    if defect == "frozen":
        still = f"freezeframes=first={first * 10}:last={last * 10 - 1}:replace={first * 10}"
        loop = f"[a]{still}[v]"
        picture = f"{picture},split[a][b];{loop}"
        ref = f"testsrc2=s=160x120:r=10:d={LENGTH}"
        picture = picture.replace(",split[a][b];[a]", f"[a];{ref}[b];[a][b]")
    else:
        picture += "[v]"
    if defect == "silent":
        sound += f",volume=0:enable='{during}'"
    target = folder / f"{defect}-{seed}.mp4"
    streams = ["-map", "[v]"] if defect == "no-sound-track" else ["-map", "[v]", "-map", "[s]"]
    graph = picture if defect == "no-sound-track" else f"{picture};{sound}[s]"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"]
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin", "-filter_complex", graph, *streams]
    command += [*coding, "-c:a", "aac", "-b:a", "48k", "-movflags", "+faststart", str(target)]
    subprocess.run(command, check=True)
    if defect == "cut-short":
        data = target.read_bytes()
        target.write_bytes(data[: len(data) * 6 // 10])
    return target


def seen(path, sandbox):
    """Return a clip as coverage sees it, through the real probe and the real inspection."""
    with path.open("rb") as file:
        media = probe_file(file, path.stat().st_size, sandbox)
    doubts = tuple(
        (item.start_s or 0.0, item.end_s or media.duration_s or 0.0, item.kind)
        for item in inspect_media(media)
        if item.weight is Weight.DOUBT
    )
    return Footage(
        path.stem,
        "S",
        T0,
        T0 + timedelta(seconds=media.duration_s or 0.0),
        0.0,
        media.has_video,
        media.has_audio,
        media.missing_video,
        media.missing_audio,
        doubts,
    )


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder, sandbox = tmp_path_factory.mktemp("clips"), Sandbox.detect()

    def one(pair):
        defect, seed = pair
        footage = seen(render(folder, defect, seed), sandbox)
        end = T0 + timedelta(seconds=LENGTH - 0.2)
        facts = ActionFacts(
            "a", "c", ActionKind.SEIZURE, Stage.FILING, T0, end, "x", footage=(footage,)
        )
        return defect, seed, footage, RULE.check_facts(facts)

    pairs = [(defect, seed) for defect in DEFECTS for seed in range(PER_DEFECT)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, pairs))


def gaps(outcome):
    return [
        ((gap.span.start - T0).total_seconds(), (gap.span.end - T0).total_seconds())
        for gap in outcome.gaps
    ]


def test_nothing_with_a_defect_is_called_complete(judged):
    assert len(judged) >= 60
    passed = [(defect, seed) for defect, seed, _f, outcome in judged if outcome.passed]
    assert {defect for defect, _seed in passed} == {"none"}


def test_what_is_whole_passes(judged):
    refused = [
        seed for defect, seed, _f, outcome in judged if defect == "none" and not outcome.passed
    ]
    assert refused == []


@pytest.mark.parametrize("defect", ["black", "frozen", "silent"])
def test_a_defect_is_placed_to_a_second(judged, defect):
    for found, seed, _footage, outcome in judged:
        if found != defect:
            continue
        first, last = part(seed)
        told = gaps(outcome)
        assert abs(min(a for a, _b in told) - first) <= WITHIN_S, (seed, told, first, last)
        assert abs(max(b for _a, b in told) - last) <= WITHIN_S, (seed, told, first, last)


def test_a_missing_track_leaves_nothing(judged):
    for defect, _seed, _footage, outcome in judged:
        if defect == "no-sound-track":
            assert outcome.facts["share"] == 0
            assert {gap.cause for gap in outcome.gaps} == {"no-sound"}


def test_what_was_cut_off_is_missing_at_the_end(judged):
    for defect, _seed, _footage, outcome in judged:
        if defect == "cut-short":
            last = max(b for _a, b in gaps(outcome))
            assert abs(last - (LENGTH - 0.2)) < 0.1
            assert outcome.facts["share"] < 0.75
