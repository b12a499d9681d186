"""The custody part of a bundle, and replays: 100 recordings in a log of a million entries.

The log is made by appending, as an office does, half of it before the case and half after. What is
measured is everything in the bundle but originals and payloads: its bytes, and what it takes to
check all but their digests; then a replay of the whole log, from the catalogue and from its static
files, and a check against the heads in that bundle.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from api.office.evidence.export import export_bundle
from api.office.evidence.log_check import check_heads, log_in_files, log_of_office
from bench.result import Result, within
from ingest.station.delivery.witness import Witness
from storage.bundle import verify as verifying
from storage.catalogue.cases import cases
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings
from storage.custody.entries.event import PremisType
from tests.office import Desk

ENTRIES = 1_000_000
RECORDINGS = 100
MOST_MIB = 5.0
MOST_S = 5.0
MOST_REPLAY_S = 60.0
MOST_WITNESS_MS = 20.0
_OTHERS = 5_000  # subjects that the other entries are about
_AT_ONCE = 20_000


def measure(folder: Path, entries: int = ENTRIES) -> Iterator[Result]:
    """Yield size and time of the custody part, of replays, and how fast the log was made."""
    home = folder / "custody"
    home.mkdir()
    desk = Desk.set_up(home, database_url=None)
    try:
        began = time.perf_counter()
        _append(desk, entries // 2)
        took = time.perf_counter() - began
        case = _case(desk)
        _append(desk, entries // 2)
        yield Result("entries appended", f"{entries / 2 / took:,.0f} /s", "-", None)
        yield from measure_case(desk, case, folder / "bundle")
    finally:
        desk.office.close()


def measure_case(desk: Desk, case: str, bundle: Path) -> Iterator[Result]:
    """Yield what a bundle of the case and replays of the office's log cost. Makes the bundle."""
    exported = time.perf_counter()
    export_bundle(desk.service, desk.visitor("zhang"), case, bundle, sealed=True)
    exported = time.perf_counter() - exported
    with desk.office.catalogue.read() as session:
        size = LogReader(session).size
    footage = {path for name in ("payload", "original") for path in bundle.rglob(name)}
    files = [path for path in bundle.rglob("*") if path.is_file() and path not in footage]
    told = sum(path.stat().st_size for path in files) / (1 << 20)
    note = f"{RECORDINGS} recordings, a log of {size:,} entries; exported in {exported:.1f} s"
    yield within("custody part of a bundle", told, MOST_MIB, "MiB", note)
    began = time.perf_counter()
    report = verifying.verify(bundle)
    took = time.perf_counter() - began
    if not report.passed:
        raise RuntimeError(report.format_lines())
    others = (bundle / "data/custody/entries.jsonl").read_bytes().count(b"recording:other-")
    note = f"{others} entries about others among its entries"
    yield within("checking it, sealed payloads and all", took, MOST_S, "s", note)
    own = log_of_office(desk.office)
    files_alone = log_in_files(
        desk.office.settings.home / "log", desk.office.ring.get_verify_key("log")
    )
    for where, log in (("catalogue", own), ("static files", files_alone)):
        began, busy = time.perf_counter(), time.process_time()
        if faults := list(log.replayed(lambda _count: None)):
            raise RuntimeError(faults[:3])
        took, busy = time.perf_counter() - began, time.process_time() - busy
        note = f"{size:,} entries; {took:.1f} s by the clock"
        yield within(f"log replay, {where}", busy, MOST_REPLAY_S, "CPU-s", note)
    began = time.perf_counter()
    found = check_heads(own, [bundle])
    if found.exit_status:
        raise RuntimeError(found.heads[:3])
    told_heads = f"{len(found.heads)} heads, of a bundle's checkpoint and receipts"
    took = time.perf_counter() - began
    yield within("log check --against a bundle", took, MOST_S, "s", told_heads)
    yield from _delivering(desk)


def _delivering(desk: Desk) -> Iterator[Result]:
    """Yield what a station's check of the log adds to one delivery, beside a log of this size."""
    office, spent = desk.office, []
    key = office.ring.get_verify_key("log")
    witness = Witness(office.settings.station, office.journal, office.centre, lambda: key)
    for _ in range(20):
        _append(desk, 1)
        head = desk.service.publish_checkpoint()
        began = time.process_time()
        witness.check_log(head)
        spent.append((time.process_time() - began) * 1000)
    note = "in one process, both ends; median of 20"
    told = statistics.median(spent)
    yield within("a station's check of the log", told, MOST_WITNESS_MS, "CPU-ms", note)


def _append(desk: Desk, entries: int) -> None:
    """Append entries about other things."""
    done = 0
    while done < entries:
        with desk.office.catalogue.write() as uow:
            for number in range(done, min(done + _AT_ONCE, entries)):
                uow.record(
                    "recording.access",
                    PremisType.DISSEMINATION,
                    actor="person:other",
                    subject=f"recording:other-{number % _OTHERS}",
                    purpose="play",
                )
        done += _AT_ONCE


def _case(desk: Desk) -> str:
    """Return a case with an action that small photos, taken in as ever, are linked to."""
    for number in range(RECORDINGS):
        photo = desk.bay("bay-1") / f"IMG_{number:05}.jpg"
        photo.write_bytes(b"\xff\xd8\xff\xe0" + number.to_bytes(4, "big") * 2000)
    desk.sweep(3)
    case, action = desk.seizure()
    actor = f"person:{desk.persons['zhang']}"
    with desk.office.catalogue.read() as session:
        found = [row.id for row in recordings.iterate_recordings(session)]
    for recording in found:
        with desk.office.catalogue.write() as uow:
            cases.link_by_hand(uow, action, recording, actor=actor)
    if len(found) != RECORDINGS:
        raise RuntimeError(len(found))
    return case
