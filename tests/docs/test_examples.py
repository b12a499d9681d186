"""The programs in our specifications run as they stand, on the vectors beside them."""

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


def test_every_test_that_the_threat_model_names_exists():
    import re

    text = (DOCS / "THREAT_MODEL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\btest_[a-z0-9_]+\b(?!\.py)", text))
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in (DOCS.parent / "tests").rglob("*.py")
    )
    missing = {name for name in named if name not in tests and f"{name}.py" not in text}
    assert named
    assert missing == set()
