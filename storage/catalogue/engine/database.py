"""The catalogue's database, SQLite or PostgreSQL: all that differs between the two.

Either is opened so that what was committed has happened, so that writers take turns, and so that
a view does not change while it is read; its errors become ours. A server that would forget or
sort otherwise is refused. What stands in the tables is everybody else's business.
"""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from storage.catalogue.engine.database_file import DatabaseFile
from storage.errors import (
    CatalogueBusyError,
    CatalogueSetupError,
    CatalogueUnavailableError,
    LiuhenError,
    StorageFullError,
    TextError,
)

LOG_LOCK = 0x6C6975_68656E  # one advisory lock for all writers of a log on PostgreSQL
_WRITE = "liuhen_write"
_FILE = "liuhen_file"
_CLOSED = "liuhen_closed"
_POOL = 20  # connections of one process, and as many more for a rush
_SINGLE: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
_USED = "used"
_FRESH_S = 1.0  # a connection that was in use so lately is there, or says so
_STATEMENT_S = 300
_IDLE_S = 600  # a view that does nothing; it holds back no writer
_WRITER_IDLE_S = 60  # a writer that does nothing holds back all others

# By SQLSTATE (PostgreSQL, appendix A): the same call may succeed later …
_BUSY = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57014",  # query_canceled: it took longer than _STATEMENT_S
    }
)
_FULL = frozenset({"53100"})  # disk_full
# … or when the server is back, or somebody has mended it: connections lost (08), ended by an
# operator or a crash (57P), input and output (58), a standby (25006), an idle transaction ended
# (25P03), damaged pages and indexes (XX001, XX002).
_AWAY = ("08", "57P", "58", "25006", "25P03", "XX001", "XX002")
_UNTAKABLE = frozenset({"22001", "22021"})  # too long, or no text that it can hold

# Both sides notice within half a minute that the other is gone, and a dead writer's lock with it.
_ALIVE = {"idle": 10, "interval": 5, "count": 3}
_UNHEARD_MS = 30_000


def open_engine(
    url: str, busy_timeout_s: float, password: str | None = None, *, name: str = "catalogue"
) -> Engine:
    """Return the database's engine; nothing is connected yet, and no file is ever made by it.

    `password` is kept out of the URL; `name` is what errors call the database.
    """
    if url.startswith("sqlite"):
        file = DatabaseFile(Path(make_url(url).database or ""), name, busy_timeout_s)
        # Errors hide their parameters: names of parties and envelopes would stand in logs.
        engine = create_engine(url, creator=file.connect, hide_parameters=True)
        engine.update_execution_options(**{_FILE: file})
        event.listen(engine, "connect", partial(_prepare_or_close, partial(_set_pragmas, file)))
        event.listen(engine, "begin", _begin_transaction)
    else:
        engine = create_engine(
            make_url(url).set(password=password) if password else url,
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_timeout=busy_timeout_s,
            hide_parameters=True,
            connect_args=_connection_arguments(busy_timeout_s),
        )
        event.listen(engine, "connect", partial(_prepare_or_close, _require_server_settings))
        _ask_idle(engine)
    event.listen(engine, "before_cursor_execute", _no_nul)
    # A connection in use when `close` is called comes back later, into a pool nobody empties.
    closed = threading.Event()
    engine.update_execution_options(**{_CLOSED: closed})
    event.listen(engine, "checkin", partial(_let_go, closed))
    return engine


def close(engine: Engine) -> None:
    """Close every connection: who is at work ends first, and leaves none behind."""
    closed: threading.Event = engine.get_execution_options()[_CLOSED]
    closed.set()
    engine.dispose()


def _let_go(closed: threading.Event, _connection: Any, record: ConnectionPoolEntry) -> None:
    """Close what comes back once all was closed: nobody would take it from its pool again."""
    if closed.is_set():
        record.close()


def is_sqlite(engine: Engine) -> bool:
    """Whether the engine is SQLite's."""
    return engine.dialect.name == "sqlite"


def create_file(engine: Engine) -> None:
    """Make SQLite's file unless there is one; a server's databases are made by its operator."""
    if (file := _file_of(engine)) is not None:
        file.create()


def is_filled(engine: Engine) -> bool:
    """Tell whether there can be any table: False where SQLite's file is missing or empty."""
    file = _file_of(engine)
    return file is None or file.has_content


def check_file(session: Session) -> None:
    """Make sure that a session's database is the file at its path; a server vouches for itself.

    Costs two calls of stat(2). Raises: CatalogueReplacedError.
    """
    if (file := _file_of(session.get_bind().engine)) is not None:
        file.check_connection(session.connection().info)


def _file_of(engine: Engine) -> DatabaseFile | None:
    file: DatabaseFile | None = engine.get_execution_options().get(_FILE)
    return file


def get_writer_engine(engine: Engine) -> Engine:
    """Return the engine as writers use it; on PostgreSQL they take their turn by `take_turn`."""
    options: dict[str, Any] = {_WRITE: True}
    if not is_sqlite(engine):
        # What another writer committed before our turn must be seen after the wait for it.
        options["isolation_level"] = "READ COMMITTED"
    return engine.execution_options(**options)


def get_autocommit_engine(engine: Engine) -> Engine:
    """Return the engine for single questions: each is a view of its own, without a transaction.

    That saves a server two more answers for each.
    """
    return get_reader_engine(engine) if is_sqlite(engine) else engine.execution_options(**_SINGLE)


def get_reader_engine(engine: Engine) -> Engine:
    """Return the engine as readers use it: each transaction is one view, and changes nothing."""
    if is_sqlite(engine):
        return engine
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return engine.execution_options(**options)


def end_view(session: Session) -> None:
    """End a view that was read to its end.

    psycopg forgets every prepared statement of a connection at a ROLLBACK, but not at a COMMIT; and
    a server that was told that the transaction only reads has nothing to commit. SQLite was not.
    What was read is true, whether or not the server still hears that it was the last.
    """
    if session.in_transaction() and not is_sqlite(session.get_bind().engine):
        # So that the commit has nothing to write: nothing done in a view is kept.
        session.expunge_all()
        with suppress(DBAPIError):
            session.commit()


def take_turn(connection: Connection, *, at_length: bool = False) -> None:
    """Wait until no other writer is at work; ours it is until the transaction ends.

    `at_length`: a migration may take as long as it takes.
    """
    if is_sqlite(connection.engine):
        return  # BEGIN IMMEDIATE was the wait
    # For this transaction alone: a reader on the same connection has longer limits.
    limits = {
        "idle_in_transaction_session_timeout": _WRITER_IDLE_S * 1000,
        "statement_timeout": 0 if at_length else _STATEMENT_S * 1000,
    }
    limit = ", ".join(
        f"set_config('{name}', '{setting}', true)" for name, setting in limits.items()
    )
    # One statement for lock and limits: each answer of a server on another machine costs time.
    statement = text(f"SELECT pg_advisory_xact_lock(:key), {limit}")
    connection.execute(statement, {"key": LOG_LOCK})


def server_now(connection: Connection) -> datetime | None:
    """Return the time by the server's clock; None for SQLite, which has none but ours."""
    if is_sqlite(connection.engine):
        return None
    moment: datetime | None = connection.scalar(text("SELECT clock_timestamp()"))
    return moment


def _prepare_or_close(
    prepare: Callable[[Any, ConnectionPoolEntry], None],
    connection: Any,
    record: ConnectionPoolEntry,
) -> None:
    """Prepare a new connection; close one that is refused, for no pool knows it yet."""
    try:
        prepare(connection, record)
    except BaseException:
        connection.close()
        raise


def _set_pragmas(file: DatabaseFile, connection: Any, record: ConnectionPoolEntry) -> None:
    """Let SQLite write ahead, and sync every commit."""
    # Else Python's sqlite3 begins transactions by itself, and without IMMEDIATE.
    connection.isolation_level = None  # we say BEGIN ourselves, below
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # an envelope that was shredded leaves nothing in the file
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    # Only now: the pragma above opened the write-ahead log.
    file.note_wal(record.info)


def _begin_transaction(connection: Connection) -> None:
    # IMMEDIATE: a writer waits here for its turn, and never finds its snapshot outdated.
    writes = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _connection_arguments(busy_timeout_s: float) -> dict[str, Any]:
    """Return how libpq connects; `options` are the server's own settings for the session."""
    session = {
        "synchronous_commit": "on",  # whatever the server's own default is
        "timezone": "UTC",
        "lock_timeout": int(busy_timeout_s * 1000),
        "statement_timeout": _STATEMENT_S * 1000,
        "idle_in_transaction_session_timeout": _IDLE_S * 1000,
        "tcp_user_timeout": _UNHEARD_MS,
        **{f"tcp_keepalives_{name}": setting for name, setting in _ALIVE.items()},
    }
    return {
        "connect_timeout": 10,
        "application_name": "liuhen",
        "client_encoding": "utf8",
        "options": " ".join(f"-c {name}={setting}" for name, setting in session.items()),
        "tcp_user_timeout": _UNHEARD_MS,
        **{f"keepalives_{name}": setting for name, setting in _ALIVE.items()},
    }


_FITNESS = """
SELECT current_setting('fsync'), current_setting('full_page_writes'),
       current_setting('synchronous_commit'), current_setting('server_encoding'), 'B' < 'a'
"""


def _require_server_settings(connection: psycopg.Connection[Any], _record: Any) -> None:
    """Refuse a server on which a commit may be forgotten, or text is not what we wrote.

    Text is compared byte by byte, as SQLite does it: the indexes that keep a recording from being
    taken twice must not depend on a library's sorting, which changes with its versions.
    Raises: CatalogueSetupError, which names what mends it.
    """
    with connection.cursor() as cursor:
        settings_row = cursor.execute(_FITNESS).fetchone()
    # The rollback ends the transaction that psycopg began for this question.
    connection.rollback()
    fsync, full_pages, synchronous, encoding, by_bytes = settings_row or ("",) * 5
    created = "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
    for holds, problem, mend in (
        (fsync == "on", "fsync is off", "ALTER SYSTEM SET fsync = on"),
        (
            full_pages == "on",
            "full_page_writes is off",
            "ALTER SYSTEM SET full_page_writes = on",
        ),
        (
            # `remote_apply` waits for more than `on` does, every other value for less.
            synchronous in {"on", "remote_apply"},
            "synchronous_commit is not on",
            "synchronous_commit = on",
        ),
        (encoding == "UTF8", "the encoding is not UTF8", created),
        (by_bytes is True, "text is not compared by its bytes", created),
    ):
        if not holds:
            raise CatalogueSetupError(problem=problem, mend=mend)


def _ask_idle(engine: Engine) -> None:
    """Let a connection that lay idle be asked first whether it is still there.

    So one that the server ended meanwhile is no error. One that was in use just now is asked only
    when something came from it unasked, as a server's last word or the end of the line does: to ask
    each time would cost as much as a small question.
    """

    def note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    def ping_idle(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        # Not by the wall clock, which may be set while a connection lies idle.
        if time.monotonic() - record.info.get(_USED, 0.0) < _FRESH_S and not _has_unread_input(
            connection
        ):
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError from error  # upon which the pool makes new ones

    event.listen(engine, "checkin", note_use)
    event.listen(engine, "checkout", ping_idle)


def _has_unread_input(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether there is anything to read from a connection of which nothing was asked."""
    if connection.closed:
        return True
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    return bool(line.poll(0))


def _no_nul(_connection: Any, _cursor: Any, _statement: str, parameters: Any, *how: Any) -> None:
    """Refuse U+0000, which PostgreSQL cannot hold, on either engine. Raises: TextError."""
    many = how[-1]
    # Before it reaches a database: SQLite would keep the text, and the two would differ.
    for row in parameters if many else (parameters,):
        for parameter in row.values() if isinstance(row, dict) else row:
            if isinstance(parameter, str) and "\0" in parameter:
                raise TextError(problem="U+0000")


@contextmanager
def translate_errors(database: str = "catalogue") -> Iterator[None]:
    """Turn a database's own errors into ours.

    Raises: CatalogueBusyError, StorageFullError, CatalogueUnavailableError, TextError. Of a commit
    that ends in CatalogueUnavailableError nobody knows whether it happened: look, or call again.
    """
    try:
        yield
    except DBAPIError as error:
        if (ours := _translate_error(error, database)) is None:
            raise
        raise ours from error
    except PoolTimeoutError as error:
        raise CatalogueBusyError(database=database) from error


def trouble_of(error: BaseException) -> LiuhenError | None:
    """Return what an error of a database is in our words where nobody said it (`told`).

    Libraries log their own: the pool of a lost connection, the job engine of its questions.
    None where it is no database's, or a defect.
    """
    if isinstance(error, DBAPIError):
        return _translate_error(error, "catalogue")
    if isinstance(error, psycopg.OperationalError):
        return CatalogueUnavailableError(database="catalogue", problem=str(error)[:200])
    return None


def _translate_error(error: DBAPIError, database: str) -> LiuhenError | None:
    """Return our error for a database's own; None where it is a defect of ours."""
    # By SQLSTATE, since a server's messages come in its own language.
    message, state = str(error.orig), getattr(error.orig, "sqlstate", None)
    if not isinstance(error.orig, psycopg.Error):
        return _ours_of_sqlite(error, message, database)
    if state in _BUSY:
        return CatalogueBusyError(database=database)
    if state in _FULL:
        return StorageFullError(where=database)
    if state in _UNTAKABLE:
        return TextError(problem=message[:200])
    # A connection that could not be made has no SQLSTATE.
    unmade = state is None and isinstance(error.orig, psycopg.OperationalError)
    if error.connection_invalidated or unmade or (state or "").startswith(_AWAY):
        return CatalogueUnavailableError(database=database, problem=message[:200])
    return None


def _ours_of_sqlite(error: DBAPIError, message: str, database: str) -> LiuhenError | None:
    # By its message, since SQLite has no SQLSTATE.
    if "malformed" in message or "not a database" in message:
        return CatalogueUnavailableError(database=database, problem=message)
    # Constraint violations and the like are defects of ours, and stay what they are.
    if not isinstance(error, OperationalError):
        return None
    if "locked" in message or "busy" in message:
        return CatalogueBusyError(database=database)
    if "full" in message:
        return StorageFullError(where=database)
    if any(fault in message for fault in ("I/O error", "unable to open", "readonly")):
        return CatalogueUnavailableError(database=database, problem=message)
    return None
