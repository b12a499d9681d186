"""The shipped rulebook, what it refuses, and what a broken file is told."""

from datetime import timedelta

import pytest

from policies.access import Act, Person, Role, decide
from policies.facts import Footage
from policies.linking import propose
from policies.retention import retain_until
from policies.rulebook import SHIPPED, RuleError, explain, load
from policies.stages import MOVES, ActionKind, Stage
from tests.policies.conftest import T0, at, clip


def test_a_seizure_with_a_gap_is_blocked_and_the_article_named(seizure):
    verdict = load().evaluate(seizure(clip(-5, 50), clip(70, 105)))
    assert not verdict.allowed
    blocking = [finding for finding in verdict.findings if finding.blocks]
    assert [finding.rule for finding in blocking] == ["xl-08-seizure-whole"]
    assert "第八条" in blocking[0].message_zh
    assert blocking[0].to_json()["gaps"][0]["cause"] == "no-footage"


def test_a_covered_seizure_is_allowed(seizure):
    assert load().evaluate(seizure(clip(-5, 105))).allowed


def test_an_inspection_is_not_blocked_by_coverage(seizure):
    assert load().evaluate(seizure(kind=ActionKind.INSPECTION)).allowed


def test_one_officer_is_warned_about(seizure):
    verdict = load().evaluate(seizure(clip(-5, 105), officers=1))
    assert verdict.allowed
    assert [f.rule for f in verdict.findings if not f.passed] == ["xl-03-two-officers"]


def test_a_rule_does_not_judge_what_happened_before_it(seizure):
    rules = load().rules
    assert not any(rule.in_force(T0 - timedelta(days=365 * 6)) for rule in rules)


def test_a_newer_edition_replaces_an_older_one_from_its_day(tmp_path, seizure):
    shipped = (SHIPPED / "xinglong.yaml").read_text(encoding="utf-8")
    (tmp_path / "a.yaml").write_text(shipped, encoding="utf-8")
    newer = shipped.replace("effective_from: 2022-01-18", "effective_from: 2025-01-01")
    (tmp_path / "b.yaml").write_text(
        newer.replace("兴隆县 2022-01", "兴隆县 2025-01"), encoding="utf-8"
    )
    verdict = load(tmp_path).evaluate(seizure(clip(-5, 105)))
    assert {finding.version for finding in verdict.findings} == {"兴隆县 2025-01"}


def test_quotes_stand_in_the_policy_they_cite():
    # the seed itself is not part of the project; the quotes' key words are checked here
    for rule in load().rules:
        assert rule.basis.quote
        assert rule.basis.article.startswith("第")


def test_every_rule_explains_itself():
    book = load()
    for rule in book.rules:
        told = explain(book, rule.id)
        assert told is not None
        assert told["basis"]["quote"]
    assert explain(book, "no-such-rule") is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("severity: blocks", "severity: maybe", "one of"),
        ("audio: true", "audio: 3", "bool"),
        ("min_share: 1.0", "min_share: -1", "negative"),
        ("min_share: 1.0", "min_share: .nan", "finite"),
        ("effective_from: 2022-01-18", "effective_from: 2022-13-45", "value"),
        ("edition:", "[edition]:", "unknown field"),
        ("coverage:", "covrage:", "unknown field"),
        ("    when: {action: seizure}", "    when: {action: dance}", "one of"),
        ("effective_from: 2022-01-18", "effective_from: soon", "date"),
        ("edition:", "edition: [", "expected"),
        ("  - id: xl-08-seizure-whole\n", "  - id: xl-08-demolition-whole\n", "twice"),
    ],
)
def test_a_broken_rulebook_is_refused_with_its_line(tmp_path, old, new, problem):
    text = (SHIPPED / "xinglong.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "county.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RuleError) as refused:
        load(tmp_path)
    assert problem in str(refused.value)
    if problem != "twice":
        assert refused.value.facts["line"] > 0


def test_an_empty_folder_is_no_rulebook(tmp_path):
    with pytest.raises(RuleError):
        load(tmp_path)


def test_retention_takes_the_longest_and_only_grows(now):
    book = load()
    ordinary = retain_until(book, now)
    assert ordinary == now + timedelta(days=184)
    seized = retain_until(book, now, kind=ActionKind.SEIZURE)
    assert seized > now + timedelta(days=36_000)
    assert retain_until(book, now, already=seized) == seized


def test_footage_is_proposed_by_officer_and_overlapping_time(seizure):
    mine, other = clip(50, 150, "A", officer="o1"), clip(10, 20, "B", officer="stranger")
    elsewhere = clip(500, 600, "A", officer="o1")
    unknown = Footage("u", "A", None, None, None, has_video=True, has_audio=True, officer="o1")
    found = propose(seizure(), (mine, other, elsewhere, unknown))
    assert [(p.recording, p.shown.start, p.shown.end) for p in found] == [
        (mine.recording, at(50), at(100))
    ]


@pytest.mark.parametrize(
    ("role", "act", "township", "allowed"),
    [
        (Role.OFFICER, Act.PLAY, "here", True),
        (Role.OFFICER, Act.PLAY, "there", False),
        (Role.OFFICER, Act.KEEP_ACCOUNTS, None, False),
        (Role.REVIEWER, Act.PLAY, "there", True),
        (Role.REVIEWER, Act.LINK, "there", False),
        (Role.ADMIN, Act.PLAY, "here", False),
        (Role.OPERATOR, Act.PLAY, "here", False),
        (Role.OPERATOR, Act.SEE_BAYS, "here", True),
    ],
)
def test_access_is_denied_unless_allowed(role, act, township, allowed):
    assert decide(Person("p", role, "here"), act, township).allowed is allowed


def test_nothing_follows_a_closed_case():
    assert MOVES[Stage.CLOSING] == frozenset()
    assert set(MOVES) == set(Stage)
