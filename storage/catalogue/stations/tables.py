"""Tables of those who deliver over the network: enrolments, tokens, uploads, files handed in.

An enrolment decides whose signature is trusted, so it is audited. Tokens, assertions that were
used and uploads are how a delivery proceeds; evidence begins with the accession.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, synonym

from policies.identifiers import PersonId, StationId
from storage.catalogue.engine.columns import Audited, Base, CanonicalJson, UtcTime

UUID = String(36)
DIGEST = String(64)


class EnrolmentRow(Audited, Base):
    """A station's right to deliver under one key: offered by a one-time code, then taken up.

    `code_hash` is the SHA-256 of the code's secret; `key_text` the station's public key as JSON.
    A key stays here for ever, revoked or not: what it signed must still verify.
    """

    __tablename__ = "enrolment"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    station_id: Mapped[StationId] = mapped_column(ForeignKey("station.id"), index=True)
    code_hash: Mapped[str] = mapped_column(DIGEST, unique=True)
    code_until: Mapped[datetime] = mapped_column(UtcTime)
    key_text: Mapped[str | None] = mapped_column(Text)
    enrolled_at: Mapped[datetime | None] = mapped_column(UtcTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_why: Mapped[str | None] = mapped_column(Text)


class StationTokenRow(Base):
    """A short-lived token of a station; only its hash is kept."""

    __tablename__ = "station_token"

    token_hash: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    enrolment_id: Mapped[str] = mapped_column(ForeignKey("enrolment.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


class UsedAssertionRow(Base):
    """An assertion that was used (RFC 7523, 3: `jti`): a second use is a replay."""

    __tablename__ = "used_assertion"

    hash: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


class StationNoteRow(Base):
    """Which of a station's own acts are in the log already, by the number that it gave them."""

    __tablename__ = "station_note"

    enrolment_id: Mapped[str] = mapped_column(ForeignKey("enrolment.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class StationStatusRow(Base):
    """What a station last said of itself, for screens; never evidence."""

    __tablename__ = "station_status"

    station_id: Mapped[StationId] = mapped_column(ForeignKey("station.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcTime)
    told: Mapped[dict[str, Any]] = mapped_column(CanonicalJson)


class UnderWay:
    """Columns of bytes on their way: `offset` are durable, of which `tail` wait for a whole part.

    `writer` names the request that may write now; a newer one takes its place.
    """

    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(DIGEST)
    handle: Mapped[str] = mapped_column(Text)
    marks: Mapped[list[str]] = mapped_column(CanonicalJson)
    offset: Mapped[int] = mapped_column(BigInteger)
    tail: Mapped[int] = mapped_column(BigInteger)
    writer: Mapped[str | None] = mapped_column(UUID)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    touched_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


class UploadRow(UnderWay, Base):
    """A sealed payload on its way from a station."""

    __tablename__ = "upload"

    recording: Mapped[str] = mapped_column(UUID, primary_key=True)
    station_id: Mapped[StationId] = mapped_column(ForeignKey("station.id"), index=True)
    id: Mapped[str] = synonym("recording")
    owner: Mapped[str] = synonym("station_id")


class HandedInRow(UnderWay, Base):
    """A file that a person hands in; `file_name` is as he calls it, untrusted.

    `modified_ms` is its time of change as his device tells it (milliseconds since 1970). He began
    in `session`, from `address` (custody/acting.py). Once
    `received_at` stands, the bytes are whole, are the digest's, and are the station's to take.
    """

    __tablename__ = "handed_in"
    noun = "submission"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(255))
    modified_ms: Mapped[int | None] = mapped_column(BigInteger)
    received_at: Mapped[datetime | None] = mapped_column(UtcTime)
    session: Mapped[str | None] = mapped_column(String(32))
    address: Mapped[str | None] = mapped_column(String(64))
    owner: Mapped[str] = synonym("person_id")
