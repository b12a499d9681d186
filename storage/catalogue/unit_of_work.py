"""The only commit of the catalogue: rows and their custody entries, together or not at all.

A unit of work takes the write lock when it opens, so that several processes (station, service,
command line) append to one log in turn. It refuses to commit an audited row whose last state was
not logged in the same transaction: nobody can forget. In it, too, it counts on what stored duties
were judged from (`duty_basis.py`). How the two databases are opened, so that what was committed
has happened, is `database.py`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import event, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstanceState, Session

from policies.identifiers import SYSTEM, Subject
from storage.catalogue.duty_basis import Concern, collect_concerns, raise_versions
from storage.catalogue.engine import database
from storage.catalogue.engine.columns import Audited
from storage.catalogue.engine.database import translate_errors
from storage.catalogue.engine.table_version import find_version, upgrade_tables
from storage.catalogue.log import custody_log, refused_time
from storage.catalogue.log.discrepancy import Discrepancy
from storage.catalogue.log.tables import LogLeafRow
from storage.custody.checkpoint import Checkpoint
from storage.custody.entries import log_time
from storage.custody.entries.acting import PersonActing, named_sessions
from storage.custody.entries.event import (
    SALT_SIZE,
    Event,
    Outcome,
    PremisType,
    format_timestamp,
)
from storage.custody.entries.log_time import SKEW
from storage.custody.entries.subjects import (
    CLOCK,
    INTEGRITY,
    list_continued_subjects,
    list_named_subjects,
)
from storage.errors import (
    ConflictError,
    CustodyError,
    LiuhenError,
    LogClockError,
    SessionEndedError,
    TextError,
)
from storage.recording import new_recording_id

View = Session  # a consistent view of the catalogue, as `Catalogue.read` gives it
Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]

_ID_ENTROPY = 10
_NEVER: dict[str, Any] = {}  # no row's state: a row that is gone has None
ALARM = "custody.alarm"
_LONGEST = 100  # differences named in one entry


def no_head() -> None:
    """Know of no signed head: before a log has a signer, and where none is handed in."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An act that is tried: how its entry names it if it is refused."""

    act: str
    kind: PremisType
    actor: str
    subject: Subject


class RowsDifferError(LiuhenError):
    """Rows that an act rests on are not what the log says: nothing was done, and it is logged."""

    code = "rows-differ"

    def __init__(self, attempt: Attempt, differences: Sequence[Discrepancy]) -> None:
        """Keep what was tried, and what differs."""
        self.attempt = attempt
        self.found = tuple(differences)
        names = list(dict.fromkeys(difference.subject for difference in differences))
        super().__init__(
            act=attempt.act,
            rows="、".join(names[:5]),
            count=len(names),
            wrong=[difference.to_json() for difference in differences[:_LONGEST]],
        )


class UnitOfWork:
    """One transaction that may change rows. `at` is the one time of all that it does."""

    def __init__(
        self,
        session: Session,
        at: datetime,
        entropy: Entropy,
        last_head: Callable[[], Checkpoint | None] = no_head,
    ) -> None:
        self.session = session
        self._floor = custody_log.LogReader(session).last_at
        self.at = at
        if self._floor is not None and timedelta() < self._floor - at <= SKEW:
            self.at = self._floor
        self.last_head = last_head
        self._entropy = entropy
        self._log = custody_log.LogWriter(session)
        self._touched: set[Audited] = set()
        self._concerned: set[Concern] = set()
        self._logged: dict[tuple[str, str], dict[str, Any] | None] = {}
        event.listen(session, "before_flush", _check_lengths)
        event.listen(session, "after_flush", self._remember_changes)

    @property
    def logged(self) -> Mapping[tuple[str, str], Mapping[str, Any] | None]:
        """The states that this unit has logged so far, by table and key."""
        return self._logged

    def new_id(self) -> str:
        """Return a fresh UUIDv7 as text."""
        return str(new_recording_id(self.at, self._entropy(_ID_ENTROPY)))

    @property
    def next_index(self) -> int:
        """The number that the next entry will get."""
        return self._log.next_index

    def log(
        self,
        event: Event,
        *rows: Audited,
        chains: Collection[str] = (),
        heads: Iterable[str] = (),
    ) -> int:
        """Append an entry and return its index; `rows` are those that the act changed.

        The state of each row after the act goes into the event's details, under `rows`. The entry
        continues the chains of its subject, of those that its rows are about, and of `chains`; it
        names the heads of those that its rows name, and of `heads` (custody/subjects.py). What a
        person does names his session and its head (custody/acting.py).
        Raises: LogClockError when our clock is behind the last entry's; SessionEndedError (his
        session ended while he was at it: nothing is done).
        """
        # A clock set back could date an act before a deadline; such an entry is refused.
        if self._floor is not None and event.at < self._floor:
            raise LogClockError(last=format_timestamp(self._floor), now=format_timestamp(event.at))
        self.session.flush()
        details = dict(event.details)
        if isinstance(event.actor, PersonActing):
            # Inside the transaction: a session ended by an administrator stops acts under way.
            self._check_session(event.actor, chains)
            details |= event.actor.to_json()
        if rows:
            details["rows"] = [self._log_state(row) for row in rows]
        # What a row says, and what a row that is gone said.
        row_snapshots = [(row.__tablename__, row.snapshot()) for row in rows]
        return self._log.append(
            replace(event, actor=str(event.actor), details=details),
            self._entropy(SALT_SIZE),
            {*list_continued_subjects(row_snapshots), *chains},
            {*list_named_subjects(row_snapshots), *heads, *named_sessions(details)},
        )

    def record(
        self,
        act: str,
        kind: PremisType,
        *rows: Audited,
        actor: str,
        subject: Subject,
        outcome: Outcome = Outcome.SUCCESS,
        chains: Collection[str] = (),
        heads: Iterable[str] = (),
        **details: Any,
    ) -> int:
        """Append an entry for an act of this moment; see `log`."""
        event = Event(act, kind, self.at, actor, subject, outcome, details)
        return self.log(event, *rows, chains=chains, heads=heads)

    def accept_clock(self, reason: str, *, actor: str) -> int:
        """Let the log go on by our clock, though its last entry is from later; return the entry.

        Raises: ConflictError when no reason is given, or our clock is not behind.
        """
        before = self._floor
        if not reason.strip():
            raise ConflictError(problem="no reason given")
        if before is None or before <= self.at:
            raise ConflictError(problem="the clock is not behind the log")
        self._floor = None
        return self.record(
            log_time.ACT,
            PremisType.METADATA_MODIFICATION,
            actor=actor,
            subject=CLOCK,
            before=format_timestamp(before),
            now=format_timestamp(self.at),
            reason=reason,
        )

    def _check_session(self, acting: PersonActing, chains: Collection[str]) -> None:
        """Refuse an act in a session that ended while it was under way. Raises: SessionEndedError.

        The chain of an open session has one entry: the one that opened it.
        """
        if acting.session is None or acting.asked_at is not None:
            return
        name = Subject.of_session(acting.session)
        (head,) = self._log.chain_heads([name]).values()
        expired = acting.until is not None and acting.until <= self.at
        if expired or not (name in chains or head.count == 1):
            raise SessionEndedError(session=acting.session)

    def finish(self) -> None:
        """Write the entries into the log.

        Raises: CustodyError when an audited row changed and its state was not logged.
        """
        self.session.flush()
        # No change without its entry: what code forgot to log fails here, not at the next audit.
        for row in self._touched:
            if self._logged.get((row.__tablename__, row.key), _NEVER) != _state_of(row):
                raise CustodyError(
                    problem="a row changed without an entry", table=row.__tablename__, row=row.key
                )
        raise_versions(self.session, self._concerned)
        self._log.write()

    def _log_state(self, row: Audited) -> dict[str, Any]:
        state = _state_of(row)
        self._logged[row.__tablename__, row.key] = deepcopy(state)
        return {"table": row.__tablename__, "key": row.key, "state": state}

    def _remember_changes(self, session: Session, _context: Any) -> None:
        changed = (*session.new, *session.dirty, *session.deleted)
        self._concerned |= collect_concerns(changed)
        self._touched.update(row for row in changed if isinstance(row, Audited))


class Catalogue:
    """The catalogue's database, opened; knows no table and no rule."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        entropy: Entropy,
        *,
        busy_timeout_s: float = 30,
        password: str | None = None,
    ) -> None:
        self._engine = database.open_engine(url, busy_timeout_s, password)
        self._writer = database.get_writer_engine(self._engine)
        self._reader = database.get_reader_engine(self._engine)
        self._glancer = database.get_autocommit_engine(self._engine)
        self._clock = clock
        self._entropy = entropy
        self._last_head: Callable[[], Checkpoint | None] = no_head

    def trust_heads(self, last_head: Callable[[], Checkpoint | None]) -> None:
        """Learn who knows the last signed head, verified: rows are compared under it."""
        self._last_head = last_head

    def count_entries(self) -> int | None:
        """Return how many entries the log has; None where there is no catalogue. Makes nothing.

        Raises: CatalogueNewerError, CatalogueSetupError, CatalogueBusyError,
        CatalogueUnavailableError.
        """
        if not database.is_filled(self._engine):
            return None
        with translate_errors(), self._reader.connect() as connection:
            find_version(connection)
            if not inspect(connection).has_table(LogLeafRow.__tablename__):
                return None
        with self.read() as session:
            return custody_log.LogReader(session).size

    def migrate_tables(self, *, new: bool = False) -> None:
        """Bring the tables to this version, in one transaction; several processes may call it.

        `new` makes SQLite's file where there is none: founding does that, and nothing else.
        Raises: CatalogueSetupError (the server as it is set up would lose evidence),
        CatalogueNewerError, CatalogueBusyError, CatalogueUnavailableError (there is no such
        database, too).
        """
        if new:
            database.create_file(self._engine)
        with translate_errors(), self._writer.begin() as connection:
            database.take_turn(connection, at_length=True)
            upgrade_tables(connection)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Open a unit of work; it is committed, and on the disk, when the block ends.

        An exception in the block undoes everything; a RowsDifferError is then logged.
        Raises: CatalogueBusyError (another writer held the lock for too long; the same call may
        succeed later), StorageFullError, CatalogueUnavailableError (if it came at the commit, the
        unit may be kept or not), CatalogueReplacedError (nothing is kept), TextError, CustodyError
        (a row changed without an entry).
        """
        try:
            with self._open_unit() as unit:
                yield unit
        except RowsDifferError as error:
            try:
                # A unit of its own: the refused one is rolled back with everything in it.
                self._log_refusal(error)
            except (CustodyError, IntegrityError) as broken:  # the log takes no entry any more
                error.add_note(f"the refusal could not be logged: {broken}")
            raise

    def _log_refusal(self, error: RowsDifferError) -> None:
        """Commit the refusal, and the alarm, unless one for the same differences stands."""
        tried, wrong = error.attempt, error.facts["wrong"]
        with self._open_unit() as unit:
            unit.record(
                tried.act,
                tried.kind,
                actor=tried.actor,
                subject=tried.subject,
                outcome=Outcome.REFUSED,
                reason=error.code,
                wrong=wrong,
            )
            # One alarm per set of differences: retries must not flood the log.
            if refused_time.is_raised(unit.session, wrong):
                return
            unit.record(
                ALARM,
                PremisType.FIXITY_CHECK,
                actor=SYSTEM,
                subject=INTEGRITY,
                outcome=Outcome.FAILURE,
                why=error.code,
                tried=tried.act,
                upon=tried.subject,
                wrong=wrong,
            )

    @contextmanager
    def _open_unit(self) -> Iterator[UnitOfWork]:
        with (
            translate_errors(),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            # SQLite keeps writing to a deleted or replaced file; the commit would be lost.
            database.check_file(session)
            database.take_turn(session.connection())
            unit = UnitOfWork(session, self._clock(), self._entropy, self._last_head)
            yield unit
            unit.finish()
            database.check_file(session)  # what is committed into a lost file would be lost

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a consistent view of the catalogue. Nothing done in it is kept.

        Raises: CatalogueReplacedError, CatalogueBusyError, CatalogueUnavailableError.
        """
        with (
            translate_errors(),
            Session(self._reader, expire_on_commit=False, autoflush=False) as session,
        ):
            database.check_file(session)
            yield session
            database.end_view(session)

    @contextmanager
    def read_uncoordinated(self) -> Iterator[Session]:
        """Open the catalogue for single questions: each sees what was committed when it is asked.

        Cheaper than `read` for one question; for several that must agree it is wrong.
        Raises: as `read`.
        """
        with (
            translate_errors(),
            Session(self._glancer, expire_on_commit=False, autoflush=False) as session,
        ):
            database.check_file(session)
            yield session

    def now(self) -> datetime:
        """Return the time of the clock that was handed in."""
        return self._clock()

    def server_now(self) -> datetime | None:
        """Return the time by the database server's clock; None where there is no server."""
        with translate_errors(), self._reader.connect() as connection:
            return database.server_now(connection)

    def close(self) -> None:
        """Let go of the database; who is still at work in it lets go as he ends."""
        database.close(self._engine)


def _state_of(row: Audited) -> dict[str, Any] | None:
    is_deleted = cast("InstanceState[Any]", inspect(row)).deleted
    return None if is_deleted else row.snapshot()


def _check_lengths(session: Session, _context: Any, _instances: Any) -> None:
    """Refuse what is longer than its column: SQLite would keep it, and PostgreSQL would not.

    Raises: TextError.
    """
    for row in (*session.new, *session.dirty):
        for column in inspect(type(row)).columns:
            limit: int | None = getattr(column.type, "length", None)
            column_value = getattr(row, column.key)
            if limit is not None and isinstance(column_value, str) and len(column_value) > limit:
                raise TextError(problem=f"{column.name}: {len(column_value)} > {limit}")
