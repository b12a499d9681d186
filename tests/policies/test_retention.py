"""Retention explained: the longest of rules, promise, lock; holds and proposals beside them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from policies.facts.stages import ActionKind
from policies.facts.terms import FootageClass, HoldReason
from policies.requirements.retain import Retain
from policies.retention.retention import (
    FOREVER,
    HoldFact,
    KeeperKind,
    KeptFacts,
    LinkFact,
    add_days,
    judge_retention,
    retain_until,
)
from policies.rules.rulebook import RetentionRuleError, load_rulebook
from policies.rules.rules import Rulebook


@pytest.fixture(scope="module")
def book():
    return load_rulebook()


def kept(now, **more):
    return KeptFacts("r1", now, **more)


def link(now, kind, *, decided=True):
    return LinkFact("a1", kind, now, decided)


def shortened(book, rule_id, since, days):
    """Return the rulebook with a newer edition of one rule."""
    rule = book.find_rule(rule_id)
    newer = replace(
        rule,
        requirement=replace(rule.requirement, days=days, permanent=False),
        effective_from=since.date(),
        version="newer",
    )
    return Rulebook((*book.rules, newer), book.editions)


def test_ordinary_footage_is_kept_for_six_months_from_accession(book, now):
    assert retain_until(book, now) == now + timedelta(days=184)


@pytest.mark.parametrize("kind", [ActionKind.SEIZURE, ActionKind.DEMOLITION])
def test_seizures_and_demolitions_are_kept_for_ever(book, now, kind):
    told = judge_retention(book, kept(now, links=(link(now, kind),)), now)
    assert told.until == FOREVER
    assert told.reasons[0].rule == "keep-coercive"
    assert told.reasons[0].subject == "action:a1"
    assert "第十三条" in told.reasons[0].zh


@pytest.mark.parametrize(
    "footage", [one for one in FootageClass if one is not FootageClass.DOCUMENT]
)
def test_every_permanent_class_never_comes_due(book, now, footage):
    told = judge_retention(book, kept(now, classes=(footage,)), now)
    for at in (now, datetime(9999, 12, 31, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert told.reasons_at(at)


def test_documents_are_kept_for_thirty_years(book, now):
    told = judge_retention(book, kept(now, classes=(FootageClass.DOCUMENT,)), now)
    assert told.until == now + timedelta(days=10_958)


def test_a_promise_is_a_floor_that_no_newer_rulebook_lowers(book, now):
    promised = now + timedelta(days=184)
    newer = shortened(book, "keep-ordinary", now + timedelta(days=10), 30)
    at = now + timedelta(days=60)
    assert judge_retention(newer, kept(now, promised=promised), at).until == promised
    assert (
        judge_retention(newer, kept(now), at).until == promised
    )  # the rule of its day still counts


def test_a_longer_rule_counts_at_once_for_what_is_kept(book, now):
    newer = shortened(book, "keep-ordinary", now + timedelta(days=10), 400)
    at = now + timedelta(days=60)
    told = judge_retention(newer, kept(now, promised=now + timedelta(days=184)), at)
    assert told.until == now + timedelta(days=400)


def test_once_reviewed_only_the_rules_of_the_review_count(book, now):
    newer = shortened(book, "keep-ordinary", now + timedelta(days=10), 30)
    at = now + timedelta(days=60)
    assert judge_retention(newer, kept(now, reviewed_at=at), at).until == now + timedelta(days=30)


def test_the_edge_of_a_period_belongs_to_what_follows(book, now):
    until = now + timedelta(days=184)
    told = judge_retention(book, kept(now), now)
    assert told.reasons_at(until - timedelta(microseconds=1))
    assert not told.reasons_at(until)


def test_holds_and_proposals_keep_without_an_end(book, now):
    at = now + timedelta(days=5000)
    placed = HoldFact("h1", HoldReason.LITIGATION, "proceeding:p1", now)
    told = judge_retention(book, kept(now, holds=(placed,)), at)
    assert [one.keeper for one in told.reasons_at(at)] == [KeeperKind.HOLD]
    waiting = kept(now, links=(link(now, ActionKind.SERVICE, decided=False),))
    assert [one.keeper for one in judge_retention(book, waiting, at).reasons_at(at)] == [
        KeeperKind.PENDING
    ]


@pytest.mark.parametrize(
    "facts", [{"locked": datetime(2099, 1, 1, tzinfo=UTC)}, {"store_held": True}]
)
def test_what_only_the_store_knows_keeps_too(book, now, facts):
    at = now + timedelta(days=5000)
    told = judge_retention(book, kept(now, **facts), at)
    assert [one.keeper for one in told.reasons_at(at)] == [KeeperKind.LOCK]


@pytest.mark.parametrize(
    ("accessioned", "until"),
    [
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 8, 31, tzinfo=UTC)),
        (datetime(2027, 8, 31, 16, tzinfo=UTC), datetime(2028, 3, 2, 16, tzinfo=UTC)),
        (datetime(9999, 12, 30, tzinfo=UTC), FOREVER),
        (datetime.max.replace(tzinfo=UTC), FOREVER),
    ],
)
def test_leap_days_and_the_calendars_end(book, accessioned, until):
    assert add_days(accessioned, 184) == until
    told = judge_retention(book, KeptFacts("r", accessioned), accessioned)
    assert told.until == until
    assert told.reasons_at(accessioned)


@pytest.mark.parametrize("lost", ["no retain rule", "none yet"])
def test_without_a_rule_that_keeps_it_no_recording_gets_a_date(book, now, lost):
    if lost == "none yet":
        rules = tuple(replace(rule, effective_from=date(2099, 1, 1)) for rule in book.rules)
    else:
        rules = tuple(rule for rule in book.rules if not isinstance(rule.requirement, Retain))
    keeping_none = Rulebook(rules, book.editions)
    promised = kept(now, promised=now + timedelta(days=1))
    for refused in (
        lambda: retain_until(keeping_none, now),
        # A promise is not enough either: it would be all that is left of a longer duty.
        lambda: judge_retention(keeping_none, promised, now),
        lambda: judge_retention(keeping_none, kept(now), now).reasons_at(now),
    ):
        with pytest.raises(RetentionRuleError) as error:
            refused()
        assert "national.yaml" in str(error.value)


def test_nothing_of_the_calendars_end_ever_comes_due(book):
    last = datetime(9999, 12, 31, 12, tzinfo=UTC)
    assert judge_retention(book, KeptFacts("r", last), last).reasons_at(
        datetime.max.replace(tzinfo=UTC)
    )


def test_facts_survive_the_way_through_json(now):
    facts = kept(
        now,
        classes=(FootageClass.EVIDENCE,),
        links=(link(now, ActionKind.HEARING),),
        holds=(HoldFact("h", HoldReason.OTHER, "county", now),),
        promised=now,
    )
    assert KeptFacts.from_json(facts.to_json()) == facts
