"""Schemas of a case file: parts, documents, reviews, waivers, duties."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api.http.schemas import ActionIdInput, CaseIdInput, Id, PersonIdInput, RequestModel, Text
from policies.facts.stages import Stage
from policies.facts.terms import (
    DocumentKind,
    Feature,
    Manner,
    MomentKind,
    Part,
    ProceedingKind,
    WaiverReason,
)

Long = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,79}$")]


class NewFeatures(RequestModel):
    """What makes a case special; replaces what was said before."""

    features: Annotated[list[Feature], Field(max_length=len(Feature))]


class NewPart(RequestModel):
    """Who takes which part in a case."""

    part: Part
    person: PersonIdInput


class NewMoment(RequestModel):
    """A moment on an action's timeline."""

    kind: MomentKind
    at: AwareDatetime
    note: Long = ""


class NewDocument(RequestModel):
    """A document of a case, or of one of its actions."""

    kind: DocumentKind
    number: Text
    at: AwareDatetime
    action: ActionIdInput | None = None
    served_at: AwareDatetime | None = None
    manner: Manner | None = None
    recording: Id | None = None


class NewServiceOf(RequestModel):
    """When and how a document was served."""

    at: AwareDatetime
    manner: Manner


class NewReview(RequestModel):
    """A legal review."""

    passed: bool
    opinion: Long


class NewDecision(RequestModel):
    """A decision, signed by whoever sends it."""

    penalty: bool
    text: Long


class NewDisclosure(RequestModel):
    """When and where the decision was disclosed."""

    at: AwareDatetime
    where: Text


class NewWaiver(RequestModel):
    """An explanation of one rule's finding upon an action, or without one upon the case."""

    rule: Word
    reason: WaiverReason
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    action: ActionIdInput | None = None
    attachments: Annotated[list[Id], Field(max_length=50)] = []  # noqa: RUF012 - copied by pydantic


class Settlement(RequestModel):
    """Whether an explanation is approved, and why or why not."""

    approved: bool
    answer: Long = ""


class NewDoubt(RequestModel):
    """What a person says of one doubt of inspection."""

    kind: Word
    start_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    confirmed: bool
    reason: Long = ""


class NewProceedingIn(RequestModel):
    """A complaint, a reconsideration or a lawsuit."""

    kind: ProceedingKind
    number: Text
    about: Long
    brought_by: Text
    received_at: AwareDatetime
    case: CaseIdInput | None = None
    place: Long = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    summary: bool = False
    handler: PersonIdInput | None = None


class ProceedingAnswer(RequestModel):
    """How a proceeding was answered, or why its holds are to be released."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class MomentOut(BaseModel):
    """A marked moment."""

    id: str
    kind: MomentKind
    zh: str
    at: datetime
    note: str


class DocumentOut(BaseModel):
    """A document on file."""

    id: str
    kind: DocumentKind
    zh: str
    number: str
    at: datetime
    action: str | None
    served_at: datetime | None
    manner: Manner | None
    recording: str | None


class PartOut(BaseModel):
    """Who has a part in a case."""

    part: Part
    zh: str
    person: str
    name: str


class ReviewOut(BaseModel):
    """A legal review."""

    at: datetime
    name: str
    passed: bool
    opinion: str


class DecisionOut(BaseModel):
    """The decision that holds."""

    at: datetime
    name: str
    penalty: bool
    signed_by_head: bool
    text: str
    disclosed_at: datetime | None
    disclosed_where: str | None


class WaiverOut(BaseModel):
    """An explanation and what became of it."""

    id: str
    rule: str
    reason: WaiverReason
    reason_zh: str
    text: str
    action: str | None
    by: str
    at: datetime
    state: str
    settled_by: str | None
    settled_at: datetime | None
    answer: str | None
    attachments: list[str]


class MoveOut(BaseModel):
    """Whether a case may go to a stage now, and why."""

    stage: Stage
    stage_zh: str
    allowed: bool
    reason: str | None
    open_actions: list[str]
    findings: list[dict[str, Any]]


class WayOut(BaseModel):
    """Everything about a case's way."""

    features: list[Feature]
    major: bool
    parts: list[PartOut]
    documents: list[DocumentOut]
    reviews: list[ReviewOut]
    decision: DecisionOut | None
    waivers: list[WaiverOut]
    moves: list[MoveOut]


class ProceedingOut(BaseModel):
    """A proceeding with what it holds. `handler` is a person whom it does not concern."""

    id: str
    kind: ProceedingKind
    zh: str
    number: str
    case: str | None
    township: str
    about: str
    brought_by: str
    handler: str | None
    received_at: datetime
    answered_at: datetime | None
    answer: str | None
    held: list[str]
    findings: list[dict[str, Any]]


class DutyOut(BaseModel):
    """Something due: by when, by whom, under which rule."""

    subject: str
    township: str
    person: str | None
    what: str
    what_en: str
    rule: str
    due_at: datetime | None
    done_at: datetime | None
    state: str


class ExplainedOut(BaseModel):
    """One finding explained: rule, article, facts seen, what mends it, who can waive it."""

    subject: str
    rule: str
    version: str
    title_zh: str
    title_en: str
    article_zh: str
    article_en: str
    quote: str
    severity: str
    passed: bool
    blocks: bool
    zh: str
    en: str
    facts: dict[str, Any]
    mend_zh: str
    mend_en: str
    waivable_by_zh: list[str]
    waivable_by_en: list[str]
    waived: dict[str, Any] | None
    waiver_refused: str


class ExplanationOut(BaseModel):
    """Why a case may or may not go on, stage by stage."""

    case: str
    number: str
    stage: Stage
    stage_zh: str
    moves: list[MoveOut]
    findings: list[ExplainedOut]
    zh: list[str]
    en: list[str]


class SceneCodeOut(BaseModel):
    """A scene code of the second `at`; the next is `due` a second later, `now` being the clock."""

    text: str
    svg: str
    at: datetime
    now: datetime
    due: datetime
    kind: str
