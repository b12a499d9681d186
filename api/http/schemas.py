"""Schemas of the HTTP API: typed, bounded, documented in OpenAPI. Times are UTC."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from ingest.bays.bay import BayState
from ingest.cameras.room_camera import CameraState
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import Feature, Manner
from policies.identifiers import ActionId, CaseId, HoldId, PersonId

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_UUID_7 = StringConstraints(
    pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"
)
Id = Annotated[str, _UUID_7]
CaseIdInput = Annotated[CaseId, _UUID_7]
ActionIdInput = Annotated[ActionId, _UUID_7]
PersonIdInput = Annotated[PersonId, _UUID_7]
HoldIdInput = Annotated[HoldId, _UUID_7]


class RequestModel(BaseModel):
    """Body of a request. A field that nobody knows is refused: it would be dropped in silence."""

    model_config = ConfigDict(extra="forbid")


class Login(RequestModel):
    """User name and password."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class NewCase(RequestModel):
    """A case to be opened."""

    number: Text
    title: Text
    party: Text
    stage: Stage = Stage.REGISTRATION
    features: Annotated[list[Feature], Field(max_length=len(Feature))] = []


class NewStage(RequestModel):
    """The stage to go to."""

    stage: Stage


class NewAction(RequestModel):
    """An action of a case; `officers` are ids of persons."""

    kind: ActionKind
    place: Text
    start_at: AwareDatetime
    end_at: AwareDatetime | None = None
    officers: Annotated[list[PersonIdInput], Field(min_length=1, max_length=50)]
    manner: Manner | None = None


class ActionEnd(RequestModel):
    """When the action ended."""

    end_at: AwareDatetime


class NewExhibit(RequestModel):
    """A recording to be linked by hand; without an interval, all that both share."""

    recording: Id
    shown_from: AwareDatetime | None = None
    shown_to: AwareDatetime | None = None


class NewAnswers(RequestModel):
    """What a person found out about a recording that nobody could tell."""

    start_at: AwareDatetime | None = None
    officer: PersonIdInput | None = None


class NewBundle(RequestModel):
    """How a bundle is exported; `sealed` gives ciphertext instead of originals."""

    sealed: bool = False


class Session(BaseModel):
    """An open login. The token goes into `Authorization: Bearer`; the cookie holds the same."""

    token: str
    expires_at: datetime


class Me(BaseModel):
    """Who is logged in."""

    person: str
    name: str
    username: str
    role: str
    township: str | None


class BayOut(BaseModel):
    """One bay, or room camera, as the station last saw it; sizes in bytes."""

    name: str
    state: BayState | CameraState
    state_zh: str
    source: str | None
    files_total: int
    files_done: int
    bytes_total: int
    bytes_done: int
    current: str | None
    reason: str | None
    reason_zh: str
    landing: bool
    changed: datetime | None


class QuestionOut(BaseModel):
    """Something that nobody could tell yet."""

    code: str
    zh: str


class RecordingOut(BaseModel):
    """One recording. `duration_s` seconds, `size` bytes, gaps in seconds from the start."""

    id: str
    name: str
    source: str
    kind: str
    size: int
    sha256: str
    playable: bool
    browser_playable: bool
    unplayable_reason: str | None
    unplayable_zh: str
    container: str | None
    duration_s: float | None
    start_at: datetime | None
    end_at: datetime | None
    has_video: bool
    has_audio: bool
    video_gaps: list[list[float]]
    audio_gaps: list[list[float]]
    officer_no: str | None
    officer: str | None
    township: str
    station: str
    marked: bool | None
    questions: list[QuestionOut]
    inspection: list[dict[str, Any]]
    troubles: list[str]
    clock_offset_s: float | None
    clock_uncertainty_s: float | None
    retain_until: datetime
    accessioned_at: datetime
    receipted: bool
    destroyed_at: datetime | None


class EntryOut(BaseModel):
    """One act in the custody log, with its readable half."""

    index: int
    at: datetime
    act: str
    act_zh: str
    event: str
    outcome: str
    actor: str
    actor_name: str
    details: dict[str, Any]


class PersonOut(BaseModel):
    """Somebody who may take part in an action."""

    id: str
    name: str
    certificate_no: str | None
    kind: str
    township: str


class ExhibitOut(BaseModel):
    """A link between a recording and an action."""

    id: str
    recording: RecordingOut
    shown_from: datetime
    shown_to: datetime
    state: str
    how: str


class SpanOut(BaseModel):
    """Some time on a ribbon; `left` and `width` are percent of the action."""

    start: datetime
    end: datetime
    left: float
    width: float
    cause: str | None = None
    zh: str = ""


class SourceOut(BaseModel):
    """What one source shows of the action."""

    source: str
    spans: list[SpanOut]


class CoverageOut(BaseModel):
    """Coverage of an action; `share` in [0, 1]."""

    share: float
    shown: str
    clock_measured: bool
    sources: list[SourceOut]
    gaps: list[SpanOut]


class VerdictOut(BaseModel):
    """What the rules in force find."""

    allowed: bool
    findings: list[dict[str, Any]]


class LaterOut(BaseModel):
    """What the rules find otherwise since an action was closed; its verdict stands."""

    at: datetime
    findings: list[dict[str, Any]]


class ActionOut(BaseModel):
    """One action of a case."""

    id: ActionId
    case: str
    kind: ActionKind
    kind_zh: str
    stage: Stage
    stage_zh: str
    place: str
    start_at: datetime
    end_at: datetime | None
    status: str
    officers: list[PersonOut]


class ActionDetail(ActionOut):
    """An action with everything that speaks for it.

    A closed one has the verdict of its closing, judged at `judged_at` by the rulebook of this
    digest (none: an earlier version's closing does not say), and the coverage of then.
    """

    exhibits: list[ExhibitOut]
    coverage: CoverageOut | None
    verdict: VerdictOut
    judged_at: datetime
    rulebook: str | None
    later: LaterOut | None


class CaseOut(BaseModel):
    """One case file."""

    id: CaseId
    number: str
    title: str
    party: str
    township: str
    stage: Stage
    stage_zh: str
    next_stages: list[Stage]
    opened_at: datetime
    closed_at: datetime | None


class CaseDetail(CaseOut):
    """A case with its actions."""

    actions: list[ActionOut]


class RuleOut(BaseModel):
    """One rule, with the article it comes from."""

    id: str
    title: dict[str, str]
    basis: dict[str, Any]
    scope: str
    when: dict[str, Any]
    severity: str
    requirement: str
    parameters: dict[str, Any]
    effective: dict[str, str | None]
    waivable_by: list[str]
    waivable_for: list[str]
    until_days: int | None
    version: str


class WrongOut(BaseModel):
    """One thing that a verification found."""

    what: str
    subject: str
    zh: str
    en: str


class VerificationOut(BaseModel):
    """What a verification of everything found; `orphans` are no faults."""

    verified: bool
    recordings: int
    wrong: list[WrongOut]
    orphans: list[str]


class Problem(BaseModel):
    """RFC 9457, with a stable code, both languages and what to do next."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    detail_en: str
    next: str
    next_en: str
    instance: str | None = None
    facts: dict[str, Any] | None = None
