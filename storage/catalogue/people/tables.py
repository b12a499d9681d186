"""The tables of the officer register: certificates, who had which source when, training, clocks.

Rows are read anywhere and changed only by `register` and `clocks` beside this module, inside a
unit of work. Days are written `YYYY-MM-DD`, in county time.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from policies.identifiers import ActionId, PersonId
from storage.catalogue.engine.columns import Audited, Base, CanonicalJson, UtcTime
from storage.catalogue.tables import NAME, UUID, WORD

DAY = String(10)


class CertificateRow(Audited, Base):
    """执法证件 (第二至四条). A person may have held several; `ended_why` surrendered or revoked."""

    __tablename__ = "certificate"

    number: Mapped[str] = mapped_column(NAME, primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), index=True)
    category: Mapped[str] = mapped_column(NAME)
    unit: Mapped[str] = mapped_column(NAME)
    valid_from: Mapped[str | None] = mapped_column(DAY)
    valid_to: Mapped[str | None] = mapped_column(DAY)
    ended_on: Mapped[str | None] = mapped_column(DAY)
    ended_why: Mapped[str | None] = mapped_column(WORD)


class AssignmentRow(Audited, Base):
    """Who had a source, from when until when (None: has it now)."""

    __tablename__ = "assignment"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    source_serial: Mapped[str] = mapped_column(ForeignKey("source.serial"), index=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), index=True)
    from_at: Mapped[datetime] = mapped_column(UtcTime)
    to_at: Mapped[datetime | None] = mapped_column(UtcTime)


class TrainingRow(Audited, Base):
    """A training that an officer attended (第五条): hours of public law, or a special one."""

    __tablename__ = "training"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), index=True)
    day: Mapped[str] = mapped_column(DAY)
    hours: Mapped[float]
    special: Mapped[bool]
    title: Mapped[str] = mapped_column(Text)


class ClockReadingRow(Audited, Base):
    """One measured offset of a source's clock: true minus recorder time, seconds, ± uncertainty.

    `at` is the recorder's own time; it holds from the last docking to this one (`docked_at`).
    `actions` are those whose scene codes the source filmed in this recording.
    """

    __tablename__ = "clock_reading"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    source_serial: Mapped[str] = mapped_column(NAME, index=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), index=True)
    docked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    at: Mapped[datetime] = mapped_column(UtcTime)
    offset_s: Mapped[float]
    uncertainty_s: Mapped[float]
    how: Mapped[str] = mapped_column(WORD)
    actions: Mapped[list[ActionId]] = mapped_column(CanonicalJson)
