"""An export over HTTP as the service makes it: its first byte, what it adds to disk and memory."""

import gc
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from api.office.evidence.export import stream_bundle
from api.office.service import Service
from api.office.wiring import Office
from bench.machine import child, filled, lacking
from bench.memory import status_kib
from bench.result import Result, unmeasured, within
from storage.catalogue.cases import cases
from storage.catalogue.recordings import recordings
from tests.office import Desk, settings_for

MOST_FIRST_S = 1.0
MOST_DISK_MIB = 64.0
MOST_MEMORY_MIB = 150.0
_EVERY = 64  # blocks between two looks at the disk
_COPIES = 2  # sealed object and source beside it, while the office is made


def measure(folder: Path, size: int) -> Iterator[Result]:
    """Yield the figures of exporting one recording of so many bytes."""
    if note := lacking(folder, size * _COPIES):
        yield unmeasured(f"export, {size >> 30} GiB", note)
        return
    home = folder / "exports"
    home.mkdir()
    try:
        persons, case = _prepare_office(home, size)
        told = json.loads(child("bench.exports", home, json.dumps(persons), case))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    sent = told["sent"] >> 20
    rate = f"{sent} MiB sent, {sent / told['took_s']:.0f} MiB/s, {told['cpu_s']:.1f} CPU-s"
    yield within("export: first byte", told["first_s"], MOST_FIRST_S, "s", rate)
    yield within("export: extra disk", told["disk"] / 2**20, MOST_DISK_MIB, "MiB")
    memory = (told["peak_kib"] - told["idle_kib"]) / 1024
    yield within("export: memory above idle", memory, MOST_MEMORY_MIB, "MiB")


def _prepare_office(home: Path, size: int) -> tuple[dict[str, str], str]:
    """Make an office whose case has one recording of so many bytes."""
    desk = Desk.set_up(home, database_url=None)
    try:
        source = filled(desk.bay("bay-1") / "0000012_000123_20261120090000_0004.MP4", size)
        desk.sweep(3)
        source.unlink(missing_ok=True)
        case, action = desk.seizure()
        with desk.office.catalogue.read() as session:
            (recording,) = [row.id for row in recordings.iterate_recordings(session)]
        with desk.office.catalogue.write() as uow:
            actor = f"person:{desk.persons['zhang']}"
            cases.link_by_hand(uow, action, recording, actor=actor)
        return dict(desk.persons), case
    finally:
        desk.office.close()


def _export_once(home: Path, persons: dict[str, str], case: str) -> dict[str, float]:
    office = Office.open(settings_for(home, database_url=None))
    desk = Desk(office, Service.of_office(office), persons)
    visitor = desk.visitor("zhang")
    gc.collect()
    idle, on_disk, most = status_kib("VmRSS"), _bytes_below(home), 0
    sent, first = 0, 0.0
    began, busy = time.perf_counter(), time.process_time()
    blocks, slot = stream_bundle(desk.service, visitor, case)
    for number, block in enumerate(blocks):
        first = first or time.perf_counter() - began
        sent += len(block)
        if number % _EVERY == 0:
            most = max(most, _bytes_below(home) - on_disk)
    slot.release()
    took, busy = time.perf_counter() - began, time.process_time() - busy
    office.close()
    return {
        "sent": sent,
        "first_s": first,
        "took_s": took,
        "cpu_s": busy,
        "disk": most,
        "idle_kib": idle,
        "peak_kib": status_kib("VmHWM"),
    }


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    figures = _export_once(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3])
    sys.stdout.write(json.dumps(figures) + "\n")
