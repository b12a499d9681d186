"""The tables of the catalogue: people and sources, recordings, cases. What each column means.

Rows are read anywhere and changed only by the modules beside this one (`people`, `recordings`,
`cases`), inside a unit of work. Ids are UUIDv7 as text. Times are aware UTC. The custody log's
own tables are `log/tables.py`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from policies.identifiers import ActionId, CaseId, PersonId, StationId
from storage.catalogue.engine.columns import Audited, Base, CanonicalJson, UtcTime

UUID = String(36)
WORD = String(40)
NAME = String(200)


class StationRow(Audited, Base):
    """A docking computer of a township office."""

    __tablename__ = "station"

    id: Mapped[StationId] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    township: Mapped[str] = mapped_column(NAME)


class PersonRow(Audited, Base):
    """Somebody who acts: an officer, an auxiliary, an operator, a reviewer, an administrator."""

    __tablename__ = "person"

    id: Mapped[PersonId] = mapped_column(UUID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    certificate_no: Mapped[str | None] = mapped_column(NAME, unique=True)
    kind: Mapped[str] = mapped_column(WORD)
    unit: Mapped[str] = mapped_column(NAME)
    township: Mapped[str] = mapped_column(NAME, index=True)
    full_time: Mapped[bool | None]


class SourceRow(Audited, Base):
    """A recorder, terminal or room camera. `id` is its opaque name in the log."""

    __tablename__ = "source"

    serial: Mapped[str] = mapped_column(NAME, primary_key=True)
    id: Mapped[str] = mapped_column(UUID, unique=True)
    kind: Mapped[str] = mapped_column(WORD)
    family: Mapped[str] = mapped_column(NAME)
    label: Mapped[str] = mapped_column(NAME)
    township: Mapped[str] = mapped_column(NAME, index=True)


class AccountRow(Audited, Base):
    """A login. The password hash (argon2) stands in the log as a digest of itself only."""

    __tablename__ = "account"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    username: Mapped[str] = mapped_column(NAME, unique=True)
    password_hash: Mapped[str] = mapped_column(Text, info={"digest": True})
    role: Mapped[str] = mapped_column(WORD)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    disabled: Mapped[bool] = mapped_column(default=False)


class SessionRow(Base):
    """A login that is open now; believed where the log says the same (`sessions.py`)."""

    __tablename__ = "session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


class RecordingRow(Audited, Base):
    """One accessioned original. `start_at` and `end_at` are true time (file time + offset).

    `video_gaps` and `audio_gaps` are `[[from, to], …]` in seconds from the file's start;
    `questions` names what nobody could tell yet. `file_start` is the recorder's own time, and
    `docked_at` the docking it came in with (None for landing folders); `troubles` are those with
    scene codes in it (policies.scene_code.Trouble). `record_text`, `envelope_text` and
    `receipt_text` are exact copies of the signed documents. `reviewed_at` is when two persons last
    agreed that older rules no longer count for it; `archived_at`, since when the payload lies in
    the archive, and perhaps nowhere else. A row with `destroyed_at` is what is left of a recording
    that was destroyed: its envelope is empty, and no key opens it any more.
    """

    __tablename__ = "recording"
    __table_args__ = (
        # The same bytes twice are one recording; what was destroyed answers for its bytes no more.
        Index(
            "uq_recording_kept",
            "source_serial",
            "sha256",
            unique=True,
            sqlite_where=text("destroyed_at IS NULL"),
            postgresql_where=text("destroyed_at IS NULL"),
        ),
        Index("ix_recording_source_serial_size", "source_serial", "size"),
        # What falls due is found at the cost of what is due: what is destroyed is not in it.
        Index(
            "ix_recording_due",
            "retain_until",
            "id",
            sqlite_where=text("destroyed_at IS NULL"),
            postgresql_where=text("destroyed_at IS NULL"),
        ),
        # Without it SQLite reads all that a township ever stored to show what is due there.
        Index(
            "ix_recording_township_due",
            "township",
            "retain_until",
            "id",
            sqlite_where=text("destroyed_at IS NULL"),
            postgresql_where=text("destroyed_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    source_serial: Mapped[str] = mapped_column(NAME)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(WORD)
    playable: Mapped[bool]
    unplayable_reason: Mapped[str | None] = mapped_column(NAME)
    container: Mapped[str | None] = mapped_column(NAME)
    duration_s: Mapped[float | None]
    start_at: Mapped[datetime | None] = mapped_column(UtcTime, index=True)
    end_at: Mapped[datetime | None] = mapped_column(UtcTime)
    clock_offset_s: Mapped[float | None]
    clock_uncertainty_s: Mapped[float | None]
    has_video: Mapped[bool]
    has_audio: Mapped[bool]
    video_gaps: Mapped[list[list[float]]] = mapped_column(CanonicalJson)
    audio_gaps: Mapped[list[list[float]]] = mapped_column(CanonicalJson)
    officer_no: Mapped[str | None] = mapped_column(NAME, index=True)
    officer_id: Mapped[PersonId | None] = mapped_column(ForeignKey("person.id"), index=True)
    sequence: Mapped[str | None] = mapped_column(NAME)
    marked: Mapped[bool | None]
    questions: Mapped[list[str]] = mapped_column(CanonicalJson)
    township: Mapped[str] = mapped_column(NAME, index=True)
    station: Mapped[StationId] = mapped_column(String(64))
    profile: Mapped[str] = mapped_column(NAME)
    media: Mapped[dict[str, Any]] = mapped_column(CanonicalJson)
    inspection: Mapped[list[Any]] = mapped_column(CanonicalJson)
    record_text: Mapped[str] = mapped_column(Text, info={"digest": True})
    envelope_text: Mapped[str] = mapped_column(Text, info={"digest": True})
    receipt_text: Mapped[str | None] = mapped_column(Text, info={"digest": True})
    leaf_index: Mapped[int] = mapped_column(BigInteger, unique=True)
    retain_until: Mapped[datetime] = mapped_column(UtcTime)
    accessioned_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    source_kind: Mapped[str | None] = mapped_column(WORD)
    file_start: Mapped[datetime | None] = mapped_column(UtcTime)
    docked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    troubles: Mapped[list[str] | None] = mapped_column(CanonicalJson)
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    archived_at: Mapped[datetime | None] = mapped_column(UtcTime)


class CaseRow(Audited, Base):
    """A case file: whom it concerns, where, and how far it has come."""

    __tablename__ = "case_"
    noun = "case"
    __table_args__ = (
        # The list of cases is read in its order, and only as far as a page goes.
        Index("ix_case_opened", "opened_at", "id"),
        Index("ix_case_township_opened", "township", "opened_at", "id"),
    )

    id: Mapped[CaseId] = mapped_column(UUID, primary_key=True)
    number: Mapped[str] = mapped_column(NAME, unique=True)
    title: Mapped[str] = mapped_column(Text)
    party: Mapped[str] = mapped_column(NAME, index=True)
    township: Mapped[str] = mapped_column(NAME, index=True)
    stage: Mapped[str] = mapped_column(WORD)
    opened_at: Mapped[datetime] = mapped_column(UtcTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    returns_to: Mapped[str | None] = mapped_column(WORD)
    features: Mapped[list[str] | None] = mapped_column(CanonicalJson)
    filed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    suspended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    suspended_s: Mapped[float | None]


class ActionRow(Audited, Base):
    """One thing done at one place and time within a stage."""

    __tablename__ = "action"

    id: Mapped[ActionId] = mapped_column(UUID, primary_key=True)
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    kind: Mapped[str] = mapped_column(WORD)
    stage: Mapped[str] = mapped_column(WORD)
    place: Mapped[str] = mapped_column(Text)
    start_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    end_at: Mapped[datetime | None] = mapped_column(UtcTime)
    status: Mapped[str] = mapped_column(WORD)
    manner: Mapped[str | None] = mapped_column(WORD)
    scene_tag: Mapped[str | None] = mapped_column(String(16), unique=True, index=True)


class ActionOfficerRow(Audited, Base):
    """Who took part in an action."""

    __tablename__ = "action_officer"

    action_id: Mapped[ActionId] = mapped_column(ForeignKey("action.id"), primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), primary_key=True)


class ExhibitRow(Audited, Base):
    """A recording linked to an action, with the interval of the action that it shows."""

    __tablename__ = "exhibit"
    __table_args__ = (UniqueConstraint("recording_id", "action_id"),)

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"))
    action_id: Mapped[ActionId] = mapped_column(ForeignKey("action.id"), index=True)
    shown_from: Mapped[datetime] = mapped_column(UtcTime)
    shown_to: Mapped[datetime] = mapped_column(UtcTime)
    state: Mapped[str] = mapped_column(WORD)
    how: Mapped[str] = mapped_column(WORD)
    proposed_by: Mapped[str] = mapped_column(String(100))
    decided_by: Mapped[str | None] = mapped_column(String(100))
