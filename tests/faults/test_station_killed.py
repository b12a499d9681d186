"""A station and its centre killed with -9 at every step, and a day without a network.

Nothing is cleared without a verified receipt, and every file is one recording at the centre.
"""

import hashlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from api.whole_check import orphans, whole_check
from ingest.clear import verified
from ingest.journal import RECEIPTED, Journal, State
from storage.catalogue import recordings
from storage.catalogue.custody_log import LogReader
from storage.catalogue.journal import JournalStore
from storage.digest import Algorithm, Digest
from tests.faults import township_once
from tests.faults.township_once import CLEARING
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
            original = Digest.of(data)
            centre, log = ring.verifying("centre"), ring.verifying("log")
            receipt = verified(entry.receipt, centre, log, original, len(data))
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
            events = [log.event(index) for index in range(log.size)]
        ours = [event for event in events if event.actor == actor]
        cleared = [one.details["submission"] for one in ours if one.act == "source.clear"]
        assert len(cleared) == len(set(cleared)) == len(self.files)
        accessions = [event.subject for event in ours if event.act == "recording.accession"]
        assert len(accessions) == len(wanted)
        assert [wrong.to_json() for wrong in whole_check(self.county.desk.office)] == []
        assert orphans(self.county.desk.office) == []
        assert not list((self.county.folder / "centre" / "var" / "objects").rglob(".put-*"))

    def check_restart(self) -> None:
        """Start again: nothing was lost before it works, and all is done afterwards."""
        self.check_what_is_gone_has_a_receipt()
        with self.township.open() as home:
            for _ in range(2):
                sweep(home)
                tally = home.deliver()
            assert (tally.away, tally.waiting, tally.refused) == (None, 0, 0)
            assert home.centre.spool.recordings() == []
            assert home.journal.notes() == []
            assert {entry.state for entry in home.journal.of_source(self.source)} == {State.CLEARED}
            assert not list((home.settings.home / "spool").rglob(".put-*"))
        self.check_delivered_once()

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


@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("step", [step for step in STEPS if step != "hashed"])
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
