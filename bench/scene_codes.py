"""How well scene codes are read from footage: over distance, blur, light, noise and frame rate.

Each clip shows, for two seconds, codes that change at whole seconds, as a worn camera would film
a screen; what its clock is off by is known by construction. The whole way is measured: ffmpeg
renders and compresses, the sandboxed look reads, `policies/scene_code.py` believes and measures.
Ordinary is: a code of at least 0.3 of the picture's height, blur of at most 5 pixels (at 720p),
15 frames a second or more, in any light tried. Beside it run clips with other people's codes and
with none: they must give nothing.
"""

import itertools
import json
import statistics
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.result import Result
from ingest.media.sandbox import Sandbox
from ingest.media.scene_code import write_picture
from policies.scene_code import (
    Kind,
    Parsed,
    Sighting,
    Trouble,
    day_key,
    encode_scene_code,
    is_authentic,
    parse_scene_code,
    tag_of,
)
from policies.scene_code import (
    measure_clock_offset as measured,
)

KEY = bytes(range(32))
T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
BEFORE_S, SHOWN_S, SECONDS = 1.37, 2, 5
LEAST_RATE = 0.95

SIZES = ((1280, 720), (1920, 1080))
HEIGHTS = (0.2, 0.3, 0.45)
BLURS = (0, 3, 5, 9)
RATES = (15, 25, 30)
LIGHTS = {
    "plain": "null",
    "dim": "eq=brightness=-0.25:contrast=0.6",
    "glare": "drawbox=x=iw*0.40:y=ih*0.30:w=iw*0.06:h=ih*0.06:c=white@0.85:t=fill",
    "noise": "noise=alls=22:allf=t",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """One way of filming a screen; blur in pixels at 720p, height as a share of the picture's."""

    size: tuple[int, int]
    height: float
    blur: int
    rate: int
    light: str

    @property
    def ordinary(self) -> bool:
        """Whether an officer who takes ordinary care films like this."""
        return self.height >= 0.3 and self.blur <= 5 and self.rate >= 15  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a clip: whether a clock was measured, and how far from the truth, seconds."""

    clip: Clip
    found: bool
    error: float = 0.0
    claimed: float = 0.0


def clips() -> list[Clip]:
    """Return every clip: all of distance, blur and size, with rates and lights in turn."""
    turn = itertools.cycle(itertools.product(RATES, LIGHTS))
    return [
        Clip(size, height, blur, *next(turn))
        for size, height, blur, _again in itertools.product(SIZES, HEIGHTS, BLURS, range(5))
    ]


def measure(folder: Path) -> Iterator[Result]:
    """Yield the recognition rate in the ordinary range, the rest, errors and false readings."""
    sandbox = Sandbox.detect()
    with ThreadPoolExecutor(2) as pool:
        read = list(pool.map(lambda clip: filmed(clip, folder, sandbox), clips()))
    ordinary = [one for one in read if one.clip.ordinary]
    for what, group, target in (
        ("scene codes, ordinary range", ordinary, LEAST_RATE),
        ("scene codes, beyond it", [one for one in read if not one.clip.ordinary], None),
    ):
        good = [one for one in group if one.found]
        rate = len(good) / len(group)
        errors = [one.error for one in good] or [0.0]
        note = f"offset error median {statistics.median(errors):.3f} s, worst {max(errors):.3f} s; "
        note += f"claimed at most {max((one.claimed for one in good), default=0):.3f} s; "
        note += f"{sum(one.error > one.claimed for one in good)} beyond their claim"
        yield Result(what, f"{rate:.1%}", f"{len(group)} clips", rate, target, note)
    for height, blur in itertools.product(HEIGHTS, BLURS):
        cell = [one for one in read if (one.clip.height, one.clip.blur) == (height, blur)]
        rate = sum(one.found for one in cell) / len(cell)
        yield Result(f"  {height:g} H, blur {blur} px", f"{rate:.0%}", f"{len(cell)} clips", rate)
    false = [name for name in STRANGERS if stranger(name, folder, sandbox)]
    count = f"{len(STRANGERS)} clips of others"
    yield Result("  false readings", str(len(false)), count, float(len(false)), 0.0, at_most=True)


def filmed(clip: Clip, folder: Path, sandbox: Sandbox) -> Read:
    """Render one clip, look at it, and compare the measured clock with the true one."""
    key = day_key(KEY, (T0 + timedelta(hours=8)).date())
    name = f"{clip.size[1]}-{clip.height:g}-{clip.blur}-{clip.rate}-{clip.light}-{id(clip)}"
    texts = [
        encode_scene_code(tag_of("a"), Kind.START, T0 + timedelta(seconds=n), key)
        for n in range(SHOWN_S)
    ]
    target = _render(clip, texts, folder, name)
    seen = believed(target, sandbox)
    if not seen:
        return Read(clip, found=False)
    # The recorder's clock is right: it began BEFORE_S ahead of the first code, so offset is zero.
    reading = measured(T0 - timedelta(seconds=BEFORE_S), seen)
    if isinstance(reading, Trouble):
        return Read(clip, found=False)
    return Read(clip, found=True, error=abs(reading.offset_s), claimed=reading.uncertainty_s)


def believed(film: Path, sandbox: Sandbox) -> list[tuple[Parsed, Sighting]]:
    """Return the authentic codes that a look at the film reads."""
    with film.open("rb") as file:
        told = json.loads(sandbox.inspect_file(file, film.stat().st_size))
    film.unlink()
    found = []
    for one in told.get("codes") or ():
        run = Sighting.from_report(one)
        parsed = parse_scene_code(run.text) if run else None
        if run and parsed and is_authentic(parsed, KEY):
            found.append((parsed, run))
    return found


STRANGERS = ("nothing", "forged", "https://example.org/x", "A" * 36, "a wrong digit")


def stranger(name: str, folder: Path, sandbox: Sandbox) -> bool:
    """Tell whether a clip that shows no code of ours is taken for one."""
    clip = Clip(SIZES[0], 0.45, 0, 25, "plain")
    day = (T0 + timedelta(hours=8)).date()
    good = encode_scene_code(tag_of("a"), Kind.START, T0, day_key(KEY, day))
    texts = {
        "nothing": [],
        "forged": [encode_scene_code(tag_of("a"), Kind.START, T0, day_key(bytes(32), day))],
        "a wrong digit": [good[:-1] + ("A" if good[-1] != "A" else "Q")],
    }.get(name, [name])
    return bool(believed(_render(clip, texts, folder, f"stranger-{abs(hash(name))}"), sandbox))


def _render(clip: Clip, texts: list[str], folder: Path, name: str) -> Path:
    width, high = clip.size
    side = round(clip.height * high)
    blur = round(clip.blur * high / 720)
    stills = []
    for number, text in enumerate(texts):
        still = folder / f"{name}-{number}.pgm"
        write_picture(text, still, scale=12)
        stills.append(still)
    # A hand that is not still, a screen that is not square to the lens, then what the lens does.
    sway = f"crop={width}:{high}:x='20+18*sin(2.1*t)':y='20+18*sin(1.7*t)'"
    chain = f"testsrc2=s={width + 40}x{high + 40}:r={clip.rate}:d={SECONDS}[v0]"
    for number in range(len(stills)):
        since, until = BEFORE_S + number, BEFORE_S + number + 1
        leaning = f"x0=0:y0={side * 0.05:.0f}:x1=W:y1=0:x2=0:y2=H:x3=W:y3=H-{side * 0.06:.0f}"
        chain += (
            f";[{number}:v]scale={side}:{side},perspective={leaning}:sense=destination[c{number}]"
        )
        place = f"x=(W-w)/2:y=(H-h)/2:enable='gte(t,{since})*lt(t,{until})':eof_action=repeat"
        chain += f";[v{number}][c{number}]overlay={place}[v{number + 1}]"
    smear = f",avgblur=sizeX={max(1, blur // 2)}:sizeY=1:planes=15" if blur else ""
    chain += f";[v{len(stills)}]{sway}{smear},{LIGHTS[clip.light]},format=yuv420p[v]"
    target = folder / f"{name}.mp4"
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin"]
    for still in stills:
        command += ["-i", str(still)]
    command += ["-filter_complex", chain, "-map", "[v]", "-c:v", "libx264", "-preset", "ultrafast"]
    command += ["-crf", "30", "-g", str(clip.rate), str(target)]
    subprocess.run(command, check=True)
    for still in stills:
        still.unlink()
    return target
