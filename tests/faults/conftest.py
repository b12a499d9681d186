"""What the fault tests share: an office founded once and copied, and a look into what it keeps."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.office.samples.sample_volume import Recorder, add_duplicate, add_truncated, write_segments
from api.office.service import Service
from api.office.wiring import Office
from ingest.media.sandbox import Sandbox
from ingest.station.clear import When
from storage.catalogue.recordings import recordings
from storage.catalogue.stations.journal_tables import BayRow
from storage.catalogue.tables import RecordingRow
from tests.office import Desk, segment, settings_for

OpenDesk = Callable[..., Desk]

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
    "hashed",
    "clearing",
    "unlinked",
    "clear-noted",
    "cleared",
)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox.detect()


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an office with its people and empty bays; copy it, never open it."""
    folder = tmp_path_factory.mktemp("founded")
    Desk.set_up(folder).office.close()
    return folder


@pytest.fixture(scope="session")
def open_desk(founded: Path, sandbox: Sandbox) -> OpenDesk:
    """Return how to open an office in a folder; a new folder begins as a copy of `founded`."""

    def opened(folder: Path, **more: object) -> Desk:
        if not (folder / "var").exists():
            shutil.copytree(founded, folder, dirs_exist_ok=True)
        office = Office.open(settings_for(folder, **({"clear": When.AT_ONCE} | more)))
        office._sandbox.append(sandbox)
        return Desk(office, Service.of_office(office))

    return opened


@pytest.fixture
def desk(open_desk: OpenDesk, tmp_path: Path) -> Iterator[Desk]:
    desk = open_desk(tmp_path)
    yield desk
    desk.office.close()


@pytest.fixture(scope="session")
def template(open_desk: OpenDesk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office with a volume in its bay: a clip, its duplicate, a truncated one."""
    folder = tmp_path_factory.mktemp("template")
    desk = open_desk(folder)
    (clip,) = write_segments(desk.bay("bay-1"), Recorder("0000012", "000123"), [segment(0, 2)])
    clip.with_suffix(".log").unlink()
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
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what a kill leaves, the disk would hold as well."""
    within = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="liuhen-", dir=within) as folder:
        yield Path(folder)


def kept(desk: Desk) -> list[RecordingRow]:
    """Return every recording of the catalogue."""
    with desk.office.catalogue.read() as session:
        return list(recordings.iterate_recordings(session))


def shown(desk: Desk, bay: str = "bay-1") -> BayRow:
    """Return what the bay shows."""
    return next(row for row in desk.office.journal.list_bays() if row.name == bay)
