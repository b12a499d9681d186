"""Schemas of the register, random checks and the year's figures."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api.http.schemas import Id, PersonIdInput, RequestModel, Text
from policies.facts.terms import SourceKind

OneLine = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\r\n]{1,200}$")]


class NewList(RequestModel):
    """An officer list as CSV text; with `dry_run` nothing is written."""

    csv: Annotated[str, StringConstraints(max_length=1 << 19)]
    dry_run: bool = False


class NewEnd(RequestModel):
    """Why a certificate ended, and from which day it counts no more."""

    on: date
    why: Literal["surrendered", "revoked"]


class NewTraining(RequestModel):
    """A training that an officer attended."""

    day: date
    hours: Annotated[float, Field(gt=0, le=24)]
    title: Text
    special: bool = False


class NewSource(RequestModel):
    """A recorder, terminal or room camera."""

    serial: OneLine
    kind: SourceKind = SourceKind.RECORDER
    label: Text
    family: Text = "generic"
    township: Text


class NewAssignment(RequestModel):
    """Who has a source from `since` (now) on; None: nobody."""

    person: PersonIdInput | None = None
    since: AwareDatetime | None = None


class NewDraw(RequestModel):
    """A draw from a published seed; without a township from all."""

    seed: OneLine
    purpose: OneLine
    count: Annotated[int, Field(ge=1, le=1000)]
    township: Text | None = None


class NewCheck(RequestModel):
    """What you found in a recording that you were drawn to inspect."""

    recording: Id
    good: bool
    note: Annotated[str, StringConstraints(max_length=2000)] = ""


class CertificateOut(BaseModel):
    """A certificate; days are the county's."""

    number: str
    category: str
    unit: str
    valid_from: str | None
    valid_to: str | None
    ended_on: str | None
    ended_why: str | None


class OfficerOut(BaseModel):
    """Somebody in the register, and whether he is certified today."""

    id: str
    name: str
    kind: str
    unit: str
    township: str
    certified: bool
    why: str
    certificates: list[CertificateOut]


class PlannedOut(BaseModel):
    """What one line of a list does."""

    line: int
    name: str
    change: str
    person: str | None
    fields: list[str]


class HeldOut(BaseModel):
    """A source and who had it when."""

    serial: str
    kind: str
    label: str
    township: str
    held: list[dict[str, Any]]


class DrawOut(BaseModel):
    """A draw with all that it takes to repeat it."""

    id: str
    purpose: str
    seed: str
    count: int
    population: list[str]
    drawn: list[list[Any]]
    at: datetime
    repeats: bool


class FigureOut(BaseModel):
    """One figure of a township's year."""

    key: str
    value: float
    of: float
    share: float | None
    zh: str
    en: str
    article: str
