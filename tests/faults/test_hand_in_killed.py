"""kill -9 at every step of a file that a person hands in: it is one recording, in their name."""

import hashlib
import os
import shutil
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path
from uuid import UUID

import pytest

from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.wiring import Office
from storage.catalogue.log.custody_log import LogReader
from storage.digest import Digest
from storage.recording import RecordingId
from tests.acting import acting
from tests.faults import hand_in_once
from tests.faults.conftest import OpenDesk, kept
from tests.office import Desk, settings_for

# Every step, in the order of its first occurrence. A new step must be added here.
STEPS = (
    "begun",
    "sent",
    "whole",
    "received",
    "renamed",
    "found",
    "sealing",
    "payload-stored",
    "payload-delivered",
    "sealed",
    "record-stored",
    "envelope-stored",
    "catalogued",
    "locked",
    "published",
    "receipt-signed",
    "receipt-kept",
    "delivered",
    "accessioned",
    "clearing",
    "unlinked",
    "clear-noted",
    "cleared",
)
# From here on the file is the station's: nobody has to come back for it.
OURS = STEPS.index("sent")


@pytest.fixture
def folder(open_desk: OpenDesk, tmp_path: Path) -> Path:
    open_desk(tmp_path).office.close()
    (tmp_path / "file").write_bytes(os.urandom(9 << 20))  # a part and a tail
    return tmp_path


def run(fresh: ForkServerContext, folder: Path, step: str = "", occurrence: int = 1) -> int | None:
    process = fresh.Process(target=hand_in_once.main, args=(folder, step, occurrence))
    process.start()
    process.join()
    return process.exitcode


def plaintext(office: Office) -> list[Path]:
    return [path for path in office.reception.home.rglob("*") if path.is_file()]


def reopened(folder: Path) -> Office:
    return Office.open(settings_for(folder, spool_reserve_gb=0))


def check_one_recording(office: Office, data: bytes) -> None:
    (row,) = kept(Desk(office, None))  # type: ignore[arg-type]
    assert row.sha256 == hashlib.sha256(data).hexdigest()
    assert row.receipt_text
    assert plaintext(office) == []
    with office.catalogue.read() as session:
        log = LogReader(session)
        events = [log.get_event(index) for index in range(log.size)]
    (handed,) = [event for event in events if event.act == "submission.hand-in"]
    (taken,) = [event for event in events if event.act == "recording.accession"]
    assert handed.actor == taken.details["operator"] == f"person:{hand_in_once.person_of(office)}"
    assert taken.details["submission"] == handed.subject.removeprefix("submission:")
    assert "source.clear" in {event.act for event in events}
    assert [wrong.to_json() for wrong in whole_check(office)] == []
    assert list_orphans(office) == []


def test_the_steps_are_all_listed(folder: Path, fresh: ForkServerContext) -> None:
    assert run(fresh, folder) == 0
    assert tuple(dict.fromkeys((folder / "steps").read_text().split())) == STEPS
    office = reopened(folder)
    check_one_recording(office, (folder / "file").read_bytes())
    office.close()


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_what_was_handed_in_is_one_recording(
    folder: Path, fresh: ForkServerContext, step: str
) -> None:
    data = (folder / "file").read_bytes()
    occurrence = 2 if step == "sent" else 1  # the second one is the last byte
    assert run(fresh, folder, step, occurrence) == -signal.SIGKILL
    office = reopened(folder)
    try:
        if not kept(Desk(office, None)):  # type: ignore[arg-type]
            # The plaintext goes against a receipt alone.
            assert sum(path.stat().st_size for path in plaintext(office)) >= (
                len(data) if STEPS.index(step) >= OURS else 0
            )
        if STEPS.index(step) < OURS:
            hand_in_once.hand_in(office, data)
        hand_in_once.take_in(office)
        check_one_recording(office, data)
    finally:
        office.close()


def test_killed_again_and_again_it_is_one_recording(folder: Path, fresh: ForkServerContext) -> None:
    data = (folder / "file").read_bytes()
    for step in ("begun", "whole", "received", "renamed", "sealed", "catalogued", "unlinked"):
        assert run(fresh, folder, step) == -signal.SIGKILL
    assert run(fresh, folder) == 0
    office = reopened(folder)
    check_one_recording(office, data)
    office.close()


def test_bytes_that_rot_in_the_intake_are_never_received(folder: Path) -> None:
    office = reopened(folder)
    try:
        data = (folder / "file").read_bytes()
        person = hand_in_once.person_of(office)
        digest = Digest.compute(data)
        row = office.reception.begin_hand_in(
            acting(office.catalogue, person), b"a.mp4", len(data), digest, None
        )
        name = RecordingId(UUID(row.id))
        writer = office.reception.uploads.open_writer(person, name, 0)
        writer.add_bytes(bytearray(data))
        writer.close()
        (attempt,) = [path for path in plaintext(office) if path.stat().st_size == len(data)]
        with attempt.open("r+b") as file:
            file.seek(5_000_000)
            file.write(b"rot")
        with pytest.raises(Exception, match="offset=0"):
            office.reception.receive_file(person, name)
        assert office.reception.get_hand_in(person, name).received_at is None
        hand_in_once.hand_in(office, data)
        hand_in_once.take_in(office)
        check_one_recording(office, data)
    finally:
        office.close()
        shutil.rmtree(folder / "var")
