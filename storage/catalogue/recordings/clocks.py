"""Clock readings from scene codes, and the correction of recordings by them.

A reading holds for what came in with the same docking; a landing folder has no dockings, so
there it holds for its own recording alone. Every correction is an entry with the row's state.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM, Subject
from policies.scene_code import Trouble
from policies.time.clocks import Reading, offset_at
from storage.catalogue.people.tables import ClockReadingRow
from storage.catalogue.tables import ActionRow, RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType

NAME_RESOLUTION_S = 1.0  # two files' starts are each cut to the second before


def enter_reading(
    uow: UnitOfWork, row: RecordingRow, reading: Reading, actions: list[str]
) -> ClockReadingRow:
    """Keep what one recording told of its source's clock; told again, nothing changes."""
    earlier_reading = reading_of(uow.session, row.id)
    if earlier_reading is not None:
        return earlier_reading
    reading_row = ClockReadingRow(
        id=uow.new_id(),
        source_serial=row.source_serial,
        recording_id=row.id,
        docked_at=row.docked_at,
        at=reading.at,
        offset_s=round(reading.offset_s, 6),
        uncertainty_s=round(reading.uncertainty_s, 6),
        how=reading.how,
        actions=sorted(actions),
    )
    uow.session.add(reading_row)
    kind = PremisType.METADATA_EXTRACTION
    uow.record("clock.read", kind, reading_row, actor=SYSTEM, subject=Subject.of_recording(row.id))
    return reading_row


def refuse_code(uow: UnitOfWork, row: RecordingRow, trouble: Trouble) -> None:
    """Keep that a code in a recording was not believed; told again, nothing changes."""
    if trouble.value in (row.troubles or ()):
        return
    row.troubles = sorted({*(row.troubles or ()), trouble.value})
    uow.record(
        "scene-code.refuse",
        PremisType.VALIDATION,
        row,
        actor=SYSTEM,
        subject=Subject.of_recording(row.id),
        outcome=Outcome.REFUSED,
        trouble=trouble.value,
    )


def reading_of(session: Session, recording_id: str) -> ClockReadingRow | None:
    """Return what one recording told of its clock, if it told anything."""
    query = select(ClockReadingRow).where(ClockReadingRow.recording_id == recording_id)
    return session.scalar(query)


def readings_with(session: Session, row: RecordingRow) -> list[ClockReadingRow]:
    """Return the readings that hold for a recording."""
    query = select(ClockReadingRow).where(ClockReadingRow.source_serial == row.source_serial)
    if row.docked_at is None:
        query = query.where(ClockReadingRow.recording_id == row.id)
    else:
        query = query.where(ClockReadingRow.docked_at == row.docked_at)
    return list(session.scalars(query.order_by(ClockReadingRow.at, ClockReadingRow.id)))


def read_at_docking(session: Session, rows: Sequence[RecordingRow]) -> set[str]:
    """Return which of these recordings `readings_with` finds anything for, by one question."""
    docked, reading = {row.docked_at for row in rows} - {None}, ClockReadingRow
    query = select(reading.source_serial, reading.docked_at, reading.recording_id).where(
        reading.source_serial.in_({row.source_serial for row in rows}),
        or_(reading.docked_at.in_(docked), reading.recording_id.in_([row.id for row in rows])),
    )
    docked_readings = [
        (serial, at, recording_id) for serial, at, recording_id in session.execute(query)
    ]
    dockings, themselves = (
        {(serial, at) for serial, at, _ in docked_readings},
        {recording_id for *_, recording_id in docked_readings},
    )
    return {
        row.id
        for row in rows
        if (
            row.id in themselves
            if row.docked_at is None
            else (row.source_serial, row.docked_at) in dockings
        )
    }


def came_with(session: Session, row: RecordingRow) -> list[RecordingRow]:
    """Return the recordings of one source that came in with the same docking, itself too."""
    if row.docked_at is None:
        return [row]
    query = select(RecordingRow).where(
        RecordingRow.source_serial == row.source_serial, RecordingRow.docked_at == row.docked_at
    )
    return list(session.scalars(query.order_by(RecordingRow.start_at, RecordingRow.id)))


def last_docking(session: Session, row: RecordingRow) -> datetime | None:
    """Return when the source was docked before this docking, if it ever was."""
    if row.docked_at is None:
        return None
    query = select(RecordingRow.docked_at).where(
        RecordingRow.source_serial == row.source_serial, RecordingRow.docked_at < row.docked_at
    )
    return session.scalar(query.order_by(RecordingRow.docked_at.desc()).limit(1))


def set_right(uow: UnitOfWork, row: RecordingRow) -> bool:
    """Correct a recording's time by the clock readings that apply; return whether it changed.

    A start that a person entered stays: who asked the person knew more than a clock.
    """
    readings = [_reading_for(row, reading_row) for reading_row in readings_with(uow.session, row)]
    if row.file_start is None or not readings or _has_corrected_start(row):
        return False
    clock = offset_at(readings, row.file_start)
    if clock is None:
        return False
    start = row.file_start + timedelta(seconds=clock.offset_s)
    if row.start_at == start and row.clock_uncertainty_s == round(clock.uncertainty_s, 6):
        return False
    row.start_at = start
    row.end_at = start + timedelta(seconds=row.duration_s) if row.duration_s is not None else None
    row.clock_offset_s = round(clock.offset_s, 6)
    row.clock_uncertainty_s = round(clock.uncertainty_s, 6)
    row.questions = [question for question in row.questions if question != "confirm-start"]
    uow.record(
        "recording.clock",
        PremisType.METADATA_MODIFICATION,
        row,
        actor=SYSTEM,
        subject=Subject.of_recording(row.id),
        readings=[reading_row.id for reading_row in readings_with(uow.session, row)],
    )
    return True


def _reading_for(row: RecordingRow, reading_row: ClockReadingRow) -> Reading:
    """Return a reading as it holds for a recording: file names tell whole seconds only."""
    more = 0.0 if reading_row.recording_id == row.id else NAME_RESOLUTION_S
    return Reading(
        reading_row.at, reading_row.offset_s, reading_row.uncertainty_s + more, reading_row.how
    )


def action_by_tag(session: Session, tag: bytes) -> ActionRow | None:
    """Return the action whose scene codes carry this tag."""
    return session.scalar(select(ActionRow).where(ActionRow.scene_tag == tag.hex()))


def _has_corrected_start(row: RecordingRow) -> bool:
    """Tell whether a person moved the start away from what the file and its clock say."""
    if row.file_start is None or row.start_at is None:
        return False
    offset = row.clock_offset_s or 0.0
    return abs((row.start_at - row.file_start).total_seconds() - offset) > 0.001  # noqa: PLR2004 - s
