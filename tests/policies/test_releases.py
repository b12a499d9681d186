"""Who may answer a proceeding and release what is held; whom a matter concerns."""

from dataclasses import fields, replace

import pytest

from policies.access.access import Person, Role
from policies.access.concern import TIE_EN, TIE_ZH, Matter, Tie, tie_of
from policies.retention.holds import COUNTY, of_proceeding
from policies.retention.releases import (
    RELEASE_MOVES,
    RELEASE_ZH,
    WHO_EN,
    WHO_ZH,
    EligibleRole,
    HoldContext,
    Proposal,
    ReleaseRefusal,
    ReleaseState,
    is_void,
    may_answer,
    may_decide,
    may_propose,
    may_withdraw,
    who_may,
)

OWN, OTHER = "半壁山镇", "青龙镇"
HEAD = Person("head", Role.HEAD, OWN)
DEPUTY = Person("deputy", Role.HEAD, OWN)
FOREIGN = Person("foreign", Role.HEAD, OTHER)
FIRST, SECOND = (Person(name, Role.REVIEWER, None) for name in ("first", "second"))
OFFICER = Person("officer", Role.OFFICER, OWN)
REST = (OFFICER, Person("operator", Role.OPERATOR, OWN), Person("admin", Role.ADMIN, None))

HEADS = frozenset({HEAD.id, DEPUTY.id})
COMPLAINT = HoldContext(of_proceeding("p1"), OWN, Matter(), HEADS)
OWN_HOLD = HoldContext(f"township:{OWN}", None, Matter(), HEADS)
COUNTY_HOLD = HoldContext(COUNTY, None, Matter())


def proposed_by(person):
    return Proposal(ReleaseState.PROPOSED, person.id)


def concerning(held, *persons):
    return replace(held, matter=Matter(deciders=frozenset(one.id for one in persons)))


@pytest.mark.parametrize("part", [one.name for one in fields(Matter)])
def test_every_part_in_a_matter_concerns_and_bars_from_every_step(part):
    matter = Matter(**{part: frozenset({FIRST.id})})
    tie = tie_of(matter, FIRST.id)
    assert tie is not None
    assert TIE_ZH[tie]
    assert TIE_EN[tie]
    assert tie_of(matter, SECOND.id) is None
    held = replace(COMPLAINT, matter=matter)
    assert may_answer(FIRST, held) is ReleaseRefusal.CONCERNED
    assert may_propose(FIRST, held) is ReleaseRefusal.CONCERNED
    assert may_decide(FIRST, held, proposed_by(SECOND)) is ReleaseRefusal.CONCERNED


def test_each_part_has_its_own_word():
    parts = [one.name for one in fields(Matter)]
    found = {tie_of(Matter(**{part: frozenset({"p"})}), "p") for part in parts}
    assert found == set(Tie)


def test_two_matters_together_concern_whom_either_concerns():
    both = Matter(officers=frozenset("a")) | Matter(submitters=frozenset("b"))
    assert [tie_of(both, one) for one in "abc"] == [Tie.TOOK_PART, Tie.HANDED_IN, None]


@pytest.mark.parametrize("person", REST)
def test_officers_operators_and_administrators_answer_and_release_nothing(person):
    for held in (COMPLAINT, OWN_HOLD, COUNTY_HOLD):
        assert may_answer(person, held) is ReleaseRefusal.AUTHORITY
        assert may_propose(person, held) is ReleaseRefusal.AUTHORITY
        assert may_decide(person, held, proposed_by(HEAD)) is ReleaseRefusal.AUTHORITY


def test_a_complaint_is_answered_by_its_townships_heads_and_by_reviewers():
    for person, no in ((HEAD, None), (FIRST, None), (FOREIGN, ReleaseRefusal.AUTHORITY)):
        assert may_answer(person, COMPLAINT) is no
        assert may_propose(person, COMPLAINT) is no


@pytest.mark.parametrize(
    ("first", "second", "no"),
    [
        (HEAD, DEPUTY, None),
        (HEAD, FIRST, None),
        (FIRST, HEAD, None),
        (FIRST, SECOND, None),
        (HEAD, HEAD, ReleaseRefusal.SAME_PERSON),
        (HEAD, FOREIGN, ReleaseRefusal.AUTHORITY),
        (HEAD, OFFICER, ReleaseRefusal.AUTHORITY),
    ],
)
def test_what_a_complaint_holds_takes_two_persons(first, second, no):
    assert may_propose(first, COMPLAINT) is None
    assert may_decide(second, COMPLAINT, proposed_by(first)) is no


def test_another_account_of_the_proposer_is_the_same_person():
    as_reviewer = Person(HEAD.id, Role.REVIEWER, None)
    assert may_decide(as_reviewer, COMPLAINT, proposed_by(HEAD)) is ReleaseRefusal.SAME_PERSON
    as_officer_too = replace(COMPLAINT, matter=Matter(officers=frozenset({HEAD.id})))
    assert may_answer(as_reviewer, as_officer_too) is ReleaseRefusal.CONCERNED


def test_nothing_is_released_before_it_was_answered():
    waiting = replace(COMPLAINT, is_answered=False)
    assert may_propose(HEAD, waiting) is ReleaseRefusal.UNANSWERED
    assert may_propose(OFFICER, waiting) is ReleaseRefusal.AUTHORITY
    assert may_answer(HEAD, waiting) is None


def test_a_townships_hold_is_its_heads_to_end_and_a_reviewer_may_be_the_second():
    assert may_propose(FIRST, OWN_HOLD) is ReleaseRefusal.AUTHORITY
    assert may_propose(FOREIGN, OWN_HOLD) is ReleaseRefusal.AUTHORITY
    assert may_propose(HEAD, OWN_HOLD) is None
    for second in (DEPUTY, FIRST):
        assert may_decide(second, OWN_HOLD, proposed_by(HEAD)) is None
    assert who_may(OWN_HOLD, second=False) is EligibleRole.HEAD
    assert who_may(OWN_HOLD, second=True) is EligibleRole.HEAD_OR_REVIEWER


@pytest.mark.parametrize("held", [OWN_HOLD, COMPLAINT])
def test_where_it_concerns_every_head_the_county_does_it(held):
    every = concerning(held, HEAD, DEPUTY)
    none_left = replace(held, heads=frozenset())
    for left in (every, none_left):
        assert may_propose(FIRST, left) is None
        assert may_decide(SECOND, left, proposed_by(FIRST)) is None
        assert may_decide(FIRST, left, proposed_by(FIRST)) is ReleaseRefusal.SAME_PERSON
        assert who_may(left, second=False) is EligibleRole.REVIEWER
    assert may_propose(HEAD, every) is ReleaseRefusal.CONCERNED
    assert may_propose(FIRST, concerning(held, HEAD)) is (
        None if held is COMPLAINT else ReleaseRefusal.AUTHORITY
    )


def test_the_countys_hold_takes_two_reviewers():
    assert may_propose(HEAD, COUNTY_HOLD) is ReleaseRefusal.AUTHORITY
    assert may_decide(HEAD, COUNTY_HOLD, proposed_by(FIRST)) is ReleaseRefusal.AUTHORITY
    assert may_decide(SECOND, COUNTY_HOLD, proposed_by(FIRST)) is None
    assert may_decide(FIRST, COUNTY_HOLD, proposed_by(FIRST)) is ReleaseRefusal.SAME_PERSON


def test_a_proposal_about_what_changed_or_by_whom_it_now_concerns_is_void():
    proposal = proposed_by(HEAD)
    assert not is_void(COMPLAINT, proposal)
    assert may_decide(FIRST, COMPLAINT, replace(proposal, changed=True)) is ReleaseRefusal.VOID
    assert may_decide(FIRST, concerning(COMPLAINT, HEAD), proposal) is ReleaseRefusal.VOID
    assert (
        may_decide(HEAD, COMPLAINT, replace(proposal, changed=True)) is ReleaseRefusal.SAME_PERSON
    )


@pytest.mark.parametrize("state", [one for one in ReleaseState if not RELEASE_MOVES[one]])
def test_what_is_over_is_decided_and_withdrawn_by_nobody(state):
    over = Proposal(state, HEAD.id)
    assert may_decide(FIRST, COMPLAINT, over) is ReleaseRefusal.STATE
    assert may_withdraw(HEAD, over) is ReleaseRefusal.STATE
    assert RELEASE_ZH[state]


def test_only_the_proposer_withdraws():
    assert may_withdraw(HEAD, proposed_by(HEAD)) is None
    assert may_withdraw(DEPUTY, proposed_by(HEAD)) is ReleaseRefusal.NOT_PROPOSER


def test_who_may_has_words_in_both_languages():
    assert set(WHO_ZH) == set(WHO_EN) == set(EligibleRole)
