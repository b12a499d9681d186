"""What this station has in hand: the state of each submission, and which state may follow which.

Every step of `station.py` writes its state here before the next begins, so that a restart goes on
where the last run stopped. A submission is one version of one file under its natural key
(source, path, size, time of change); a file that changes is another submission. How rows are
kept is `storage/catalogue/journal.py`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from ingest.bay import BayState
from storage.catalogue.journal import BayRow, JournalStore, NoteRow, SubmissionRow
from storage.errors import ConflictError
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
    GONE = "gone"  # vanished from the source before it was taken


MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset(
        {State.SEALING, State.DUPLICATE, State.QUARANTINED, State.GONE, State.WAITING}
    ),
    State.SEALING: frozenset({State.SEALED, State.DUPLICATE, State.WAITING, State.QUARANTINED}),
    State.SEALED: frozenset({State.ACCESSIONED, State.DUPLICATE}),
    State.ACCESSIONED: frozenset({State.CLEARING, State.WAITING}),  # waiting: other bytes now
    State.DUPLICATE: frozenset({State.CLEARING, State.WAITING}),
    State.CLEARING: frozenset({State.CLEARED, State.ACCESSIONED}),
    State.CLEARED: frozenset({State.WAITING}),  # the same file was put back
    State.QUARANTINED: frozenset({State.WAITING, State.GONE, State.QUARANTINED}),
    State.GONE: frozenset({State.WAITING}),
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

    def take(self, *, source: str, path: bytes, size: int, mtime_ns: int, bay: str) -> Entry:
        """Return the entry under this natural key, made WAITING if it is new."""
        row = self._store.find(source, path, size, mtime_ns)
        if row is None:
            now = self._clock().isoformat()
            row = self._store.add(
                source=source,
                path=path,
                size=size,
                mtime_ns=mtime_ns,
                bay=bay,
                state=State.WAITING,
                facts={},
                first_seen=now,
                changed=now,
            )
        return _entry(row)

    def move(self, entry: Entry, state: State, **columns: Any) -> Entry:
        """Write the next state down.

        Raises: ConflictError when the move is not in `MOVES`.
        """
        if state not in MOVES[entry.state]:
            raise ConflictError(subject="submission", was=entry.state, wanted=state)
        if "recording" in columns and columns["recording"] is not None:
            columns["recording"] = str(columns["recording"])
        columns.setdefault("reason", None)
        row = self._store.update(
            entry.id, state=state, changed=self._clock().isoformat(), **columns
        )
        return _entry(row)

    def check(self) -> None:
        """Make sure that the journal can be read, and is the file that was opened.

        Raises: CatalogueReplacedError, CatalogueBusyError, CatalogueUnavailableError.
        """
        with self._store.read():
            pass

    def together(self) -> AbstractContextManager[None]:
        """Return a block whose calls are durable all together, when it ends, or not at all."""
        return self._store.together()

    def with_receipt(self, source: str, sha256: str) -> Entry | None:
        """Return an entry of this source with these bytes that holds a verified receipt."""
        for row in self._store.rows(source=source, sha256=sha256):
            if State(row.state) in RECEIPTED and row.receipt:
                return _entry(row)
        return None

    def same_size(self, source: str, size: int) -> bool:
        """Tell whether this source already gave a receipted file of this size."""
        return any(
            State(row.state) in RECEIPTED for row in self._store.rows(source=source, size=size)
        )

    def sources_of(self, bay: str, path: bytes, size: int, mtime_ns: int) -> set[str]:
        """Return the sources that offered this very version of a file in this bay before."""
        rows = self._store.rows(bay=bay, path=path, size=size, mtime_ns=mtime_ns)
        return {row.source for row in rows}

    def at(self, bay: str, path: bytes) -> Entry | None:
        """Return the newest entry of a file at this path of a bay."""
        rows = self._store.rows(bay=bay, path=path)
        return _entry(rows[-1]) if rows else None

    def in_state(self, *states: State) -> list[Entry]:
        """Return all entries in these states, oldest first."""
        return [_entry(row) for state in states for row in self._store.rows(state=state)]

    def backlog(self) -> list[Backlog]:
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
            for row in self._store.backlog(State.SEALED)
        ]

    def of_source(self, source: str) -> list[Entry]:
        """Return all entries of one source, oldest first."""
        return [_entry(row) for row in self._store.rows(source=source)]

    def show_bay(self, name: str, **columns: Any) -> None:
        """Write down what a bay shows now."""
        self._store.set_bay(name, changed=self._clock().isoformat(), **columns)

    def unlook(self) -> None:
        """Take back what every bay shows: nobody has looked since. Old words are not read."""
        with self.together():
            for row in self._store.bays():
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
        self._store.update(entry.id, record=record)

    def trouble(self, entry: Entry, reason: str | None) -> None:
        """Write down why an entry does not go on, without moving it."""
        self._store.update(entry.id, reason=reason)

    def add_note(self, act: str, *, subject: str, outcome: str, details: Mapping[str, Any]) -> None:
        """Keep an act for the centre's log until the centre has it."""
        at = self._clock().isoformat()
        self._store.add_note(
            act=act, subject=subject, outcome=outcome, details=dict(details), at=at
        )

    def notes(self) -> list[NoteRow]:
        """Return the acts that wait for the centre, oldest first."""
        return self._store.notes()

    def drop_note(self, number: int) -> None:
        """Forget an act that the centre has."""
        self._store.drop_note(number)

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def bays(self) -> list[BayRow]:
        """Return the last known state of every bay."""
        return self._store.bays()


def _entry(row: SubmissionRow) -> Entry:
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
