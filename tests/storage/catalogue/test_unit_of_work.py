"""Rows and entries together or not at all; several writers; an honest answer when it is locked."""

# ruff: noqa: PT012 - what is refused is the whole unit of work

import threading
from contextlib import suppress

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select

from storage.catalogue.engine.columns import Base
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.tables import CustodyEventRow, LogLeafRow, LogNodeRow
from storage.catalogue.tables import StationRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import Event, PremisType, details_digest, parse_leaf
from storage.custody.merkle import tree
from storage.errors import (
    CatalogueBusyError,
    CatalogueUnavailableError,
    CustodyError,
    StorageFullError,
    TextError,
)


def add_station(uow, number):
    row = StationRow(id=f"s{number}", name=f"站{number}", township="半壁山镇")
    uow.session.add(row)
    return uow.record(
        "station.add",
        PremisType.METADATA_MODIFICATION,
        row,
        actor="system",
        subject=f"station:s{number}",
    )


def count(catalogue, *tables):
    with catalogue.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def test_migrated_tables_are_those_of_the_code(catalogue):
    with catalogue._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_migrating_twice_changes_nothing(catalogue):
    catalogue.migrate_tables()
    assert count(catalogue, StationRow) == [0]


def test_what_is_committed_has_happened(catalogue, database):
    with catalogue._engine.connect() as connection:
        if not database.sqlite:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            return
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "journal_mode", "foreign_keys")
        }
    assert settings == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}


def test_row_and_entry_are_committed_together(catalogue):
    with catalogue.write() as uow:
        index = add_station(uow, 1)
    with catalogue.read() as session:
        log = LogReader(session)
        assert (index, log.size) == (0, 1)
        row = session.get(StationRow, "s1")
        event = log.get_event(0)
        assert event.details["rows"] == [{"table": "station", "key": "s1", "state": row.snapshot()}]
        entry = parse_leaf(log.get_leaf(0).encode())
        assert entry["details"] == details_digest(event.details, event.salt)
        assert log.compute_root(1) == tree.leaf_hash(log.get_leaf(0).encode())


def test_a_failed_act_leaves_neither_row_nor_entry(catalogue):
    with pytest.raises(ZeroDivisionError), catalogue.write() as uow:
        add_station(uow, 1)
        raise ZeroDivisionError
    assert count(catalogue, StationRow, LogLeafRow, LogNodeRow, CustodyEventRow) == [0, 0, 0, 0]


def test_a_new_row_without_an_entry_is_refused(catalogue):
    with pytest.raises(CustodyError) as refusal, catalogue.write() as uow:
        uow.session.add(StationRow(id="s1", name="a", township="b"))
    assert refusal.value.facts["table"] == "station"
    assert count(catalogue, StationRow) == [0]


def test_a_change_without_an_entry_is_refused(catalogue):
    with catalogue.write() as uow:
        add_station(uow, 1)
    with pytest.raises(CustodyError), catalogue.write() as uow:
        uow.session.get(StationRow, "s1").name = "别处"
    with catalogue.read() as session:
        assert session.get(StationRow, "s1").name == "站1"


def test_a_change_after_its_entry_is_refused(catalogue):
    with pytest.raises(CustodyError), catalogue.write() as uow:
        add_station(uow, 1)
        uow.session.get(StationRow, "s1").name = "别处"


def test_a_deletion_without_an_entry_is_refused(catalogue):
    with catalogue.write() as uow:
        add_station(uow, 1)
    with pytest.raises(CustodyError), catalogue.write() as uow:
        uow.session.delete(uow.session.get(StationRow, "s1"))
    assert count(catalogue, StationRow) == [1]


def test_a_logged_deletion_goes_through(catalogue):
    with catalogue.write() as uow:
        add_station(uow, 1)
    with catalogue.write() as uow:
        row = uow.session.get(StationRow, "s1")
        uow.session.delete(row)
        uow.record("station.remove", PremisType.DELETION, row, actor="system", subject="station:s1")
    with catalogue.read() as session:
        assert LogReader(session).get_event(1).details["rows"][0]["state"] is None


def test_two_acts_of_one_transaction_get_two_entries(catalogue):
    with catalogue.write() as uow:
        assert [add_station(uow, n) for n in range(5)] == [0, 1, 2, 3, 4]
        assert uow.next_index == 5
    assert count(catalogue, LogLeafRow, LogNodeRow) == [5, 5 + 2 + 1]


def test_a_reader_sees_no_half_written_act(catalogue):
    with catalogue.write() as uow:
        add_station(uow, 1)
        assert count(catalogue, StationRow, LogLeafRow) == [0, 0]
    assert count(catalogue, StationRow, LogLeafRow) == [1, 1]


def test_many_writers_make_one_log(catalogue, another):
    """Each has an engine of its own, as processes have."""
    failures = []

    def work(first):
        mine = another()
        try:
            for number in range(first, first + 10):
                with mine.write() as uow:
                    add_station(uow, number)
        except Exception as error:  # noqa: BLE001 - a thread hands every failure over
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with catalogue.read() as session:
        log = LogReader(session)
        frontier = tree.Frontier()
        for leaf in log.read_leaves(0, 40):
            frontier.add(tree.leaf_hash(leaf.encode()))
        assert log.size == 40
        assert frontier.compute_root() == log.compute_root(40)


def test_a_locked_database_is_told_as_busy(database, catalogue, clock, random_bytes):
    hasty = Catalogue(database.url, clock, random_bytes, busy_timeout_s=0.05)
    other = database.lock()
    with pytest.raises(CatalogueBusyError) as refusal, hasty.write():
        pass
    assert refusal.value.retryable
    other.close()
    with hasty.write() as uow:
        add_station(uow, 1)
    hasty.close()


def test_a_full_disk_is_told_and_nothing_is_kept(catalogue, database):
    if not database.sqlite:
        pytest.skip("SQLite's own limit of pages")
    with catalogue._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        raw = connection.connection.dbapi_connection
    with pytest.raises(StorageFullError), catalogue.write() as uow:
        assert uow.session.connection().connection.dbapi_connection is raw
        row = StationRow(id="s1", name="x", township="b")
        uow.session.add(row)
        who = {"actor": "system", "subject": "system"}
        uow.record("station.add", PremisType.CREATION, row, **who, told="x" * 200_000)
    assert count(catalogue, StationRow, LogLeafRow) == [0, 0]


@pytest.mark.parametrize("name", ["x" * 201, "a\0b"])
def test_a_text_that_one_of_the_databases_cannot_hold_is_refused_on_both(catalogue, name):
    with pytest.raises(TextError), catalogue.write() as uow:
        row = StationRow(id="s1", name=name, township="b")
        uow.session.add(row)
        uow.record("station.add", PremisType.CREATION, row, actor="system", subject="system")
    assert count(catalogue, StationRow, LogLeafRow) == [0, 0]


def test_nobody_looks_for_what_cannot_be_there(catalogue):
    with pytest.raises(TextError), catalogue.read() as session:
        session.scalar(select(StationRow).where(StationRow.name == "a\0b"))


def test_a_text_of_just_the_length_is_kept_whatever_it_is(catalogue):
    name = "𠮷" * 200
    with catalogue.write() as uow:
        row = StationRow(id="s1", name=name, township="' \\ % _ \n\r\u202e")
        uow.session.add(row)
        uow.record("station.add", PremisType.CREATION, row, actor="system", subject="system")
    with catalogue.read() as session:
        found = session.get_one(StationRow, "s1")
        assert (found.name, found.township) == (name, "' \\ % _ \n\r\u202e")


def test_a_view_does_not_change_while_others_write(catalogue):
    with catalogue.read() as session:
        before = LogReader(session).size
        with catalogue.write() as uow:
            add_station(uow, 1)
        assert LogReader(session).size == before
    assert count(catalogue, LogLeafRow) == [before + 1]


def test_nothing_done_in_a_view_is_kept(catalogue):
    """PostgreSQL refuses it as a standby does; SQLite takes it back."""
    with suppress(CatalogueUnavailableError), catalogue.read() as session:
        session.execute(insert(StationRow).values(id="s1", name="n", township="t"))
    assert count(catalogue, StationRow) == [0]


def test_the_time_of_an_act_is_taken_under_the_lock(catalogue):
    with catalogue.write() as uow:
        first = uow.at
        uow.log(Event("a.b", PremisType.VALIDATION, uow.at, "system", "system"))
    with catalogue.write() as uow:
        assert uow.at > first


def test_ids_sort_by_time(catalogue):
    with catalogue.write() as uow:
        early = uow.new_id()
    with catalogue.write() as uow:
        assert early < uow.new_id()


def test_a_naive_time_never_reaches_the_database(catalogue, now):
    from storage.catalogue.engine.columns import UtcTime

    with pytest.raises(ValueError, match="naive"):
        UtcTime().process_bind_param(now.replace(tzinfo=None), catalogue._engine.dialect)
