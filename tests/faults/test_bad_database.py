"""PostgreSQL killed amid commits, away, locked, full, torn or set up wrongly: promises 2 and 6."""

# ruff: noqa: PT012 - what fails is a whole transaction

import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import Engine, event, func, select
from sqlalchemy.engine import make_url

from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import describe_error
from ingest.bays.settle import Patience
from ingest.station.clear import When
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import PremisType
from storage.custody.merkle import tree
from storage.errors import (
    CatalogueBusyError,
    CatalogueSetupError,
    CatalogueUnavailableError,
    StorageFullError,
)
from tests.faults import writers_once
from tests.faults.aftermath import check_accessioned_once, check_what_is_gone_has_a_receipt, files
from tests.faults.conftest import shown
from tests.faults.test_broken_machine import fill, needs_root
from tests.office import Desk
from tests.sampling import sample
from tests.servers import database, postgres
from tests.servers.bad_link import BadLink, bad_link

FILES = 24
EVERY = 9  # commits from one strike to the next


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Postgres]:
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail(database.NOT_TESTED)
        pytest.skip(database.NOT_TESTED)
    with postgres.running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def url(server: postgres.Postgres) -> Iterator[str]:
    url = server.create("template0", database.BY_BYTES)
    yield url
    server.drop(url)


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    catalogue = writers_once.opened(url, busy_timeout_s=10)
    catalogue.migrate_tables()
    yield catalogue
    catalogue.close()


def append(catalogue: Catalogue, note: str = "") -> None:
    with catalogue.write() as uow:
        who = {"actor": "system", "subject": "system"}
        uow.record("test.write", PremisType.VALIDATION, **who, note=note)


def size(catalogue: Catalogue) -> int:
    with catalogue.read() as session:
        return LogReader(session).size


def check_log(catalogue: Catalogue, entries: int) -> None:
    """The log has so many entries, without a gap, and its nodes lead to one root."""
    with catalogue.read() as session:
        log = LogReader(session)
        assert log.size == entries
        frontier = tree.Frontier()
        for leaf in log.read_leaves(0, entries):
            frontier.add(tree.leaf_hash(leaf.encode()))
        assert frontier.compute_root() == log.compute_root(entries)
        assert list(audit_catalogue(session, ())) == []


# Amid a commit


class Strike:
    """What happens to the database at every so many commits of an office."""

    def __init__(self, server: postgres.Postgres, link: BadLink) -> None:
        self.server, self.link = server, link
        self.count = 0
        self._commits = 0
        self._threads: list[threading.Thread] = []

    def arm(self, engine: Engine, how: str) -> None:
        strike: Callable[[int], None] = getattr(self, f"_{how}")

        @event.listens_for(engine, "commit")
        def _commit(connection: Any) -> None:
            if connection.get_execution_options().get("postgresql_readonly"):
                return  # the end of a view
            self._commits += 1
            if self._commits % EVERY == 0:
                self.count += 1
                strike(connection.connection.dbapi_connection.info.backend_pid)

        @event.listens_for(engine, "handle_error")
        def _heard(_context: Any) -> None:
            self.link.deaf = False

    def end(self) -> None:
        for thread in self._threads:
            thread.join()

    def _server_before_the_commit(self, _pid: int) -> None:
        self.server.kill()
        self.server.start()

    def _server_amid_the_commit(self, _pid: int) -> None:
        thread = threading.Thread(target=self._server_before_the_commit, args=(0,))
        self._threads.append(thread)
        thread.start()

    def _backend_killed(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)  # the server ends every session and recovers by itself

    def _backend_ended(self, pid: int) -> None:
        with self.server.admin() as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

    def _answer_lost(self, _pid: int) -> None:
        self.link.deaf = True  # the commit arrives, its answer does not


LOSSES = (
    "server_before_the_commit",
    "server_amid_the_commit",
    "backend_killed",
    "backend_ended",
    "answer_lost",
)


@pytest.mark.parametrize("how", sample(LOSSES, always=["server_amid_the_commit"], drawn=2))
def test_a_database_lost_amid_commits_loses_nothing_and_doubles_nothing(
    server: postgres.Postgres, url: str, tmp_path: Path, how: str
) -> None:
    with bad_link(server.port) as link:
        through = make_url(url).set(port=link.port)
        desk = Desk.set_up(tmp_path, database_url=through.render_as_string(), clear=When.AT_ONCE)
        for number in range(FILES):
            (desk.bay("bay-1") / f"{number:02}.bin").write_bytes(b"%d" % number)
        before = files(tmp_path)
        station = desk.office.build_station(patience=Patience(0, 1000))
        (bay, _other) = desk.office.list_bays()
        strike = Strike(server, link)
        strike.arm(desk.office.catalogue._engine, how)
        told: Counter[str | None] = Counter()
        while files(tmp_path):
            station.sweep_bay(bay)
            told[shown(desk).reason] += 1
        strike.end()
        check_what_is_gone_has_a_receipt(desk, tmp_path, before)
        check_accessioned_once(desk, tmp_path, before)
        assert strike.count > 5
        assert set(told) - {None, "still-writing"} == {"catalogue-unavailable"}
        desk.office.close()


# Between the commits


def sessions_ended(server: postgres.Postgres, url: str) -> int:
    """End every session of a database, as an administrator or a firewall does."""
    with server.admin() as connection:
        ended = (
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname=%s"
        )
        found = connection.execute(ended, (url.rpartition("/")[2],)).fetchone()
        assert found is not None
        return int(found[0])


def warm(catalogue: Catalogue, count: int) -> None:
    """Have so many connections open and idle."""
    with ExitStack() as views:
        for _ in range(count):
            views.enter_context(catalogue.read()).scalar(select(func.count(CustodyEventRow.index)))


def test_a_view_that_was_read_is_true_though_its_session_ends_before_it(
    server: postgres.Postgres, url: str, catalogue: Catalogue
) -> None:
    append(catalogue)
    with catalogue.read() as session:
        found = LogReader(session).size
        assert sessions_ended(server, url)
    assert found == size(catalogue) == 1


def test_idle_connections_that_were_ended_are_no_error(
    server: postgres.Postgres, url: str, catalogue: Catalogue
) -> None:
    warm(catalogue, 5)
    assert sessions_ended(server, url) >= 5
    append(catalogue)
    assert size(catalogue) == 1
    warm(catalogue, 5)
    server.kill()
    server.start()
    append(catalogue)
    check_log(catalogue, 2)


def test_a_view_that_is_cut_off_is_told(
    server: postgres.Postgres, url: str, catalogue: Catalogue
) -> None:
    with pytest.raises(CatalogueUnavailableError) as caught, catalogue.read() as session:
        assert LogReader(session).size == 0
        sessions_ended(server, url)
        assert LogReader(session).size == 0
    assert caught.value.retryable


def test_a_server_that_is_away_is_told_and_found_again(
    server: postgres.Postgres, catalogue: Catalogue
) -> None:
    append(catalogue)
    server.stop()
    try:
        for act in (append, size):
            with pytest.raises(CatalogueUnavailableError) as caught:
                act(catalogue)
            assert caught.value.retryable
            assert "数据库" in describe_error(caught.value).zh
    finally:
        server.start()
    append(catalogue)
    check_log(catalogue, 2)


def test_a_writer_who_hangs_makes_the_others_wait_and_his_death_frees_them(
    url: str, catalogue: Catalogue, fresh: ForkServerContext
) -> None:
    hasty = writers_once.opened(url, busy_timeout_s=0.2)
    holding = fresh.Event()
    holder = fresh.Process(target=writers_once.hold, args=(url, holding))
    holder.start()
    assert holding.wait(60)
    with pytest.raises(CatalogueBusyError) as caught:
        append(hasty)
    assert caught.value.retryable
    assert size(hasty) == 0  # who only reads waits for nobody
    holder.kill()
    holder.join()
    append(catalogue)
    check_log(catalogue, 1)
    hasty.close()


def test_a_writer_who_does_nothing_loses_his_turn(url: str, catalogue: Catalogue) -> None:
    with catalogue.write() as uow:
        shown = uow.session.connection().exec_driver_sql("SHOW idle_in_transaction_session_timeout")
        assert shown.scalar() == "1min"
    another = writers_once.opened(url)
    with pytest.raises(CatalogueUnavailableError), catalogue.write() as uow:
        connection = uow.session.connection()
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1")
        append(another)  # it gets the turn: the idle one is ended
        connection.exec_driver_sql("SELECT 1")
    check_log(catalogue, 1)
    another.close()


def test_processes_that_write_at_once_make_one_log_without_a_gap(
    url: str, catalogue: Catalogue, fresh: ForkServerContext
) -> None:
    each = 40
    writers = [fresh.Process(target=writers_once.write, args=(url, name, each)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    check_log(catalogue, 3 * each)
    with catalogue.read() as session:
        for name in "abc":
            events = LogReader(session).events_of(f"writer:{name}")
            assert [event.details["number"] for event in events] == list(range(each))


# A server that is full, torn, or not fit


@contextmanager
def small_server(folder: Path) -> Iterator[tuple[postgres.Postgres, Path]]:
    """Run a server on a file system of its own, and tell where that is."""
    disk = Path(tempfile.mkdtemp(prefix="liuhen-small-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m,mode=755", "tmpfs", disk], check=True)
    server = postgres.Postgres(folder, within=str(disk))
    try:
        server.found()
        yield server, disk
    finally:
        server.stop()
        subprocess.run(["umount", "-l", disk], check=True)
        disk.rmdir()


@needs_root
def test_a_full_disk_of_the_database_is_told_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    with small_server(tmp_path) as (server, disk):
        url = server.create("template0", database.BY_BYTES)
        catalogue = writers_once.opened(url)
        catalogue.migrate_tables()
        filler = disk / "filler"
        fill(filler)
        acknowledged = 0
        with pytest.raises((StorageFullError, CatalogueUnavailableError)) as caught:
            while True:
                append(catalogue, os.urandom(100_000).hex())
                acknowledged += 1
        assert caught.value.retryable
        filler.unlink()
        server.kill()  # where its own log found no room it is down already
        server.start()
        kept = size(catalogue)
        assert kept in {acknowledged, acknowledged + 1}
        append(catalogue)
        check_log(catalogue, kept + 1)
        catalogue.close()


def test_a_torn_page_is_named_and_never_read_as_truth(
    server: postgres.Postgres, url: str, catalogue: Catalogue
) -> None:
    for _ in range(20):
        append(catalogue)
    with server.admin(url.rpartition("/")[2]) as connection:
        found = connection.execute("SELECT pg_relation_filepath('custody_event')").fetchone()
        connection.execute("CHECKPOINT")
    assert found is not None
    server.stop()
    page = server._data / found[0]
    data = bytearray(page.read_bytes())
    data[4000] ^= 1
    page.write_bytes(data)
    server.start()
    with catalogue.read() as session:
        (told,) = audit_catalogue(session, ())
    assert told.kind == DiscrepancyKind.DAMAGED_DATABASE
    assert "invalid page" in told.facts["found"]
    with pytest.raises(CatalogueUnavailableError), catalogue.read() as session:
        LogReader(session).get_event(0)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_may_forget_a_commit_is_refused(
    server: postgres.Postgres, url: str, setting: str
) -> None:
    catalogue = writers_once.opened(url)
    with server.admin() as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    try:
        until(lambda: set_to(server, setting) == "off")
        with pytest.raises(CatalogueSetupError) as caught:
            catalogue.migrate_tables()
    finally:
        with server.admin() as connection:
            connection.execute(f"ALTER SYSTEM RESET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        until(lambda: set_to(server, setting) == "on")
    assert caught.value.facts == {
        "problem": f"{setting} is off",
        "mend": f"ALTER SYSTEM SET {setting} = on",
    }
    assert not caught.value.retryable
    assert caught.value.facts["mend"] in describe_error(caught.value).next_zh
    catalogue.migrate_tables()
    catalogue.close()


def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError


def set_to(server: postgres.Postgres, setting: str) -> str:
    with server.admin() as connection:
        found = connection.execute(f"SHOW {setting}").fetchone()
        assert found is not None
        return str(found[0])


def test_a_commit_waits_for_the_disk_whatever_the_servers_default_is(
    server: postgres.Postgres, url: str, catalogue: Catalogue
) -> None:
    with server.admin() as connection:
        name = sql.Identifier(url.rpartition("/")[2])
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    catalogue.close()
    with catalogue.write() as uow:
        shown = uow.session.connection().exec_driver_sql("SHOW synchronous_commit")
        assert shown.scalar() == "on"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", "the encoding is not UTF8"),
        ("LOCALE_PROVIDER icu ICU_LOCALE 'zh'", "text is not compared by its bytes"),
    ],
)
def test_a_database_that_sorts_or_spells_otherwise_is_refused(
    server: postgres.Postgres, options: str, problem: str
) -> None:
    url = server.create("template0", options)
    catalogue = writers_once.opened(url)
    with pytest.raises(CatalogueSetupError) as caught:
        catalogue.migrate_tables()
    assert caught.value.facts["problem"] == problem
    assert "CREATE DATABASE" in caught.value.facts["mend"]
    catalogue.close()
    server.drop(url)


# Who may come in


@pytest.fixture
def guarded(server: postgres.Postgres, url: str) -> Iterator[str]:
    """The database as one sees it who needs a password, and may come in once at a time."""
    name = url.rpartition("/")[2]
    entries = server._data / "pg_hba.conf"
    before = entries.read_text()
    entries.write_text(f"host all clerk 127.0.0.1/32 scram-sha-256\n{before}")
    with server.admin() as connection:
        connection.execute("CREATE ROLE clerk LOGIN PASSWORD 'open-sesame' CONNECTION LIMIT 1")
        connection.execute(f"ALTER DATABASE {name} OWNER TO clerk")
        connection.execute("SELECT pg_reload_conf()")
    yield url.replace("postgres@", "clerk@")
    entries.write_text(before)
    with server.admin() as connection:
        connection.execute(f"ALTER DATABASE {name} OWNER TO postgres")
    with server.admin(name) as connection:
        connection.execute("REASSIGN OWNED BY clerk TO postgres")
        connection.execute("DROP OWNED BY clerk")
        connection.execute("DROP ROLE clerk")
        connection.execute("SELECT pg_reload_conf()")


def test_the_password_comes_from_its_own_file_and_is_never_told(
    guarded: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("open-sesame\n")
    desk = Desk.set_up(tmp_path, database_url=guarded, database_password_file=file)
    assert "open-sesame" not in repr(desk.office.settings) + repr(desk.office.catalogue._engine)
    desk.office.close()
    file.write_text("open-barley\n")
    with pytest.raises(CatalogueUnavailableError) as caught:
        Office.open(desk.office.settings)
    assert "password authentication failed" in str(caught.value)
    assert "open-barley" not in str(caught.value)


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="LIUHEN_DATABASE_PASSWORD_FILE") as caught:
        Settings(home=tmp_path, database_url="postgresql+psycopg://clerk:open-sesame@host/liuhen")
    assert "open-sesame" not in str(caught.value)


def test_too_many_connections_are_told_and_tried_again(guarded: str) -> None:
    catalogue = Catalogue(
        guarded,
        writers_once.now,
        os.urandom,
        password="open-sesame",
    )
    catalogue.migrate_tables()
    with catalogue.read() as session:
        size_now = LogReader(session).size
        with pytest.raises((CatalogueBusyError, CatalogueUnavailableError)) as caught:
            append(catalogue)
        assert caught.value.retryable
    append(catalogue)
    check_log(catalogue, size_now + 1)
    catalogue.close()
