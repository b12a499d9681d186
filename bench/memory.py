"""Peak memory above idle while a large sparse file is ingested."""

import gc
import re
import shutil
import sys
from pathlib import Path

from bench.machine import child
from bench.office import office_in, station_of
from bench.result import Result


def measure(folder: Path, size: int) -> list[Result]:
    """Return the one result; the ciphertext takes `size` bytes of the folder for a while."""
    what = f"memory for {size >> 30} GiB"
    if shutil.disk_usage(folder).free < size + (1 << 30):
        return [Result(what, "not run", "too little disk space", float("inf"), 120, at_most=True)]
    scratch = folder / "memory"
    idle, peak = map(int, child("bench.memory", scratch, size).split())
    shutil.rmtree(scratch)
    above = (peak - idle) / 1024
    return [
        Result(
            what,
            f"{above:.0f} MiB",
            f"above idle of {idle / 1024:.0f} MiB",
            above,
            120,
            at_most=True,
        )
    ]


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    return int(found.group(1)) if found else 0


def _ours(folder: Path, size: int) -> tuple[int, int]:
    office = office_in(folder)
    station = station_of(office)
    _ = office.sandbox
    with (folder / "bay" / "sparse.bin").open("wb") as file:
        file.truncate(size)
    gc.collect()
    idle = _status("VmRSS")
    (bay,) = office.bays()
    results = [result for _ in range(2) for result in station.sweep(bay)]
    office.close()
    if results[-1].outcome != "accessioned":
        raise RuntimeError(str(results))
    return idle, _status("VmHWM")


if __name__ == "__main__":
    idle_kib, peak_kib = _ours(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(f"{idle_kib} {peak_kib}\n")
