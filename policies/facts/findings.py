"""Findings: the verdict of a rule on a case, a value with its reason, never an exception."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from policies.facts.facts_json import to_plain
from policies.identifiers import PersonId
from policies.time.intervals import Span


class Severity(StrEnum):
    """Effect of an unmet duty: it stops the case, warns, or only informs."""

    BLOCKS = "blocks"
    WARNS = "warns"
    INFORMS = "informs"


class Cause(StrEnum):
    """Why a part of an action is not shown."""

    NO_FOOTAGE = "no-footage"
    NO_PICTURE = "no-picture"
    NO_SOUND = "no-sound"
    DOUBTFUL = "doubtful"
    FAULTY = "faulty"
    CLOCK = "clock-uncertain"
    CONTRADICTORY = "contradictory"
    OTHER_SOURCE = "other-source"


@dataclass(frozen=True, slots=True)
class Basis:
    """The article a rule comes from, with the quoted duty.

    `confirmed` is False where nobody has yet compared the figure with the text of the law.
    """

    document: str
    article: str
    quote: str
    confirmed: bool = True

    @property
    def zh(self) -> str:
        """Citation of the article in Chinese, as screens show it."""
        return f"《{self.document}》{self.article}" + ("" if self.confirmed else "(条文待核)")

    @property
    def en(self) -> str:
        """Citation in English; names of documents and articles stay Chinese."""
        return f"《{self.document}》 {self.article}" + (
            "" if self.confirmed else " (wording not yet confirmed)"
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the action that qualifying footage does not show.

    `nearest` is the unlinked recording that would fill most of it (`nearest_fills_s`), or else
    lies closest to it.
    """

    span: Span
    cause: Cause
    nearest: str | None = None
    nearest_distance_s: float | None = None
    nearest_source: str | None = None
    nearest_span: Span | None = None
    nearest_fills_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Waived:
    """The approved explanation of a finding; the finding stays, and says so."""

    id: str
    reason: str
    by: PersonId
    approved_by: PersonId
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule, applied to one action, case or township (`subject`)."""

    rule: str
    version: str
    title_zh: str
    title_en: str
    basis: Basis
    severity: Severity
    passed: bool
    message_zh: str
    message_en: str
    mend_zh: str = ""
    mend_en: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    waivable_by: tuple[str, ...] = ()
    subject: str = ""
    waived: Waived | None = None
    waiver_refused: str = ""
    pending_waivers: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether the finding stops the case; an approved waiver lets it go on."""
        return not self.passed and self.severity is Severity.BLOCKS and self.waived is None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, times in ISO 8601."""
        return {name: to_plain(content) for name, content in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings on one action, case or township under the rules in force."""

    findings: tuple[Finding, ...]

    @property
    def allowed(self) -> bool:
        """Whether no blocking rule failed."""
        return not any(finding.blocks for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"allowed": self.allowed, "findings": [f.to_json() for f in self.findings]}


def found_later(verdict: Mapping[str, Any], today: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return today's findings that an earlier verdict lacked or worded differently.

    Both are as `Verdict.to_json` gives them.
    """
    # The sentence is compared as well: a rule that failed before and fails now for another gap is
    # news. Chinese is enough, for both sentences are made of the same facts.
    before = {
        finding["rule"]: (finding["passed"], finding["message_zh"])
        for finding in verdict["findings"]
    }
    return [
        finding
        for finding in today["findings"]
        if before.get(finding["rule"]) != (finding["passed"], finding["message_zh"])
    ]
