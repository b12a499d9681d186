"""The tables of durable jobs: what is to be done, who is at work, what was found and made.

Jobs and workers are how work proceeds, not evidence, so they are not audited; what a job does to
evidence is an entry in the log like any other act. What it made from a recording is audited.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.catalogue.engine.columns import Audited, Base, CanonicalJson, UtcTime

UUID = String(36)
WORD = String(40)
ACTOR = String(100)
SLOT = String(60)


class JobRow(Base):
    """One thing to be done, and how far it has come (`jobs.State`).

    `slot` names the occasion of a scheduled job, so that it is asked for once; `attempt` grows with
    every failure; `turn` grows with everyone who takes it up, and only the last one may finish
    it. `owner` is the worker's present life (`WorkerRow.life`). A person's act that it follows
    from was done in `session`, from `address`, at `acted_at` (storage/custody/entries/acting.py).
    """

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("kind", "subject", "slot"),
        Index("ix_job_state_due_at", "state", "due_at"),
    )

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    subject: Mapped[str] = mapped_column(ACTOR, index=True)
    slot: Mapped[str | None] = mapped_column(SLOT)
    state: Mapped[str] = mapped_column(WORD)
    asked_by: Mapped[str] = mapped_column(ACTOR)
    asked_at: Mapped[datetime] = mapped_column(UtcTime)
    session: Mapped[str | None] = mapped_column(String(32))
    address: Mapped[str | None] = mapped_column(String(64))
    acted_at: Mapped[datetime | None] = mapped_column(UtcTime)
    due_at: Mapped[datetime] = mapped_column(UtcTime)
    attempt: Mapped[int]
    failures: Mapped[int]
    turn: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str | None] = mapped_column(UUID)
    error: Mapped[str | None] = mapped_column(WORD)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    result: Mapped[dict[str, Any] | None] = mapped_column(CanonicalJson)


class JobStepRow(Base):
    """The result of one step of an attempt: whoever goes on with the attempt does not repeat it.

    Results are ids, digests and counts as plain JSON: no key, no name, no text.
    """

    __tablename__ = "job_step"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(WORD, primary_key=True)
    result: Mapped[Any] = mapped_column(CanonicalJson)


class WorkerRow(Base):
    """A worker by its stable name; `life` is new at each start, `beats` shows that it goes on."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    life: Mapped[str] = mapped_column(UUID, unique=True)
    beats: Mapped[int] = mapped_column(BigInteger)
    beat_at: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)


class VerifiedRow(Base):
    """When a recording's objects were last read whole, and what was wrong then (mostly nothing).

    The truth about it stands in the log; this is what a screen and the next scrub look at.
    """

    __tablename__ = "verified"

    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    wrong: Mapped[list[Any]] = mapped_column(CanonicalJson)


class LaterLookRow(Audited, Base):
    """What a later inspection at the centre saw. The sealed record keeps what the station saw."""

    __tablename__ = "later_look"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    asked_by: Mapped[str] = mapped_column(ACTOR)
    media: Mapped[dict[str, Any]] = mapped_column(CanonicalJson)
    inspection: Mapped[list[Any]] = mapped_column(CanonicalJson)


class RenditionRow(Audited, Base):
    """Something made from a recording (衍生件), kept sealed beside the evidence, never as it.

    Its object lies under its own id. `sha256` is that of what was made, `sealed_sha256` that of
    the object.
    """

    __tablename__ = "rendition"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), index=True)
    kind: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime] = mapped_column(UtcTime)
    asked_by: Mapped[str] = mapped_column(ACTOR)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    sealed_sha256: Mapped[str] = mapped_column(String(64))
    envelope_text: Mapped[str] = mapped_column(Text, info={"digest": True})
