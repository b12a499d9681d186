"""No document and no docstring points at a file that is not there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = frozenset(
    subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
)
FOLDERS = frozenset(str(folder) for path in TRACKED for folder in Path(path).parents)
NAMES = frozenset(Path(path).name for path in TRACKED)
PATH = re.compile(r"`((?:api|ingest|storage|policies|tests|bench|deploy|docs)/[\w./-]*\w/?)[`:]")
NAME = re.compile(r"`(\w+\.py)`")
# What was, and stays told as it was.
HISTORY = ("CHANGELOG.md", "docs/adr/")


def documents() -> list[str]:
    return sorted(
        path for path in TRACKED if path.endswith((".md", ".py")) and not path.startswith(HISTORY)
    )


@pytest.mark.parametrize("folder", ["", "api", "ingest", "storage", "policies", "docs", "tests"])
def test_every_path_in_backticks_is_there(folder: str) -> None:
    mine = [path for path in documents() if path.partition("/")[0] == folder or "/" not in path]
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in mine}
    assert texts
    missing = [
        f"{path}: {named}"
        for path, text in texts.items()
        for named in PATH.findall(text)
        if named.rstrip("/") not in TRACKED | FOLDERS
    ]
    unknown = [
        f"{path}: {named}"
        for path, text in texts.items()
        for named in NAME.findall(text)
        if named not in NAMES
    ]
    assert missing + unknown == []
