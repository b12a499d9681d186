"""What cannot be opened leaves nothing open: no database, no lock, no socket, no process' pipe."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from api.office.founding import found_office, found_or_open
from api.office.system import clock, entropy
from api.office.wiring import Office
from api.station.process import StationHome
from ingest.bays.submission import open_beneath
from ingest.media.sandbox import Plan, Recording
from policies.rules.rulebook import RuleError
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.unit_of_work import Catalogue
from storage.errors import KeyRingError, LiuhenError, SubmissionError
from tests.office import settings_for
from tests.servers.database import Database

STATION = b'{"station":{"id":"station-9"},"ca":null,"url":"https://centre.invalid"}'


def open_below(folder: Path) -> list[str]:
    """Return what this process has open below a folder."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            target = str(handle.readlink())
        except FileNotFoundError:  # the listing's own
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def spoil(path: Path) -> None:
    path.write_bytes(b"no database, no document")


def block(path: Path) -> None:
    """Put a file where a folder is wanted."""
    shutil.rmtree(path, ignore_errors=True)
    path.write_bytes(b"")


REFUSALS: dict[str, Callable[[Path], object]] = {
    "a key is missing": lambda home: (home / "keys" / "log.sign").unlink(),
    "the last head is missing": lambda home: (home / "log-signer" / "head").unlink(),
    "the journal is no database": lambda home: spoil(home / "station.db"),
    "the journal cannot be made": lambda home: (
        (home / "station.db").unlink(),
        (home / "station.db").mkdir(),
    ),
    "the store is away": lambda home: shutil.rmtree(home / "objects"),
    "the store is another": lambda home: spoil(home / "object-store.id"),
    "no room for what is handed in": lambda home: block(home / "handed-in"),
}


@pytest.mark.parametrize("damage", REFUSALS.values(), ids=REFUSALS)
def test_an_office_that_refuses_to_open_leaves_no_file_open(
    founded: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder = tmp_path / "office"
    shutil.copytree(founded, folder)
    damage(folder / "var")
    with pytest.raises((LiuhenError, OSError)) as refused:
        Office.open(settings_for(folder))
    assert open_below(folder) == []
    assert refused.value  # which, as long as it is known, keeps all that was at hand


def test_an_office_whose_log_takes_no_entry_leaves_no_file_open(
    founded: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "office"
    shutil.copytree(founded, folder)
    settings = settings_for(folder)
    Database(settings.database).execute(
        "CREATE TRIGGER full BEFORE INSERT ON log_leaf BEGIN SELECT RAISE(FAIL, 'no entry'); END"
    )
    for opening, change in ((Office.open, {"county": "别的县"}), (found_or_open, {"station": "b"})):
        with pytest.raises(IntegrityError) as refused:
            opening(settings.model_copy(update=change))
        assert open_below(folder) == []
        assert refused.value


def test_a_founding_that_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, rulebook=tmp_path / "no-rules")
    with pytest.raises(RuleError) as refused:
        found_office(settings)
    assert open_below(tmp_path) == []
    assert refused.value


@pytest.mark.parametrize("whole", [False, True], ids=["without keys", "with a spoilt journal"])
def test_a_station_that_refuses_to_open_leaves_no_file_open(
    founded: Path, tmp_path: Path, *, whole: bool
) -> None:
    home = tmp_path / "var"
    home.mkdir()
    (home / "enrolment.json").write_bytes(STATION)
    if whole:
        shutil.copytree(founded / "var" / "keys", home / "keys")
        keys = home / "keys"
        for kind in (".sign", ".verify"):
            (keys / f"station-station-1{kind}").rename(keys / f"station-station-9{kind}")
        spoil(home / "station.db")
    with pytest.raises(LiuhenError) as refused:
        StationHome.open(settings_for(tmp_path))
    assert open_below(home) == []
    assert isinstance(refused.value, KeyRingError) is not whole


def test_who_is_at_work_in_a_database_that_is_closed_leaves_none_open(tmp_path: Path) -> None:
    catalogue = Catalogue(Database.fresh(tmp_path).url, clock, entropy)
    began, closed = threading.Event(), threading.Event()

    def work() -> None:
        with catalogue.read() as session:
            session.scalar(text("SELECT 1"))
            began.set()
            closed.wait()

    worker = threading.Thread(target=work)
    worker.start()
    began.wait()
    catalogue.close()
    closed.set()
    worker.join()
    assert open_below(tmp_path) == []


def test_a_journal_that_is_no_database_leaves_no_file_open(tmp_path: Path) -> None:
    spoil(tmp_path / "station.db")
    with pytest.raises(LiuhenError) as refused:
        JournalStore(tmp_path / "station.db")
    assert open_below(tmp_path) == []
    assert refused.value


def test_a_folder_in_a_files_place_is_refused_and_not_left_open(tmp_path: Path) -> None:
    (tmp_path / "DCIM" / "a.mp4").mkdir(parents=True)
    with pytest.raises(SubmissionError) as refused:
        open_beneath(tmp_path, b"DCIM/a.mp4")
    assert refused.value.facts["reason"] == "not-regular"
    assert open_below(tmp_path) == []


def test_a_recorder_that_does_not_start_leaves_nothing_open() -> None:
    before = handles()
    with pytest.raises(subprocess.SubprocessError) as refused:
        Recording.start(["true"], Plan("", file_bytes=1 << 70))  # no limit that a child can take
    assert handles() == before
    assert refused.value
