"""Each requirement on its own: what it lets pass, what it names, what mends it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policies.facts.facts import (
    CaseFacts,
    DecisionFact,
    Document,
    Moment,
    OfficerFact,
    Review,
    Waiver,
)
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import Approver, DocumentKind, MomentKind, Part, SourceKind, WaiverReason
from policies.facts.waivers import Terms, find_objection
from policies.requirements.footage.coverage import Coverage
from policies.requirements.footage.moments import Moments
from policies.requirements.footage.premises import Premises
from policies.requirements.footage.sources import Sources
from policies.requirements.persons.officers import Officers
from policies.requirements.persons.separate_persons import SeparatePersons
from policies.requirements.persons.signed_by_head import SignedByHead
from policies.requirements.procedure.documents import Documents
from policies.requirements.procedure.review_before import ReviewBefore
from tests.policies.conftest import T0, at, clip


def case(**more):
    return CaseFacts("c", "x", Stage.REVIEW, T0, at(3600), **more)


def test_a_moment_that_nobody_marked_is_named(seizure):
    rule = Moments(kinds=(MomentKind.IDENTITY, MomentKind.SIGNED))
    facts = seizure(moments=(Moment(MomentKind.IDENTITY, at(5)),))
    outcome = rule.check_facts(facts)
    assert not outcome.passed
    assert "签名或者盖章" in outcome.message_zh
    assert "signed" in outcome.message_en
    assert rule.check_facts(seizure()).passed


def test_a_moment_marked_outside_the_action_does_not_count(seizure):
    rule = Moments(kinds=(MomentKind.IDENTITY,), slack_s=10)
    for second, passes in ((-30, False), (-5, True), (50, True), (105, True), (140, False)):
        facts = seizure(moments=(Moment(MomentKind.IDENTITY, at(second)),))
        assert rule.check_facts(facts).passed is passes


def test_one_of_two_moments_is_enough_where_either_will_do(seizure):
    rule = Moments(either=(MomentKind.WITNESS, MomentKind.NO_WITNESS))
    assert not rule.check_facts(seizure(moments=())).passed
    assert rule.check_facts(seizure(moments=(Moment(MomentKind.NO_WITNESS, at(1)),))).passed


@pytest.mark.parametrize(
    ("made", "served", "rule", "word"),
    [
        (None, None, {}, "missing"),
        (10, None, {"before": True}, "late"),
        (-10, None, {"before": True}, ""),
        (10, None, {"served": True}, "not-served"),
        (10, 20, {"served": True}, ""),
        (10, 100 + 3601, {"on_the_spot_h": 1}, "not-on-the-spot"),
        (10, 100 + 3599, {"on_the_spot_h": 1}, ""),
    ],
)
def test_a_document_is_there_in_time_and_served(seizure, made, served, rule, word):
    kind = DocumentKind.SEIZURE_LIST
    filed = () if made is None else (Document("d", kind, at(made), served and at(served)),)
    outcome = Documents(kinds=(kind,), **rule).check_facts(seizure(documents=filed))
    assert outcome.facts["wrong"] == ([[kind, word]] if word else [])
    assert outcome.passed is (not word)


def test_whoever_is_not_certified_is_named_with_the_reason(seizure):
    expired = OfficerFact("o9", certified=False, why="expired")
    helper = OfficerFact("h1", certified=False, auxiliary=True, why="auxiliary")
    facts = seizure()
    both = replace(facts, officers=(*facts.officers, helper, expired))
    assert Officers(2).check_facts(both).passed
    outcome = Officers(2, all_certified=True).check_facts(both)
    assert not outcome.passed
    assert outcome.facts["wanting"] == {"o9": "expired"}
    assert "证件已过期" in outcome.message_zh


def test_the_newest_legal_review_counts():
    no, yes = Review("r", at(10), passed=False), Review("r", at(20), passed=True)
    assert not ReviewBefore().check_facts(case()).passed
    assert not ReviewBefore().check_facts(case(reviews=(no,))).passed
    assert ReviewBefore().check_facts(case(reviews=(no, yes))).passed
    assert not ReviewBefore().check_facts(case(reviews=(yes, replace(no, at=at(30))))).passed
    decided = DecisionFact(at(15), "d", penalty=True, signed_by_head=True)
    assert not ReviewBefore().check_facts(case(reviews=(no, yes), decision=decided)).passed


def test_who_reviewed_or_decided_has_that_part_whatever_was_entered():
    rule = SeparatePersons(taken=(Part.HANDLES,))
    assert not rule.check_facts(case()).passed
    assert rule.check_facts(case(handlers=("a",), reviewers=("b",), deciders=("c",))).passed
    assert not rule.check_facts(case(handlers=("a",), reviewers=("a",))).passed
    reviewed = (Review("a", at(1), passed=True),)
    assert not rule.check_facts(case(handlers=("a",), reviews=reviewed)).passed
    decided = DecisionFact(at(2), "a", penalty=True, signed_by_head=True)
    assert not rule.check_facts(case(handlers=("a",), decision=decided)).passed


def test_a_decision_is_signed_by_the_head():
    signed = DecisionFact(at(2), "a", penalty=True, signed_by_head=True)
    assert not SignedByHead().check_facts(case()).passed
    assert (
        not SignedByHead().check_facts(case(decision=replace(signed, signed_by_head=False))).passed
    )
    assert SignedByHead().check_facts(case(decision=signed)).passed


def test_a_room_is_shown_by_its_own_camera_alone(seizure):
    worn = clip(-5, 105, source_kind=SourceKind.RECORDER)
    outcome = Premises().check_facts(seizure(worn, kind=ActionKind.INTERVIEW))
    assert not outcome.passed
    assert {gap.cause for gap in outcome.gaps} == {"other-source"}
    room = clip(-5, 105, "room", source_kind=SourceKind.ROOM_CAMERA)
    assert Premises().check_facts(seizure(room, worn, kind=ActionKind.INTERVIEW)).passed


def test_two_officers_must_have_recorded_where_the_rule_says_so(seizure):
    rule = Coverage(assumed_uncertainty_s=0, min_officers=2)
    mine, other = clip(-5, 105), clip(10, 20, "B", officer="o2")
    assert not rule.check_facts(seizure(mine)).passed
    assert rule.check_facts(seizure(mine, other)).passed
    assert not rule.check_facts(seizure(mine, replace(other, has_audio=False))).passed


def test_a_marked_moment_must_be_in_the_picture(seizure):
    rule = Coverage(
        assumed_uncertainty_s=0, max_gap_s=30, min_share=0.5, shows=(MomentKind.SIGNED,)
    )
    signed = (Moment(MomentKind.SIGNED, at(60)),)
    assert rule.check_facts(seizure(clip(-5, 105), moments=signed)).passed
    outcome = rule.check_facts(seizure(clip(-5, 55), clip(70, 105), moments=signed))
    assert not outcome.passed
    assert "签名或者盖章" in outcome.message_zh
    assert rule.check_facts(seizure(clip(-5, 55), clip(70, 105), moments=())).passed


def test_a_confirmed_fault_never_counts(seizure):
    outcome = Coverage(assumed_uncertainty_s=0).check_facts(
        seizure(clip(-5, 105, faulty=((10.0, 20.0, "black"),)))
    )
    assert [gap.cause for gap in outcome.gaps] == ["faulty"]


def odd(facts, **rule):
    return [word for word, _subject in Sources(**rule).check_facts(facts).facts["odd"]]


def test_a_recorder_that_nobody_had_is_named(seizure):
    assert odd(seizure(clip(-5, 105, assigned=False))) == ["unassigned"]


def test_a_number_missing_between_two_files_is_named(seizure):
    docked = T0 + timedelta(hours=8)
    one = clip(-5, 50, sequence="0003", docked_at=docked)
    three = clip(50, 105, sequence="0005", docked_at=docked)
    two = clip(48, 52, sequence="0004", docked_at=docked)
    assert odd(seizure(one, three)) == ["missing-number"]
    assert odd(seizure(one, three, nearby=(two,))) == []
    later = replace(three, docked_at=docked + timedelta(days=1))
    assert odd(seizure(one, later)) == []  # it may have come in with another docking


def test_a_code_that_was_not_believed_is_named(seizure):
    outcome = Sources().check_facts(seizure(clip(-5, 105, troubles=("forged", "replayed"))))
    assert not outcome.passed
    assert "伪造" in outcome.message_zh
    assert "翻拍" in outcome.message_zh


def test_footage_far_longer_or_shorter_than_the_action_is_named(seizure):
    assert odd(seizure(clip(-500, 500))) == ["longer"]
    assert odd(seizure(clip(10, 30))) == ["shorter"]
    assert odd(seizure(clip(-5, 105))) == []


TERMS = Terms((Approver.HEAD,), (WaiverReason.EQUIPMENT,), days=3)
APPROVED = Waiver(
    "w", "r", WaiverReason.EQUIPMENT, "me", at(0), "head", at(60), Approver.HEAD.value
)


@pytest.mark.parametrize(
    ("changed", "terms", "word"),
    [
        ({}, TERMS, ""),
        ({}, Terms(), "not-waivable"),
        ({"reason": WaiverReason.WEATHER}, TERMS, "reason"),
        ({"at": at(3 * 86_400 + 101)}, TERMS, "too-late"),
        ({"at": at(3 * 86_400 + 99)}, TERMS, ""),
        ({"refused": True, "approved_by": None}, TERMS, "refused"),
        ({"approver": Approver.COUNTY.value}, TERMS, "approver"),
        ({"approved_by": "o1"}, TERMS, "concerned"),
        ({"approved_by": "me"}, TERMS, "concerned"),
        ({"approved_by": None}, TERMS, ""),
    ],
)
def test_an_explanation_counts_only_on_the_rules_terms(changed, terms, word):
    waiver = replace(APPROVED, **changed)
    assert find_objection(terms, waiver, frozenset({"o1", "o2"}), at(100)) == word
