"""Rows of a station's journal, read and written in its own database file.

SQLite, WAL, synchronous=FULL: a step that was written down has happened. The file of an older
release is brought to this version's tables when it is opened.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    func,
    inspect,
    literal,
    select,
    text,
)
from sqlalchemy.engine import Inspector
from sqlalchemy.orm import Session

from storage.catalogue.engine.database import (
    check_file,
    close,
    create_file,
    get_writer_engine,
    open_engine,
    translate_errors,
)
from storage.catalogue.stations.journal_tables import (
    BayRow,
    ClockRow,
    JournalBase,
    LogAlarmRow,
    LogHeadRow,
    NoteRow,
    RequestRow,
    SubmissionRow,
)

Element = TypeVar("Element")

_BUSY_S = 30
_AT_ONCE = 500  # values in one statement


_INDEXES = {
    str(index.name) for table in JournalBase.metadata.tables.values() for index in table.indexes
}


class BacklogRow(NamedTuple):
    """What of one source in one bay stands in a state; `changed` is the oldest."""

    bay: str
    source: str
    files: int
    bytes: int
    changed: str
    troubled: int


class VersionRow(NamedTuple):
    """One version of a file that lay in a bay, and the source that offered it."""

    path: bytes
    size: int
    mtime_ns: int
    source: str


class JournalStore:
    """The journal's file, opened; every `write` is one durable transaction."""

    def __init__(self, path: Path) -> None:
        """Open the file, made where there is none, and bring its tables to this version.

        Raises: as `write`.
        """
        self._engine = open_engine(f"sqlite:///{path}", _BUSY_S, name="journal")
        self._writer = get_writer_engine(self._engine)
        self._joined = threading.local()
        with ExitStack() as undo, translate_errors("journal"):
            undo.callback(self.close)
            create_file(self._engine)
            self._prepare()
            undo.pop_all()

    def _prepare(self) -> None:
        self._let_versions_share_a_key()
        with self._engine.connect() as connection:
            complete = _is_complete(connection)
        if not complete:
            with self._writer.begin() as connection:  # two that open at once take turns
                _complete_tables(connection)

    def _let_versions_share_a_key(self) -> None:
        """Make the table of an older journal anew, where one key had room for one row only."""
        if not _one_row_a_key(inspect(self._engine)):
            return
        with self._writer.begin() as connection:
            tables = inspect(connection)
            if not _one_row_a_key(tables):
                return  # another process was first
            for index in tables.get_indexes("submission"):
                connection.execute(text(f"DROP INDEX {index['name']}"))
            columns = ", ".join(column["name"] for column in tables.get_columns("submission"))
            connection.execute(text("ALTER TABLE submission RENAME TO submission_before"))
            JournalBase.metadata.tables["submission"].create(connection)
            copied = f"INSERT INTO submission ({columns}) SELECT {columns} FROM submission_before"  # noqa: S608 - our own names
            connection.execute(text(copied))
            connection.execute(text("DROP TABLE submission_before"))

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open one transaction, or join this thread's; it is on the disk when the block ends.

        Raises: CatalogueBusyError (locked for 30 s), StorageFullError, CatalogueUnavailableError,
        CatalogueReplacedError (the open file is not the one at its path; nothing is kept).
        """
        if (joined := getattr(self._joined, "session", None)) is not None:
            yield joined
            return
        with (
            translate_errors("journal"),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            check_file(session)
            yield session
            check_file(session)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a view of the journal. Raises: as `write`."""
        with translate_errors("journal"), Session(self._engine, expire_on_commit=False) as session:
            check_file(session)
            yield session

    @contextmanager
    def share_transaction(self) -> Iterator[None]:
        """Make all that this thread writes in the block one transaction: all of it, or nothing."""
        with self.write() as session:
            self._joined.session = session
            try:
                yield
            finally:
                self._joined.session = None

    def find_row(self, row_id: int) -> SubmissionRow | None:
        """Return one row."""
        with self.read() as session:
            return session.get(SubmissionRow, row_id)

    def list_rows(self, **equal: Any) -> list[SubmissionRow]:
        """Return the rows whose columns equal the given values, oldest first."""
        query = select(SubmissionRow).filter_by(**equal).order_by(SubmissionRow.id)
        with self.read() as session:
            return list(session.scalars(query))

    def with_receipt(self, states: Iterable[str], source: str, sha256: str) -> SubmissionRow | None:
        """Return a row of these bytes of a source, in one of these states, with a receipt.

        Reads no other row, however many copies of these bytes there are.
        """
        query = select(SubmissionRow).where(
            _in_states(states),
            SubmissionRow.source == source,
            SubmissionRow.sha256 == sha256,
            func.length(SubmissionRow.receipt) > 0,
        )
        with self.read() as session:
            return session.scalars(query.limit(1)).first()

    def has_row(self, states: Iterable[str], **equal: Any) -> bool:
        """Tell whether a row in one of these states has these values in its columns."""
        query = select(literal(1)).select_from(SubmissionRow).where(_in_states(states))
        with self.read() as session:
            return session.scalar(query.filter_by(**equal).limit(1)) is not None

    def list_ids(self, state: str) -> list[int]:
        """Return the ids of the rows in a state, oldest first."""
        query = select(SubmissionRow.id).where(_in_states([state])).order_by(SubmissionRow.id)
        with self.read() as session:
            return list(session.scalars(query))

    def list_reasons(self, state: str) -> list[str]:
        """Return what keeps rows in a state, each reason once, that of the oldest row first."""
        reason = SubmissionRow.reason
        query = select(reason).where(_in_states([state]), reason.is_not(None)).group_by(reason)
        with self.read() as session:
            reason_texts = session.scalars(query.order_by(func.min(SubmissionRow.id)))
            return [reason_text for reason_text in reason_texts if reason_text is not None]

    def recordings_in(self, states: Iterable[str], recordings: Iterable[str]) -> set[str]:
        """Return those of these recordings that have a row in one of these states."""
        query = select(SubmissionRow.recording).where(_in_states(states))
        with self.read() as session:
            return {
                recording
                for some in _split_batches(recordings)
                for recording in session.scalars(query.where(SubmissionRow.recording.in_(some)))
                if recording is not None
            }

    def list_versions(self, bay: str, paths: Iterable[bytes]) -> Iterator[VersionRow]:
        """Yield every version of the files at these paths of a bay, and which source gave it."""
        columns = (SubmissionRow.path, SubmissionRow.size, SubmissionRow.mtime_ns)
        query = select(*columns, SubmissionRow.source).where(SubmissionRow.bay == bay)
        with self.read() as session:
            for some in _split_batches(paths):
                for row in session.execute(query.where(SubmissionRow.path.in_(some))):
                    yield VersionRow(*row)

    def sum_backlog(self, state: str) -> list[BacklogRow]:
        """Return what stands in a state, summed by bay and source; reads no record."""
        query = (
            select(
                SubmissionRow.bay,
                SubmissionRow.source,
                func.count(),
                func.sum(SubmissionRow.size),
                func.min(SubmissionRow.changed),
                func.count(SubmissionRow.reason),
            )
            .where(SubmissionRow.state == state)
            .group_by(SubmissionRow.bay, SubmissionRow.source)
        )
        with self.read() as session:
            return [BacklogRow(*row) for row in session.execute(query)]

    def add_row(self, **columns: Any) -> SubmissionRow:
        """Write a new row; durable on return."""
        row = SubmissionRow(**columns)
        with self.write() as session:
            session.add(row)
        return row

    def update_row(self, row_id: int, **columns: Any) -> SubmissionRow:
        """Change one row; durable on return."""
        with self.write() as session:
            row = session.get_one(SubmissionRow, row_id)
            for name, column_value in columns.items():
                setattr(row, name, column_value)
        return row

    def advance_row(
        self, row_id: int, was: str, attempt: str | None, **columns: Any
    ) -> SubmissionRow | None:
        """Change one row that is in that state, of that recording; None where it is not."""
        with self.write() as session:
            row = session.get_one(SubmissionRow, row_id)
            if (row.state, row.recording) != (was, attempt):
                return None
            for name, column_value in columns.items():
                setattr(row, name, column_value)
        return row

    def set_bay(self, name: str, **columns: Any) -> None:
        """Write down what a bay shows now."""
        with self.write() as session:
            row = session.get(BayRow, name) or BayRow(name=name, facts={})
            for column, column_value in columns.items():
                setattr(row, column, column_value)
            session.add(row)

    def list_bays(self) -> list[BayRow]:
        """Return the last known state of every bay, by name."""
        with self.read() as session:
            return list(session.scalars(select(BayRow).order_by(BayRow.name)))

    def add_note(self, **columns: Any) -> None:
        """Keep a note for the centre; durable on return."""
        with self.write() as session:
            session.add(NoteRow(**columns))

    def list_notes(self) -> list[NoteRow]:
        """Return the notes that wait, oldest first."""
        with self.read() as session:
            return list(session.scalars(select(NoteRow).order_by(NoteRow.number)))

    def drop_note(self, number: int) -> None:
        """Forget a note that the centre has."""
        with self.write() as session:
            session.execute(delete(NoteRow).where(NoteRow.number == number))

    def get_clock(self) -> tuple[str | None, str | None]:
        """Return up to when the clock was seen to run, and when it last jumped."""
        with self.read() as session:
            row = session.get(ClockRow, 1)
            return (row.seen, row.jumped) if row is not None else (None, None)

    def set_clock(self, running_until: str, jumped: str | None) -> None:
        """Write down how the clock runs."""
        with self.write() as session:
            session.merge(ClockRow(id=1, seen=running_until, jumped=jumped))

    def list_receipts(self) -> Iterator[bytes]:
        """Yield every receipt that is kept."""
        query = select(SubmissionRow.receipt).where(SubmissionRow.receipt.is_not(None))
        with self.read() as session:
            for receipt in session.scalars(query.execution_options(yield_per=100)):
                yield receipt or b""

    def log_head(self) -> LogHeadRow | None:
        """Return the newest head that was seen of the centre's log."""
        with self.read() as session:
            return session.get(LogHeadRow, 1)

    def set_log_head(self, checkpoint: str, *, proven: bool) -> None:
        """Keep the newest head; durable on return."""
        with self.write() as session:
            session.merge(LogHeadRow(id=1, checkpoint=checkpoint, proven=proven))

    def log_alarm(self) -> LogAlarmRow | None:
        """Return the alarm that stands, if one does."""
        query = select(LogAlarmRow).where(LogAlarmRow.ended.is_(None))
        with self.read() as session:
            return session.scalar(query.order_by(LogAlarmRow.number).limit(1))

    def add_log_alarm(self, **columns: Any) -> None:
        """Keep an alarm; durable on return."""
        with self.write() as session:
            session.add(LogAlarmRow(**columns))

    def end_log_alarm(self, number: int, ended: str, reason: str | None) -> None:
        """Write down that an alarm ended, and why."""
        with self.write() as session:
            row = session.get_one(LogAlarmRow, number)
            row.ended, row.reason = ended, reason

    def add_request(self, path: bytes, asked_at: str) -> int:
        """Keep a request for the running station and return its number; durable on return."""
        row = RequestRow(path=path, asked=asked_at, results=None)
        with self.write() as session:
            session.add(row)
        return row.number

    def list_requests(self) -> list[RequestRow]:
        """Return the requests that wait for an answer, oldest first."""
        query = select(RequestRow).where(RequestRow.results.is_(None)).order_by(RequestRow.number)
        with self.read() as session:
            return list(session.scalars(query))

    def answer_request(self, number: int, outcomes: list[dict[str, Any]]) -> None:
        """Write down what became of a request; one that was taken back stays so."""
        with self.write() as session:
            row = session.get(RequestRow, number)
            if row is not None:
                row.results = outcomes

    def forget_answers(self, before: str) -> None:
        """Forget answered requests that were asked before then."""
        with self.write() as session:
            session.execute(
                delete(RequestRow).where(RequestRow.results.is_not(None), RequestRow.asked < before)
            )

    def get_request(self, number: int) -> RequestRow | None:
        """Return one request."""
        with self.read() as session:
            return session.get(RequestRow, number)

    def drop_request(self, number: int) -> None:
        """Forget a request whose answer was read, or that was taken back."""
        with self.write() as session:
            session.execute(delete(RequestRow).where(RequestRow.number == number))

    def close(self) -> None:
        """Let go of the file."""
        close(self._engine)


def _in_states(states: Iterable[str]) -> ColumnElement[bool]:
    return SubmissionRow.state.in_(sorted(states))


def _split_batches(values: Iterable[Element]) -> Iterator[list[Element]]:
    """Yield the values a few hundred at a time: what one statement can name has a limit."""
    rest = iter(values)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _index_names(connection: Connection) -> set[str]:
    statement = text(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'ix~_%' ESCAPE '~'"
    )
    return set(connection.scalars(statement))


def _is_complete(connection: Connection) -> bool:
    """Tell whether all tables and indexes are there: in an older release's journal they are not."""
    tables = set(inspect(connection).get_table_names())
    return JournalBase.metadata.tables.keys() <= tables and _index_names(connection) == _INDEXES


def _complete_tables(connection: Connection) -> None:
    """Make the tables and indexes that are not there; drop an older release's indexes."""
    JournalBase.metadata.create_all(connection)
    for table in JournalBase.metadata.tables.values():
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    for name in _index_names(connection) - _INDEXES:
        connection.execute(text(f"DROP INDEX {name}"))


def _one_row_a_key(tables: Inspector) -> bool:
    return tables.has_table("submission") and bool(tables.get_unique_constraints("submission"))
