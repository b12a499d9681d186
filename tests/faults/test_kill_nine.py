"""kill -9 at every step of ingest and between the system calls, then a restart: promises 1 and 2."""

import hashlib
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from api.sample_volume import Recorder, add_duplicate, add_truncated, write_segments
from api.whole_check import orphans, whole_check
from ingest.clear import verified
from ingest.journal import RECEIPTED
from storage.catalogue import recordings
from storage.catalogue.custody_log import LogReader
from storage.digest import Algorithm, Digest
from tests.faults import dock_once
from tests.faults.conftest import STEPS, OpenDesk, kept
from tests.office import Desk, segment

MIB = 1 << 20

# Where a process can die between two steps: before one of its calls that make things durable.
# All of them (some 170, and 800 of pwrite64) were tried by hand; these are spread over the run.
CALLS = (
    ("fsync", 5),
    ("fsync", 24),
    ("fsync", 43),
    ("fdatasync", 11),
    ("fdatasync", 33),
    ("link", 1),
    ("link", 3),
    ("rename", 2),
    ("rename", 7),
    ("unlink", 4),
    ("pwrite64", 100),
    ("pwrite64", 333),
    ("pwrite64", 555),
)

Files = dict[bytes, bytes]


@pytest.fixture(scope="session")
def template(open_desk: OpenDesk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office with a volume in its bay: a clip, its duplicate, a truncated one, a log file."""
    folder = tmp_path_factory.mktemp("template")
    desk = open_desk(folder)
    (clip,) = write_segments(desk.bay("bay-1"), Recorder("0000012", "000123"), [segment(0, 2)])
    add_truncated(clip, "DSJ-A7_0000012@000123_20261120085000_0000.MP4")
    add_duplicate(clip, desk.bay("bay-1") / "DCIM" / "BACKUP")
    desk.office.close()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    target = tmp_path / "office"
    shutil.copytree(template, target)
    return target


@pytest.fixture(scope="session")
def fresh() -> ForkServerContext:
    """A server of fresh processes that have the program read already; nothing of ours is open."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([dock_once.__name__])
    return context


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
    centre, log = desk.office.ring.verifying("centre"), desk.office.ring.verifying("log")
    left = files(folder)
    for path, data in before.items():
        if path in left:
            assert left[path] == data
            continue
        entries = [e for e in desk.office.journal.in_state(*RECEIPTED) if e.path == path]
        (entry,) = entries
        original = Digest(Algorithm.SHA256, hashlib.sha256(data).digest())
        assert entry.receipt is not None
        receipt = verified(entry.receipt, centre, log, original, len(data))
        with desk.office.catalogue.read() as session:
            row = recordings.by_id(session, receipt.recording)
        assert row.sha256 == original.hex
        assert row.receipt_text is not None


def check_everything_is_accessioned_once(desk: Desk, folder: Path, before: Files) -> None:
    desk.sweep(2)
    rows = kept(desk)
    with desk.office.catalogue.read() as session:
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
    assert [wrong.to_json() for wrong in whole_check(desk.office)] == []
    assert orphans(desk.office) == []
    assert not list((folder / "var" / "objects").rglob(".put-*"))


def check_restart(open_desk: OpenDesk, folder: Path, before: Files) -> None:
    desk = open_desk(folder)
    try:
        check_what_is_gone_has_a_receipt(desk, folder, before)
        check_everything_is_accessioned_once(desk, folder, before)
    finally:
        desk.office.close()


def test_the_steps_are_all_listed(folder: Path, fresh: ForkServerContext) -> None:
    assert dock(fresh, folder) == 0
    assert tuple(dict.fromkeys((folder / "steps").read_text().split())) == STEPS


@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_and_restarted_every_file_is_accessioned_once(
    open_desk: OpenDesk, folder: Path, fresh: ForkServerContext, step: str, occurrence: int
) -> None:
    before = files(folder)
    # One duplicate is hashed once.
    expected = 0 if (step, occurrence) == ("hashed", 2) else -signal.SIGKILL
    assert dock(fresh, folder, step, occurrence) == expected
    check_restart(open_desk, folder, before)


def test_killed_again_and_again_every_file_is_accessioned_once(
    open_desk: OpenDesk, folder: Path, fresh: ForkServerContext
) -> None:
    """The recovery itself is killed, too."""
    before = files(folder)
    for step in ("payload-stored", "sealed", "catalogued", "published", "unlinked"):
        assert dock(fresh, folder, step) == -signal.SIGKILL
        desk = open_desk(folder)
        check_what_is_gone_has_a_receipt(desk, folder, before)
        desk.office.close()
    check_restart(open_desk, folder, before)


@pytest.mark.parametrize("count", [1, 9 * MIB, 15 * MIB])
def test_killed_amid_a_payload_and_restarted_the_file_is_accessioned_once(
    open_desk: OpenDesk, tmp_path: Path, fresh: ForkServerContext, count: int
) -> None:
    open_desk(tmp_path).office.close()
    (tmp_path / "bay-1" / "big.bin").write_bytes(os.urandom(20 * MIB))
    before = files(tmp_path)
    assert dock(fresh, tmp_path, f"payload@{count}") == -signal.SIGKILL
    (cut,) = (tmp_path / "var" / "objects").rglob(".put-*")
    assert cut.stat().st_size < 20 * MIB
    assert files(tmp_path) == before
    check_restart(open_desk, tmp_path, before)


@pytest.mark.parametrize(("call", "when"), CALLS)
def test_killed_before_a_call_of_the_system_every_file_is_accessioned_once(
    open_desk: OpenDesk, folder: Path, fresh: ForkServerContext, call: str, when: int
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("NO STRACE HERE: nothing was killed between its system calls")
    before = files(folder)
    code = dock(fresh, folder, f"before@{call}", when)
    if code == dock_once.PTRACE_FORBIDDEN:
        pytest.skip("PTRACE IS FORBIDDEN HERE: nothing was killed between its system calls")
    assert code == -signal.SIGKILL
    check_restart(open_desk, folder, before)
