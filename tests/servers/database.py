"""The database of one test on the engine that this run is for (`pytest --database …`).

SQLite is a file of the test's own. PostgreSQL is one server of this process, begun when it is
first asked for and ended with the process; each test gets a database of its own, copied from a
migrated one. `LIUHEN_TEST_DATABASE_URL` names another server instead: its user may make databases,
its password, if it has one, comes from libpq's own places (PGPASSWORD, ~/.pgpass).
"""

import atexit
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from api.office.system import clock, entropy
from storage.catalogue.engine.database import LOG_LOCK
from storage.catalogue.unit_of_work import Catalogue
from tests.servers import postgres

SQLITE, POSTGRESQL = "sqlite", "postgresql"
NOT_TESTED = "NO POSTGRESQL HERE: NOTHING WAS TESTED ON IT (install postgresql)"
_DIALECT = (
    ("?", "%s"),
    ("zeroblob(32)", "decode(repeat('00', 32), 'hex')"),
    ("disabled=0", "disabled=false"),
    ("salt=x''", "salt=''::bytea"),
    ("9e999", "'Infinity'"),
)
BY_BYTES = "LC_COLLATE 'C'"  # whatever the server's own default is
_ROOM = 3 << 30
chosen = SQLITE  # set once by tests/conftest.py
unexpected: str | None = None  # a test that is at work and was not known to come here


@dataclass(frozen=True)
class Database:
    """One test's database, seen from outside the product."""

    url: str

    @classmethod
    def fresh(cls, folder: Path, name: str = "catalogue.sqlite") -> "Database":
        """Make the test's database; its tables are there already."""
        _require_expected()
        if chosen == SQLITE:
            return cls(migrated(f"sqlite:///{folder}/{name}"))
        return cls(server().create(_template()))

    @classmethod
    def empty(cls, folder: Path, name: str = "catalogue.sqlite") -> "Database":
        """Make a database without any table."""
        _require_expected()
        if chosen == SQLITE:
            (folder / name).touch()
            return cls(f"sqlite:///{folder}/{name}")
        return cls(server().create("template0", BY_BYTES))

    def drop(self) -> None:
        """Take it away, so that a long run does not fill the memory it is kept in."""
        if not self.sqlite:
            server().drop(self.url)

    @property
    def sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def execute(self, sql: str, *values: Any) -> int:
        """Run a statement behind everybody's back; `?` stands for a value. Return its rows."""
        with closing(self._connect()) as connection:
            count = connection.execute(self._spelt(sql), values).rowcount
            connection.commit()
            return int(count)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as connection:
            return [tuple(row) for row in connection.execute(self._spelt(sql), values)]

    def copy(self, folder: Path, name: str) -> "Database":
        """Make a copy of the database as it is now, as a backup would."""
        if self.sqlite:
            with closing(self._connect()) as connection:
                connection.execute("VACUUM INTO ?", (str(folder / name),))
            return Database(f"sqlite:///{folder}/{name}")
        other = Database(server().create("template0", BY_BYTES))
        dump = subprocess.run(["pg_dump", "-Fc", self._plain], capture_output=True, check=True)
        restore = ["pg_restore", "--no-owner", "-d", other._plain]
        subprocess.run(restore, input=dump.stdout, check=True)
        return other

    def lock(self) -> Any:
        """Hold what every writer waits for, until the returned connection is closed."""
        if self.sqlite:
            connection = sqlite3.connect(self._path, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            return connection
        held = psycopg.connect(self._plain)
        held.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK,))
        return held

    def _connect(self) -> Any:
        return sqlite3.connect(self._path) if self.sqlite else psycopg.connect(self._plain)

    def _spelt(self, sql: str) -> str:
        if self.sqlite:
            return sql
        for ours, theirs in _DIALECT:
            sql = sql.replace(ours, theirs)
        return sql

    @property
    def _path(self) -> str:
        return self.url.removeprefix("sqlite:///")

    @property
    def _plain(self) -> str:
        return self.url.replace("+psycopg", "")


def _require_expected() -> None:
    """Refuse a test that runs on one engine alone because nobody saw that it opens a database."""
    assert unexpected is None, f"{unexpected} opens a database and is not marked: see reach.py"


def office_url(folder: Path) -> str | None:
    """Return the database of the office in this folder: the same one each time; None is SQLite's."""
    _require_expected()
    if chosen == SQLITE:
        return None
    kept = folder / "database-url"
    if not kept.exists():
        kept.write_text(Database.fresh(folder).url)
    return kept.read_text()


def copied(template: Path, folder: Path) -> None:
    """Give the office in this folder a copy of the database of another, which nobody has open."""
    if chosen == POSTGRESQL:
        url = (template / "database-url").read_text()
        (folder / "database-url").write_text(server().create(url.rpartition("/")[2]))


def migrated(url: str) -> str:
    """Return the database, after its tables were put into a file of SQLite's that is not there."""
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite") and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_file(), path)
    return url


@cache
def _file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="liuhen-sqlite-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    catalogue = Catalogue(f"sqlite:///{folder}/template", clock, entropy)
    catalogue.migrate_tables(new=True)
    catalogue.close()
    return folder / "template"


@cache
def _template() -> str:
    url = server().create("template0", BY_BYTES)
    catalogue = Catalogue(url, clock, entropy)
    catalogue.migrate_tables(new=True)
    catalogue.close()
    return url.rpartition("/")[2]


@cache
def server() -> postgres.Postgres:
    """Return the server of this run. Skips where there is none; fails where CI is set."""
    if url := os.environ.get("LIUHEN_TEST_DATABASE_URL"):
        return _Given(Path(), port=urlsplit(url).port or 5432, given=url)
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail(NOT_TESTED)
        pytest.skip(NOT_TESTED)
    folder = Path(tempfile.mkdtemp(prefix="liuhen-postgres-log-"))
    server = postgres.Postgres(folder, within=_in_memory())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    server.found()
    return server


def _in_memory() -> str | None:
    """Return where syncing costs nothing, if there is room: the server syncs like any other."""
    memory = Path("/dev/shm")
    there = memory.is_dir() and os.access(memory, os.W_OK)
    return str(memory) if there and shutil.disk_usage(memory).free > _ROOM else None


@dataclass
class _Given(postgres.Postgres):
    """A server that somebody else runs."""

    given: str = ""

    def url(self, name: str) -> str:
        return f"{self.given.rpartition('/')[0]}/{name}"

    def _dsn(self, name: str) -> str:
        return self.url(name).replace("+psycopg", "")
