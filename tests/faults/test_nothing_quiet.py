"""Places where evidence went, or stayed away, without a word: each found by an outsider."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.problems import bay_reason_zh
from api.station.threads import Publisher, Worker
from ingest.bays import watch
from ingest.bays.bay import BayState, FileReport
from ingest.bays.census import Enumerator
from ingest.bays.settle import Patience
from ingest.station import clear, named_path
from ingest.station.clear import Clearing, When
from ingest.station.journal import State
from ingest.station.station import Station
from ingest.station.sweep import file_walk
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings
from storage.catalogue.stations.journal_tables import BayRow
from storage.catalogue.tables import RecordingRow
from storage.custody.entries.event import Event
from storage.errors import CustodyError
from storage.medium import read_open_past_cache
from tests.faults.test_broken_machine import needs_root
from tests.office import FIRST, Desk, dock, segment

MIB = 1 << 20


class Clock:
    """Wall clock and monotonic clock, each moved by hand."""

    def __init__(self) -> None:
        self.wall = timedelta()
        self.ticks = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.wall

    def monotonic(self) -> float:
        return self.ticks

    def live(self, days: float = 0.0, seconds: float = 0.0) -> None:
        """Let time pass, as both clocks see it."""
        passed = timedelta(days=days, seconds=seconds)
        self.wall += passed
        self.ticks += passed.total_seconds()


@contextmanager
def office(folder: Path, clock: Clock | None = None, **more: object) -> Iterator[Desk]:
    desk = Desk.set_up(folder, **more)
    if clock is not None:
        desk.office.clock, desk.office.monotonic = clock.now, clock.monotonic
        desk.office.journal._clock = clock.now
    try:
        yield desk
    finally:
        desk.office.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with office(tmp_path) as desk:
        yield desk


def at_bay(desk: Desk, looks: int = 2, station: Station | None = None) -> dict[str, FileReport]:
    """Look at the first bay so many times; return what became of each file at last."""
    station = station or desk.office.build_station(patience=Patience(0, 1000))
    results: list[FileReport] = []
    for _ in range(looks):
        results = station.sweep_bay(desk.office.list_bays()[0])
    return {result.path: result for result in results}


def shown(desk: Desk) -> BayRow:
    return next(row for row in desk.office.journal.list_bays() if row.name == "bay-1")


def kept(desk: Desk) -> list[RecordingRow]:
    with desk.office.catalogue.read() as session:
        return list(recordings.iterate_recordings(session))


def events(desk: Desk, act: str) -> list[Event]:
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        return [one for number in range(log.size) if (one := log.get_event(number)).act == act]


class CutError(BaseException):
    """The process ends here."""


def cut_at(desk: Desk, step: str) -> None:
    def cut(reached: str) -> None:
        if reached == step:
            desk.office.on_step = lambda _step: None
            raise CutError

    desk.office.on_step = cut


# One file's trouble is that file's


def test_a_time_of_the_year_2400_stops_nobody_and_its_file_is_taken(desk: Desk) -> None:
    odd, plain = desk.bay("bay-1") / "odd.txt", desk.bay("bay-1") / "plain.txt"
    odd.write_text("first")
    plain.write_text("second")
    os.utime(odd, (13_569_465_600, 13_569_465_600))
    assert odd.stat().st_mtime_ns > (1 << 63) - 1
    assert {one.outcome for one in at_bay(desk, 4).values()} == {"accessioned"}
    assert len(kept(desk)) == 2
    assert shown(desk).state == BayState.SAFE


def test_a_defect_that_one_file_brings_about_stops_no_other_and_is_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (desk.bay("bay-1") / name).write_text(name)
    probe = file_walk.probe_file

    def defective(source, size, *args, **more):  # type: ignore[no-untyped-def]
        if os.pread(source.fileno(), 5, 0) == b"b.txt":
            raise RuntimeError("a defect of ours")
        return probe(source, size, *args, **more)

    monkeypatch.setattr(file_walk, "probe_file", defective)
    results = at_bay(desk)
    assert {path: (one.outcome, one.reason) for path, one in results.items()} == {
        "a.txt": ("accessioned", None),
        "b.txt": ("quarantined", "defect"),
        "c.txt": ("accessioned", None),
    }
    row = shown(desk)
    assert (row.state, row.reason) == (BayState.ATTENTION, "defect")
    assert "b.txt" in bay_reason_zh(row.reason, row.facts)


def test_a_defect_of_a_whole_look_is_shown_at_its_bay(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's defect was a line in the log only, and the bay kept its last colour."""
    (desk.bay("bay-1") / "a.txt").write_text("one")
    station = desk.office.build_station(patience=Patience(0, 1000))
    at_bay(desk, 4, station)
    assert shown(desk).state == BayState.SAFE

    def defective(*_args: object) -> None:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(Enumerator, "take_census", defective)
    heard = threading.Event()
    worker = Worker(station, desk.office.list_bays()[:1], 0.01, lambda _bay, _results: heard.set())
    worker.start()
    assert heard.wait(60)
    worker.stop()
    assert (shown(desk).state, shown(desk).reason) == (BayState.ATTENTION, "defect")


@pytest.mark.parametrize("damaged", ["payload", "envelope"])
def test_a_sealed_file_that_cannot_be_accessioned_stops_no_other_and_is_sealed_anew(
    desk: Desk, damaged: str
) -> None:
    for name in ("a.txt", "b.txt"):
        (desk.bay("bay-1") / name).write_text(name)
    cut_at(desk, "sealed")
    with pytest.raises(CutError):
        at_bay(desk)
    (sealed,) = desk.office.journal.in_state(State.SEALED)
    if damaged == "payload":
        rot(desk.office.settings.home / "objects" / str(sealed.recording) / "payload")
    else:
        desk.office.journal._store.update_row(sealed.id, envelope=b"{}")
    results = at_bay(desk)
    assert {one.outcome for one in results.values()} == {"accessioned"}
    assert {row.name for row in kept(desk)} == {"a.txt", "b.txt"}
    assert desk.office.journal.in_state(State.SEALED) == []


def rot(path: Path) -> None:
    """Flip a bit in the middle of a file, as a bad sector does."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
        file.flush()
        os.fsync(file.fileno())


@needs_root
def test_a_file_that_finds_no_room_keeps_no_smaller_one_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.faults.test_broken_machine import small_disk

    big = desk.bay("bay-1") / "0_big.bin"
    with big.open("wb") as file:
        file.truncate(200 * MIB)
    for number in range(1, 4):
        (desk.bay("bay-1") / f"{number}.txt").write_text(str(number))
    objects = desk.office.settings.home / "objects"
    probe, probed = file_walk.probe_file, []

    def counting(source, size, *args, **more):  # type: ignore[no-untyped-def]
        probed.append(size)
        return probe(source, size, *args, **more)

    monkeypatch.setattr(file_walk, "probe_file", counting)
    with small_disk(objects, "60m"):
        station = desk.office.build_station(patience=Patience(0, 1000))
        results = at_bay(desk, 3, station)
        outcomes = {path: (one.outcome, one.reason) for path, one in results.items()}
        assert outcomes == {
            "0_big.bin": ("waiting", "storage-full"),
            **{f"{number}.txt": ("accessioned", None) for number in range(1, 4)},
        }
        row = shown(desk)
        assert (row.state, row.reason) == (BayState.ATTENTION, "storage-full")
        words = bay_reason_zh(row.reason, row.facts)
        assert "0_big.bin" in words
        assert "201 MB" in words
        assert 200 * MIB not in probed  # neither read nor written to the brim, at any look
        assert list(objects.glob("*/.put-*")) == []


def test_a_head_that_is_not_published_is_told_of_by_readyz(desk: Desk) -> None:
    readiness, heard = desk.service.readiness, threading.Event()

    def failing() -> None:
        raise CustodyError(problem="the signer refuses")

    def tell(code: str | None) -> None:
        readiness.tell_publishing(code)
        heard.set()

    for publish, code in ((failing, "custody"), (desk.service.publish_checkpoint, None)):
        heard.clear()
        publisher = Publisher(publish, 0.01, tell)
        publisher.start()
        assert heard.wait(60)
        publisher.stop()
        assert readiness.check_readiness() == {"status": "ready"} | ({"log": code} if code else {})


# What is ignored is named; green means that everything is accounted for


def test_whole_recordings_in_misc_and_under_temporary_names_are_taken(desk: Desk) -> None:
    card = desk.bay("bay-1")
    left = (
        "DCIM/100MEDIA/0000077_000123_20261128090000_0001.MP4",
        "MISC/0000077_000123_20261128091000_0002.MP4",
        "DCIM/100MEDIA/0000077_000123_20261128092000_0003.MP4.tmp",
        "DCIM/100MEDIA/0000077_000123_20261128093000_0004.tmp",
        "$RECYCLE.BIN/S-1-5-21/$R1.MP4",
    )
    for name in left:
        (card / name).parent.mkdir(parents=True, exist_ok=True)
        (card / name).write_bytes(b"\0\0\0\x18ftypisom" + name.encode())
        os.utime(card / name, (1_700_000_000, 1_700_000_000))
    results = at_bay(desk, 4)
    assert {path: one.outcome for path, one in results.items()} == dict.fromkeys(
        left, "accessioned"
    )
    assert shown(desk).state == BayState.SAFE


def test_a_green_bay_says_what_it_left_where_it_was(desk: Desk) -> None:
    (desk.bay("bay-1") / "a.txt").write_text("one")
    (desk.bay("bay-1") / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    results = at_bay(desk, 4)
    assert (results["Thumbs.db"].outcome, results["Thumbs.db"].reason) == ("ignored", "system-file")
    row = shown(desk)
    assert row.state == BayState.SAFE
    assert row.facts["ignored"] == 1
    assert "Thumbs.db" in bay_reason_zh(row.reason, row.facts)


@pytest.mark.parametrize("name", ["0000079_0001.MP4.part", ".config.backup", "~", "x.tmp"])
def test_a_left_over_file_is_named_and_taken_after_an_hour(tmp_path: Path, name: str) -> None:
    clock = Clock()
    with office(tmp_path, clock) as desk:
        (desk.bay("bay-1") / "whole.txt").write_text("whole")
        (desk.bay("bay-1") / name).write_text("left over")
        station = desk.office.build_station(patience=Patience(0, 1000))
        results = at_bay(desk, 2, station)
        assert results["whole.txt"].outcome == "accessioned"
        assert (results[name].outcome, results[name].reason) == ("waiting", "still-writing")
        row = shown(desk)
        assert (row.state, row.reason) == (BayState.WAITING, "still-writing")
        assert name in bay_reason_zh(row.reason, row.facts)
        clock.live(seconds=3601)
        assert at_bay(desk, 3, station)[name].outcome == "accessioned"
        assert shown(desk).state == BayState.SAFE


# The second look is a look at the medium


@needs_root
def test_a_bit_that_the_first_read_got_wrong_is_found_by_the_second(tmp_path: Path) -> None:
    """The page cache remembers what the cable made of it; the card has something else."""
    image, card = tmp_path / "card.img", tmp_path / "bay-1"
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        subprocess.run(["truncate", "-s", "16M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, card], check=True)
        try:
            data = b"liuhen:" + os.urandom(2 * MIB)
            (card / "a.bin").write_bytes(data)
            subprocess.run(["sync", "-f", card], check=True)
            assert (card / "a.bin").read_bytes() == data  # now in the cache
            corrupted = bytes([data[0] ^ 1]) + data[1:]
            whole = image.read_bytes()
            at = whole.index(data[:64])
            with image.open("r+b") as medium:  # the medium always had these bytes
                medium.seek(at)
                medium.write(corrupted[:1])
            desk.sweep(1)
            assert (card / "a.bin").read_bytes() == data
            desk.sweep(3)
            digests = {row.sha256 for row in kept(desk) if row.name == "a.bin"}
            assert hashlib.sha256(corrupted).hexdigest() in digests  # what the card holds is taken
        finally:
            subprocess.run(["umount", card], check=True)


def test_reading_past_the_cache_asks_the_device_again(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(8 * MIB))
    subprocess.run(["sync", path], check=True)
    path.read_bytes()
    before = bytes_read()
    with path.open("rb", buffering=0) as file:
        size = sum(len(block) for block in read_open_past_cache(file.fileno()))
    assert size == 8 * MIB
    if file_system_is_a_disk(path):
        assert bytes_read() - before >= size


def bytes_read() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def file_system_is_a_disk(path: Path) -> bool:
    return watch.file_system(path) in {"ext4", "xfs", "btrfs"}


def test_a_card_that_answers_otherwise_at_each_read_is_told_and_never_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        path = desk.bay("bay-1") / "a.bin"
        path.write_bytes(bytes(4096))

        def unsteady(handle: int) -> Iterator[memoryview]:
            for block in read_open_past_cache(handle):
                yield memoryview(os.urandom(len(block)))

        monkeypatch.setattr(clear, "read_open_past_cache", unsteady)
        station = desk.office.build_station(patience=Patience(0, 1000), clearing=Clearing())
        at_bay(desk, 2, station)
        results = at_bay(desk, 2, station)
        assert (results["a.bin"].outcome, results["a.bin"].reason) == ("quarantined", "unsteady")
        assert len(kept(desk)) == 1
        assert path.exists()
        assert shown(desk).state == BayState.ATTENTION


# Nothing is said to be cleared that is not, and nothing goes that was not hashed


def test_what_a_look_did_not_come_to_is_not_noted_as_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        (path,) = [one for one in dock(desk, "bay-1", FIRST, segment(0, 1)) if one.exists()][:1]
        cut_at(desk, "clearing")  # before anything was unlinked
        with pytest.raises(CutError):
            desk.sweep()
        (entry,) = desk.office.journal.in_state(State.CLEARING)
        inside = desk.bay("bay-1") / "elsewhere"
        inside.mkdir()
        station = desk.office.build_station(patience=Patience(0, 1000))
        copy = inside / path.name
        copy.write_bytes(b"another file of this recorder")
        named_path.take_path(station, copy)  # one file of the same source, named by hand
        named_path.take_path(station, inside)  # a folder of it
        monkeypatch.setattr(watch, "MAX_FILES", 0)
        at_bay(desk, 1, station)  # a look that came to nothing at all
        assert events(desk, "source.clear") == []
        assert entry.id in {one.id for one in desk.office.journal.in_state(State.CLEARING)}
        monkeypatch.undo()
        at_bay(desk, 3)
        noted = [event.details["submission"] for event in events(desk, "source.clear")]
        assert noted.count(entry.id) == 1


def test_what_was_found_gone_after_a_crash_is_noted_as_that(tmp_path: Path) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        dock(desk, "bay-1", FIRST, segment(0, 1))
        dock(desk, "bay-1", FIRST, segment(5, 1))
        cut_at(desk, "unlinked")
        with pytest.raises(CutError):
            desk.sweep()
        (entry,) = desk.office.journal.in_state(State.CLEARING)
        desk.sweep()
        noticed = {
            event.details["submission"]: event.details.get("noticed")
            for event in events(desk, "source.clear")
        }
        assert noticed.pop(entry.id) == "gone after a restart"
        assert set(noticed.values()) == {None}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_appended_in_the_moment_of_clearing_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        path = desk.bay("bay-1") / "a.txt"
        path.write_text("one")
        unlink = os.unlink

        def racing(name, *, dir_fd=None):  # type: ignore[no-untyped-def]
            if name != b"a.txt":
                return unlink(name, dir_fd=dir_fd)
            with path.open("ab") as writer:
                if moment == "before":
                    writer.write(b" two")
                    writer.flush()
                unlink(name, dir_fd=dir_fd)
                writer.write(b" two" if moment == "after" else b"")
            return None

        monkeypatch.setattr(clear.os, "unlink", racing)
        desk.sweep()
        assert path.read_bytes() == b"one two"
        monkeypatch.undo()
        desk.sweep(4)
        assert not path.exists()
        assert len({row.sha256 for row in kept(desk)}) == 2


def test_a_file_that_another_took_the_place_of_is_not_unlinked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renamed into place after it was hashed: what bears the name now was never read."""
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        path = desk.bay("bay-1") / "a.txt"
        path.write_text("one")
        verified = clear.verify_receipt

        def swapping(*args):  # type: ignore[no-untyped-def]
            other = path.with_name("other")
            if not other.exists() and path.read_text() == "one":
                other.write_text("two")
                os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
                other.rename(path)
            return verified(*args)

        monkeypatch.setattr(clear, "verify_receipt", swapping)
        desk.sweep(2)
        assert path.read_text() == "two"
        monkeypatch.undo()
        desk.sweep(4)
        assert not path.exists()
        assert len({row.sha256 for row in kept(desk)}) == 2


def test_a_file_that_is_open_for_writing_is_not_cleared(tmp_path: Path) -> None:
    with office(tmp_path, clear=When.AFTER_DAYS, clear_days=0) as desk:
        path = desk.bay("bay-1") / "a.txt"
        path.write_text("one")
        station = desk.office.build_station(patience=Patience(0, 1000), clearing=Clearing())
        at_bay(desk, 3, station)
        station.clearing = Clearing(When.AT_ONCE)
        code = (
            "import sys; f = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            result = at_bay(desk, 1, station)["a.txt"]
            assert (result.outcome, result.reason) == ("waiting", "still-writing")
            assert path.exists()
            writer.communicate()
        at_bay(desk, 1, station)
        assert not path.exists()


# A clock that jumps settles nothing and clears nothing


@pytest.mark.parametrize("years", [-6, 6])
def test_a_clock_that_jumps_between_two_looks_makes_no_file_whole(
    tmp_path: Path, years: int
) -> None:
    clock = Clock()
    with office(tmp_path, clock) as desk:
        (desk.bay("bay-1") / "a.txt").write_text("half")
        station = desk.office.build_station(patience=Patience(30, 1000))
        at_bay(desk, 1, station)
        clock.wall += timedelta(days=365 * years)
        assert at_bay(desk, 1, station)["a.txt"].outcome == "waiting"
        clock.live(seconds=31)
        assert at_bay(desk, 1, station)["a.txt"].outcome == "accessioned"


@pytest.mark.parametrize("start", ["the same", "a new one"])
def test_a_clock_that_is_put_right_by_years_clears_nothing_early(
    tmp_path: Path, start: str
) -> None:
    clock = Clock()
    clock.wall = timedelta(days=-365 * 6)
    with office(tmp_path, clock, clear=When.AFTER_DAYS, clear_days=7) as desk:
        path = desk.bay("bay-1") / "a.txt"
        path.write_text("one")
        station = desk.office.build_station(patience=Patience(0, 1000))
        at_bay(desk, 3, station)
        assert len(kept(desk)) == 1
        clock.wall += timedelta(days=365 * 6)
        station = (
            desk.office.build_station(patience=Patience(0, 1000))
            if start == "a new one"
            else station
        )
        at_bay(desk, 3, station)
        assert path.exists()
        for _ in range(6):
            clock.live(days=1)
            at_bay(desk, 1, station)
        assert path.exists()
        clock.live(days=1.1)
        at_bay(desk, 2, station)
        assert not path.exists()


def test_days_count_over_restarts_and_weekends(tmp_path: Path) -> None:
    clock = Clock()
    with office(tmp_path, clock, clear=When.AFTER_DAYS, clear_days=7) as desk:
        path = desk.bay("bay-1") / "a.txt"
        path.write_text("one")
        at_bay(desk, 3)
        for _ in range(3):
            clock.live(days=2)
            at_bay(desk, 1)
            assert path.exists()
        clock.live(days=2)
        at_bay(desk, 3)
        assert not path.exists()


# Nobody is cleared into nothing


def test_nothing_is_cleared_that_the_store_holds_no_more(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        path = desk.bay("bay-1") / "a.txt"
        path.write_text("one")
        station = desk.office.build_station(patience=Patience(0, 1000))
        at_bay(desk, 3, station)
        (row,) = kept(desk)
        (desk.office.settings.home / "objects" / row.id / "payload").unlink()
        station.clearing = Clearing(When.AT_ONCE)
        result = at_bay(desk, 1, station)["a.txt"]
        assert (result.outcome, result.reason) == ("waiting", "taken-anew")
        result = at_bay(desk, 2, station)["a.txt"]
        assert (result.outcome, result.reason) == ("quarantined", "fixity")
        assert path.exists()
        assert shown(desk).state == BayState.ATTENTION
        assert events(desk, "source.clear") == []


def test_a_folder_named_by_hand_is_left_as_it_is(tmp_path: Path) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        folder = tmp_path / "by hand"
        folder.mkdir()
        (folder / "a.txt").write_text("one")
        station = desk.office.build_station()
        (result,) = named_path.take_path(station, folder)
        assert (result.outcome, result.cleared) == ("accessioned", False)
        assert (folder / "a.txt").exists()
        assert named_path.take_path(station, tmp_path / "nothing")[0].reason == "nothing-here"
        (folder / "a.txt").unlink()
        assert named_path.take_path(station, folder)[0].reason == "nothing-here"
