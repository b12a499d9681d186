"""What a running office has open is taken from under it: nothing is taken in, cleared or green."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.office.evidence.integrity_check import whole_check
from api.office.service import Service
from api.office.wiring import Office
from ingest.bays.bay import BayState, Outcome
from ingest.bays.settle import Patience
from ingest.station.clear import When
from storage.catalogue.unit_of_work import Catalogue
from storage.digest import Digest
from storage.errors import LiuhenError
from tests.office import Desk

FIRST, SECOND = b"taken in before", b"docked afterwards"


@pytest.fixture
def desk(tmp_path):
    """An office that took one file in and cleared it, and is being served."""
    desk = Desk.set_up(tmp_path, clear=When.AT_ONCE)
    (desk.bay("bay-1") / "first.txt").write_bytes(FIRST)
    desk.sweep()
    assert not (desk.bay("bay-1") / "first.txt").exists()
    desk.service.publish_checkpoint()
    desk.running = desk.office.build_station(patience=Patience(0, 1000))
    yield desk
    desk.office.close()


@pytest.fixture
def client(desk):
    return TestClient(create_app(desk.service), raise_server_exceptions=False)


def ready(client):
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def swept(desk, looks=2):
    """Sweep with the station that runs, as its worker does: an error is told, and it goes on."""
    results = []
    for _ in range(looks):
        for bay in desk.office.list_bays():
            with suppress(LiuhenError):
                results += desk.running.sweep_bay(bay)
    return results


def docked_again(desk):
    """Take out what lies in the bay and put it back: what was refused is looked at once more."""
    files = {path: path.read_bytes() for path in desk.bay("bay-1").iterdir()}
    for path in files:
        path.unlink()
    swept(desk)
    for path, data in files.items():
        path.write_bytes(data)
    return swept(desk, 4)


def nothing_is_taken_or_cleared(desk):
    """Dock one more file, and the first once more; both stay, and neither gets a receipt."""
    files = [desk.bay("bay-1") / "first.txt", desk.bay("bay-1") / "second.txt"]
    for path, data in zip(files, (FIRST, SECOND), strict=True):
        path.write_bytes(data)
    taken = {Outcome.ACCESSIONED, Outcome.DUPLICATE}
    assert not [result for result in swept(desk) if result.outcome in taken]
    assert all(path.exists() for path in files)


def catalogue_file(desk):
    if desk.office.settings.database_url is not None:
        pytest.skip("a server vouches for its own files")
    return desk.office.settings.home / "catalogue.db"


def older_copy(file):
    """Return a copy of now, which is old as soon as something else is docked."""
    copy = file.parent.parent / "older"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy


def remove(file):
    file.unlink()


def replace_by_nothing(file):
    file.unlink()
    file.touch()


def replace_by_an_older_copy(file):
    older_copy(file).rename(file)


def rename_away(file):
    file.rename(file.with_name("away"))


@pytest.mark.parametrize(
    "losing", [remove, replace_by_nothing, replace_by_an_older_copy, rename_away]
)
def test_a_catalogue_lost_while_serving_is_told_and_clears_nothing(desk, client, losing):
    file = catalogue_file(desk)
    assert ready(client) == (200, {"status": "ready"})
    centre = desk.office.centre
    source = first_source(desk)
    losing(file)
    status, problem = ready(client)
    assert (status, problem["code"]) == (503, "catalogue-replaced")
    assert str(file) in problem["detail"]
    assert "/proc/" in problem["next"]
    for question in (
        lambda: centre.receipt_for(source, Digest.compute(FIRST)),
        lambda: centre.holds_size(source, len(FIRST)),
    ):
        with pytest.raises(LiuhenError) as refusal:
            question()
        assert refusal.value.code == "catalogue-replaced"
        assert not refusal.value.retryable
    nothing_is_taken_or_cleared(desk)
    bay = desk.office.journal.list_bays()[0]
    assert (bay.state, bay.reason) == (BayState.ATTENTION, "catalogue-replaced")
    assert ready(client)[0] == 503
    assert client.get("/api/v1/bays").status_code in {401, 503}
    assert client.get("/healthz").status_code == 200


def first_source(desk):
    from storage.catalogue.recordings import recordings

    with desk.office.catalogue.read() as session:
        return next(recordings.iterate_recordings(session)).source_serial


def test_a_catalogue_renamed_away_and_back_is_the_same_and_goes_on(desk, client):
    file = catalogue_file(desk)
    away = file.with_name("away")
    file.rename(away)
    nothing_is_taken_or_cleared(desk)
    away.rename(file)
    assert ready(client) == (200, {"status": "ready"})
    docked_again(desk)
    assert not list(desk.bay("bay-1").iterdir())


def test_a_catalogue_overwritten_in_place_by_an_older_copy_is_told_and_takes_nothing_in(
    desk, client
):
    """`cp` keeps the inode: it is the signer that remembers more than the catalogue."""
    file = catalogue_file(desk)
    older = older_copy(file)
    (desk.bay("bay-1") / "between.txt").write_bytes(b"receipted and gone since the copy")
    desk.sweep()
    desk.office.catalogue.close()  # its log is written back: else the copy would not be read
    shutil.copyfile(older, file)
    assert ready(client)[0] == 503
    assert ready(client)[1]["code"] in {"custody", "catalogue-unavailable"}
    (desk.bay("bay-1") / "second.txt").write_bytes(SECOND)
    swept(desk)
    assert (desk.bay("bay-1") / "second.txt").exists()


def test_a_lost_catalogue_is_not_founded_anew_by_a_restart(desk):
    file = catalogue_file(desk)
    remove(file)
    desk.office.close()
    with pytest.raises(LiuhenError) as refusal:
        Office.open(desk.office.settings)
    assert refusal.value.code == "office-parts"
    assert not file.exists()


def test_a_lost_journal_is_told_and_clears_nothing(desk, client):
    file = desk.office.settings.home / "station.db"
    remove(file)
    status, problem = ready(client)
    assert (status, problem["code"]) == (503, "catalogue-replaced")
    assert "journal" in problem["detail"]
    nothing_is_taken_or_cleared(desk)
    assert not file.exists()


def lose_the_objects(home):
    (home / "objects").rename(home / "objects-away")


def put_an_empty_folder_for_the_objects(home):
    lose_the_objects(home)
    (home / "objects").mkdir()


def put_another_store(home):
    from storage.vault.folder.folder_objects import FolderObjects

    lose_the_objects(home)
    FolderObjects(home / "objects", lambda count: b"x" * count).identity()


@pytest.mark.parametrize(
    "losing", [lose_the_objects, put_an_empty_folder_for_the_objects, put_another_store]
)
def test_another_store_is_told_as_such_and_takes_nothing_in(desk, client, losing):
    home = desk.office.settings.home
    losing(home)
    before = {path.name for path in (home / "objects").glob("*")}
    status, problem = ready(client)
    assert (status, problem["code"]) == (503, "store-replaced")
    (desk.bay("bay-1") / "second.txt").write_bytes(SECOND)
    assert Outcome.ACCESSIONED not in {result.outcome for result in swept(desk)}
    assert (desk.bay("bay-1") / "second.txt").exists()
    assert {path.name for path in (home / "objects").glob("*")} == before
    for path in sorted((home / "objects").glob("*")):
        path.unlink()
    if (home / "objects").exists():
        (home / "objects").rmdir()
    (home / "objects-away").rename(home / "objects")
    assert ready(client) == (200, {"status": "ready"})
    docked_again(desk)
    assert not (desk.bay("bay-1") / "second.txt").exists()


def test_a_lost_head_is_told_and_nothing_is_receipted(desk, client):
    head = desk.office.settings.home / "log-signer"
    head.rename(head.with_name("away"))
    status, problem = ready(client)
    assert (status, problem["code"]) == (503, "custody")
    (desk.bay("bay-1") / "second.txt").write_bytes(SECOND)
    swept(desk)
    assert (desk.bay("bay-1") / "second.txt").exists()
    assert not head.exists()
    head.with_name("away").rename(head)
    assert ready(client)[0] == 200


def test_a_head_ahead_of_the_catalogue_is_told(desk, client):
    """A catalogue of fewer entries than were signed, whatever database it is on."""
    before = desk.office.signer.read_last_checkpoint()
    (desk.bay("bay-1") / "second.txt").write_bytes(SECOND)
    desk.sweep()
    desk.service.publish_checkpoint()
    assert ready(client)[0] == 200
    head = desk.office.settings.home / "log-signer" / "head"
    now = head.read_text()
    head.write_text(before)  # an older one is behind, and that is no contradiction
    assert ready(client)[0] == 200
    head.write_text(now)
    size = desk.office.signer.last_head().size
    with desk.office.catalogue.write() as uow:
        remove_last_entry(uow.session, size - 1)
    status, problem = ready(client)
    assert (status, problem["code"]) == (503, "custody")
    assert "smaller" in problem["detail_en"]


def remove_last_entry(session, index):
    from sqlalchemy import delete

    from storage.catalogue.log.tables import CustodyEventRow, LogLeafRow

    session.execute(delete(CustodyEventRow).where(CustodyEventRow.index == index))
    session.execute(delete(LogLeafRow).where(LogLeafRow.index == index))


def test_lost_keys_are_told(desk, client):
    keys = desk.office.settings.keys
    keys.rename(keys.with_name("away"))
    status, problem = ready(client)
    assert (status, problem["code"]) == (503, "office-parts")
    keys.with_name("away").rename(keys)
    assert ready(client)[0] == 200


def test_a_lost_static_log_is_written_again_whole(desk, client):
    log = desk.office.settings.home / "log"
    before = (log / "checkpoint").read_text()
    shutil.rmtree(log)
    assert ready(client)[0] == 200
    desk.service.publish_checkpoint()
    assert (log / "checkpoint").read_text() == before
    assert list(whole_check(desk.office)) == []


def test_a_home_whose_disk_vanished_is_told_and_nothing_is_written_below_it(desk, client):
    home = desk.office.settings.home
    home.rename(home.with_name("unmounted"))
    home.mkdir()
    assert ready(client)[0] == 503
    nothing_is_taken_or_cleared(desk)
    with pytest.raises(LiuhenError):
        desk.service.publish_checkpoint()
    assert not list(home.iterdir())
    home.rmdir()
    home.with_name("unmounted").rename(home)
    assert ready(client) == (200, {"status": "ready"})


def test_a_store_that_hangs_does_not_keep_readyz_waiting(desk):
    import threading

    release = threading.Event()
    service = Service.of_office(desk.office)
    store = service.readiness._store
    store.check, store.wait_s = lambda: release.wait(30) and None, 0.01
    assert service.readiness.check_readiness() == {
        "status": "ready",
        "objects": "store-unavailable",
    }
    release.set()
    store._thread.join()
    store.check = lambda: None
    store.wait_s = 10
    assert service.readiness.check_readiness() == {"status": "ready"}


def test_the_first_process_that_opens_a_new_path_is_not_taken_for_the_old(desk, tmp_path):
    """A second office at the same path, opened by another process, is another file to ours."""
    file = catalogue_file(desk)
    file.rename(tmp_path / "ours")
    other = Catalogue(f"sqlite:///{file}", desk.office.clock, desk.office.entropy)
    other.migrate_tables(new=True)
    nothing_is_taken_or_cleared(desk)
    assert other.count_entries() == 0
    other.close()
    assert Path(tmp_path / "ours").exists()
