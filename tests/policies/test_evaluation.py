"""A township's year in figures (第十七条), none of which is about fines (第二十一条)."""

import ast
import dataclasses
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import evaluation
from policies.evaluation import (
    Evaluation,
    Figure,
    Ratio,
    RuleCount,
    TownshipYear,
    evaluate_year,
)
from policies.facts.findings import Severity
from policies.facts.stages import ActionKind

YEAR = TownshipYear(
    township="安子岭乡",
    year=2026,
    actions={ActionKind.SEIZURE: 3, ActionKind.INSPECTION: 9},
    covered=(1.0, 1.0, 0.5, 0.9996),
    uploaded_in_time=Ratio(19, 20),
    linked=Ratio(7, 7),
    answered_in_time=Ratio(0, 2),
    full_time=3,
    full_time_required=4,
    rules=(
        RuleCount("b.warns", Severity.WARNS, 5, 1),
        RuleCount("a.blocks", Severity.BLOCKS, 4, 2, waived=1),
        RuleCount("c.blocks", Severity.BLOCKS, 0, 0),
    ),
)


def figure(key: str, counted: TownshipYear = YEAR) -> Figure:
    found = evaluate_year(counted).find_figure(key)
    assert found is not None
    return found


def test_a_share_is_told_with_its_counts_and_article():
    told = figure("uploaded_in_time")
    assert (told.quantity, told.of, told.share) == (19, 20, 0.95)
    assert told.zh == "录像按时入库:19/20,95.0%"
    assert told.en == "recordings uploaded in time: 19/20, 95.0%"
    assert told.article == "第八条"


def test_what_did_not_happen_is_neither_good_nor_bad():
    told = figure("disclosed_in_time")
    assert told.share is None
    assert "本年没有" in told.zh
    assert "%" not in told.zh


def test_nothing_in_time_is_a_share_of_zero_and_not_of_nothing():
    assert figure("answered_in_time").share == 0.0


def test_almost_whole_never_reads_as_whole():
    assert figure("covered_whole").quantity == 2
    almost = TownshipYear("x", 2026, covered=(1.0, 0.9999))
    assert figure("covered_share", almost).zh == "全程录音录像平均覆盖:99.9%"


def test_staff_is_compared_with_what_the_township_needs():
    assert figure("staffing").share == 0.75
    assert "不少于 4 名" in figure("staffing").zh
    more = dataclasses.replace(YEAR, full_time=9)
    assert figure("staffing", more).share == 1.0


def test_rules_are_told_blocking_ones_first_with_what_was_explained():
    told = [one for one in evaluate_year(YEAR).figures if one.rule]
    assert [one.rule for one in told] == ["a.blocks", "c.blocks", "b.warns"]
    assert "未满足 2 次,其中 1 次情况说明获批" in told[0].zh
    assert told[0].share == 0.5
    assert told[1].share is None


def test_actions_are_told_by_kind():
    assert figure("actions.seizure").share == 0.25
    assert evaluate_year(YEAR).find_figure("actions.demolition") is None


def test_every_figure_has_both_languages_an_article_and_its_own_key():
    figures = evaluate_year(YEAR).figures
    assert all(one.zh and one.en and re.fullmatch("第.+条", one.article) for one in figures)
    keys = [one.key for one in figures]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "impossible",
    [
        {"linked": Ratio(2, 1)},
        {"linked": Ratio(-1, 1)},
        {"covered": (1.01,)},
        {"covered": (float("nan"),)},
        {"actions": {ActionKind.SEIZURE: -1}},
        {"full_time": -1},
        {"rules": (RuleCount("a", Severity.WARNS, 1, 2),)},
        {"rules": (RuleCount("a", Severity.WARNS, 2, 1, waived=2),)},
        {"rules": (RuleCount("a", Severity.WARNS, 2, 1), RuleCount("a", Severity.WARNS, 2, 1))},
    ],
)
def test_counts_that_cannot_be_are_refused(impossible):
    with pytest.raises(ValueError):
        TownshipYear("x", 2026, **impossible)


SHARES = st.integers(0, 500).flatmap(lambda of: st.builds(Ratio, st.integers(0, of), st.just(of)))


@given(st.lists(st.floats(0, 1), max_size=30), SHARES, st.integers(0, 9), st.integers(0, 9))
def test_every_share_lies_between_nothing_and_all(covered, share, have, need):
    counted = TownshipYear(
        "x", 2026, covered=tuple(covered), linked=share, full_time=have, full_time_required=need
    )
    for one in evaluate_year(counted).figures:
        assert one.share is None or 0 <= one.share <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_order_in_which_actions_were_read_changes_nothing(covered):
    shuffled = random.Random(3).sample(covered, len(covered))
    one, other = (
        evaluate_year(TownshipYear("x", 2026, covered=tuple(told))) for told in (covered, shuffled)
    )
    assert one == other


# 第二十一条: fines and confiscations are never part of any figure.

MONEY = {
    *("fine", "fines", "fined", "penalty", "penalties", "money", "amount", "amounts", "yuan"),
    *("cny", "rmb", "sum", "revenue", "income", "confiscated", "confiscation", "forfeit", "price"),
}
MONEY_ZH = re.compile("罚|没收|金额|款|元")
SOURCE = Path(evaluation.__file__).read_text(encoding="utf-8")


def words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))


def fields_of(kind: type) -> set[str]:
    found = set()
    for one in dataclasses.fields(kind):
        found.add(one.name)
        for part in (RuleCount, Ratio):
            if part.__name__ in str(one.type):
                found |= {inner.name for inner in dataclasses.fields(part)}
    return found


@pytest.mark.parametrize("kind", [TownshipYear, Evaluation, Figure, RuleCount, Ratio])
def test_no_field_can_hold_what_was_fined_or_taken(kind):
    assert not {name for name in fields_of(kind) if words(name) & MONEY}


def code_names_and_texts(source: str) -> tuple[set[str], list[str]]:
    tree = ast.parse(source)
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    names, texts = set(), []
    for node in ast.walk(tree):
        for attribute in ("id", "attr", "arg", "name"):
            if isinstance(getattr(node, attribute, None), str):
                names.add(getattr(node, attribute))
        told = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if told and id(node) not in documented:
            texts.append(node.value)
    return names, texts


def offending(source: str) -> list[str]:
    names, texts = code_names_and_texts(source)
    builtin = {"sum"}  # Python's own function adds counts
    return [name for name in names if name not in builtin and words(name) & MONEY] + [
        text for text in texts if words(text) & (MONEY - builtin) or MONEY_ZH.search(text)
    ]


def test_no_name_and_no_text_of_the_evaluation_is_about_money():
    assert offending(SOURCE) == []


@pytest.mark.parametrize(
    "line",
    ["fine_total: int = 0", "x = counted.penalty_amount", 'zh = "罚款:{n}"', "finesCollected = 1"],
)
def test_the_watch_over_money_would_see_it(line):
    assert offending(f"{SOURCE}\n{line}\n") != []


def test_what_is_told_is_not_about_money_either():
    told = " ".join(one.zh + one.en + one.key for one in evaluate_year(YEAR).figures)
    assert not words(told) & MONEY
    assert not MONEY_ZH.search(told)
