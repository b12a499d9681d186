"""What a crash may leave behind and what not, and how a restart mends it: asked by fault tests."""

import hashlib
import os
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path

from api.office.evidence.integrity_check import list_orphans, whole_check
from ingest.station.clear import verify_receipt
from ingest.station.journal import RECEIPTED
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings
from storage.digest import Algorithm, Digest
from tests.faults import dock_once
from tests.faults.conftest import OpenDesk, kept
from tests.office import Desk

Files = dict[bytes, bytes]


def dock(fresh: ForkServerContext, folder: Path, step: str = "", occurrence: int = 1) -> int | None:
    """Dock in a process of its own; return its exit code, minus the signal that killed it."""
    process = fresh.Process(target=dock_once.main, args=(folder, step, occurrence))
    process.start()
    process.join()
    return process.exitcode


def files(folder: Path) -> Files:
    bay = folder / "bay-1"
    return {
        os.fsencode(path.relative_to(bay)): path.read_bytes()
        for path in bay.rglob("*")
        if path.is_file()
    }


def check_what_is_gone_has_a_receipt(desk: Desk, folder: Path, before: Files) -> None:
    """No source file may be missing unless a verified receipt for its very bytes is in hand."""
    centre, log = desk.office.ring.get_verify_key("centre"), desk.office.ring.get_verify_key("log")
    left = files(folder)
    for path, data in before.items():
        if path in left:
            assert left[path] == data
            continue
        entries = [e for e in desk.office.journal.in_state(*RECEIPTED) if e.path == path]
        (entry,) = entries
        original = Digest(Algorithm.SHA256, hashlib.sha256(data).digest())
        assert entry.receipt is not None
        receipt = verify_receipt(entry.receipt, centre, log, original, len(data))
        with desk.office.catalogue.read() as session:
            row = recordings.by_id(session, receipt.recording)
        assert row.sha256 == original.hex
        assert row.receipt_text is not None


def check_accessioned_once(desk: Desk, folder: Path, before: Files) -> None:
    """Every distinct file is one recording, each source file is noted as cleared; all is well."""
    rows = kept(desk)
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        events = [log.get_event(index) for index in range(log.size)]
    wanted = {hashlib.sha256(data).hexdigest() for data in before.values()}
    assert Counter(row.sha256 for row in rows) == Counter(wanted)
    assert all(row.receipt_text for row in rows)
    assert files(folder) == {}
    cleared = [event.details["submission"] for event in events if event.act == "source.clear"]
    assert len(set(cleared)) == len(before)
    accessions = [event for event in events if event.act == "recording.accession"]
    assert len(accessions) == len(wanted)
    assert [wrong.to_json() for wrong in whole_check(desk.office)] == []
    assert list_orphans(desk.office) == []
    assert not list((folder / "var" / "objects").rglob(".put-*"))


def check_restart(open_desk: OpenDesk, folder: Path, before: Files) -> None:
    """Restart the office: before it works nothing is lost, and afterwards all is taken."""
    desk = open_desk(folder)
    try:
        check_what_is_gone_has_a_receipt(desk, folder, before)
        desk.sweep(2)
        check_accessioned_once(desk, folder, before)
    finally:
        desk.office.close()
