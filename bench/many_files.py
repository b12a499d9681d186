"""A card with many photos into the folder store; peer: `cp` + `sync` + `openssl dgst` of the same.

Ours: settle, look in a sandbox, hash, seal, write, fsync, read back, verify, catalogue, log,
receipt, and the second look that reads every byte again; a receipt for each photo. The two run in
turn in one run. Processor seconds are what to go by where others use the machine: two cores do two
seconds' worth in one. Those of the sandboxes are not among them: bubblewrap does not wait for what
it started, so nobody is told.
"""

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.machine import child
from bench.office import office_in, station_of
from bench.result import Result, within
from ingest.bays.bay import Outcome

ROUNDS = 3
PHOTOS = 100
SIZES = (100_000, 2_000_000)
CPU_S = 0.1
TARGET = 20


def measure(folder: Path) -> Iterator[Result]:
    """Yield photos in a second, and processor seconds for each."""
    card = folder / "card"
    _photos(card)
    ours, peers = [], []
    for number in range(ROUNDS):
        peers.append(_peer(card, folder))
        scratch = folder / f"office-{number}"
        ours.append(json.loads(child("bench.many_files", scratch, card)))
        shutil.rmtree(scratch)
    wall, cpu = (statistics.median(one[what] for one in ours) for what in ("wall", "cpu"))
    peer_wall, peer_cpu = (statistics.median(one[at] for one in peers) for at in (0, 1))
    size = sum(file.stat().st_size for file in card.iterdir())
    note = f"{ROUNDS} rounds of {PHOTOS} photos, {size >> 20} MiB in all"
    yield Result(
        "a card of many photos",
        f"{PHOTOS / wall:.1f} /s",
        f"limit {TARGET} /s; cp + sync + dgst {PHOTOS / peer_wall:.0f} /s",
        PHOTOS / wall / TARGET,
        1.0,
        note,
    )
    note = f"cp + sync + dgst: {peer_cpu / PHOTOS:.3f} s"
    yield within("processor time of a photo", cpu / PHOTOS, CPU_S, "s", note)
    shutil.rmtree(card)


def _photos(card: Path) -> None:
    """Write photos of many sizes: one picture, and what makes each a file of its own."""
    card.mkdir()
    picture = card / "picture.jpg"
    drawn = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720", "-frames:v", "1"]
    subprocess.run([*drawn, picture], check=True)
    data, sizes = picture.read_bytes(), random.Random(1)  # noqa: S311 - a measurement
    picture.unlink()
    for number in range(PHOTOS):
        rest = os.urandom(max(64, sizes.randint(*SIZES) - len(data)))
        (card / f"IMG_{number:05}.jpg").write_bytes(data + rest)


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def _peer(card: Path, folder: Path) -> tuple[float, float]:
    copy = folder / "copy"
    files = sorted(map(str, card.iterdir()))
    began, before = time.perf_counter(), _cpu()
    subprocess.run(["cp", "-r", card, copy], check=True)
    subprocess.run(["sync"], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", *files], check=True, capture_output=True)
    took = time.perf_counter() - began, _cpu() - before
    shutil.rmtree(copy)
    return took


def _ours(folder: Path, card: Path) -> dict[str, float]:
    """Return the seconds, and the processor's, from the first look to the last receipt."""
    office = office_in(folder)
    station = station_of(office)
    (bay,) = office.list_bays()
    for file in card.iterdir():
        (bay.root / file.name).hardlink_to(file)
    began, before = time.perf_counter(), _cpu()
    station.sweep_bay(bay)
    results = station.sweep_bay(bay)
    taken = {"wall": time.perf_counter() - began, "cpu": _cpu() - before}
    office.close()
    if [one.outcome for one in results] != [Outcome.ACCESSIONED] * PHOTOS:
        raise RuntimeError(results)
    return taken


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_ours(Path(sys.argv[1]), Path(sys.argv[2]))) + "\n")
