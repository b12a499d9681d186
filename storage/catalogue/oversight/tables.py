"""The tables of stored duties: no evidence, but what was judged of it, and made anew at any time.

A basis is what a case, a proceeding or a township is judged by: its entries, counted. Rows are
changed by `duty_basis` (inside each unit of work) and `duties` beside this module alone.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from policies.identifiers import PersonId
from storage.catalogue.engine.columns import Base, CanonicalJson, UtcTime
from storage.catalogue.tables import NAME

# Pages are merged with what was just judged: both are in order of the bytes, on every server.
SUBJECT = String(220).with_variant(String(220, collation="C"), "postgresql")
_RULE = String(200).with_variant(String(200, collation="C"), "postgresql")
_PERSON = String(36).with_variant(String(36, collation="C"), "postgresql")
_STANDARD = String(64).with_variant(String(64, collation="C"), "postgresql")


class DutyBasisRow(Base):
    """What duties were judged from: `case:…`, `proceeding:…`, `township:…`.

    `version` is raised by every unit of work that changes entries of it, and `standard`, by what
    they were judged (`duties.standard_of`), becomes empty by that. The duties stored hold when
    asked for from `first` up to, not including, `until`.
    """

    __tablename__ = "duty_basis"

    subject: Mapped[str] = mapped_column(SUBJECT, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    standard: Mapped[str] = mapped_column(_STANDARD, index=True)
    first: Mapped[datetime] = mapped_column(UtcTime, index=True)
    until: Mapped[datetime] = mapped_column(UtcTime, index=True)


class DutyRow(Base):
    """One duty (policies.duties.Obligation); `person_id` is empty where it is nobody's alone."""

    __tablename__ = "duty"
    __table_args__ = (
        # The list is read in its order, and only as far as a page goes.
        Index(
            "ix_duty_open",
            "due_at",
            "subject",
            "rule",
            "person_id",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        Index(
            "ix_duty_township_open",
            "township",
            "due_at",
            "subject",
            "rule",
            "person_id",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )

    basis: Mapped[str] = mapped_column(SUBJECT, primary_key=True)
    subject: Mapped[str] = mapped_column(SUBJECT, primary_key=True)
    rule: Mapped[str] = mapped_column(_RULE, primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(_PERSON, primary_key=True)
    township: Mapped[str] = mapped_column(NAME)
    what_zh: Mapped[str] = mapped_column(Text)
    what_en: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcTime)
    soon_at: Mapped[datetime | None] = mapped_column(UtcTime)
    persons: Mapped[list[PersonId]] = mapped_column(CanonicalJson)
