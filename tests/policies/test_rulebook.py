"""The shipped rulebook, what it refuses, and what a broken file is told."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from policies.access.access import Act, Person, Role, decide_access
from policies.facts.facts import Footage
from policies.facts.stages import ActionKind
from policies.linking import propose_links
from policies.rules.rulebook import (
    SHIPPED,
    RetentionRuleError,
    RuleError,
    explain_rule,
    load_rulebook,
    read_rulebook,
)
from policies.rules.rulebook_template import edition_template, is_area_name
from tests.policies.conftest import T0, at, clip


def test_a_seizure_with_a_gap_is_blocked_and_the_article_named(seizure):
    verdict = load_rulebook().judge_facts(seizure(clip(-5, 50), clip(70, 105)))
    assert not verdict.allowed
    blocking = [finding for finding in verdict.findings if finding.blocks]
    assert [finding.rule for finding in blocking] == ["xl-08-seizure-whole"]
    assert "第八条" in blocking[0].message_zh
    assert blocking[0].to_json()["gaps"][0]["cause"] == "no-footage"


def test_a_covered_seizure_is_allowed(seizure):
    assert load_rulebook().judge_facts(seizure(clip(-5, 105))).allowed


def test_an_inspection_is_not_blocked_by_coverage(seizure):
    assert load_rulebook().judge_facts(seizure(kind=ActionKind.INSPECTION)).allowed


def test_one_officer_alone_cannot_seize(seizure):
    verdict = load_rulebook().judge_facts(seizure(clip(-5, 105), officers=1))
    assert not verdict.allowed
    assert [f.rule for f in verdict.findings if f.blocks] == ["xl-03-two-officers"]


def test_an_unconfirmed_figure_says_so_in_the_finding(seizure):
    verdict = load_rulebook().judge_facts(seizure(clip(-5, 105), moments=()))
    found = {finding.rule: finding for finding in verdict.findings}["qz-24-inventory"]
    assert found.blocks
    assert "条文待核" in found.message_zh
    assert "not yet confirmed" in found.basis.en


def test_a_rule_does_not_judge_what_happened_before_it(seizure):
    rules = load_rulebook().rules
    assert not any(rule.in_force(T0 - timedelta(days=365 * 6)) for rule in rules)


def shipped(folder, name="xinglong.yaml", **replaced):
    text = (SHIPPED / name).read_text(encoding="utf-8")
    for old, new in replaced.get("by", ()):
        assert old in text
        text = text.replace(old, new)
    (folder / replaced.get("to", name)).write_text(text, encoding="utf-8")


def test_a_newer_edition_replaces_an_older_one_from_its_day(tmp_path, seizure):
    shipped(tmp_path)
    later = [
        ("effective_from: 2022-01-18", "effective_from: 2025-01-01"),
        ("2022-01\n", "2025-01\n"),
    ]
    shipped(tmp_path, to="b.yaml", by=later)
    verdict = read_rulebook(tmp_path).judge_facts(seizure(clip(-5, 105)))
    assert {finding.version for finding in verdict.findings} == {"兴隆县 2025-01"}


def test_another_countys_rules_load_beside_and_do_not_mix(tmp_path, seizure):
    shipped(tmp_path)
    shipped(tmp_path, "national.yaml")
    other = [
        ("area: 兴隆县", "area: 宽城县"),
        ("- id: xl-", "- id: kc-"),
        ("certified: 2", "certified: 3"),
    ]
    shipped(tmp_path, to="kuancheng.yaml", by=other)
    with pytest.raises(RuleError, match="several areas"):
        load_rulebook(tmp_path)
    ours, theirs = read_rulebook(tmp_path, "兴隆县"), read_rulebook(tmp_path, "宽城县")
    assert {rule.id[:3] for rule in theirs.rules} >= {"kc-", "qz-"}
    assert not {rule.id for rule in theirs.rules} & {r.id for r in ours.rules if r.id[:3] == "xl-"}
    assert ours.judge_facts(seizure(clip(-5, 105))).allowed
    blocking = [f.rule for f in theirs.judge_facts(seizure(clip(-5, 105))).findings if f.blocks]
    assert blocking == ["kc-03-two-officers"]
    assert ours.without_edition is None


def test_a_county_without_an_edition_is_judged_by_national_rules(tmp_path, seizure):
    rules = load_rulebook(area="青龙满族自治县")
    assert rules.without_edition == "青龙满族自治县"
    assert {edition.area for edition in rules.editions} == {"all"}
    blocking = {
        f.rule for f in rules.judge_facts(seizure(clip(-5, 50), moments=())).findings if f.blocks
    }
    assert blocking == {"qz-18-measure", "qz-24-inventory"}
    shipped(tmp_path)
    with pytest.raises(RuleError, match="no edition for"):  # nor anything that holds everywhere
        load_rulebook(tmp_path, "平泉市")


def uncommented(text):
    """The examples behind # with the # taken away; explanations have one space after theirs."""
    return re.sub(r"^#(  .*|major.*)$", r"\1", text, flags=re.MULTILINE)


def test_the_template_of_an_edition_is_valid_as_it_is_written_and_with_its_examples(tmp_path):
    text = edition_template("青龙满族自治县", date(2026, 11, 28))
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    assert len(read_rulebook(tmp_path / "own.yaml", "青龙满族自治县").rules) == 1
    (tmp_path / "own.yaml").write_text(uncommented(text), encoding="utf-8")
    other = edition_template("宽城满族自治县", date(2026, 11, 28))
    (tmp_path / "other.yaml").write_text(uncommented(other), encoding="utf-8")
    rules = read_rulebook(tmp_path, "青龙满族自治县")
    assert rules.without_edition is None
    assert len(rules.rules) == 3
    # The API takes such ids alone.
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,79}", rule.id) for rule in rules.rules)


@pytest.mark.parametrize(
    "name",
    ["", "县", "all", "../county", "a/b", "a\\b", "..", "a.yaml", "a\nb", "a\0b", " 县县", "县: {x}",
     '"县县', "{area}", "县" * 41, "\udcff\udcff", "-县县", "~root"],
)  # fmt: skip
def test_hostile_names_of_counties_are_refused(name):
    assert not is_area_name(name)
    with pytest.raises(ValueError):
        edition_template(name, date(2026, 11, 28))


def test_a_rule_that_begins_later_than_its_edition_judges_from_its_own_day(tmp_path, seizure):
    text = "  - id: xl-03-two-officers\n"
    shipped(tmp_path, by=[(text, f"{text}    effective_from: 2026-01-22\n")])
    rules = read_rulebook(tmp_path)
    assert "xl-03-two-officers" not in {rule.id for rule in rules.in_force(T0)}
    assert "xl-03-two-officers" in {rule.id for rule in rules.in_force(T0 + timedelta(days=1))}


def test_the_day_of_a_rule_is_the_countys(tmp_path):
    shipped(tmp_path)
    rules = read_rulebook(tmp_path)
    midnight = datetime(2022, 1, 17, 16, 0, tzinfo=UTC)  # 18 January 00:00 in the county
    assert rules.in_force(midnight)
    assert not rules.in_force(midnight - timedelta(microseconds=1))


def test_quotes_stand_in_the_policy_they_cite():
    # the seed itself is not part of the project; the quotes' key words are checked here
    for rule in load_rulebook().rules:
        assert rule.basis.quote
        assert rule.basis.article.removeprefix("附件 ").startswith("第")


def test_every_rule_explains_itself():
    book = load_rulebook()
    for rule in book.rules:
        told = explain_rule(book, rule.id)
        assert told is not None
        assert told["basis"]["quote"]
    assert explain_rule(book, "no-such-rule") is None


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
        ("article: 第二条", "article: 第九十九条", "24 articles"),
        ("article: 第二条", "article: 2", "text is expected"),
        ("article: 第二条", "article: 第两条", "24 articles"),
        ("document: *opinion", "document: 没有这个文件", "not among the documents"),
        ("when: {move: transfer}", "when: {action: seizure}", "says nothing about a case"),
        ("until: {days: 3}", "until: {days: -3}", "negative"),
        ("    waivable_by: head\n", "", "nobody may waive"),
        ("kinds: [identity, reasons, rights]", "kinds: [identiy]", "one of"),
        ("major_decisions: [", "major_decisions: [dance, ", "one of"),
        (
            "  - id: xl-03-two-officers\n",
            "  - id: xl-03-two-officers\n    effective_from: 2021-12-31\n",
            "begins before its edition",
        ),
        (
            "  - id: xl-03-two-officers\n",
            "  - id: xl-03-two-officers\n    effective_to: 2021-12-31\n",
            "ends before it begins",
        ),
    ],
)
def test_a_broken_rulebook_is_refused_with_its_line(tmp_path, old, new, problem):
    text = (SHIPPED / "xinglong.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "county.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RuleError) as refused:
        load_rulebook(tmp_path)
    assert problem in str(refused.value)
    if problem != "twice":
        assert refused.value.facts["line"] > 0


def without_ordinary_retention(folder):
    """The shipped national edition, and the block of its rule that keeps ordinary footage."""
    text = (SHIPPED / "national.yaml").read_text(encoding="utf-8")
    begin = text.index("  - id: keep-ordinary\n")
    block = text[begin : text.index("  - id: ", begin + 1)]
    return text.replace(block, ""), block


@pytest.mark.parametrize("left_out", ["the national file", "its ordinary rule", "years of it"])
def test_a_rulebook_that_keeps_footage_for_no_time_is_refused(tmp_path, left_out):
    shipped(tmp_path)
    rest, block = without_ordinary_retention(tmp_path)
    if left_out == "its ordinary rule":
        (tmp_path / "national.yaml").write_text(rest, encoding="utf-8")
    elif left_out == "years of it":
        until = block.replace("\n", "\n    effective_to: 2021-12-31\n", 1)
        again = block.replace("\n", "\n    effective_from: 2022-01-02\n", 1)
        (tmp_path / "national.yaml").write_text(
            rest.rstrip() + "\n\n" + until + again, encoding="utf-8"
        )
    assert read_rulebook(tmp_path).rules  # nothing else is wrong with it
    with pytest.raises(RetentionRuleError) as refused:
        load_rulebook(tmp_path)
    assert refused.value.facts["file"] == str(tmp_path)


def test_an_ordinary_rule_may_be_handed_over_from_one_day_to_the_next(tmp_path):
    shipped(tmp_path)
    rest, block = without_ordinary_retention(tmp_path)
    until = block.replace("\n", "\n    effective_to: 2021-12-31\n", 1)
    again = block.replace("\n", "\n    effective_from: 2022-01-01\n", 1)
    text = rest.rstrip() + "\n\n" + until + again
    (tmp_path / "national.yaml").write_text(text, encoding="utf-8")
    assert load_rulebook(tmp_path).rules


def test_an_empty_folder_is_no_rulebook(tmp_path):
    with pytest.raises(RuleError):
        load_rulebook(tmp_path)


def test_footage_is_proposed_by_officer_and_overlapping_time(seizure):
    mine, other = clip(50, 150, "A", officer="o1"), clip(10, 20, "B", officer="stranger")
    elsewhere = clip(500, 600, "A", officer="o1")
    unknown = Footage("u", "A", None, None, None, has_video=True, has_audio=True, officer="o1")
    found = propose_links(seizure(), (mine, other, elsewhere, unknown))
    assert [(p.recording, p.interval.start, p.interval.end) for p in found] == [
        (mine.recording, at(50), at(100))
    ]


_OTHERS = [role for role in Role if role is not Role.ADMIN]


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
        (Role.OPERATOR, Act.SEE_STATIONS, "here", True),
        (Role.OPERATOR, Act.SEE_STATIONS, "there", False),
        (Role.OPERATOR, Act.KEEP_STATIONS, "here", False),
        (Role.OFFICER, Act.SEE_STATIONS, "here", False),
        (Role.HEAD, Act.SEE_STATIONS, "here", False),
        (Role.REVIEWER, Act.SEE_STATIONS, "there", True),
        (Role.REVIEWER, Act.KEEP_STATIONS, "there", False),
        (Role.ADMIN, Act.SEE_STATIONS, "there", True),
        (Role.ADMIN, Act.KEEP_STATIONS, "there", True),
        (Role.ADMIN, Act.KEEP_JOBS, "there", True),
        *((role, act, "here", False) for role in _OTHERS for act in (Act.SEE_JOBS, Act.KEEP_JOBS)),
    ],
)
def test_access_is_denied_unless_allowed(role, act, township, allowed):
    assert decide_access(Person("p", role, "here"), act, township).allowed is allowed
