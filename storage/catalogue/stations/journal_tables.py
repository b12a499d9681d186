"""Tables of a station's journal: its submissions and their states, in its own database.

The journal belongs to the station, not to the centre: it survives a crash of either, and holds no
plaintext and no secret. What the states mean and which may follow which is
`ingest/station/journal.py`; how rows are read and written is `journal_store.py`.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class JournalBase(DeclarativeBase):
    """Metadata of the station's own database."""


class SubmissionRow(JournalBase):
    """One version of one file that a source offered; a changed file is another row.

    So are other bytes under the same name, size and time: FAT counts time in two seconds, and
    recorders restart their counters.
    """

    __tablename__ = "submission"
    __table_args__ = (
        Index("ix_submission_key", "source", "path", "size", "mtime_ns"),
        Index("ix_submission_size", "source", "size", "state"),
        Index("ix_submission_place", "bay", "path", "size", "mtime_ns", "source"),
        Index("ix_submission_bytes", "source", "sha256", "state"),
        Index("ix_submission_attempt", "recording", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(200))
    path: Mapped[bytes] = mapped_column(LargeBinary(4096))
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    bay: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20), index=True)
    reason: Mapped[str | None] = mapped_column(String(60))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    recording: Mapped[str | None] = mapped_column(String(36))
    sha256: Mapped[str | None] = mapped_column(String(64))
    record: Mapped[bytes | None] = mapped_column(LargeBinary)
    envelope: Mapped[bytes | None] = mapped_column(LargeBinary)
    receipt: Mapped[bytes | None] = mapped_column(LargeBinary)
    first_seen: Mapped[str] = mapped_column(String(32))
    changed: Mapped[str] = mapped_column(String(32))


class BayRow(JournalBase):
    """The last known state of one bay, for screens; never evidence."""

    __tablename__ = "bay"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    source: Mapped[str | None] = mapped_column(String(200))
    files_total: Mapped[int] = mapped_column(default=0)
    files_done: Mapped[int] = mapped_column(default=0)
    bytes_total: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_done: Mapped[int] = mapped_column(BigInteger, default=0)
    current: Mapped[str | None] = mapped_column(String(1200))
    reason: Mapped[str | None] = mapped_column(String(60))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    changed: Mapped[str] = mapped_column(String(32))


class NoteRow(JournalBase):
    """A station's own act that the centre's log has not heard of yet; `number` is its identity."""

    __tablename__ = "note"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - numbers are never used again

    number: Mapped[int] = mapped_column(primary_key=True)
    act: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(10))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[str] = mapped_column(String(32))


class ClockRow(JournalBase):
    """Up to when this station's clock was seen to run, and when it last jumped."""

    __tablename__ = "clock"

    id: Mapped[int] = mapped_column(primary_key=True)
    seen: Mapped[str] = mapped_column(String(32))
    jumped: Mapped[str | None] = mapped_column(String(32))


class LogHeadRow(JournalBase):
    """The newest head of the centre's log that this station saw, as the log signed it.

    `proven` says that the centre gives proofs: it ever proved that it continues a head from here.
    """

    __tablename__ = "log_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    checkpoint: Mapped[str] = mapped_column(Text)
    proven: Mapped[bool]


class LogAlarmRow(JournalBase):
    """The centre's log contradicted the head that this station had seen; kept for ever.

    Both heads as the log signed them: `shown` does not continue `seen` (empty where the centre
    showed none). `ended` is when the log went on from `seen` after all, or when a person, for a
    `reason`, told the station to go on.
    """

    __tablename__ = "log_alarm"

    number: Mapped[int] = mapped_column(primary_key=True)
    how: Mapped[str] = mapped_column(String(20))
    seen: Mapped[str] = mapped_column(Text)
    shown: Mapped[str] = mapped_column(Text)
    began: Mapped[str] = mapped_column(String(32))
    ended: Mapped[str | None] = mapped_column(String(32))
    reason: Mapped[str | None] = mapped_column(String(600))


class RequestRow(JournalBase):
    """A folder or file that a person asks the running station to take, and what became of it."""

    __tablename__ = "request"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - numbers are never used again

    number: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[bytes] = mapped_column(LargeBinary(4096))
    asked: Mapped[str] = mapped_column(String(32))
    results: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
