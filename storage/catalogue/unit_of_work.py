"""The only commit of the catalogue: rows and their custody entries, together or not at all.

A unit of work takes the write lock when it opens, so that several processes (station, service,
command line) append to one log in turn. It refuses to commit an audited row whose last state was
not logged in the same transaction: nobody can forget. SQLite runs in WAL with synchronous=FULL;
what was committed has happened.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import InstanceState, Session

from storage import canonical
from storage.catalogue import custody_log
from storage.catalogue.columns import Audited
from storage.custody.event import SALT_SIZE, Event, Outcome, PremisType
from storage.errors import (
    CatalogueBusyError,
    CatalogueUnavailableError,
    CustodyError,
    StorageFullError,
)
from storage.recording import new_recording_id

View = Session  # a consistent view of the catalogue, as `Catalogue.read` gives it
Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]

_WRITE = "liuhen_write"
_LOG_LOCK = 0x6C6975_68656E  # one advisory lock for all writers of a log on PostgreSQL
_ID_ENTROPY = 10


class UnitOfWork:
    """One transaction that may change rows. `at` is the one time of all that it does."""

    def __init__(self, session: Session, at: datetime, entropy: Entropy) -> None:
        self.session = session
        self.at = at
        self._entropy = entropy
        self._touched: set[Audited] = set()
        self._logged: dict[tuple[str, str], bytes] = {}
        event.listen(session, "after_flush", self._remember)

    def new_id(self) -> str:
        """Return a fresh UUIDv7 as text."""
        return str(new_recording_id(self.at, self._entropy(_ID_ENTROPY)))

    @property
    def next_index(self) -> int:
        """The number that the next entry will get."""
        return custody_log.LogReader(self.session).size

    def log(self, event: Event, *rows: Audited) -> int:
        """Append an entry and return its index; `rows` are those that the act changed.

        The state of each row after the act goes into the event's details, under `rows`.
        """
        self.session.flush()
        details = dict(event.details)
        if rows:
            details["rows"] = [self._state(row) for row in rows]
        told = Event(
            act=event.act,
            event=event.event,
            at=event.at,
            actor=event.actor,
            subject=event.subject,
            outcome=event.outcome,
            details=details,
        )
        return custody_log.append(self.session, told, self._entropy(SALT_SIZE))

    def record(
        self,
        act: str,
        kind: PremisType,
        *rows: Audited,
        actor: str,
        subject: str,
        outcome: Outcome = Outcome.SUCCESS,
        **details: Any,
    ) -> int:
        """Append an entry for an act of this moment; see `log`."""
        return self.log(Event(act, kind, self.at, actor, subject, outcome, details), *rows)

    def check(self) -> None:
        """Raise: CustodyError when an audited row changed and its state was not logged."""
        self.session.flush()
        for row in self._touched:
            if self._logged.get((row.__tablename__, row.key)) != canonical.encode(_state_of(row)):
                raise CustodyError(
                    problem="a row changed without an entry", table=row.__tablename__, row=row.key
                )

    def _state(self, row: Audited) -> dict[str, Any]:
        state = _state_of(row)
        self._logged[row.__tablename__, row.key] = canonical.encode(state)
        return {"table": row.__tablename__, "key": row.key, "state": state}

    def _remember(self, session: Session, _context: Any) -> None:
        changed = (*session.new, *session.dirty, *session.deleted)
        self._touched.update(row for row in changed if isinstance(row, Audited))


class Catalogue:
    """The catalogue's database, opened; knows no table and no rule."""

    def __init__(
        self,
        url_or_engine: str | Engine,
        clock: Clock,
        entropy: Entropy,
        *,
        busy_timeout_s: float = 30,
    ) -> None:
        self._engine = (
            _engine(url_or_engine, busy_timeout_s)
            if isinstance(url_or_engine, str)
            else url_or_engine
        )
        self._sqlite = self._engine.dialect.name == "sqlite"
        if self._sqlite:
            _configure_sqlite(self._engine)
        self._clock = clock
        self._entropy = entropy

    def migrate(self) -> None:
        """Bring the tables to this version, in one transaction; several processes may call it.

        Raises: CatalogueBusyError.
        """
        config = Config()
        folder = Path(__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        with told(), self._writer().begin() as connection:
            self._lock_log(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Open a unit of work; it is committed, and on the disk, when the block ends.

        An exception in the block undoes everything.
        Raises: CatalogueBusyError (another writer held the lock for too long; the same call may
        succeed later), StorageFullError, CustodyError (a row changed without an entry).
        """
        with told(), Session(self._writer(), expire_on_commit=False) as session, session.begin():
            self._lock_log(session.connection())
            unit = UnitOfWork(session, self._clock(), self._entropy)
            yield unit
            unit.check()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a consistent view of the catalogue. Nothing done in it is kept."""
        with told(), Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def now(self) -> datetime:
        """Return the time of the clock that was handed in."""
        return self._clock()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _writer(self) -> Engine:
        return self._engine.execution_options(**{_WRITE: True})

    def _lock_log(self, connection: Any) -> None:
        if not self._sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOG_LOCK})


def _state_of(row: Audited) -> dict[str, Any] | None:
    gone = cast("InstanceState[Any]", inspect(row)).deleted
    return None if gone else row.snapshot()


def _engine(url: str, busy_timeout_s: float) -> Engine:
    options = {"timeout": busy_timeout_s} if url.startswith("sqlite") else {}
    return create_engine(url, connect_args=options)


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # IMMEDIATE: a writer waits here for its turn, and never finds its snapshot outdated.
        writes = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def told(database: str = "catalogue") -> Iterator[None]:
    """Turn a database's own errors into ours.

    Raises: CatalogueBusyError, StorageFullError, CatalogueUnavailableError.
    """
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "locked" in text or "busy" in text:
            raise CatalogueBusyError(database=database) from error
        if "full" in text:
            raise StorageFullError(where=database) from error
        if "I/O error" in text or "unable to open" in text:
            raise CatalogueUnavailableError(database=database, problem=text) from error
        raise
