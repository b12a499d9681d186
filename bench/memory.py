"""Peak memory above idle while a large sparse file is ingested."""

import gc
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.machine import child, lacking
from bench.office import office_in, station_of, take
from bench.result import Result, unmeasured, within

LIMIT = 120  # MiB


def measure(folder: Path, size: int) -> Iterator[Result]:
    """Yield the one result; the ciphertext takes `size` bytes of the folder meanwhile."""
    what = f"memory above idle, {size >> 30} GiB"
    if note := lacking(folder, size):
        yield unmeasured(what, note)
        return
    scratch = folder / "memory"
    try:
        said = child("bench.memory", scratch, size)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    idle, peak = (int(word) / 1024 for word in said.split())
    note = f"idle {idle:.0f} MiB, peak {peak:.0f} MiB; helper processes not counted"
    yield within(what, peak - idle, LIMIT, "MiB", note)


def status_kib(name: str) -> int:
    """Return a figure of this process in KiB (proc_pidstatus_kib(5))."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    if found is None:
        raise RuntimeError(name)
    return int(found.group(1))


def _ours(folder: Path, size: int) -> tuple[int, int]:
    """Return KiB when the office is open, and at the peak."""
    office = office_in(folder)
    gc.collect()
    idle = status_kib("VmRSS")
    with (folder / "bay" / "sparse.bin").open("wb") as file:
        file.truncate(size)
    take(office, station_of(office))
    office.close()
    return idle, status_kib("VmHWM")


if __name__ == "__main__":
    sys.stdout.write(" ".join(map(str, _ours(Path(sys.argv[1]), int(sys.argv[2])))) + "\n")
