"""The texts of `api/texts/`: whole in both languages, and none for a code that nobody raises."""

import ast
import re
from pathlib import Path

import pytest

from api import texts
from api.office.evidence.integrity_check import WORDS
from api.problems import TABLE, Words
from api.texts import tables
from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.upkeep.fixity import Problem

ROOT = Path(__file__).parents[2]
FOLDER = Path(texts.__file__).parent
HAN = re.compile(r"[一-鿿]")
# Codes that are put together: the beginning of each, and whose words end it.
JOINED = ("disposition-", "release-", "enrolment-", "hand-in-", "log-", "clock-", "centre-")


def literals() -> set[str]:
    return {
        node.value
        for room in ("api", "ingest", "storage", "policies")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def raised() -> set[str]:
    """Return the codes with which `ApiError` is called, and those that error classes have."""
    codes = set()
    for room in ("api", "ingest", "storage", "policies"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = isinstance(node, ast.Call) and ast.unparse(node.func) == "ApiError"
                if called and node.args and isinstance(node.args[0], ast.Constant):
                    codes.add(node.args[0].value)
    return codes


def test_every_error_of_a_face_has_its_sentences():
    assert raised()
    assert raised() - TABLE.keys() == set()


def test_no_sentence_is_kept_for_a_code_that_nobody_raises():
    known = literals()
    unused = {code for code in TABLE if code not in known and not code.startswith(JOINED)}
    assert unused == set()


@pytest.mark.parametrize("code", sorted(TABLE))
def test_an_error_speaks_both_languages(code):
    row: Words = TABLE[code]
    assert 400 <= row.status <= 599
    assert HAN.search(row.zh)
    assert HAN.search(row.next_zh)
    for english in (row.en, row.next_en):
        assert english.strip()
        assert not HAN.search(re.sub(r"[“「].*?[”」]", "", english))


def test_a_text_that_lacks_a_language_is_refused(tmp_path, monkeypatch):
    (tmp_path / "half.toml").write_text('[lost]\nzh = "丢失"\n', encoding="utf-8")
    (tmp_path / "number.toml").write_text("lost = 1\n", encoding="utf-8")
    monkeypatch.setattr(tables, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"half\.toml: lost"):
        tables.load_pairs("half")
    with pytest.raises(ValueError, match=r"number\.toml: lost"):
        tables.load_texts("number")


def test_every_finding_of_an_integrity_check_has_its_words():
    assert set(WORDS) == {*DiscrepancyKind, *Problem}
