"""A random 64 KiB of a sealed recording: how long, and how much ciphertext is read for it."""

import random
import shutil
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from api.wiring import entropy
from bench.result import Result
from storage.digest import Algorithm
from storage.recording import new_recording_id
from storage.vault.folder_objects import FolderObjects
from storage.vault.objects import PAYLOAD, key_of
from storage.vault.ranges import PlainReader
from storage.vault.sealing import DATA_KEY, Sealer, context_of

RANGE = 64 << 10
READS = 500


def measure(file: Path, folder: Path) -> list[Result]:
    """Return the results for time and for bytes."""
    scratch = folder / "ranges"
    objects = FolderObjects(scratch, entropy, immutable=False)
    recording = new_recording_id(datetime(2026, 1, 1, tzinfo=UTC), entropy(10))
    key, context = entropy(DATA_KEY), context_of(recording, "station-1")
    name = key_of(recording, PAYLOAD)
    with file.open("rb", buffering=0) as source:
        sealer = Sealer(source, data_key=key, context=context, algorithms=(Algorithm.SHA256,))
        size = objects.put(name, sealer).size
    read = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal read
        data = objects.read(name, offset, length)
        read += len(data)
        return data

    reader = PlainReader(read_at, size, key, context)
    chance = random.Random(64)  # noqa: S311 - places to read, no secret
    times, most = [], 0
    for _ in range(READS):
        start = chance.randrange(reader.size - RANGE)
        read = 0
        began = time.perf_counter()
        for _piece in reader.read(start, start + RANGE):
            pass
        times.append((time.perf_counter() - began) * 1000)
        most = max(most, read)
    shutil.rmtree(scratch)
    median, late = statistics.median(times), sorted(times)[int(READS * 0.95)]
    return [
        Result(
            "64 KiB range, median",
            f"{median:.2f} ms",
            f"{READS} random reads, 95 % within {late:.2f} ms",
            median,
            5,
            at_most=True,
        ),
        Result(
            "64 KiB range, ciphertext",
            f"{most / 1024:.0f} KiB",
            "the most that one range read",
            most / 1024,
            100,
            at_most=True,
        ),
    ]
