"""The tables of a case's way: who does what, what was marked, made, reviewed, decided, explained.

Rows are read anywhere and changed only by `way`, `waivers`, `proceedings`, `holds`, `releases` and
`checks` beside this module, inside a unit of work.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from policies.identifiers import ActionId, CaseId, HoldId, PersonId
from storage.catalogue.engine.columns import Audited, Base, CanonicalJson, UtcTime
from storage.catalogue.tables import NAME, UUID, WORD

ACTOR = String(100)


class MomentRow(Audited, Base):
    """Something marked on an action's timeline (policies.facts.terms.MomentKind)."""

    __tablename__ = "moment"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    action_id: Mapped[ActionId] = mapped_column(ForeignKey("action.id"), index=True)
    kind: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime] = mapped_column(UtcTime)
    note: Mapped[str] = mapped_column(Text)
    marked_by: Mapped[str] = mapped_column(ACTOR)


class DocumentRow(Audited, Base):
    """A document of a case (policies.facts.terms.DocumentKind); its scan may be a recording."""

    __tablename__ = "document"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    action_id: Mapped[ActionId | None] = mapped_column(ForeignKey("action.id"), index=True)
    recording_id: Mapped[str | None] = mapped_column(ForeignKey("recording.id"), index=True)
    kind: Mapped[str] = mapped_column(WORD)
    number: Mapped[str] = mapped_column(NAME)
    at: Mapped[datetime] = mapped_column(UtcTime)
    served_at: Mapped[datetime | None] = mapped_column(UtcTime)
    manner: Mapped[str | None] = mapped_column(WORD)
    entered_by: Mapped[str] = mapped_column(ACTOR)


class CasePartRow(Audited, Base):
    """Who handles, reviews and decides a case (办、审、定); a part once played stays played."""

    __tablename__ = "case_part"

    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), primary_key=True)
    part: Mapped[str] = mapped_column(WORD, primary_key=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcTime)


class ReviewRow(Audited, Base):
    """One legal review of a case (法制审核); a later one does not erase an earlier."""

    __tablename__ = "review"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    passed: Mapped[bool]
    opinion: Mapped[str] = mapped_column(Text)


class DecisionRow(Audited, Base):
    """A decision in a case; the last one holds."""

    __tablename__ = "decision"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    penalty: Mapped[bool]
    signed_by_head: Mapped[bool]
    text: Mapped[str] = mapped_column(Text)
    disclosed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    disclosed_where: Mapped[str | None] = mapped_column(Text)


class WaiverRow(Audited, Base):
    """情况说明 for one rule's finding upon an action (or, without one, upon the case)."""

    __tablename__ = "waiver"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    action_id: Mapped[ActionId | None] = mapped_column(ForeignKey("action.id"), index=True)
    rule: Mapped[str] = mapped_column(NAME)
    reason: Mapped[str] = mapped_column(WORD)
    text: Mapped[str] = mapped_column(Text)
    attachments: Mapped[list[str]] = mapped_column(CanonicalJson)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    state: Mapped[str] = mapped_column(WORD)
    decided_by: Mapped[PersonId | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcTime)
    approver: Mapped[str | None] = mapped_column(WORD)
    answer: Mapped[str | None] = mapped_column(Text)


class DoubtRow(Audited, Base):
    """What a person said of one doubt that inspection raised: confirmed, or dismissed."""

    __tablename__ = "doubt"
    __table_args__ = (UniqueConstraint("recording_id", "kind", "start_s"),)

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"), index=True)
    kind: Mapped[str] = mapped_column(WORD)
    start_s: Mapped[float]
    confirmed: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(UtcTime)


class ProceedingRow(Audited, Base):
    """A complaint, a reconsideration or a lawsuit, and how far it has come (第十六, 十八条)."""

    __tablename__ = "proceeding"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    number: Mapped[str] = mapped_column(NAME)
    case_id: Mapped[CaseId | None] = mapped_column(ForeignKey("case_.id"), index=True)
    township: Mapped[str] = mapped_column(NAME, index=True)
    about: Mapped[str] = mapped_column(Text)
    brought_by: Mapped[str] = mapped_column(NAME)
    summary: Mapped[bool]
    place: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime | None] = mapped_column(UtcTime)
    until: Mapped[datetime | None] = mapped_column(UtcTime)
    received_at: Mapped[datetime] = mapped_column(UtcTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcTime)
    answer: Mapped[str | None] = mapped_column(Text)
    handler_id: Mapped[PersonId | None] = mapped_column(ForeignKey("person.id"))


class HoldRow(Audited, Base):
    """冻结: a reason to keep regardless, until the authority that placed it releases it.

    It lies on one of recording, action, case and party, and reaches what is linked to that.
    `authority` is as `policies/retention/holds.py` names it; None stands for the proceeding.
    """

    __tablename__ = "hold"

    id: Mapped[HoldId] = mapped_column(UUID, primary_key=True)
    recording_id: Mapped[str | None] = mapped_column(ForeignKey("recording.id"), index=True)
    proceeding_id: Mapped[str | None] = mapped_column(ForeignKey("proceeding.id"), index=True)
    reason: Mapped[str] = mapped_column(WORD)
    placed_by: Mapped[str] = mapped_column(ACTOR)
    placed_at: Mapped[datetime] = mapped_column(UtcTime)
    released_by: Mapped[str | None] = mapped_column(ACTOR)
    released_at: Mapped[datetime | None] = mapped_column(UtcTime)
    action_id: Mapped[ActionId | None] = mapped_column(ForeignKey("action.id"), index=True)
    case_id: Mapped[CaseId | None] = mapped_column(ForeignKey("case_.id"), index=True)
    party: Mapped[str | None] = mapped_column(NAME, index=True)
    township: Mapped[str | None] = mapped_column(NAME)
    authority: Mapped[str | None] = mapped_column(NAME)
    note: Mapped[str | None] = mapped_column(Text)
    released_why: Mapped[str | None] = mapped_column(Text)


class ReleaseRow(Audited, Base):
    """解除冻结: proposed by one person, decided by another (policies.retention.releases).

    It is about one hold placed by hand, or about all that a proceeding holds. `covers` is the
    SHA-256 of which holds these were, and of what they reached, when it was proposed.
    """

    __tablename__ = "hold_release"
    noun = "release"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    hold_id: Mapped[HoldId | None] = mapped_column(ForeignKey("hold.id"), index=True)
    proceeding_id: Mapped[str | None] = mapped_column(ForeignKey("proceeding.id"), index=True)
    reason: Mapped[str] = mapped_column(Text)
    covers: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(WORD, index=True)
    proposed_by: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcTime)
    decided_by: Mapped[PersonId | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcTime)
    decided_why: Mapped[str | None] = mapped_column(Text)


class DrawRow(Audited, Base):
    """A random draw (双随机): everything that anyone needs to repeat it."""

    __tablename__ = "draw"

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    purpose: Mapped[str] = mapped_column(NAME)
    seed: Mapped[str] = mapped_column(Text)
    population: Mapped[list[str]] = mapped_column(CanonicalJson)
    count: Mapped[int]
    drawn: Mapped[list[Any]] = mapped_column(CanonicalJson)
    at: Mapped[datetime] = mapped_column(UtcTime)
    drawn_by: Mapped[str] = mapped_column(ACTOR)


class CheckRow(Audited, Base):
    """What a drawn inspector found in one drawn recording."""

    __tablename__ = "quality_check"
    __table_args__ = (UniqueConstraint("draw_id", "recording_id"),)

    id: Mapped[str] = mapped_column(UUID, primary_key=True)
    draw_id: Mapped[str] = mapped_column(ForeignKey("draw.id"), index=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id"))
    person_id: Mapped[PersonId] = mapped_column(ForeignKey("person.id"))
    good: Mapped[bool]
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcTime)
