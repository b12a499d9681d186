"""kill -9 at every step of ingest and between the system calls, then a restart: promises 1 and 2."""

import os
import shutil
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from ingest.station.journal import State
from tests.faults import dock_once
from tests.faults.aftermath import check_restart, check_what_is_gone_has_a_receipt, dock, files
from tests.faults.conftest import STEPS, OpenDesk
from tests.sampling import sample

MIB = 1 << 20

# Where a process can die between two steps: before one of its calls that make things durable.
# All of them (some 180, and each 17th of 800 pwrite64) were tried; these are spread over the run.
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


def test_the_steps_are_all_listed(folder: Path, fresh: ForkServerContext) -> None:
    assert dock(fresh, folder) == 0
    assert tuple(dict.fromkeys((folder / "steps").read_text().split())) == STEPS


@pytest.mark.parametrize(
    ("step", "occurrence"),
    sample(
        [(step, occurrence) for step in STEPS for occurrence in (1, 2)],
        always=[(step, 1) for step in STEPS],
        drawn=3,
    ),
)
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


def test_killed_after_the_last_file_went_its_clearing_is_noted_at_the_next_docking(
    open_desk: OpenDesk, folder: Path, fresh: ForkServerContext
) -> None:
    """An empty slot cannot tell a cleared recorder from none: nothing is noted that is not known."""
    before = files(folder)
    assert dock(fresh, folder, "unlinked", len(before)) == -signal.SIGKILL
    assert files(folder) == {}
    desk = open_desk(folder)
    check_what_is_gone_has_a_receipt(desk, folder, before)
    (folder / "bay-1").rename(folder / "taken out")
    (folder / "bay-1").mkdir()
    desk.sweep()
    assert len(desk.office.journal.in_state(State.CLEARING)) == 1
    (folder / "bay-1").rmdir()
    (folder / "taken out").rename(folder / "bay-1")
    desk.sweep()
    assert desk.office.journal.in_state(State.CLEARING) == []
    desk.office.close()
    name = b"DCIM/20261120/DSJ-A7_0000012@000123_20261120100000_0002.log"
    (folder / "bay-1" / os.fsdecode(name)).write_text("the same recorder, later")
    before[name] = b"the same recorder, later"
    check_restart(open_desk, folder, before)


@pytest.mark.parametrize(
    "step",
    sample(
        ("found", "sealing", "payload-stored", "sealed", "envelope-stored", "catalogued", "locked"),
        always=["payload-stored"],
        drawn=1,
    ),
)
def test_killed_while_three_files_are_at_a_step_every_file_is_accessioned_once(
    open_desk: OpenDesk, tmp_path: Path, fresh: ForkServerContext, step: str
) -> None:
    """Small files are under way side by side; two of one size never are."""
    open_desk(tmp_path).office.close()
    for number in range(5):
        for name in (f"film-{number}.bin", f"copy of {number}.bin"):
            (tmp_path / "bay-1" / name).write_bytes(b"%d" % number * (200 + number))
    before = files(tmp_path)
    assert dock(fresh, tmp_path, f"beside@{step}") == -signal.SIGKILL
    assert files(tmp_path) == before
    check_restart(open_desk, tmp_path, before)


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


@pytest.mark.parametrize(
    ("call", "when"), sample(CALLS, always=list(dict(reversed(CALLS)).items()), drawn=2)
)
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
