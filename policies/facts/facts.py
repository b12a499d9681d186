"""Frozen facts about one action, one case, one township: all that a rule may look at.

Whoever asks gathers them (`storage/catalogue/reading/case_queries.py`); `to_json` and `from_json`
carry them in bundles, so that the same rules can be asked again years later.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol, Self, cast

from policies.facts.facts_json import build_typed, to_plain
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import (
    DocumentKind,
    Feature,
    Manner,
    MomentKind,
    ProceedingKind,
    SourceKind,
    WaiverReason,
)
from policies.identifiers import ActionId, CaseId, PersonId, Subject
from policies.time.intervals import Span

Offsets = tuple[float, float]  # seconds from the start of the file
Doubt = tuple[float, float, str]  # the same, and what is doubted


class Facts:
    """JSON for every kind of facts: to plain values, and strictly back by the fields' types."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, times in ISO 8601."""
        return {name: to_plain(content) for name, content in asdict(self).items()}  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, untrusted_document: Mapping[str, Any]) -> Self:
        """Read `to_json`. Raises: ValueError for anything else."""
        try:
            return cast("Self", build_typed(cls, untrusted_document))
        # Bundles come from anybody: a verifier meets one kind of error, whatever shape it was
        # given.
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not {cls.__name__}") from error


@dataclass(frozen=True, slots=True)
class Footage(Facts):
    """One recording as coverage sees it.

    `start` and `end` are UTC by file time plus the measured clock offset; None where the start
    is not known. `uncertainty_s` is None where the source's clock was never measured.
    `missing_…` are spans without packets of that track; `doubtful` spans await a person, `faulty`
    ones a person confirmed; what a person dismissed stands in neither. `assigned` tells whether
    somebody had the source then; `troubles` are those with scene codes filmed in it.
    """

    recording: str
    source: str
    start: datetime | None
    end: datetime | None
    uncertainty_s: float | None
    has_video: bool
    has_audio: bool
    missing_video: tuple[Offsets, ...] = ()
    missing_audio: tuple[Offsets, ...] = ()
    doubtful: tuple[Doubt, ...] = ()
    faulty: tuple[Doubt, ...] = ()
    officer: PersonId | None = None
    kind: str = "video"
    source_kind: SourceKind = SourceKind.UNKNOWN
    sequence: str | None = None
    docked_at: datetime | None = None
    accessioned_at: datetime | None = None
    assigned: bool = True
    troubles: tuple[str, ...] = ()

    @property
    def span(self) -> Span | None:
        """Time span of the recording, or None."""
        if self.start is None or self.end is None or self.start >= self.end:
            return None
        return Span(self.start, self.end)

    def convert_offsets(self, offsets: tuple[Offsets, ...]) -> tuple[Span, ...]:
        """Return offsets in the file as spans of true time, cut with the recording's own."""
        whole = self.span
        if whole is None:
            return ()
        length = whole.seconds
        # Offsets are what a file's own packets claim: below zero and beyond its end they stand for
        # no time of the recording, and must not show or spoil any.
        return tuple(
            Span(
                whole.start + timedelta(seconds=max(a, 0.0)),
                whole.start + timedelta(seconds=min(b, length)),
            )
            for a, b in offsets
            if a < b and a < length and b > 0
        )


@dataclass(frozen=True, slots=True)
class OfficerFact:
    """One person at the action, as qualified on that day; `why` says what is wanting."""

    id: PersonId
    certified: bool
    auxiliary: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something marked on the timeline of an action."""

    kind: MomentKind
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the case: when it was made, and when and how it was served."""

    id: str
    kind: DocumentKind
    at: datetime
    served_at: datetime | None = None
    manner: Manner | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """情况说明: a written explanation of one finding; it counts only once it is approved."""

    id: str
    rule: str
    reason: WaiverReason
    by: PersonId
    at: datetime
    approved_by: PersonId | None = None
    approved_at: datetime | None = None
    approver: str | None = None
    refused: bool = False


class JudgedSubject(Protocol):
    """What rules are asked about: an action, a case, a proceeding or a township.

    None of these is a field: facts in bundles have what they always had.
    """

    @property
    def subject(self) -> Subject:
        """Its name in findings, such as `action:<id>`."""

    @property
    def judged_at(self) -> datetime:
        """The moment whose rules judge it: an action's beginning, else the moment of asking."""

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, where explanations count from that."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """Features that rules ask for."""

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """Explanations that were handed in."""


@dataclass(frozen=True, slots=True)
class ActionFacts(Facts):
    """One action: `footage` holds confirmed exhibits only, `nearby` what might be linked yet."""

    action: ActionId
    case: CaseId
    kind: ActionKind
    stage: Stage
    start: datetime
    end: datetime | None
    township: str
    officers: tuple[OfficerFact, ...] = ()
    footage: tuple[Footage, ...] = ()
    nearby: tuple[Footage, ...] = ()
    moments: tuple[Moment, ...] = ()
    documents: tuple[Document, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    features: tuple[Feature, ...] = ()
    manner: Manner | None = None
    room: bool = False

    @property
    def span(self) -> Span | None:
        """The action's interval, once it has an end."""
        # An action that ends as it begins has no interval either: a share of nothing would read as
        # whole.
        return Span(self.start, self.end) if self.end and self.start < self.end else None

    @property
    def subject(self) -> Subject:
        """See `JudgedSubject`."""
        return Subject.of_action(self.action)

    @property
    def judged_at(self) -> datetime:
        """See `JudgedSubject`."""
        return self.start

    @property
    def ended_at(self) -> datetime | None:
        """See `JudgedSubject`."""
        return self.end


@dataclass(frozen=True, slots=True)
class Review:
    """One legal review (法制审核): passed or not, by whom and when."""

    by: PersonId
    at: datetime
    passed: bool


@dataclass(frozen=True, slots=True)
class DecisionFact:
    """A decision and its author; `signed_by_head` as 第十九条 asks, `disclosed_at` as 第七条."""

    at: datetime
    by: PersonId
    penalty: bool
    signed_by_head: bool
    disclosed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CaseFacts(Facts):
    """One case as a move or a duty with a clock sees it; `at` is the moment of asking."""

    case: CaseId
    township: str
    stage: Stage
    opened_at: datetime
    at: datetime
    asked: Stage | None = None
    filed_at: datetime | None = None
    suspended_s: float = 0.0
    features: tuple[Feature, ...] = ()
    handlers: tuple[PersonId, ...] = ()
    reviewers: tuple[PersonId, ...] = ()
    deciders: tuple[PersonId, ...] = ()
    reviews: tuple[Review, ...] = ()
    decision: DecisionFact | None = None
    documents: tuple[Document, ...] = ()
    actions: tuple[ActionFacts, ...] = ()
    open_actions: tuple[ActionId, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @property
    def subject(self) -> Subject:
        """See `JudgedSubject`."""
        return Subject.of_case(self.case)

    @property
    def judged_at(self) -> datetime:
        """See `JudgedSubject`."""
        return self.at

    @property
    def ended_at(self) -> datetime | None:
        """See `JudgedSubject`."""
        return None


@dataclass(frozen=True, slots=True)
class ProceedingFacts(Facts):
    """A complaint, a reconsideration or a lawsuit; `summary` is the short procedure (简易程序)."""

    proceeding: str
    kind: ProceedingKind
    township: str
    received_at: datetime
    at: datetime
    answered_at: datetime | None = None
    summary: bool = False

    @property
    def subject(self) -> Subject:
        """See `JudgedSubject`."""
        return Subject.of_proceeding(self.proceeding)

    @property
    def judged_at(self) -> datetime:
        """See `JudgedSubject`."""
        return self.at

    @property
    def ended_at(self) -> datetime | None:
        """See `JudgedSubject`."""
        return None

    @property
    def features(self) -> tuple[Feature, ...]:
        """None: no rule asks for features of it."""
        return ()

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """None: nothing about it can be explained away."""
        return ()


@dataclass(frozen=True, slots=True)
class Trained:
    """One officer's year: hours of public law, special trainings, the certificate's last day."""

    id: PersonId
    name: str
    hours: float
    special: int
    certificate_until: date | None = None


@dataclass(frozen=True, slots=True)
class TownshipFacts(Facts):
    """One township on one day: who works there and how they were trained this year."""

    township: str
    at: datetime
    full_time: int
    officers: tuple[Trained, ...] = ()

    @property
    def subject(self) -> Subject:
        """See `JudgedSubject`."""
        return Subject.of_kind("township", self.township)

    @property
    def judged_at(self) -> datetime:
        """See `JudgedSubject`."""
        return self.at

    @property
    def ended_at(self) -> datetime | None:
        """See `JudgedSubject`."""
        return None

    @property
    def features(self) -> tuple[Feature, ...]:
        """None: no rule asks for features of it."""
        return ()

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """None: nothing about it can be explained away."""
        return ()
