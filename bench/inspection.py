"""Looking into a film at the station: how many times faster than it runs, on one core.

The film is rendered as a worn recorder would write it (1080p30 H.264 with CABAC and deblocking,
6 Mb/s, a keyframe a second, AAC), once for `PART_S` seconds, and looped by copying its packets.
Judged is processor time, for the machine may be busy; what the clock said stands in the note. The
share that reading scene codes adds is measured against the same look without it. One code is shown
at the beginning of the ten minutes, more than a shift has: each costs a close look at its frames.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.machine import MIB, child, cores, lacking, warm
from bench.result import Result, unmeasured
from ingest.media.probe import probe_file
from ingest.media.sandbox import Effort, Level, Sandbox
from ingest.media.scene_code import write_picture

PART_S = 20
LOOPS = 30
ROUNDS = 3
CODE_S = 2  # a code is filmed for a second or two
FASTER = 30.0
CODES_SHARE = 0.20
_SIZE = PART_S * LOOPS * MIB
_SCENE = (
    f"testsrc2=s=2000x1160:r=30:d={PART_S},crop=1920:1080:x='40+38*sin(1.3*t)':y='40+38*sin(1.9*t)'"
    ",setsar=1,noise=alls=6:allf=t"
    r",drawtext=text='BWC 4712 %{pts\:gmtime\:1768959780}':fontsize=40:fontcolor=white:box=1"
)
_VOICE = f"aevalsrc='0.2*sin(2*PI*(180+40*sin(5*t))*t)*(1+sin(9*t))/2':s=48000:d={PART_S}"


def measure(folder: Path) -> Iterator[Result]:
    """Yield how fast pictures and sound are looked at, and what reading scene codes adds."""
    what = "inspect 1080p30 H.264, 1 core"
    if note := lacking(folder, 2 * _SIZE):
        yield unmeasured(what, note)
        return
    film = rendered(folder)
    try:
        warm(film)
        plain, codes = _rounds(film)
    finally:
        film.unlink()
    rate = statistics.median(one["film_s"] / one["cpu_s"] for one in plain)
    wall = statistics.median(one["film_s"] / one["wall_s"] for one in plain)
    yield Result(
        what,
        f"{rate:.0f} x",
        "the film's own length",
        rate,
        FASTER,
        f"{ROUNDS} rounds of {PART_S * LOOPS} s, by the clock {wall:.0f} x; "
        f"a picture every {plain[0]['step_s']:.2f} s",
    )
    added = "  reading scene codes adds"
    more = statistics.median(
        with_codes["cpu_s"] / without["cpu_s"] - 1
        for with_codes, without in zip(codes, plain, strict=True)
    )
    yield Result(
        added,
        f"{more:.1%}",
        "the look without it",
        max(more, 0.0),
        CODES_SHARE,
        f"{ROUNDS} rounds in turn, a code shown for {CODE_S} s: {codes[0]['codes']:.0f} read",
        at_most=True,
    )


def rendered(folder: Path) -> Path:
    """Return a new film of `PART_S * LOOPS` seconds that begins with a scene code."""
    code, first, part, film = (folder / name for name in ("code.pgm", "1.mp4", "2.mp4", "film.mp4"))
    write_picture("A" * 36, code, scale=12)
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M", "-maxrate", "7M"]
    coding += ["-bufsize", "6M", "-g", "30", "-bf", "0", "-pix_fmt", "yuv420p"]
    coding += ["-c:a", "aac", "-b:a", "64k"]
    scene = ["-f", "lavfi", "-i", _SCENE, "-f", "lavfi", "-i", _VOICE]
    shown = f"[0:v][2:v]overlay=700:300:enable='lt(t,{CODE_S})'[v]"
    _ffmpeg(
        *scene, "-i", code, "-filter_complex", shown, "-map", "[v]", "-map", "1:a", *coding, first
    )
    _ffmpeg(*scene, *coding, part)
    parts = folder / "parts.txt"
    parts.write_text("".join(f"file '{one}'\n" for one in (first, *[part] * (LOOPS - 1))))
    _ffmpeg("-f", "concat", "-safe", "0", "-i", parts, "-c", "copy", film)
    for one in (code, first, part, parts):
        one.unlink()
    return film


def _ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-y", "-nostdin", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True)


def _rounds(film: Path) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    plain: list[dict[str, float]] = []
    codes: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        for kind, found in (("plain", plain), ("codes", codes)):
            found.append(json.loads(child("bench.inspection", film, kind, on=cores()[:1])))
    return plain, codes


def _looked(film: Path, *, codes: bool) -> dict[str, float]:
    """Look once, without bubblewrap, whose child's processor time would not be counted as ours."""
    effort = Effort(share=1.0, codes=codes)
    used, began = os.times(), time.perf_counter()
    with film.open("rb", buffering=0) as file:
        facts = probe_file(file, film.stat().st_size, Sandbox(Level.RLIMITS), effort=effort)
    wall, now = time.perf_counter() - began, os.times()
    if facts.pictures is None or not facts.pictures.complete or facts.duration_s is None:
        raise RuntimeError("the film was not looked at to its end")
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    step = facts.pictures.resolution_s
    told = {"film_s": facts.duration_s, "cpu_s": cpu, "wall_s": wall, "step_s": step}
    return told | {"codes": len(facts.codes)}


if __name__ == "__main__":
    seen = _looked(Path(sys.argv[1]), codes=sys.argv[2] == "codes")
    sys.stdout.write(json.dumps(seen) + "\n")
