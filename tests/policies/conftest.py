from datetime import UTC, datetime, timedelta

import pytest

from policies.facts.facts import ActionFacts, Document, Footage, Moment, OfficerFact
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import DocumentKind, MomentKind

T0 = datetime(2026, 1, 21, 1, 43, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def clip(start: float, end: float, source: str = "A", **more) -> Footage:
    facts = {"uncertainty_s": 0.0, "has_video": True, "has_audio": True, "officer": "o1"} | more
    name = facts.pop("recording", f"{source}-{start:g}")
    return Footage(recording=name, source=source, start=at(start), end=at(end), **facts)


MOMENTS = tuple(
    Moment(kind, at(40 + n)) for n, kind in enumerate(MomentKind) if kind is not MomentKind.ARRIVAL
)
DOCUMENTS = (
    Document("d1", DocumentKind.SEIZURE_APPROVAL, at(-3600)),
    Document("d2", DocumentKind.SEIZURE_DECISION, at(90), at(95)),
    Document("d3", DocumentKind.SEIZURE_LIST, at(90), at(95)),
)


@pytest.fixture
def seizure():
    """Build a seizure that lacks nothing but footage."""

    def build(*footage: Footage, nearby=(), end=100.0, kind=ActionKind.SEIZURE, officers=2, **more):
        return ActionFacts(
            action="a",
            case="c",
            kind=kind,
            stage=Stage.INVESTIGATION,
            start=at(0),
            end=None if end is None else at(end),
            township="x",
            officers=tuple(OfficerFact(f"o{n}", certified=True) for n in range(1, officers + 1)),
            footage=footage,
            nearby=tuple(nearby),
            **{"moments": MOMENTS, "documents": DOCUMENTS} | more,
        )

    return build
