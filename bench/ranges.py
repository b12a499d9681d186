"""A random 64 KiB of a sealed recording: how long, and how much ciphertext is read for it.

Measured with the payload in the page cache, and again after its pages were dropped (a cache of
the host or the disk cannot be dropped from here).
"""

import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from api.office.system import entropy
from bench.machine import MIB, lacking, warm
from bench.office import office_in
from bench.result import Result, unmeasured, within
from storage.digest import Algorithm
from storage.recording import new_recording_id
from storage.vault.objects import PAYLOAD, ObjectStore, key_of
from storage.vault.ranges import PlainReader
from storage.vault.sealing import DATA_KEY, Sealer, context_of

RANGE = 64 << 10
READS = 500
MOST_MS = 5
MOST_KIB = 100


def measure(file: Path, folder: Path) -> Iterator[Result]:
    """Yield the results for time, from the cache and from the disk, and for bytes."""
    if note := lacking(folder, file.stat().st_size):
        yield unmeasured("64 KiB range", note)
        return
    scratch = folder / "ranges"
    office = office_in(scratch)
    try:
        yield from _measured(file, office.objects, scratch / "var" / "objects")
    finally:
        office.close()
        shutil.rmtree(scratch)


def _measured(file: Path, objects: ObjectStore, root: Path) -> Iterator[Result]:
    recording = new_recording_id(datetime(2026, 1, 1, tzinfo=UTC), entropy(10))
    key, context = entropy(DATA_KEY), context_of(recording, "station-1")
    name = key_of(recording, PAYLOAD)
    with file.open("rb", buffering=0) as source:
        sealer = Sealer(source, data_key=key, context=context, algorithms=(Algorithm.SHA256,))
        size = objects.put(name, sealer).size
    taken: list[int] = []

    def read_at(offset: int, length: int) -> bytes:
        data = objects.read(name, offset, length)
        taken.append(len(data))
        return data

    reader = PlainReader(read_at, size, key, context)

    def ranged(start: int) -> int:
        return sum(len(piece) for piece in reader.read(start, start + RANGE))

    chance = random.Random(64)  # noqa: S311 - places to read, no secret
    starts = [chance.randrange(reader.size - RANGE) for _ in range(READS)]
    what = f"{READS} random reads of a sealed {reader.size // MIB} MiB"
    warm(root / name)
    times = _timed(ranged, starts)
    note = f"{what}, p95 {_p95(times):.2f} ms; a bare read of the original {_bare(file, starts)}"
    yield within("64 KiB range, from the cache", statistics.median(times), MOST_MS, "ms", note)
    _drop(root / name)
    times = _timed(ranged, starts)
    note = f"{what}, p95 {_p95(times):.2f} ms"
    yield within("64 KiB range, from the disk", statistics.median(times), MOST_MS, "ms", note)
    each = []
    for start in starts:
        taken.clear()
        ranged(start)
        each.append(sum(taken))
    note = f"the most that one range read; median {statistics.median(each) / 1024:.1f} KiB"
    yield within("64 KiB range, ciphertext read", max(each) / 1024, MOST_KIB, "KiB", note)


def _timed(read: Callable[[int], int], starts: Sequence[int]) -> list[float]:
    """Return milliseconds of each read. Raises: RuntimeError for a short one."""
    times = []
    for start in starts:
        began = time.perf_counter()
        count = read(start)
        times.append((time.perf_counter() - began) * 1000)
        if count != RANGE:
            raise RuntimeError(start, count)
    return times


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def _bare(file: Path, starts: Sequence[int]) -> str:
    warm(file)
    with file.open("rb", buffering=0) as plain:
        times = _timed(lambda start: len(os.pread(plain.fileno(), RANGE, start)), starts)
    return f"{statistics.median(times):.2f} ms"


def _drop(path: Path) -> None:
    """Drop a file's pages; the put has them on the disk."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
