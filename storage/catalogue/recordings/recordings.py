"""Recordings in the catalogue: accession, receipt, search, answers to open questions, access.

A recording is one original of one source: the same bytes of the same source are never kept twice.
One that was destroyed answers for its bytes no more: offered again, they are another recording,
whose entry names it. What the sealed record says never changes; attribution (whose, when) is the
catalogue's, and every change of it is an entry in the log.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM, PersonId, StationId, Subject
from policies.time.wording import day_and_clock
from storage.catalogue.engine.rows import load_row
from storage.catalogue.people import register
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.digest import Digest
from storage.errors import ConflictError, DestroyedError, NotFoundError
from storage.recording import MediaKind, RecordingId

_AT_ONCE = 500  # recordings in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecording:
    """Everything that the catalogue keeps of a recording when it is accessioned.

    `start_at` and `end_at` are true time; gaps are seconds from the file's start; the three texts
    are the exact signed documents. Who handed it in and as which submission, and which key signed
    its record, is told by its entry alone.
    """

    id: RecordingId
    source_serial: str
    sha256: Digest
    size: int
    name: str
    path: str
    kind: MediaKind
    playable: bool
    township: str
    station: StationId
    profile: str
    record_text: str
    envelope_text: str
    retain_until: datetime
    unplayable_reason: str | None = None
    container: str | None = None
    duration_s: float | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    clock_offset_s: float | None = None
    clock_uncertainty_s: float | None = None
    has_video: bool = False
    has_audio: bool = False
    video_gaps: tuple[tuple[float, float], ...] = ()
    audio_gaps: tuple[tuple[float, float], ...] = ()
    officer_no: str | None = None
    officer_id: PersonId | None = None
    sequence: str | None = None
    marked: bool | None = None
    questions: tuple[str, ...] = ()
    media: dict[str, Any] = field(default_factory=dict)
    inspection: list[Any] = field(default_factory=list)
    source_kind: str | None = None
    file_start: datetime | None = None
    docked_at: datetime | None = None
    handed_in: Mapping[str, Any] = field(default_factory=dict)
    signer: str | None = None  # id of the key that signed the record

    def row_values(self) -> dict[str, Any]:
        """Return the values as the row keeps them."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del values["handed_in"], values["signer"]
        return values | {
            "id": str(self.id),
            "sha256": self.sha256.hex,
            "kind": self.kind.value,
            "video_gaps": [list(gap) for gap in self.video_gaps],
            "audio_gaps": [list(gap) for gap in self.audio_gaps],
            "questions": list(self.questions),
        }


def accession_recordings(uow: UnitOfWork, *news: NewRecording) -> list[RecordingRow]:
    """Take responsibility for recordings: their rows and entries, in one transaction.

    The caller has made the objects durable and verified them. An entry's index is `leaf_index`. An
    officer who is not named is looked up (`register.attribute`); found, the question about him is
    answered. Returns the row of each, in their order; of bytes that their source gave before, the
    first recording's, as it is. Of what was destroyed before, the entry names the last under
    `repeats`. Raises: DestroyedError for the id of a recording that was destroyed.
    """
    rows_by_bytes, destroyed = _by_digests(uow.session, news)
    repeated = {(row.source_serial, row.sha256): row.id for row in destroyed}
    fresh: list[tuple[RecordingRow, NewRecording]] = []
    rows = []
    for new in news:
        row = rows_by_bytes.get((new.source_serial, new.sha256.hex))
        if row is None:
            _never_destroyed(new, destroyed)
            # The row, which its entry holds, names that entry's number: nobody writes in between.
            row = _new_row(uow, new, uow.next_index + len(fresh))
            rows_by_bytes[row.source_serial, row.sha256] = row
            fresh.append((row, new))
        rows.append(row)
    uow.session.add_all(row for row, _ in fresh)
    uow.session.flush()  # all at once
    for row, new in fresh:
        uow.record(
            "recording.accession",
            PremisType.ACCESSION,
            row,
            actor=Subject.of_station(new.station),
            subject=Subject.of_recording(row.id),
            heads=[Subject.of_key(new.signer)] if new.signer is not None else [],
            **new.handed_in,
            **_repeat_details(repeated.get((row.source_serial, row.sha256))),
        )
    return rows


def _never_destroyed(new: NewRecording, destroyed: Iterable[RecordingRow]) -> None:
    """Refuse an id whose recording was destroyed: its log and its tombstone are closed."""
    for row in destroyed:
        if row.id == str(new.id):
            kept_row(row)


def _repeat_details(destroyed: str | None) -> dict[str, Any]:
    return {"repeats": destroyed} if destroyed is not None else {}


def _new_row(uow: UnitOfWork, new: NewRecording, leaf_index: int) -> RecordingRow:
    row = RecordingRow(
        **new.row_values(), receipt_text=None, leaf_index=leaf_index, accessioned_at=uow.at
    )
    if row.officer_id is None:
        row.officer_id = register.attribute_footage(
            uow.session, new.officer_no, new.source_serial, new.start_at
        )
    if row.officer_id is not None:
        row.questions = [question for question in row.questions if question != "officer"]
    return row


def _by_digests(
    session: Session, news: Sequence[NewRecording]
) -> tuple[dict[tuple[str, str], RecordingRow], list[RecordingRow]]:
    """Return the recordings of these bytes and sources that are kept, and those destroyed."""
    digests = {new.sha256.hex for new in news}
    sources = {new.source_serial for new in news}
    query = select(RecordingRow).where(RecordingRow.sha256.in_(digests))
    rows = session.scalars(query.order_by(RecordingRow.leaf_index)).all()
    own = [row for row in rows if row.source_serial in sources]
    rows_by_bytes = {
        (row.source_serial, row.sha256): row for row in own if row.destroyed_at is None
    }
    return rows_by_bytes, [row for row in own if row.destroyed_at is not None]


def keep_receipts(uow: UnitOfWork, receipts: Mapping[str, str]) -> dict[str, RecordingRow]:
    """Keep the receipts that the centre signed, by recording; return the recordings.

    A receipt that was given before stays. Raises: NotFoundError, DestroyedError.
    """
    rows = find_recordings(uow.session, receipts)
    if lost := set(receipts) - set(rows):
        raise NotFoundError(what="recording", id=min(lost))
    for row in rows.values():
        kept_row(row)
    new_rows = [rows[name] for name in receipts if rows[name].receipt_text is None]
    for row in new_rows:
        row.receipt_text = receipts[row.id]
    uow.session.flush()  # all at once
    for row in new_rows:
        uow.record(
            "recording.receipt",
            PremisType.DIGITAL_SIGNATURE_GENERATION,
            row,
            actor=SYSTEM,
            subject=Subject.of_recording(row.id),
        )
    return rows


def extend_retention(
    uow: UnitOfWork, recording: UUID | str, until: datetime, *, actor: str, reason: str
) -> RecordingRow:
    """Keep a recording longer; a date that is not later changes nothing, for it only ever grows.

    The caller extends the objects' locks first. Raises: NotFoundError.
    """
    row = by_id(uow.session, recording)
    if until <= row.retain_until:
        return row
    row.retain_until = until
    uow.record(
        "recording.retain",
        PremisType.POLICY_ASSIGNMENT,
        row,
        actor=actor,
        subject=Subject.of_recording(row.id),
        reason=reason,
    )
    return row


def note_archived(
    uow: UnitOfWork,
    recording: UUID | str,
    digest: Digest,
    archive: str,
    *,
    renditions: Sequence[str],
    actor: str,
    **details: Any,
) -> RecordingRow:
    """Write down that the payload was copied into the archive of this name, and read back there.

    So were renditions, of these SHA-256. `details` are what else the entry says.

    Raises: NotFoundError, DestroyedError.
    """
    row = get_present_recording(uow.session, recording)
    row.archived_at = uow.at
    uow.record(
        "recording.archive",
        PremisType.REPLICATION,
        row,
        actor=actor,
        subject=Subject.of_recording(row.id),
        payload=str(digest),
        renditions=list(renditions),
        archive=archive,
        **details,
    )
    return row


def note_recalled(
    uow: UnitOfWork, recording: UUID | str, digest: Digest, archive: str, *, actor: str
) -> RecordingRow:
    """Write down that the payload was copied back. Raises: NotFoundError, DestroyedError."""
    row = get_present_recording(uow.session, recording)
    row.archived_at = None
    uow.record(
        "recording.recall",
        PremisType.REPLICATION,
        row,
        actor=actor,
        subject=Subject.of_recording(row.id),
        payload=str(digest),
        archive=archive,
    )
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a person found out about a recording; None leaves a fact as it is.

    `start_at` is true time, `clock_offset_s` true minus recorder time, ± `clock_uncertainty_s`.
    """

    start_at: datetime | None = None
    clock_offset_s: float | None = None
    clock_uncertainty_s: float | None = None
    officer_no: str | None = None
    officer_id: PersonId | None = None
    sequence: str | None = None


_QUESTIONS = {
    "start_at": ("start", "confirm-start"),
    "officer_no": ("officer",),
    "officer_id": ("officer",),
    "clock_offset_s": ("clock",),
    "sequence": ("sequence",),
}


def answer_questions(
    uow: UnitOfWork, recording: UUID | str, answers: Answers, *, actor: str
) -> RecordingRow:
    """Write down what a person found out; the sealed record never changes.

    Raises: NotFoundError, ConflictError when nothing is answered.
    """
    row = by_id(uow.session, recording)
    answer_columns = {
        entry.name: getattr(answers, entry.name)
        for entry in fields(answers)
        if getattr(answers, entry.name) is not None
    }
    if not answer_columns:
        raise ConflictError(problem="nothing was answered", recording=row.id)
    for name, answer in answer_columns.items():
        setattr(row, name, answer)
    if row.start_at is not None and row.duration_s is not None:
        row.end_at = row.start_at + timedelta(seconds=row.duration_s)
    answered_questions = {
        question for name in answer_columns for question in _QUESTIONS.get(name, ())
    }
    row.questions = [question for question in row.questions if question not in answered_questions]
    uow.record(
        "recording.answer",
        PremisType.METADATA_MODIFICATION,
        row,
        actor=actor,
        subject=Subject.of_recording(row.id),
        answered=sorted(answer_columns),
    )
    return row


def log_access(
    uow: UnitOfWork,
    recording: UUID | str,
    *,
    actor: str,
    purpose: str,
    outcome: Outcome,
    reason: str | None = None,
) -> int:
    """Log that somebody was given, or refused, the plaintext. Commit it before the first byte.

    Returns the entry's index. Raises: NotFoundError.
    """
    row = by_id(uow.session, recording)
    return uow.record(
        "recording.access",
        PremisType.DISSEMINATION,
        actor=actor,
        subject=Subject.of_recording(row.id),
        outcome=outcome,
        purpose=purpose,
        reason=reason,
    )


def by_id(session: Session, recording: UUID | str) -> RecordingRow:
    """Return one recording. Raises: NotFoundError."""
    return load_row(session, RecordingRow, str(recording))


def find_recordings(session: Session, ids: Iterable[str]) -> dict[str, RecordingRow]:
    """Return the recordings of these ids that there are, by id."""
    rows = session.scalars(select(RecordingRow).where(RecordingRow.id.in_(ids)))
    return {row.id: row for row in rows}


def get_present_recording(session: Session, recording: UUID | str) -> RecordingRow:
    """Return one recording that was not destroyed. Raises: NotFoundError, DestroyedError."""
    return kept_row(by_id(session, recording))


def kept_row(row: RecordingRow) -> RecordingRow:
    """Return the row of a recording that was not destroyed. Raises: DestroyedError."""
    if row.destroyed_at is not None:
        raise DestroyedError(recording=row.id, at=day_and_clock(row.destroyed_at))
    return row


def by_digest(session: Session, source_serial: str, sha256: Digest | str) -> RecordingRow | None:
    """Return the recording of these bytes from this source, if one is kept.

    What was destroyed, from its point of no return on, answers for nothing: no source is cleared
    for the sake of bytes that nobody has.
    """
    digits = sha256.hex if isinstance(sha256, Digest) else sha256
    query = select(RecordingRow.id).where(
        RecordingRow.source_serial == source_serial,
        RecordingRow.sha256 == digits,
        RecordingRow.destroyed_at.is_(None),
    )
    recording_id = session.scalar(query)  # seldom any: its many columns are asked for only then
    return session.get(RecordingRow, recording_id) if recording_id is not None else None


def is_accessioned(session: Session, recording: UUID | str) -> bool:
    """Tell whether this recording is accessioned, or was before it was destroyed."""
    return (
        session.scalar(select(RecordingRow.id).where(RecordingRow.id == str(recording))) is not None
    )


def same_size(session: Session, source_serial: str, size: int) -> bool:
    """Tell whether a recording of this source and size is kept: if not, no digest need be read."""
    query = select(RecordingRow.id).where(
        RecordingRow.source_serial == source_serial,
        RecordingRow.size == size,
        RecordingRow.destroyed_at.is_(None),
    )
    return session.scalar(query.limit(1)) is not None


def sample_recordings(
    session: Session, count: int = 5, *, archived: bool | None = None
) -> list[RecordingRow]:
    """Return the oldest and the newest kept recordings and some between, at most `count`.

    What was destroyed is not among them. `archived` asks for those whose payload lies in the
    archive, or for those whose payload does not.
    """
    query = select(RecordingRow.id).where(RecordingRow.destroyed_at.is_(None))
    if archived is not None:
        there = RecordingRow.archived_at
        query = query.where(there.is_not(None) if archived else there.is_(None))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    places = {place * (total - 1) // max(1, count - 1) for place in range(count)} if total else ()
    ids = [
        session.scalar(query.order_by(RecordingRow.id).offset(place).limit(1)) for place in places
    ]
    return [row for id_ in ids if (row := session.get(RecordingRow, id_)) is not None]


def taken_in_by(session: Session, entries: range) -> Iterator[RecordingRow]:
    """Yield what these entries of the log took in and is kept, in their order, a few at a time."""
    row = RecordingRow
    query = select(row).where(
        row.leaf_index >= entries.start, row.leaf_index < entries.stop, row.destroyed_at.is_(None)
    )
    yield from session.scalars(query.order_by(row.leaf_index).execution_options(yield_per=_AT_ONCE))


def bytes_kept(session: Session) -> int:
    """Return how many bytes the originals have that are kept; those of destroyed ones are not."""
    query = select(func.coalesce(func.sum(RecordingRow.size), 0))
    return int(session.scalar(query.where(RecordingRow.destroyed_at.is_(None))) or 0)


def kept_of(session: Session, ids: Iterable[str]) -> Iterator[RecordingRow]:
    """Yield those of some recordings that are kept; destroyed ones are not."""
    ordered_ids = sorted(ids)
    for first in range(0, len(ordered_ids), _AT_ONCE):
        is_among = RecordingRow.id.in_(ordered_ids[first : first + _AT_ONCE])
        yield from session.scalars(
            select(RecordingRow).where(is_among, RecordingRow.destroyed_at.is_(None))
        )


def iterate_recordings(session: Session) -> Iterator[RecordingRow]:
    """Yield every recording, oldest first, a few at a time."""
    query = select(RecordingRow).order_by(RecordingRow.id).execution_options(yield_per=200)
    yield from session.scalars(query)
