"""The station's journal: the state of each submission, and the allowed moves between states.

Every step of `station.py` writes its state here before the next begins, so that a restart goes on
where the last run stopped. A submission is one version of one file under its natural key
(source, path, size, time of change); a file that changes is another submission, and so are other
bytes under an old key. How rows are kept is `storage/catalogue/stations/journal_store.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from ingest.bays.bay import BayState, FileReport
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.stations.journal_tables import (
    BayRow,
    LogAlarmRow,
    LogHeadRow,
    NoteRow,
    RequestRow,
    SubmissionRow,
)
from storage.errors import ConflictError, SubmissionError
from storage.recording import RecordingId


class State(StrEnum):
    """Where a submission stands. Only ACCESSIONED and later hold a verified receipt."""

    WAITING = "waiting"  # seen; not yet whole
    SEALING = "sealing"  # an attempt under a fresh recording id has begun
    SEALED = "sealed"  # record and envelope are here, the payload is at the centre
    ACCESSIONED = "accessioned"  # the receipt is here and was verified
    DUPLICATE = "duplicate"  # the same bytes of this source hold a verified receipt already
    CLEARING = "clearing"  # the source file is about to go
    CLEARED = "cleared"  # the source file is gone, against the receipt
    QUARANTINED = "quarantined"  # could not be taken; stays on the source, a person is told why
    VANISHED = "gone"  # vanished from the source before it was taken


MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset(
        {State.SEALING, State.DUPLICATE, State.QUARANTINED, State.VANISHED, State.WAITING}
    ),
    State.SEALING: frozenset({State.SEALED, State.DUPLICATE, State.WAITING, State.QUARANTINED}),
    # waiting: the sealed payload is damaged, and the source is sealed anew
    State.SEALED: frozenset({State.ACCESSIONED, State.DUPLICATE, State.WAITING}),
    # waiting: the centre holds these bytes no more
    State.ACCESSIONED: frozenset({State.CLEARING, State.WAITING}),
    State.DUPLICATE: frozenset({State.CLEARING, State.WAITING}),
    State.CLEARING: frozenset({State.CLEARED, State.ACCESSIONED, State.WAITING}),
    State.CLEARED: frozenset({State.WAITING}),  # the same file was put back
    State.QUARANTINED: frozenset({State.WAITING, State.VANISHED, State.QUARANTINED}),
    State.VANISHED: frozenset({State.WAITING}),
}

RECEIPTED = frozenset({State.ACCESSIONED, State.DUPLICATE, State.CLEARING, State.CLEARED})


@dataclass(frozen=True, slots=True)
class Entry:
    """One submission as the journal knows it; `path` is the raw relative path on its source."""

    id: int
    source: str
    path: bytes
    size: int
    mtime_ns: int
    bay: str
    state: State
    reason: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    recording: RecordingId | None = None
    sha256: str | None = None
    record: bytes | None = None
    envelope: bytes | None = None
    receipt: bytes | None = None
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of one bay's source is not delivered: files, bytes, since when, how many failed."""

    bay: str
    source: str
    files: int
    bytes: int
    since: datetime
    troubled: int


class Journal:
    """The station's journal; each call is durable when it returns."""

    def __init__(self, store: JournalStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def find_or_add_entry(
        self, *, source: str, path: bytes, size: int, mtime_ns: int, bay: str
    ) -> Entry:
        """Return the newest entry under this natural key, made WAITING if there is none."""
        rows = self._store.list_rows(source=source, path=path, size=size, mtime_ns=mtime_ns)
        if rows:
            return _to_entry(rows[-1])
        return self._add_entry(source=source, path=path, size=size, mtime_ns=mtime_ns, bay=bay)

    def by_id(self, number: int) -> Entry | None:
        """Return one entry."""
        row = self._store.find_row(number)
        return _to_entry(row) if row is not None else None

    def with_bytes(self, entry: Entry, sha256: str) -> Entry:
        """Return the entry of these bytes under the same natural key, made WAITING if it is new."""
        key = {
            "source": entry.source,
            "path": entry.path,
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
        }
        for row in reversed(self._store.list_rows(**key)):
            if row.sha256 == sha256:
                return _to_entry(row)
        return self._add_entry(**key, bay=entry.bay)

    def _add_entry(self, **key: Any) -> Entry:
        now = self._clock().isoformat()
        row = self._store.add_row(**key, state=State.WAITING, facts={}, first_seen=now, changed=now)
        return _to_entry(row)

    def move_entry(self, entry: Entry, state: State, **columns: Any) -> Entry:
        """Write the next state down.

        Raises: ConflictError when the move is not in `MOVES`; SubmissionError(changed) when another
        thread moved the entry since it was read.
        """
        if state not in MOVES[entry.state]:
            raise ConflictError(subject="submission", was=entry.state, wanted=state)
        if "recording" in columns and columns["recording"] is not None:
            columns["recording"] = str(columns["recording"])
        columns.setdefault("reason", None)
        changed = self._clock().isoformat()
        row = self._store.advance_row(
            entry.id,
            entry.state,
            str(entry.recording) if entry.recording is not None else None,
            state=state,
            changed=changed,
            **columns,
        )
        if row is None:
            raise SubmissionError(reason="changed", submission=entry.id)
        return _to_entry(row)

    def restart_entry(self, entry: Entry) -> Entry:
        """Move an entry to WAITING as if nothing of it was ever sealed: its source is taken anew.

        Raises: as `move_entry`.
        """
        return self.move_entry(
            entry,
            State.WAITING,
            recording=None,
            receipt=None,
            record=None,
            envelope=None,
            sha256=None,
        )

    def check_store(self) -> None:
        """Make sure that the journal can be read, and is the file that was opened.

        Raises: CatalogueReplacedError, CatalogueBusyError, CatalogueUnavailableError.
        """
        with self._store.read():
            pass

    def open_transaction(self) -> AbstractContextManager[None]:
        """Return a block whose calls are durable all together, when it ends, or not at all."""
        return self._store.share_transaction()

    def with_receipt(self, source: str, sha256: str) -> Entry | None:
        """Return an entry of this source with these bytes that holds a verified receipt."""
        row = self._store.with_receipt(RECEIPTED, source, sha256)
        return _to_entry(row) if row is not None else None

    def same_size(self, source: str, size: int) -> bool:
        """Tell whether this source already gave a receipted file of this size."""
        return self._store.has_row(RECEIPTED, source=source, size=size)

    def sources_of(self, bay: str, versions: AbstractSet[tuple[bytes, int, int]]) -> set[str]:
        """Return the sources that offered these versions of files in this bay before.

        A version is (path, size, time of change in ns); that of many files costs a few questions.
        """
        rows = self._store.list_versions(bay, {path for path, _, _ in versions})
        return {row.source for row in rows if row[:3] in versions}

    def find_by_path(self, bay: str, path: bytes) -> Entry | None:
        """Return the newest entry of a file at this path of a bay."""
        rows = self._store.list_rows(bay=bay, path=path)
        return _to_entry(rows[-1]) if rows else None

    def in_state(self, *states: State) -> list[Entry]:
        """Return all entries in these states, oldest first."""
        return [_to_entry(row) for state in states for row in self._store.list_rows(state=state)]

    def ids_in(self, state: State) -> list[int]:
        """Return the ids of all entries in a state, oldest first."""
        return self._store.list_ids(state)

    def reasons_in(self, state: State) -> list[str]:
        """Return why entries stay in a state, each reason once, the oldest entry's first."""
        return self._store.list_reasons(state)

    def recordings_in(
        self, states: Iterable[State], recordings: Iterable[RecordingId]
    ) -> set[RecordingId]:
        """Return those of these recordings that an entry in one of these states stands for."""
        names = self._store.recordings_in(states, map(str, recordings))
        return {RecordingId(UUID(name)) for name in names}

    def list_backlog(self) -> list[Backlog]:
        """Return what is sealed and not accessioned yet, summed by bay and source."""
        return [
            Backlog(
                row.bay,
                row.source,
                row.files,
                row.bytes,
                datetime.fromisoformat(row.changed),
                row.troubled,
            )
            for row in self._store.sum_backlog(State.SEALED)
        ]

    def of_source(self, source: str) -> list[Entry]:
        """Return all entries of one source, oldest first."""
        return [_to_entry(row) for row in self._store.list_rows(source=source)]

    def show_bay(self, name: str, **columns: Any) -> None:
        """Write down what a bay shows now."""
        self._store.set_bay(name, changed=self._clock().isoformat(), **columns)

    def reset_bays(self) -> None:
        """Reset the state of every bay to unknown: none was swept since this start."""
        with self.open_transaction():
            for row in self._store.list_bays():
                self.show_bay(
                    row.name,
                    state=BayState.UNKNOWN,
                    source=None,
                    files_total=0,
                    files_done=0,
                    bytes_total=0,
                    bytes_done=0,
                    current=None,
                    reason=None,
                    facts={},
                )

    def keep_record(self, entry: Entry, record: bytes) -> None:
        """Replace a sealed entry's record by the same facts under another signature."""
        self._store.update_row(entry.id, record=record)

    def note_trouble(self, entry: Entry, reason: str | None) -> None:
        """Write down why an entry does not go on, without moving it."""
        self._store.update_row(entry.id, reason=reason)

    def add_note(self, act: str, *, subject: str, outcome: str, details: Mapping[str, Any]) -> None:
        """Keep an act for the centre's log until the centre has it."""
        at = self._clock().isoformat()
        self._store.add_note(
            act=act, subject=subject, outcome=outcome, details=dict(details), at=at
        )

    def list_notes(self) -> list[NoteRow]:
        """Return the acts that wait for the centre, oldest first."""
        return self._store.list_notes()

    def drop_note(self, number: int) -> None:
        """Forget an act that the centre has."""
        self._store.drop_note(number)

    def read_clock(self) -> tuple[datetime | None, datetime | None]:
        """Return up to when the station's clock was seen to run, and when it last jumped."""
        last_run, jumped = self._store.get_clock()
        return (
            datetime.fromisoformat(last_run) if last_run else None,
            datetime.fromisoformat(jumped) if jumped else None,
        )

    def set_clock(self, last_run: datetime, jumped: datetime | None) -> None:
        """Write down how the clock runs."""
        self._store.set_clock(last_run.isoformat(), jumped.isoformat() if jumped else None)

    def list_receipts(self) -> Iterator[bytes]:
        """Yield every receipt that this station holds."""
        return self._store.list_receipts()

    def log_head(self) -> LogHeadRow | None:
        """Return the newest head that this station saw of the centre's log."""
        return self._store.log_head()

    def keep_log_head(self, checkpoint: str, *, proven: bool) -> None:
        """Keep the newest head of the centre's log, and whether the centre gives proofs."""
        self._store.set_log_head(checkpoint, proven=proven)

    def log_alarm(self) -> LogAlarmRow | None:
        """Return the alarm over the centre's log that stands, if one does."""
        return self._store.log_alarm()

    def raise_log_alarm(self, how: str, *, seen_head: str, shown_head: str) -> None:
        """Write down that the centre's log contradicts the head that was seen of it."""
        began = self._clock().isoformat()
        self._store.add_log_alarm(how=how, seen=seen_head, shown=shown_head, began=began)

    def end_log_alarm(self, alarm: LogAlarmRow, reason: str | None = None) -> None:
        """Write down that an alarm ended: the log proved itself, or a person's reason."""
        self._store.end_log_alarm(alarm.number, self._clock().isoformat(), reason)

    def add_request(self, path: bytes) -> int:
        """Ask the running station to take a folder or file; return the request's number."""
        return self._store.add_request(path, self._clock().isoformat())

    def list_requests(self) -> list[RequestRow]:
        """Return the requests that wait for an answer, oldest first."""
        return self._store.list_requests()

    def answer_request(self, number: int, reports: Sequence[FileReport]) -> None:
        """Write down what became of a request."""
        self._store.answer_request(number, [report.to_json() for report in reports])

    def forget_answers(self, before: datetime) -> None:
        """Forget answered requests that nobody came back for since then."""
        self._store.forget_answers(before.isoformat())

    def answer_to(self, number: int) -> list[FileReport] | None:
        """Return what became of a request; None while nobody has answered it."""
        row = self._store.get_request(number)
        if row is None or row.results is None:
            return None
        return [FileReport.from_json(document) for document in row.results]

    def drop_request(self, number: int) -> None:
        """Forget a request whose answer was read, or that was taken back."""
        self._store.drop_request(number)

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def list_bays(self) -> list[BayRow]:
        """Return the last known state of every bay."""
        return self._store.list_bays()


def _to_entry(row: SubmissionRow) -> Entry:
    return Entry(
        id=row.id,
        source=row.source,
        path=row.path,
        size=row.size,
        mtime_ns=row.mtime_ns,
        bay=row.bay,
        state=State(row.state),
        reason=row.reason,
        facts=dict(row.facts or {}),
        recording=RecordingId(UUID(row.recording)) if row.recording else None,
        sha256=row.sha256,
        record=row.record,
        envelope=row.envelope,
        receipt=row.receipt,
        changed=datetime.fromisoformat(row.changed),
    )
