"""Tables of what is kept and of what is not any more: classes, reclassifications, dispositions.

Rows are read anywhere and changed only by `classification.py`, `dispositions.py` and
`storage/upkeep/destruction.py`, inside a unit of work. Ids are UUIDv7 as text, times aware UTC,
persons are persons (never accounts).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from policies.identifiers import PersonId
from storage.catalogue.engine.columns import Audited, Base, CanonicalJson, UtcTime
from storage.catalogue.tables import NAME, UUID, WORD

ACTOR = String(100)


class ClassRow(Audited, Base):
    """资料类别: a class that a person gave to a recording (policies.facts.terms.FootageClass)."""

    __tablename__ = "footage_class"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), index=True)
    kind: Mapped[str] = mapped_column(WORD)
    reason: Mapped[str] = mapped_column(Text)
    given_by: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    taken_at: Mapped[datetime | None] = mapped_column(UtcTime)
    taken_under: Mapped[str | None] = mapped_column(UUID)


class ReclassificationRow(Audited, Base):
    """A recording is to be kept for less: proposed by one person, decided by another.

    `taking` are the classes to be taken away; without any, only the rules of today are to count.
    """

    __tablename__ = "reclassification"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), index=True)
    taking: Mapped[list[str]] = mapped_column(CanonicalJson)
    reason: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    decided_by: Mapped[PersonId | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcTime)
    approved: Mapped[bool | None]
    before: Mapped[datetime] = mapped_column(UtcTime)
    after: Mapped[datetime | None] = mapped_column(UtcTime)


class DispositionRow(Audited, Base):
    """处置: the decision that some recordings are destroyed (policies.retention.disposition)."""

    __tablename__ = "disposition"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    township: Mapped[str | None] = mapped_column(NAME, index=True)
    reason: Mapped[str] = mapped_column(Text)
    items: Mapped[int]
    state: Mapped[str] = mapped_column(WORD, index=True)
    proposed_by: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcTime)
    approved_at: Mapped[datetime | None] = mapped_column(UtcTime, index=True)
    not_before: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_by: Mapped[str | None] = mapped_column(ACTOR)
    ended_why: Mapped[str | None] = mapped_column(Text)
    certificate: Mapped[str | None] = mapped_column(Text, info={"digest": True})


class ApprovalRow(Audited, Base):
    """One person's approval of a disposition; the first, and above the brake a further one."""

    __tablename__ = "disposition_approval"

    disposition_id: Mapped[str] = mapped_column(ForeignKey("disposition.id"), primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    number: Mapped[int]


class DispositionItemRow(Audited, Base):
    """One recording of a disposition, and how far its destruction has come.

    `why` holds what kept it, or the reasons under which it went, as plain JSON.
    """

    __tablename__ = "disposition_item"

    disposition_id: Mapped[str] = mapped_column(ForeignKey("disposition.id"), primary_key=True)
    recording_id: Mapped[str] = mapped_column(
        ForeignKey("recording.id"), primary_key=True, index=True
    )
    state: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime] = mapped_column(UtcTime)
    why: Mapped[list[Any] | None] = mapped_column(CanonicalJson)


class TombstoneRow(Audited, Base):
    """What is left of a destroyed recording: what it was, by its digests, and by whose decision.

    `verified_at` is when its objects were seen to be gone.
    """

    __tablename__ = "tombstone"

    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), primary_key=True)
    disposition_id: Mapped[str] = mapped_column(ForeignKey("disposition.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    record: Mapped[str] = mapped_column(NAME)
    retained_until: Mapped[datetime] = mapped_column(UtcTime)
    destroyed_at: Mapped[datetime] = mapped_column(UtcTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcTime)
