"""Whom a matter concerns approves no explanation of it, of the action or of the whole case."""

from datetime import timedelta

import pytest

from policies.facts.facts import CaseFacts, Waiver
from policies.facts.stages import Stage
from policies.facts.terms import Approver, WaiverReason
from policies.facts.waivers import Terms, concerned_in, find_objection
from tests.policies.conftest import T0

TERMS = Terms(by=(Approver.HEAD,))


@pytest.fixture
def case(seizure):
    """A case with one action of two officers, handled by a third."""
    return CaseFacts(
        case="c",
        township="半壁山镇",
        stage=Stage.INVESTIGATION,
        opened_at=T0,
        at=T0 + timedelta(days=1),
        handlers=("h1",),
        actions=(seizure(),),
    )


def approved_by(person):
    return Waiver(
        "w",
        "r",
        WaiverReason.EQUIPMENT,
        "somebody",
        T0,
        approved_by=person,
        approved_at=T0,
        approver=Approver.HEAD.value,
    )


def test_an_officer_of_an_action_approves_no_explanation_of_its_case(case):
    officers = {one.id for one in case.actions[0].officers}
    assert concerned_in(case) == {"h1", *officers}
    for person in concerned_in(case):
        assert find_objection(TERMS, approved_by(person), concerned_in(case), None) == "concerned"
    assert not find_objection(TERMS, approved_by("head"), concerned_in(case), None)
