"""kill -9 at every step of ingest, then a restart: promises 1 and 2."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from api.sample_volume import Recorder, add_duplicate, add_truncated, write_segments
from api.whole_check import orphans, whole_check
from api.wiring import Office
from ingest.clear import When, verified
from ingest.media import Sandbox
from ingest.settle import Patience
from storage.catalogue import recordings
from storage.catalogue.custody_log import LogReader
from storage.digest import Algorithm, Digest
from tests.office import Desk, segment, settings_for

ROOT = Path(__file__).parents[2]

# Every step boundary of ingest, in the order of its first occurrence. A new step must be added
# here, and is then killed at like the others.
STEPS = (
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
    "hashed",
)


@pytest.fixture(scope="session")
def sandbox():
    return Sandbox.detect()


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An office with a volume in its bay: a clip, its duplicate, a truncated one, a log file."""
    folder = tmp_path_factory.mktemp("template")
    desk = Desk.set_up(folder, clear=When.AT_ONCE)
    (clip,) = write_segments(desk.bay("bay-1"), Recorder("0000012", "000123"), [segment(0, 2)])
    add_truncated(clip, "DSJ-A7_0000012@000123_20261120085000_0000.MP4")
    add_duplicate(clip, desk.bay("bay-1") / "DCIM" / "BACKUP")
    desk.office.close()
    return folder


@pytest.fixture
def folder(template, tmp_path):
    target = tmp_path / "office"
    shutil.copytree(template, target)
    return target


def dock(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.dock_once", str(folder), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )


def files(folder):
    bay = folder / "bay-1"
    return {
        os.fsencode(path.relative_to(bay)): path.read_bytes()
        for path in bay.rglob("*")
        if path.is_file()
    }


def check_what_is_gone_has_a_receipt(folder, before):
    """No source file may be missing unless a verified receipt for its very bytes is in hand."""
    office = Office.open(settings_for(folder, clear=When.AT_ONCE))
    centre, log = office.ring.verifying("centre"), office.ring.verifying("log")
    left = files(folder)
    for path, data in before.items():
        if path in left:
            assert left[path] == data
            continue
        (entry,) = [e for e in office.journal.of_source("0000012") if e.path == path]
        original = Digest(Algorithm.SHA256, hashlib.sha256(data).digest())
        receipt = verified(entry.receipt, centre, log, original, len(data))
        with office.catalogue.read() as session:
            assert recordings.by_id(session, receipt.recording).sha256 == original.hex
    office.close()


def check_everything_is_accessioned_once(folder, before, sandbox):
    office = Office.open(settings_for(folder, clear=When.AT_ONCE))
    office._sandbox.append(sandbox)
    station = office.station(patience=Patience(0, 1000))
    for _ in range(2):
        for bay in office.bays():
            station.sweep(bay)
    with office.catalogue.read() as session:
        rows = list(recordings.everything(session))
        log = LogReader(session)
        events = [log.event(index) for index in range(log.size)]
    wanted = {hashlib.sha256(data).hexdigest() for data in before.values()}
    assert Counter(row.sha256 for row in rows) == Counter(wanted)
    assert all(row.receipt_text for row in rows)
    assert files(folder) == {}
    cleared = [event.details["submission"] for event in events if event.act == "source.clear"]
    assert len(set(cleared)) == len(before)
    accessions = [event for event in events if event.act == "recording.accession"]
    assert len(accessions) == len(wanted)
    assert [wrong.to_json() for wrong in whole_check(office)] == []
    assert orphans(office) == []
    assert not list((folder / "var" / "objects").rglob(".put-*"))
    office.close()


def test_the_steps_are_all_listed(folder):
    done = dock(folder)
    assert done.returncode == 0, done.stderr.decode()
    assert tuple(dict.fromkeys(done.stdout.decode().split())) == STEPS


@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_and_restarted_every_file_is_accessioned_once(
    folder, sandbox, step, occurrence
):
    before = files(folder)
    done = dock(folder, step, occurrence)
    if step == "hashed" and occurrence == 2:
        assert done.returncode == 0  # one duplicate: hashed once
    else:
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    check_what_is_gone_has_a_receipt(folder, before)
    check_everything_is_accessioned_once(folder, before, sandbox)


@pytest.mark.parametrize("occurrence", [1, 3])
def test_killed_amid_a_payload_and_restarted_every_file_is_accessioned_once(
    folder, sandbox, occurrence
):
    before = files(folder)
    done = dock(folder, "payload@", occurrence)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    check_what_is_gone_has_a_receipt(folder, before)
    check_everything_is_accessioned_once(folder, before, sandbox)


def test_killed_again_and_again_every_file_is_accessioned_once(folder, sandbox):
    before = files(folder)
    for step in ("payload-stored", "sealed", "catalogued", "published", "unlinked"):
        assert dock(folder, step, 1).returncode == -signal.SIGKILL
        check_what_is_gone_has_a_receipt(folder, before)
    check_everything_is_accessioned_once(folder, before, sandbox)
