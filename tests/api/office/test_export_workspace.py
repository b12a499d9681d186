"""An export that fails or is killed leaves no plaintext: not its folder, not the spool's."""

import os
import signal
import time
from multiprocessing import Pipe

import pytest

from api.office.evidence.export import export_bundle
from api.office.evidence.export_workspace import export_folder, remove_left_exports
from storage.bundle import write as writing
from tests import fresh
from tests.office import Desk


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


def test_an_export_that_fails_leaves_nothing(desk, tmp_path, monkeypatch):
    def fails(*_given):
        raise OSError(28, "no space left")

    case, _action = desk.seizure()
    monkeypatch.setattr(writing, "_write_keys", fails)
    with pytest.raises(OSError, match="no space"):
        export_bundle(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    assert not (tmp_path / "bag").exists()


def test_a_folder_that_was_there_before_stays(desk, tmp_path):
    case, _action = desk.seizure()
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "mine").write_text("kept")
    with pytest.raises(FileExistsError):
        export_bundle(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    assert (tmp_path / "bag" / "mine").read_text() == "kept"


def _hang(spool, told):
    with export_folder(spool) as folder:
        (folder / "plain.MP4").write_bytes(b"footage")
        told.send(str(folder))
        time.sleep(600)  # until it is killed


def test_what_a_killed_export_left_goes_at_the_next_start_and_nothing_else(tmp_path):
    hears, tells = Pipe(duplex=False)
    process = fresh.context().Process(target=_hang, args=(tmp_path, tells))
    process.start()
    killed = hears.recv()
    assert remove_left_exports(tmp_path) == 0  # it is at work
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert os.path.exists(killed)
    with export_folder(tmp_path) as working:
        assert remove_left_exports(tmp_path) == 1
        assert not os.path.exists(killed)
        assert working.is_dir()
    assert list(tmp_path.iterdir()) == []
