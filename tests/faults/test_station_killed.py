"""A station and its centre killed with -9 at every step, and a day without a network.

Nothing is cleared without a verified receipt, and every file is one recording at the centre.
"""

import hashlib
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from api.office import founding, wiring
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.stores import store_opening
from api.station.process import StationHome
from ingest.bays.bay import GREEN, BayState, Outcome
from ingest.centre.uploads import PART
from ingest.station.clear import verify_receipt
from ingest.station.journal import RECEIPTED, Journal, State
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings, uploads
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.stations.tables import UploadRow
from storage.digest import Digest
from tests.faults import township_once
from tests.faults.township_once import CLEARING
from tests.sampling import sample
from tests.servers.bad_link import Fare, bad_link
from tests.township import County, Township, sweep

MIB = 1 << 20

# Every step of an enrolled station, in the order of its first occurrence. A new step must be added
# here, and is then killed at like the others.
STEPS = (
    "found",
    "sealing",
    "payload-stored",
    "payload-delivered",
    "sealed",
    "upload-begun",
    "uploaded",
    "delivered",
    "accessioned",
    "clearing",
    "unlinked",
    "clear-noted",
    "cleared",
    "note-sent",
    "hashed",
)


# What a bay shows while a recorder comes, is refused for a moment, is delivered and is cleared.
STATES = (
    BayState.EMPTY,
    BayState.UNKNOWN,
    BayState.EMPTY,
    BayState.MOUNTING,
    BayState.SCANNING,
    BayState.WAITING,
    BayState.SCANNING,
    BayState.SEALING,
    BayState.ATTENTION,
    BayState.SCANNING,
    BayState.DELIVERING,
    BayState.ACCESSIONED,
    BayState.CLEARED,
    BayState.SAFE,
)


WHEN = ("before", "after")  # it is written down

# Each time that a bay comes into one of them.
PASSED = [(state, STATES[: place + 1].count(state)) for place, state in enumerate(STATES)]

# Every step of the centre, while it takes a recording that was uploaded.
CENTRE_STEPS = (
    "record-stored",
    "envelope-stored",
    "catalogued",
    "locked",
    "published",
    "receipt-signed",
    "receipt-kept",
)


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    county = County.found(tmp_path_factory.mktemp("county"))
    with county.serve():
        yield county
    county.desk.office.close()


@dataclass
class Docked:
    """A township whose bay holds a recorder, and what every file on it was."""

    county: County
    township: Township
    fresh: ForkServerContext
    files: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def bay(self) -> Path:
        return self.township.bay("bay-1")

    def offer(self, name: str, data: bytes) -> None:
        path = self.bay / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.files[os.fsencode(name)] = data

    def left(self) -> dict[bytes, bytes]:
        found = (path for path in self.bay.rglob("*") if path.is_file())
        return {
            os.fsencode(path.relative_to(self.bay)): path.read_bytes()
            for path in found
            if path.name != "liuhen-source.json"
        }

    def run(self, step: str = "", occurrence: int = 1) -> int | None:
        """Dock and deliver in a process of its own; return its exit code."""
        given = (self.township.folder, self.township.name, step, occurrence)
        process = self.fresh.Process(target=township_once.station, args=given)
        process.start()
        process.join()
        return process.exitcode

    def run_bay(self, state: str = "", when: str = "", occurrence: int = 1) -> int | None:
        """Let the bay pass through every state in a process of its own; return its exit code."""
        recorder = self.township.folder / "recorder"
        recorder.mkdir()
        self._move(self.bay, recorder)
        given = (self.township.folder, self.township.name, state, when, occurrence)
        process = self.fresh.Process(target=township_once.bay, args=given)
        process.start()
        process.join()
        self._move(recorder, self.bay)
        (self.bay / "link").unlink(missing_ok=True)
        return process.exitcode

    @staticmethod
    def _move(here: Path, there: Path) -> None:
        for path in here.iterdir():
            path.rename(there / path.name)

    def check_green_was_true(self) -> None:
        """If the bay showed green when it was killed, every file of it holds a receipt."""
        journal = Journal(JournalStore(self.township.folder / "var" / "station.db"), _no_clock)
        shown = {row.state for row in journal.list_bays() if row.name == "bay-1"}
        held = {entry.path for entry in journal.in_state(*RECEIPTED)}
        journal.close()
        if shown & GREEN:
            assert held == set(self.files)

    def dock_again_what_was_cleared(self) -> None:
        assert self.run() == 0
        self.check_delivered_once()
        self.offer("DCIM/again.bin", self.files[b"DCIM/a.bin"])

    def steps(self) -> list[str]:
        return (self.township.folder / "steps").read_text().split()

    def rows(self) -> list[recordings.RecordingRow]:
        return [row for row in self.county.rows() if row.station == self.township.name]

    def check_what_is_gone_has_a_receipt(self) -> None:
        """Ask of the disk as the kill left it, before anything is mended."""
        ring, left = self.county.desk.office.ring, self.left()
        journal = Journal(JournalStore(self.township.folder / "var" / "station.db"), _no_clock)
        held = {row.id: row for row in self.rows()}
        for path, data in self.files.items():
            if path in left:
                assert left[path] == data
                continue
            (entry,) = (one for one in journal.in_state(*RECEIPTED) if one.path == path)
            assert entry.receipt is not None
            original = Digest.compute(data)
            centre, log = ring.get_verify_key("centre"), ring.get_verify_key("log")
            receipt = verify_receipt(entry.receipt, centre, log, original, len(data))
            assert held[receipt.recording].sha256 == original.hex
        journal.close()

    def check_delivered_once(self) -> None:
        wanted = {hashlib.sha256(data).hexdigest() for data in self.files.values()}
        assert Counter(row.sha256 for row in self.rows()) == Counter(wanted)
        assert all(row.receipt_text for row in self.rows())
        assert self.left() == {}
        actor = f"station:{self.township.name}"
        with self.county.desk.office.catalogue.read() as session:
            log = LogReader(session)
            events = [log.get_event(index) for index in range(log.size)]
        ours = [event for event in events if event.actor == actor]
        cleared = [one.details["submission"] for one in ours if one.act == "source.clear"]
        assert len(cleared) == len(set(cleared)) == len(self.files)
        accessions = [event.subject for event in ours if event.act == "recording.accession"]
        assert len(accessions) == len(wanted)
        assert list_orphans(self.county.desk.office) == []
        self.county.desk.office.objects.sweep(datetime.now(UTC))  # as the centre does now and then
        assert not list((self.county.folder / "centre" / "var" / "objects").rglob(".put-*"))

    def check_restart(self) -> None:
        """Start again: nothing was lost before it works, and all is done afterwards."""
        self.check_what_is_gone_has_a_receipt()
        with self.township.open() as home:
            self.check_goes_on(home)
        self.check_delivered_once()

    def check_goes_on(self, home: StationHome) -> None:
        """Work until nothing is left to do; nothing is."""
        for _ in range(2):
            sweep(home)
            tally = home.deliver()
        assert (tally.away, tally.waiting, tally.refused) == (None, 0, 0)
        assert home.centre.spool.list_recordings() == []
        assert home.journal.list_notes() == []
        assert {entry.state for entry in home.journal.of_source(self.source)} == {State.CLEARED}
        assert not list((home.settings.home / "spool").rglob(".put-*"))

    @property
    def source(self) -> str:
        return f"R-{self.township.name}"


def _no_clock() -> None:  # type: ignore[misc]
    raise AssertionError("a look into the journal writes nothing")


@pytest.fixture
def docked(
    county: County, tmp_path: Path, fresh: ForkServerContext, request: pytest.FixtureRequest
) -> Docked:
    """A recorder with two files and a copy of the first, at a station that enrolled just now."""
    name = "s-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    township = Township(tmp_path / "township", name, CLEARING)
    township.folder.mkdir()
    township.enrol(county)
    docked = Docked(county, township, fresh)
    (docked.bay / "liuhen-source.json").write_text(f'{{"serial":"{docked.source}"}}')
    first = os.urandom(3000)
    docked.offer("DCIM/a.bin", first)
    docked.offer("DCIM/b.bin", os.urandom(5000))
    docked.offer("DCIM/BACKUP/a.bin", first)
    return docked


def test_the_steps_of_a_station_are_all_listed(docked: Docked) -> None:
    docked.dock_again_what_was_cleared()
    assert docked.run() == 0
    assert tuple(dict.fromkeys(docked.steps())) == STEPS


@pytest.mark.parametrize(
    ("step", "occurrence"),
    sample(
        [(step, occurrence) for step in STEPS if step != "hashed" for occurrence in (1, 2)],
        always=[(step, 1) for step in STEPS],
        drawn=3,
    ),
)
def test_a_station_killed_at_a_step_delivers_and_clears_every_file_once(
    docked: Docked, step: str, occurrence: int
) -> None:
    assert docked.run(step, occurrence) == -signal.SIGKILL
    docked.check_restart()


def test_a_station_killed_while_it_knows_a_file_again_makes_no_second_recording(
    docked: Docked,
) -> None:
    docked.dock_again_what_was_cleared()
    assert docked.run("hashed") == -signal.SIGKILL
    docked.check_restart()


def test_a_bay_passes_through_every_state_on_its_way(docked: Docked) -> None:
    assert docked.run_bay() == 0
    states = (docked.township.folder / "states").read_text().split()
    assert tuple(map(BayState, states)) == STATES
    assert set(STATES) == set(BayState)
    docked.check_delivered_once()


@pytest.mark.parametrize(
    ("state", "occurrence", "when"),
    sample(
        [(*passed, when) for passed in PASSED for when in WHEN],
        always=[(*passed, when) for passed, when in zip(PASSED, cycle(WHEN), strict=False)],
        drawn=3,
    ),
)
def test_a_station_killed_at_a_state_of_its_bay_clears_nothing_early_and_delivers_once(
    docked: Docked, state: BayState, occurrence: int, when: str
) -> None:
    assert docked.run_bay(state, when, occurrence) == -signal.SIGKILL
    docked.check_green_was_true()
    with docked.township.open() as home:
        assert {row.state for row in home.journal.list_bays()} <= {BayState.UNKNOWN}
    docked.check_restart()


@contextmanager
def centre_apart(
    docked: Docked, port: int, step: str = "", occurrence: int = 1
) -> Iterator[BaseProcess]:
    """Serve the same centre in a process of its own, until it is killed."""
    files = docked.county.authority.issue("apart")
    given = (docked.county.folder / "centre", files, port, step, occurrence)
    process = docked.fresh.Process(target=township_once.centre, args=given)
    process.start()
    try:
        _wait(lambda: _answers(port))
        yield process
    finally:
        process.kill()
        process.join()


def _wait(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.01)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("step", "occurrence"), list(zip(CENTRE_STEPS, cycle((1, 2)), strict=False))
)
def test_a_centre_killed_at_a_step_has_every_recording_once_and_every_receipt(
    docked: Docked, step: str, occurrence: int
) -> None:
    with bad_link(docked.county.port) as link:
        docked.township.enrol(docked.county, link.url)
        link.upstream = _free_port()
        with docked.township.open() as home:
            with centre_apart(docked, link.upstream, step, occurrence) as process:
                sweep(home)
                assert home.deliver().away == "centre-unreachable"
                process.join(30)
                assert process.exitcode == -signal.SIGKILL
            docked.check_what_is_gone_has_a_receipt()
            sweep(home)
            docked.check_what_is_gone_has_a_receipt()
        with centre_apart(docked, link.upstream):
            docked.check_restart()


def test_a_centre_killed_amid_a_payload_is_sent_only_what_it_had_not_made_durable(
    docked: Docked,
) -> None:
    docked.offer("DCIM/long.bin", os.urandom(20 * MIB))
    with bad_link(docked.county.port, lambda _number: Fare(rate=40 * MIB)) as link:
        docked.township.enrol(docked.county, link.url)
        link.upstream = _free_port()
        with docked.township.open() as home:
            sweep(home)
            long = next(e for e in home.journal.in_state(State.SEALED) if e.size == 20 * MIB)
            with centre_apart(docked, link.upstream) as process:
                run = threading.Thread(target=home.deliver)
                run.start()
                _wait(lambda: _durable(docked.county, long.recording) >= PART)
                _wait(lambda: link.up > 12 * MIB)
                process.kill()
                run.join(30)
            assert home.tally.away == "centre-unreachable"
            durable, before = _durable(docked.county, long.recording), link.up
            assert PART <= durable < 20 * MIB
            with centre_apart(docked, link.upstream):
                assert home.deliver().away is None
                assert link.up - before < 20 * MIB - durable + MIB // 4
                docked.check_goes_on(home)
    docked.check_delivered_once()


def _durable(county: County, recording: object) -> int:
    with county.desk.office.catalogue.read() as session:
        row = uploads.find_upload(session, UploadRow, str(recording))
        return 0 if row is None else row.offset


def test_after_all_that_the_centre_is_whole(county: County) -> None:
    assert [wrong.to_json() for wrong in whole_check(county.desk.office)] == []


@dataclass
class Day:
    """The clocks of a simulated day: nobody waits for it."""

    now: datetime
    elapsed: float = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.elapsed

    def pass_hours(self, hours: float) -> None:
        self.now += timedelta(hours=hours)
        self.elapsed += hours * 3600


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    day = Day(datetime.now(UTC))
    for module in (founding, store_opening, wiring):
        monkeypatch.setattr(module, "clock", day)
    return day


class Recorder:
    """A recorder that is docked and taken away, with all that is on it."""

    def __init__(self, folder: Path, serial: str, *sizes: int) -> None:
        self.folder = folder / serial
        self.folder.mkdir()
        (self.folder / "liuhen-source.json").write_text(f'{{"serial":"{serial}"}}')
        self.files = {f"{number}.bin": os.urandom(size) for number, size in enumerate(sizes)}
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)

    def dock(self, bay: Path) -> None:
        for path in self.folder.iterdir():
            shutil.move(path, bay / path.name)

    def undock(self, bay: Path) -> None:
        for path in bay.iterdir():
            shutil.move(path, self.folder / path.name)

    def whole(self) -> bool:
        return all((self.folder / name).exists() for name in self.files)

    def empty(self) -> bool:
        return not any((self.folder / name).exists() for name in self.files)


@dataclass
class Bay:
    """The one bay of a township whose recorders come and go."""

    township: Township
    day: Day

    def opened(self) -> AbstractContextManager[StationHome]:
        return self.township.open(system=self.day, monotonic=self.day.monotonic)

    def visit(self, home: StationHome, recorder: Recorder) -> tuple[set[Outcome], BayState]:
        """Dock a recorder, look, try to deliver, look again, take it away."""
        bay = self.township.bay("bay-1")
        recorder.dock(bay)
        results = sweep(home)
        home.deliver()
        results += sweep(home)
        shown = next(row for row in home.journal.list_bays() if row.name == "bay-1")
        recorder.undock(bay)
        sweep(home, 1)
        return {result.outcome for result in results}, BayState(shown.state)


def test_a_day_without_a_network_clears_nothing_and_delivers_everything_once(
    tmp_path: Path, day: Day
) -> None:
    county = County.found(tmp_path / "county")
    county.desk.office.clock = day
    township = Township(tmp_path / "township", "s-day", CLEARING | {"spool_gb": 10 / 1024})
    township.folder.mkdir()
    with county.serve():
        township.enrol(county)
    bay = Bay(township, day)
    recorders = [Recorder(township.folder, f"R-00{number}", 3 * MIB, MIB) for number in (1, 2, 3)]
    first, second, third = recorders
    safe_here = ({Outcome.SEALED}, BayState.DELIVERING)
    with bay.opened() as home:
        assert bay.visit(home, first) == safe_here
        day.pass_hours(6)
        assert bay.visit(home, second) == safe_here
        assert home.spool()["alarms"] == ["spool-filling", "centre-unreachable"]
        day.pass_hours(6)
        assert bay.visit(home, first) == safe_here
        assert len(home.centre.spool.list_recordings()) == 4
    day.pass_hours(6)
    with bay.opened() as home:  # the power was away
        full = ({Outcome.WAITING, Outcome.SEALED}, BayState.ATTENTION)
        assert bay.visit(home, third) == full  # the smaller of its files still found room
        assert bay.visit(home, second) == safe_here
        day.pass_hours(6.5)
        home.deliver()
        assert home.spool()["alarms"] == ["spool-filling", "overdue", "centre-unreachable"]
        assert (home.spool()["waiting"], len(home.centre.spool.list_recordings())) == (5, 5)
        assert all(recorder.whole() for recorder in recorders)
        assert county.rows() == []
    with county.serve(), bay.opened() as home:
        tally = home.deliver()
        assert (tally.accessioned, tally.waiting, tally.away) == (5, 0, None)
        assert (home.spool()["alarms"], home.spool()["used"]) == ([], 0)
        assert all(recorder.whole() for recorder in recorders)
        for recorder in (third, first, second):
            bay.visit(home, recorder)
        home.deliver()
        assert home.journal.list_notes() == []
    assert all(recorder.empty() for recorder in recorders)
    check_all_once(county, recorders)


def check_all_once(county: County, recorders: list[Recorder]) -> None:
    offered = [data for one in recorders for data in one.files.values()]
    wanted = Counter(hashlib.sha256(data).hexdigest() for data in offered)
    assert Counter(row.sha256 for row in county.rows()) == wanted
    assert county.acts("source.clear") == len(offered)
    assert [wrong.to_json() for wrong in whole_check(county.desk.office)] == []
    county.desk.office.close()
