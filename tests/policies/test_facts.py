"""Facts as JSON: there and back unchanged, and nothing else is taken for facts."""

import json

import pytest

from policies.facts.facts import (
    ActionFacts,
    CaseFacts,
    DecisionFact,
    Footage,
    ProceedingFacts,
    Review,
    TownshipFacts,
    Trained,
    Waiver,
)
from policies.facts.stages import Stage
from policies.facts.terms import Feature, ProceedingKind, WaiverReason
from tests.policies.conftest import T0, at, clip


@pytest.fixture
def every(seizure):
    waiver = Waiver("w", "r", WaiverReason.WEATHER, "a", T0)
    action = seizure(
        clip(0, 10, doubtful=((1.0, 2.0, "black"),), troubles=("forged",)),
        waivers=(waiver,),
        features=(Feature.COMPLEX,),
    )
    decision = DecisionFact(T0, "d", penalty=False, signed_by_head=True, disclosed_at=at(9))
    return [
        action,
        CaseFacts(
            "c",
            "x",
            Stage.SUSPENSION,
            T0,
            at(1),
            asked=Stage.INVESTIGATION,
            reviews=(Review("r", T0, passed=False),),
            decision=decision,
            actions=(action,),
        ),
        ProceedingFacts("p", ProceedingKind.COMPLAINT, "x", T0, at(5)),
        TownshipFacts("x", T0, 4, (Trained("a", "甲", 12.5, 1, T0.date()),)),
    ]


def test_facts_come_back_as_they_went(every):
    for facts in every:
        told = json.loads(json.dumps(facts.to_json()))
        assert type(facts).from_json(told) == facts


@pytest.mark.parametrize("kind", [ActionFacts, CaseFacts, ProceedingFacts, TownshipFacts, Footage])
@pytest.mark.parametrize("told", [{}, {"x": 1}, {"action": 1}, {"case": None}])
def test_what_is_no_facts_is_refused(kind, told):
    with pytest.raises(ValueError, match="not"):
        kind.from_json(told)


def test_a_time_without_a_zone_is_named(every):
    told = every[0].to_json() | {"start": "2026-01-21T01:43:00"}
    with pytest.raises(ValueError, match="a time without a zone"):
        ActionFacts.from_json(told)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "dance"),
        ("start", "yesterday"),
        ("start", "2026-01-21T01:43:00"),
        ("end", "2026-01-21"),
        ("end", 7),
        ("officers", "all"),
        ("officers", [{"id": "o", "certified": "yes"}]),
        ("footage", [[]]),
        ("features", ["poor"]),
        ("unknown", 1),
        ("room", 1),
    ],
)
def test_a_hostile_field_is_refused(every, name, value):
    told = every[0].to_json() | {name: value}
    with pytest.raises(ValueError):
        ActionFacts.from_json(told)
