"""Whole ingest into the folder store; peer: `cp` + `sync` + `openssl dgst -sha256`, same file.

Ours: settle, probe, hash, seal, write, fsync, read back past the cache, verify, catalogue, log,
receipt. Both are run in turn, from the page cache, each right after a scratch file of the same
size was written and removed (`even_memory`); the medians are compared.
"""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.machine import MIB, child, even_memory
from bench.office import office_in, station_of
from bench.result import Result

ROUNDS = 5


def measure(file: Path, folder: Path) -> list[Result]:
    """Return the one result."""
    ours, peers = [], []
    for number in range(ROUNDS):
        peers.append(_peer(file, folder))
        scratch = folder / f"office-{number}"
        ours.append(float(child("bench.ingest", scratch, file)))
        shutil.rmtree(scratch)
    mine, peer = statistics.median(ours), statistics.median(peers)
    size = file.stat().st_size
    spread = f"ours {min(ours):.1f}-{max(ours):.1f} s, peer {min(peers):.1f}-{max(peers):.1f} s"
    return [
        Result(
            "ingest into the folder store",
            f"{size / mine / 1e6:.0f} MB/s",
            f"cp + sync + openssl dgst {size / peer / 1e6:.0f} MB/s",
            peer / mine,
            0.7,
            note=f"{ROUNDS} rounds of {size // MIB} MiB: {spread}",
        )
    ]


def _peer(file: Path, folder: Path) -> float:
    copy = folder / "copy"
    even_memory(folder, file.stat().st_size)
    began = time.perf_counter()
    subprocess.run(["cp", file, copy], check=True)
    subprocess.run(["sync"], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", file], check=True, capture_output=True)
    took = time.perf_counter() - began
    copy.unlink()
    return took


def _ours(folder: Path, file: Path) -> float:
    office = office_in(folder)
    station = station_of(office)
    # The same bytes under the bay, without copying them.
    (folder / "bay" / "file.bin").hardlink_to(file)
    (bay,) = office.bays()
    even_memory(folder, file.stat().st_size)
    began = time.perf_counter()
    results = [result for _ in range(2) for result in station.sweep(bay)]
    took = time.perf_counter() - began
    office.close()
    if [result.outcome for result in results] != ["waiting", "accessioned"]:
        raise RuntimeError(str(results))
    return took


if __name__ == "__main__":
    sys.stdout.write(f"{_ours(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
