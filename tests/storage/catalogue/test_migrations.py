"""From every revision that was ever released to the newest, with rows in every table."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    event,
    func,
    select,
)

import storage.catalogue
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine.columns import Base
from storage.catalogue.engine.database import take_turn
from storage.catalogue.unit_of_work import Catalogue
from tests.servers.database import Database
from tests.storage.catalogue import migrate_once

SCRIPTS = Path(storage.catalogue.__file__).parent / "migrations"
TABLES = AUDITED  # to import it fills the one metadata
CONFIG = Config()
CONFIG.set_main_option("script_location", str(SCRIPTS))
REVISIONS = [found.revision for found in ScriptDirectory.from_config(CONFIG).walk_revisions()][::-1]
ROWS = 3


@pytest.fixture
def database(tmp_path):
    database = Database.empty(tmp_path)
    yield database
    database.drop()


@pytest.fixture
def empty(database, clock, random_bytes):
    catalogue = Catalogue(database.url, clock, random_bytes, busy_timeout_s=30)
    yield catalogue
    catalogue.close()


def migrate_to(catalogue, revision):
    """Do what `Catalogue.migrate` does, but only so far."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with catalogue._writer.begin() as connection:
        take_turn(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def tables(connection):
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def value(column, number):
    if column.foreign_keys:
        (key,) = column.foreign_keys
        return value(key.column, number)
    kinds = {
        Boolean: bool(number % 2),
        Float: number / 8,
        Integer: number,
        LargeBinary: bytes([number]) * 16,
        DateTime: datetime(2026, 1, 1 + number, 12, tzinfo=UTC),
    }
    for kind, made in kinds.items():
        if isinstance(column.type, kind):
            return made
    return f"{number}-{column.name}"[: column.type.length or 200]


def fill(catalogue):
    """Put rows into every table that there is, each after those that it refers to."""
    with catalogue._writer.begin() as connection:
        for table in tables(connection):
            for number in range(ROWS):
                row = {column.name: value(column, number) for column in table.columns}
                connection.execute(table.insert().values(row))


def content(catalogue):
    """Return every row of every table, by table; each row by column."""
    with catalogue._reader.begin() as connection:
        return {
            table.name: [
                {name: _plain(found) for name, found in row.items()}
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in tables(connection)
        }


def _plain(found):
    """SQLite gives back naive times."""
    if isinstance(found, datetime) and found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    return found


def revision(catalogue):
    with catalogue._reader.begin() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check_newest(catalogue):
    with catalogue._reader.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    assert revision(catalogue) == REVISIONS[-1]


def check_nothing_lost(before, after):
    for name, rows in before.items():
        kept = set(rows[0]) & set(after[name][0])
        assert [{key: row[key] for key in kept} for row in after[name]] == [
            {key: row[key] for key in kept} for row in rows
        ]


def test_revisions_stand_in_one_line():
    assert REVISIONS[0] == "0001"
    assert len(ScriptDirectory.from_config(CONFIG).get_heads()) == 1


@pytest.mark.parametrize("old", REVISIONS)
def test_every_released_state_is_brought_to_the_newest_with_its_rows(empty, old):
    migrate_to(empty, old)
    assert revision(empty) == old
    fill(empty)
    before = content(empty)
    assert all(len(rows) == ROWS for rows in before.values())
    empty.migrate_tables(new=True)
    check_newest(empty)
    check_nothing_lost(before, content(empty))
    with empty._reader.begin() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").all() == [("ok",)]
        for table in Base.metadata.sorted_tables:
            connection.execute(select(func.count()).select_from(table))
            connection.execute(select(table))


@pytest.mark.parametrize("old", REVISIONS)
def test_every_released_state_is_the_same_on_both_databases(empty, old, tmp_path, clock):
    """What a revision makes is compared with what it makes on SQLite, column by column."""
    migrate_to(empty, old)
    (tmp_path / "other.sqlite").touch()
    other = Catalogue(f"sqlite:///{tmp_path}/other.sqlite", clock, bytes)
    migrate_to(other, old)
    with empty._reader.begin() as here, other._reader.begin() as there:
        assert described(here) == described(there)
    other.close()


def described(connection):
    return {table.name: _described(table) for table in tables(connection)}


def _described(table: Table):
    return (
        {(column.name, column.nullable, column.primary_key) for column in table.columns},
        {
            (tuple(key.column_keys), key.referred_table.name)
            for key in table.foreign_key_constraints
        },
    )


def statements(catalogue):
    """Count the statements of a migration from where this database stands."""
    seen = []

    def note(_connection, _cursor, text, *_more):
        seen.append(text)

    event.listen(catalogue._engine, "before_cursor_execute", note)
    catalogue.migrate_tables()
    event.remove(catalogue._engine, "before_cursor_execute", note)
    return sum("advisory" not in text for text in seen)


@pytest.mark.parametrize("old", [None, *REVISIONS[:-1]])
def test_a_migration_killed_anywhere_leaves_the_old_state_and_is_done_again(
    empty, old, fresh, tmp_path, clock, database, random_bytes
):
    if old is not None:
        migrate_to(empty, old)
        fill(empty)
    before = content(empty)
    count = _counted(old, tmp_path, clock)
    for place in sorted({0, count // 4, count // 2, count - 1}):
        child = fresh.Process(target=migrate_once.main, args=(database.url, place))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert revision(empty) == old
        assert content(empty) == before
    empty.migrate_tables(new=True)
    check_newest(empty)
    check_nothing_lost(before, content(empty))


def _counted(old, folder, clock):
    rehearsal = Database.empty(folder, "rehearsal.sqlite")
    catalogue = Catalogue(rehearsal.url, clock, bytes)
    if old is not None:
        migrate_to(catalogue, old)
    count = statements(catalogue)
    catalogue.close()
    rehearsal.drop()
    return count
