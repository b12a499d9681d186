"""Schemas of retention, holds and dispositions. Times are UTC."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from api.http.schemas import ActionIdInput, CaseIdInput, Id, RequestModel, Text
from policies.facts.terms import FootageClass, HoldReason
from policies.retention.disposition import DispositionState, ItemState
from policies.retention.releases import ReleaseState
from policies.retention.retention import KeeperKind

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class NewHold(RequestModel):
    """A hold on exactly one recording, action, case or party; a party's is of one township.

    For the county's reviewers `township` may be left out: the party then is held everywhere.
    """

    reason: HoldReason
    recording: Id | None = None
    action: ActionIdInput | None = None
    case: CaseIdInput | None = None
    party: Text | None = None
    township: Text | None = None
    note: Why | None = None


class Justification(RequestModel):
    """Why a hold is to be released, or what was proposed is rejected or withdrawn."""

    why: Why


class NewClass(RequestModel):
    """A class that a recording is put into."""

    kind: FootageClass
    reason: Why


class NewReclassification(RequestModel):
    """Classes to be taken away; without any, only the rules of today are to count."""

    taking: Annotated[list[FootageClass], Field(max_length=len(FootageClass))] = []  # noqa: RUF012 - copied by pydantic
    reason: Why


class Decided(RequestModel):
    """Whether it is approved."""

    approved: bool


class NewDisposition(RequestModel):
    """Recordings to be destroyed, and why."""

    recordings: Annotated[list[Id], Field(max_length=20_000)] = []  # noqa: RUF012 - copied by pydantic
    reason: Why


class ReasonOut(BaseModel):
    """One thing that keeps, or kept, a recording; `until` is null while nobody can say."""

    keeper: KeeperKind
    keeps: bool
    until: datetime | None
    zh: str
    en: str
    rule: str
    version: str
    subject: str


class KeptOut(BaseModel):
    """A recording on the due list; `due` when nothing keeps it, `reasons` say what does or did.

    `disposition` is the open one that lists it already; size in bytes.
    """

    recording: str
    name: str
    source: str
    township: str
    start_at: datetime | None
    size: int
    promised: datetime
    due: bool
    disposition: str | None
    reasons: list[ReasonOut]


class DueOut(BaseModel):
    """What would be destroyed on a day, and what stays beyond its promise; `next` is a cursor."""

    at: datetime
    items: list[KeptOut]
    next: str | None


class ClassOut(BaseModel):
    """A class that a person gave."""

    kind: FootageClass
    zh: str
    reason: str
    by: str
    at: datetime


class HoldOut(BaseModel):
    """A hold. `yours`: you may propose its release; else `refusal` says why not, in words too.

    `release` is the proposal that waits for another person; `proceeding` is the complaint,
    reconsideration or lawsuit with which alone it ends.
    """

    id: str
    reason: HoldReason
    zh: str
    authority: str
    authority_zh: str
    on: str
    on_zh: str
    township: str | None
    proceeding: str | None
    placed_at: datetime
    placed_by: str
    released_at: datetime | None
    note: str | None
    release: str | None
    yours: bool
    refusal: str | None
    refusal_zh: str | None


class ReleaseOut(BaseModel):
    """A proposed release of one hold, or of all that a proceeding holds.

    `may_approve`, `may_reject` and `may_withdraw` are yours; `refusal` says why you may not
    approve it, in words too. `holds` is how many stand that would end.
    """

    id: str
    hold: str | None
    proceeding: str | None
    on: str
    on_zh: str
    township: str | None
    holds: int
    reason: str
    state: ReleaseState
    state_zh: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decided_why: str | None
    may_approve: bool
    may_reject: bool
    may_withdraw: bool
    refusal: str | None
    refusal_zh: str | None


class ReclassificationOut(BaseModel):
    """A recording is to be kept for less. `yours`: you proposed it, so another must decide."""

    id: str
    recording: str
    name: str
    taking: list[FootageClass]
    taking_zh: list[str]
    reason: str
    proposed_by: str
    at: datetime
    approved: bool | None
    decided_by: str | None
    decided_at: datetime | None
    before: datetime
    after: datetime | None
    yours: bool


class TombstoneOut(BaseModel):
    """What is left of a destroyed recording."""

    disposition: str
    sha256: str
    size: int
    record: str
    retained_until: datetime
    destroyed_at: datetime
    verified_at: datetime | None


class RetentionOut(BaseModel):
    """Why a recording is kept at a moment, and what keeps it; `asked_store` when locks are told."""

    recording: str
    at: datetime
    due: bool
    until: datetime
    asked_store: bool
    classes: list[FootageClass]
    classes_zh: list[str]
    given: list[ClassOut]
    holds: list[HoldOut]
    reclassifications: list[ReclassificationOut]
    disposition: str | None
    destroyed: TombstoneOut | None
    reasons: list[ReasonOut]


class ApprovalOut(BaseModel):
    """Who approved, and when."""

    by: str
    at: datetime


class DispositionOut(BaseModel):
    """A disposition. `asked` approvals are needed; `may_approve` and `may_withdraw` are yours."""

    id: str
    township: str | None
    reason: str
    state: DispositionState
    state_zh: str
    items: int
    proposed_by: str
    proposed_at: datetime
    approvals: list[ApprovalOut]
    asked: int
    not_before: datetime | None
    begun: bool
    ended_at: datetime | None
    ended_why: str | None
    certified: bool
    may_approve: bool
    may_withdraw: bool
    refusal: str | None


class ItemOut(BaseModel):
    """One recording of a disposition; `why` says what kept it, or why it went."""

    recording: str
    name: str
    state: ItemState
    state_zh: str
    at: datetime
    why: list[Any]


class DispositionDetail(DispositionOut):
    """A disposition with its recordings."""

    recordings: list[ItemOut]
