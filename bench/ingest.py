"""Whole ingest into the folder store; peer: `cp` + `sync` + `openssl dgst -sha256`, same file.

Ours: settle, probe, hash, seal, write, fsync, read back past the cache, verify, catalogue, log,
receipt. The two run in turn, from the page cache, each right after a scratch file of the same
size was written and removed (`even_memory`) and with nothing left to write back from before; the
medians are compared.
"""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.machine import MIB, child, even_memory, lacking, warm
from bench.office import office_in, station_of, take
from bench.result import Result, unmeasured

ROUNDS = 5
TARGET = 0.7


def measure(file: Path, folder: Path) -> Iterator[Result]:
    """Yield the one result."""
    what = "ingest into the folder store"
    size = file.stat().st_size
    if note := lacking(folder, size):
        yield unmeasured(what, note)
        return
    ours, peers = [], []
    for number in range(ROUNDS):
        peers.append(_peer(file, folder))
        scratch = folder / f"office-{number}"
        ours.append(float(child("bench.ingest", scratch, file)))
        shutil.rmtree(scratch)
    mine, peer = statistics.median(ours), statistics.median(peers)
    pairs = [there / here for here, there in zip(ours, peers, strict=True)]
    yield Result(
        what,
        f"{size / mine / 1e6:.0f} MB/s",
        f"cp + sync + openssl dgst {size / peer / 1e6:.0f} MB/s",
        peer / mine,
        TARGET,
        f"{ROUNDS} rounds of {size // MIB} MiB: ours {_spread(ours)} s, peer {_spread(peers)} s, "
        f"ratio {_spread(pairs)}",
    )


def _spread(values: list[float]) -> str:
    return f"{min(values):.2f}-{max(values):.2f}"


def _evened(file: Path, folder: Path) -> None:
    """Let both sides start from the same: the file in the page cache, the rest at rest."""
    warm(file)
    even_memory(folder, file.stat().st_size)


def _peer(file: Path, folder: Path) -> float:
    copy = folder / "copy"
    _evened(file, folder)
    began = time.perf_counter()
    subprocess.run(["cp", file, copy], check=True)
    subprocess.run(["sync"], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", file], check=True, capture_output=True)
    took = time.perf_counter() - began
    copy.unlink()
    return took


def _ours(folder: Path, file: Path) -> float:
    """Return the seconds from the first look at the bay to the receipt."""
    office = office_in(folder)
    station = station_of(office)
    # The same bytes under the bay, without copying them.
    (folder / "bay" / "file.bin").hardlink_to(file)
    _evened(file, folder)
    began = time.perf_counter()
    take(office, station)
    took = time.perf_counter() - began
    office.close()
    return took


if __name__ == "__main__":
    sys.stdout.write(f"{_ours(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
