"""Full disks, failing disks and cards, locked databases, vanished mounts: promise 2."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import event

from api.office.evidence.integrity_check import whole_check
from api.problems import describe_error, reason_zh
from ingest.bays.bay import BayState, Progress
from ingest.bays.settle import Patience
from ingest.station.journal import State
from storage.catalogue.unit_of_work import Catalogue
from storage.errors import CatalogueBusyError, KeyRingError, LiuhenError
from storage.recording import RecordingId
from storage.vault.sealing import recipients_of
from tests.faults import dock_once
from tests.faults.aftermath import (
    check_accessioned_once,
    check_restart,
    check_what_is_gone_has_a_receipt,
    files,
)
from tests.faults.conftest import STEPS, OpenDesk, kept, shown
from tests.office import Desk

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="NOT ROOT: no file system can be mounted")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Put a file system of this size under a folder, with what was in it."""
    before = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, before)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    shutil.copytree(before, folder, dirs_exist_ok=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@needs_root
def test_a_full_disk_pauses_intake_and_goes_on_by_itself_when_there_is_space(desk: Desk) -> None:
    """One and the same station: nobody starts it again."""
    objects = desk.office.settings.home / "objects"
    big = desk.bay("bay-1") / "big.bin"
    big.write_bytes(os.urandom(3 * MIB))
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    station = desk.office.build_station(patience=Patience(0, 1000))
    (bay, _other) = desk.office.list_bays()
    with small_disk(objects, "2m"):
        for _ in range(3):
            station.sweep_bay(bay)
        assert big.exists()
        assert kept(desk) == []
        told = shown(desk)
        assert (told.state, told.reason) == (BayState.ATTENTION, "storage-full")
        assert "磁盘空间不足" in reason_zh("storage-full")
        subprocess.run(["mount", "-o", "remount,size=64m", objects], check=True)
        station.sweep_bay(bay)
        assert [row.sha256 for row in kept(desk)] == [digest]
        assert not big.exists()
        assert list(whole_check(desk.office)) == []


@needs_root
@pytest.mark.parametrize("when", ["a new start", "amid the work"])
def test_a_disk_too_full_for_the_databases_loses_nothing(
    open_desk: OpenDesk, tmp_path: Path, when: str
) -> None:
    desk = open_desk(tmp_path)
    note = desk.bay("bay-1") / "note.txt"
    note.write_text("one")
    desk.office.close()
    with small_disk(desk.office.settings.home, "3m"):
        again = open_desk(tmp_path)
        filler = desk.office.settings.home / "filler"
        fill(filler)
        if when == "a new start":
            again.office.close()
            with contextlib.suppress(LiuhenError):
                again = open_desk(tmp_path)
        with contextlib.suppress(LiuhenError):  # a worker's sweep: told, and tried again
            again.sweep()
        assert note.exists()
        again.office.close()
        filler.unlink()
        again = open_desk(tmp_path)
        again.sweep()
        assert [row.size for row in kept(again)] == [3]
        assert not note.exists()
        assert list(whole_check(again.office)) == []
        again.office.close()


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


def dock_with_errors(folder: Path, calls: str, error: str, *, of: Path | None = None) -> None:
    """Dock in a process whose system calls fail as told (strace injects it), one file's or all."""
    if shutil.which("strace") is None:
        pytest.skip(f"NO STRACE HERE: {error} was not injected")
    names = calls.partition(":")[0]
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(folder / "trace")]
    command += ["-P", str(of)] if of else []
    command += ["-e", f"trace={names}", "-e", f"inject={names}:error={error}{calls[len(names) :]}"]
    command += [sys.executable, "-m", dock_once.__name__, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if b"ptrace" in done.stderr:
        pytest.skip(f"PTRACE IS FORBIDDEN HERE: {error} was not injected")
    assert "(INJECTED)" in (folder / "trace").read_text(errors="replace")


@pytest.fixture
def card(open_desk: OpenDesk, tmp_path: Path) -> Path:
    """The folder of an office, docked: a big file that will fail, and a good one after it."""
    desk = open_desk(tmp_path)
    (desk.bay("bay-1") / "a-failing.bin").write_bytes(os.urandom(9 * MIB))
    (desk.bay("bay-1") / "b-good.bin").write_bytes(b"good")
    desk.office.close()
    return tmp_path


def test_a_read_error_in_the_middle_keeps_the_file_and_goes_on_with_the_next(
    open_desk: OpenDesk, card: Path
) -> None:
    """The kernel itself answers EIO, from the second block on."""
    failing = card / "bay-1" / "a-failing.bin"
    dock_with_errors(card, "read:when=2+", "EIO", of=failing)
    desk = open_desk(card)
    assert [row.size for row in kept(desk)] == [4]
    assert failing.stat().st_size == 9 * MIB
    assert not (card / "bay-1" / "b-good.bin").exists()
    (entry,) = desk.office.journal.in_state(State.QUARANTINED)
    assert entry.reason == "read-error"
    assert shown(desk).state == BayState.ATTENTION
    assert "重新接入" in reason_zh("read-error")
    desk.sweep()  # docked again, the card reads
    assert len(kept(desk)) == 2
    assert not failing.exists()
    assert list(whole_check(desk.office)) == []
    desk.office.close()


@pytest.mark.parametrize("error", ["ENODEV", "ESTALE"])
def test_a_device_that_goes_amid_the_read_blames_no_file(
    open_desk: OpenDesk, card: Path, error: str
) -> None:
    dock_with_errors(card, "read:when=2+", error, of=card / "bay-1" / "a-failing.bin")
    desk = open_desk(card)
    assert desk.office.journal.in_state(State.QUARANTINED) == []
    assert shown(desk).state == BayState.EMPTY
    assert (card / "bay-1" / "a-failing.bin").stat().st_size == 9 * MIB
    desk.sweep()
    assert sorted(row.size for row in kept(desk)) == [4, 9 * MIB]
    assert files(card) == {}
    desk.office.close()


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        ("fsync:when=9+7", "EIO"),
        ("fdatasync:when=11+9", "EIO"),
        ("pwrite64:when=200+50", "ENOSPC"),
        ("link:when=3+3", "ENOSPC"),
        ("rename:when=4+5", "EIO"),
        ("unlink:when=2+3", "EROFS"),
    ],
)
def test_a_disk_that_fails_now_and_then_loses_nothing(
    open_desk: OpenDesk, folder: Path, calls: str, error: str
) -> None:
    """The office's own disk this time: calls that make things durable fail, again and again."""
    before = files(folder)
    dock_with_errors(folder, calls, error)
    desk = open_desk(folder)
    check_what_is_gone_has_a_receipt(desk, folder, before)
    desk.office.close()
    if not files(folder):
        (folder / "bay-1" / "last.log").write_text("an empty bay is not looked at")
        before[b"last.log"] = b"an empty bay is not looked at"
    check_restart(open_desk, folder, before)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the write lock of a database, as another program would."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_catalogue_is_told_and_tried_again(desk: Desk) -> None:
    (desk.bay("bay-1") / "note.txt").write_text("one")
    office = desk.office
    impatient = Catalogue(
        office.settings.database, office.clock, office.entropy, busy_timeout_s=0.1
    )
    office.centre.catalogue = impatient
    with locked(office.settings.home / "catalogue.db"):
        desk.sweep()
        assert kept(desk) == []
        assert (desk.bay("bay-1") / "note.txt").exists()
        assert shown(desk).reason == "catalogue-busy"
        assert describe_error(CatalogueBusyError()).next_zh
    desk.sweep()
    assert len(kept(desk)) == 1
    assert not (desk.bay("bay-1") / "note.txt").exists()
    impatient.close()


def test_a_locked_journal_is_told_and_tried_again(desk: Desk) -> None:
    """Nothing can be written down, not even for the screen: the sweep itself says so."""
    note = desk.bay("bay-1") / "note.txt"
    note.write_text("one")
    station = desk.office.build_station(patience=Patience(0, 1000))
    (bay, _other) = desk.office.list_bays()
    engine = desk.office.journal._store._engine
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _impatient(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=100")

    with locked(desk.office.settings.home / "station.db"):
        for _ in range(2):
            (result,) = station.sweep_bay(bay)
            assert (result.outcome, result.reason) == ("failed", "catalogue-busy")
            assert result.facts["database"] == "journal"
        assert note.exists()
        assert kept(desk) == []
    for _ in range(2):
        station.sweep_bay(bay)
    assert len(kept(desk)) == 1
    assert not note.exists()


def test_a_mount_that_vanishes_amid_the_read_is_an_ordinary_event(desk: Desk) -> None:
    bay = desk.bay("bay-1")
    (bay / "a.bin").write_bytes(os.urandom(9 * MIB))
    (bay / "b.bin").write_bytes(b"b")
    away = bay.with_name("pulled")

    def pull(progress: Progress) -> None:
        if progress.bytes_done > 4 * MIB and bay.exists():
            bay.rename(away)

    station = desk.office.build_station(pull, patience=Patience(0, 1000))
    (docked, _other) = desk.office.list_bays()
    for _ in range(3):
        station.sweep_bay(docked)
    assert not bay.exists()
    assert shown(desk).state == BayState.EMPTY
    away.rename(bay)
    desk.sweep(3)
    assert sorted(row.size for row in kept(desk)) == [1, 9 * MIB]
    assert list(bay.iterdir()) == []
    assert list(whole_check(desk.office)) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_mount_that_vanishes_at_a_step_is_taken_up_where_it_was_when_it_is_back(
    open_desk: OpenDesk, tmp_path: Path, step: str
) -> None:
    """The same station sees it go and come; nobody starts anything again."""
    desk = open_desk(tmp_path)
    bay = desk.bay("bay-1")
    for name, text in (("a.txt", "one"), ("b.txt", "one"), ("c.txt", "two")):
        (bay / name).write_text(text)
    before = files(tmp_path)
    away = bay.with_name("pulled")
    pulled: list[str] = []

    def pull(name: str) -> None:
        if name == step and not pulled:
            pulled.append(name)
            bay.rename(away)

    desk.office.on_step = desk.office.centre.on_step = pull
    station = desk.office.build_station(patience=Patience(0, 1000))
    (docked, _other) = desk.office.list_bays()
    for _ in range(4):
        station.sweep_bay(docked)
    assert pulled == [step]
    away.rename(bay)
    check_what_is_gone_has_a_receipt(desk, tmp_path, before)
    for _ in range(2):
        station.sweep_bay(docked)
    check_accessioned_once(desk, tmp_path, before)
    desk.office.close()


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flipped(path: Path) -> None:
    data = path.read_bytes()
    middle = len(data) - len(data) // 3
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def readable(path: Path) -> None:
    path.chmod(0o644)


KEYS = (
    "centre.sign",
    "centre.verify",
    "log.sign",
    "log.verify",
    "recovery.pub",
    "scene.mac",
    "station-station-1.sign",
    "station-station-1.verify",
    "vault.key",
    "vault.pub",
)


def test_the_keys_of_an_office_are_all_listed(founded: Path) -> None:
    there = {path.name for path in (founded / "var" / "keys").iterdir()}
    assert there == {*KEYS, "office.json"}  # what the founding said, and no key


@pytest.mark.parametrize("damage", [gone, cut, flipped, readable])
@pytest.mark.parametrize("name", KEYS)
def test_an_office_with_a_damaged_key_does_not_begin_to_work(
    founded: Path, name: str, damage: Callable[[Path], None], tmp_path: Path, open_desk: OpenDesk
) -> None:
    """Sealed to a damaged key, or under one, evidence would be lost when it is needed."""
    if (name, damage) == ("vault.key", gone) or (damage is readable and not is_private(name)):
        return  # who only takes in need not be able to open; public keys may be read
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / "var" / "keys" / name)
    with pytest.raises(KeyRingError) as caught:
        at_work(open_desk, tmp_path)
    assert caught.value.code == "key"


def at_work(open_desk: OpenDesk, folder: Path) -> None:
    """Open an office and its station, and close it again."""
    with closing(open_desk(folder).office) as office:
        office.build_station()


def is_private(name: str) -> bool:
    return name.endswith((".key", ".sign", ".mac"))


def test_an_office_without_its_opening_key_takes_in_and_opens_nothing(
    open_desk: OpenDesk, tmp_path: Path
) -> None:
    desk = open_desk(tmp_path)
    (desk.bay("bay-1") / "note.txt").write_text("one")
    desk.office.close()
    (desk.office.settings.keys / "vault.key").unlink()
    again = open_desk(tmp_path)
    again.sweep()
    (row,) = kept(again)
    assert not (again.bay("bay-1") / "note.txt").exists()
    recording = RecordingId(UUID(row.id))
    with pytest.raises(KeyRingError) as caught:
        again.office.ring.open_key(recipients_of(row.envelope_text.encode(), recording))
    assert caught.value.code == "key"
    assert describe_error(caught.value).next_zh
    again.office.close()
