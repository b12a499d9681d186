"""Every rule cites an article that docs/RULEBOOK.md names, and every article of the seed is there."""

import re
from pathlib import Path

import pytest

from policies.rules.rulebook import article_number, load_rulebook
from policies.rules.rules import Rule

TEXT = (Path(__file__).parents[2] / "docs" / "RULEBOOK.md").read_text(encoding="utf-8")
COUNTY = "兴隆县关于加强乡镇人民政府行政执法规范化建设的指导意见"
ANNEX = "乡镇人民政府和街道办事处行政执法场所设置规范"
RULES = load_rulebook(area="兴隆县").rules


def rows() -> dict[str, str]:
    """Return each line of the tables by the article it is about."""
    found = {}
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and article_number(cells[0]):
            found[cells[0]] = line
        elif line.startswith("|") and len(cells) == 3 and article_number(cells[1]):
            found[f"{cells[0]} {cells[1]}"] = line
    return found


def cited(rule: Rule) -> str:
    if rule.basis.document in {COUNTY, ANNEX}:
        return rule.basis.article
    return f"{rule.basis.document} {rule.basis.article}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_stands_in_the_table_under_the_article_it_cites(rule):
    table = rows()
    assert cited(rule) in table
    mentioned = [line for line in table.values() if f"`{rule.id}`" in line]
    assert mentioned
    assert f"`{rule.id}`" in table[cited(rule)]


def test_every_article_of_the_county_and_its_annex_is_there():
    table = rows()
    plain = {article_number(name) for name in table if name.startswith("第")}
    annex = {article_number(name) for name in table if name.startswith("附件")}
    assert plain == set(range(1, 25))
    assert annex == set(range(1, 10))


def test_the_table_names_no_rule_that_is_not_there():
    named = set(re.findall(r"`((?:xl|cf|qz|fy|ss|ga|keep)-[a-z0-9-]+)`", TEXT))
    assert named == {rule.id for rule in RULES}


def test_an_article_number_is_read_as_written():
    assert article_number("第八条") == 8
    assert article_number("第十条") == 10
    assert article_number("第二十四条") == 24
    assert article_number("第一百零三条") == 0  # one spelling: 〇 is a digit, 零 is none
    assert article_number("第一百〇三条") == 103
    assert article_number("附件 第六条") == 6
    assert article_number("第8条") == 0
