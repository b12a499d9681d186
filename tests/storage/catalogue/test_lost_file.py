"""The open database is the file at its path, or nothing is read from it or written into it."""

# ruff: noqa: PT012 - what is refused is the whole unit of work

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.tables import StationRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import PremisType
from storage.errors import CatalogueReplacedError, CatalogueUnavailableError


@pytest.fixture
def file(database):
    if not database.sqlite:
        pytest.skip("a server vouches for its own files")
    return Path(database.url.removeprefix("sqlite:///"))


def remove(file):
    file.unlink()


def put_an_empty_file(file):
    file.unlink()
    file.touch()


def empty(file):
    file.write_bytes(b"")


def put_an_older_copy(file):
    older = file.with_name("older")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", (str(older),))
    older.rename(file)


def rename(file):
    file.rename(file.with_name("elsewhere"))


def put_another_folder(file):
    """A mount that vanished leaves the bare folder."""
    file.parent.rename(file.parent.with_name(f"{file.parent.name}-unmounted"))
    file.parent.mkdir()


def remove_its_log(file):
    Path(f"{file}-wal").unlink()


LOSSES = (
    remove,
    put_an_empty_file,
    empty,
    put_an_older_copy,
    rename,
    put_another_folder,
    remove_its_log,
)


def add(catalogue, number):
    with catalogue.write() as uow:
        add_in(uow, number)


def add_in(uow, number):
    row = StationRow(id=f"s{number}", name=f"站{number}", township="半壁山镇")
    uow.session.add(row)
    uow.record("station.add", PremisType.CREATION, row, actor="system", subject="system")


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_file_is_told_and_neither_read_nor_written(catalogue, file, lose):
    add(catalogue, 1)
    lose(file)
    with pytest.raises(CatalogueReplacedError) as refusal:
        add(catalogue, 2)
    assert refusal.value.facts["file"] == str(file)
    assert not refusal.value.retryable
    for look in (catalogue.read, catalogue.read_uncoordinated):
        with pytest.raises(CatalogueReplacedError), look() as session:
            session.scalar(select(func.count()).select_from(StationRow))


@pytest.mark.parametrize("lose", LOSSES)
def test_a_file_lost_amid_a_unit_of_work_keeps_the_unit_from_its_commit(catalogue, file, lose):
    if lose is put_an_older_copy:
        pytest.skip("a copy cannot be made while a writer is at work")
    add(catalogue, 1)
    with pytest.raises(CatalogueReplacedError), catalogue.write() as uow:
        add_in(uow, 2)
        lose(file)


@pytest.mark.parametrize("lose", [remove, rename, put_an_older_copy, put_an_empty_file])
def test_a_connection_made_after_the_loss_opens_no_other_file(catalogue, file, lose):
    """The pool makes connections as they are asked for: with one in use, the next is a new one."""
    add(catalogue, 1)
    with catalogue.read() as session:
        session.scalar(select(func.count()).select_from(StationRow))
        lose(file)
        before = names(file.parent)
        refusals = []

        def look():
            try:
                add(catalogue, 3)
            except CatalogueReplacedError as error:
                refusals.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join(60)
    assert len(refusals) == 1
    assert names(file.parent) == before


def test_a_file_renamed_away_and_back_is_the_same_file(catalogue, file):
    add(catalogue, 1)
    away = file.with_name("away")
    file.rename(away)
    with pytest.raises(CatalogueReplacedError):
        add(catalogue, 2)
    away.rename(file)
    add(catalogue, 2)
    with catalogue.read() as session:
        assert session.scalar(select(func.count()).select_from(StationRow)) == 2


def test_what_is_still_open_can_be_copied_and_put_back(catalogue, file, another):
    """As docs/OPERATIONS.md says: by way of /proc, while the process is there."""
    add(catalogue, 1)
    file.unlink()
    with pytest.raises(CatalogueReplacedError):
        add(catalogue, 2)
    saved = file.parent / "saved"
    saved.mkdir()
    for handle in Path("/proc/self/fd").iterdir():
        target = str(handle.readlink()) if handle.is_symlink() else ""
        if target.startswith(str(file)) and not target.endswith("-shm"):
            shutil.copyfile(handle, saved / Path(target.removesuffix(" (deleted)")).name)
    catalogue.close()
    for path in saved.iterdir():
        path.rename(file.parent / path.name)
    with another().read() as session:
        assert session.scalar(select(func.count()).select_from(StationRow)) == 1


def test_opening_makes_no_file(tmp_path, clock, random_bytes):
    catalogue = Catalogue(f"sqlite:///{tmp_path}/none.db", clock, random_bytes)
    assert catalogue.count_entries() is None
    with pytest.raises(CatalogueUnavailableError):
        catalogue.migrate_tables()
    assert not list(tmp_path.iterdir())
    catalogue.migrate_tables(new=True)
    assert catalogue.count_entries() == 0
    catalogue.close()


def test_a_file_of_something_else_is_told(tmp_path, clock, random_bytes):
    (tmp_path / "none.db").write_bytes(b"no database at all" * 100)
    catalogue = Catalogue(f"sqlite:///{tmp_path}/none.db", clock, random_bytes)
    with pytest.raises(CatalogueUnavailableError):
        catalogue.count_entries()
    catalogue.close()


def test_a_database_without_our_tables_has_no_catalogue(tmp_path, clock, random_bytes):
    from tests.servers.database import Database

    empty_one = Database.empty(tmp_path)
    catalogue = Catalogue(empty_one.url, clock, random_bytes)
    assert catalogue.count_entries() is None
    catalogue.close()
    empty_one.drop()


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_journal_is_told_and_neither_read_nor_written(tmp_path, lose):
    home = tmp_path / "home"
    home.mkdir()
    store = JournalStore(home / "station.db")
    store.set_bay("bay-1", state="empty", changed="0")
    lose(home / "station.db")
    with pytest.raises(CatalogueReplacedError) as refusal:
        store.set_bay("bay-1", state="safe", changed="1")
    assert refusal.value.facts["database"] == "journal"
    for look in (store.list_bays, store.list_notes, store.list_rows):
        with pytest.raises(CatalogueReplacedError):
            look()
    store.close()
