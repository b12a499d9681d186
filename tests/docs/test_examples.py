"""The programs in our specifications run as they stand, on the vectors beside them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def programs():
    for path in sorted((DOCS / "spec").glob("*.md")):
        parts = path.read_text(encoding="utf-8").split("```python\n")[1:]
        for number, part in enumerate(parts, 1):
            yield pytest.param(part.partition("```")[0], id=f"{path.stem}-{number}")


@pytest.mark.parametrize("program", list(programs()))
def test_a_program_of_the_specification_runs(program):
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=DOCS / "spec" / "vectors" / "valid",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


ROOT = DOCS.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "storage/**/*.md", "deploy/**/*.md", "bench/*.md")
    for path in ROOT.glob(pattern)
)
TESTS = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py"))}
THREATS = (DOCS / "THREAT_MODEL.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    there = {name for code in TESTS.values() for name in re.findall(r"\bdef (test_\w+)\(", code)}
    there |= {path.stem for path in TESTS}
    assert set(re.findall(r"\btest_[a-z0-9_]+\b(?!/)", text)) - there == set()
    modules = set(re.findall(r"`((?:tests/)?[a-z_]+/[a-z_/]*test_[a-z0-9_]+\.py)", text))
    assert {
        one for one in modules if not (ROOT / "tests" / one.removeprefix("tests/")).is_file()
    } == set()
    for path, name in re.findall(r"((?:tests/)?[a-z_/]+\.py)::(\w+)", text):
        assert f"def {name}(" in TESTS[ROOT / "tests" / path.removeprefix("tests/")]


def test_each_claim_of_the_threat_model_names_a_test():
    parts = [
        part for part in re.split(r"\n\*\*(?=[A-Z])|\n## ", THREATS) if part.startswith("Cannot")
    ]
    claims = [one for part in parts for one in re.findall(r"(?ms)^- .*?(?=^- |^\||\n\n|\Z)", part)]
    rows = [
        row for row in re.findall(r"(?m)^\| .*\|$", THREATS) if "what stops or shows it" not in row
    ]
    tables = THREATS.split("\n## 4. ", 1)[1]
    claims += [
        row for row in rows if row in tables and not re.match(r"\| (act \||\| promise)", row)
    ]
    assert len(claims) > 100
    assert [
        one for one in claims if "test_" not in one and "the same" not in one and ".py" not in one
    ] == []
