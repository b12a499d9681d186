"""Without a key no file of a bundle is changed unseen, by us, by others, or by the guide's commands."""

import re
import subprocess

import pytest

from storage.bundle.verify import verify
from storage.bundle.write import GUIDE
from tests.attacks.file_changes import CHANGES, LISTED
from tests.sampling import sample
from tests.third_party.test_verify_bundle import refused

FILES = 53  # of the bundle: the matrix below is collected before the bundle is made
MATRIX = [f"{act} {n}" for act in CHANGES for n in range(FILES)]
LISTED_BY_NAME = {one.name: one for one in LISTED}
_STEP = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def guide_passes(root):
    """Run the guide's commands as a reader would, until one does not print OK."""
    for shell, text in _STEP.findall(GUIDE.read_text(encoding="utf-8")):
        command = ["sh", "-c", text] if shell == "sh" else ["python3", "-c", text]
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
        if done.returncode or not done.stdout.endswith(b"OK\n"):
            return False
    return True


@pytest.fixture
def files(seizure_bundle):
    every = sorted(path for path in seizure_bundle.folder.rglob("*") if path.is_file())
    assert len(every) == FILES
    return [path.relative_to(seizure_bundle.folder) for path in every]


def test_unchanged_the_bundle_passes_by_the_guide(seizure_bundle):
    assert guide_passes(seizure_bundle.folder)


@pytest.mark.parametrize("case", sample(MATRIX, [], 6))
def test_no_file_is_changed_unseen(case, files, seizure_bundle, tmp_path):
    act, _, n = case.rpartition(" ")
    root = seizure_bundle.copy(tmp_path / "copy")
    CHANGES[act](root / files[int(n)])
    assert not verify(root, seizure_bundle.keys).passed, files[int(n)]
    levels, said = refused(root, seizure_bundle.keys)
    assert 1 in levels, said
    assert guide_passes(root) == (act == "add beside"), files[int(n)]


def test_json_without_end_is_refused_and_breaks_nothing(seizure_bundle, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    for path in sorted(root.rglob("*.json*")):
        path.unlink()
        path.write_bytes(b"[" * 200_000)
    assert not verify(root, seizure_bundle.keys).passed
    assert 1 in refused(root, seizure_bundle.keys)[0]


@pytest.mark.parametrize("name", LISTED_BY_NAME)
def test_what_nobody_signed_is_compared(name, seizure_bundle, tmp_path):
    attack = LISTED_BY_NAME[name]
    root = seizure_bundle.copy(tmp_path / "copy")
    attack.do(root)
    report = verify(root, seizure_bundle.keys)
    failed = {(check.level, check.name) for check in report.checks if not check.passed}
    assert (attack.level, attack.check) in failed, report.format_lines()
    levels, said = refused(root, seizure_bundle.keys)
    assert 1 in levels, said


@pytest.mark.parametrize("act", ["empty", "cut", "append"])
@pytest.mark.parametrize(
    "name", ["tagmanifest-sha256.txt", "data/custody/entries.jsonl", "data/custody/nodes.jsonl"]
)
def test_what_was_once_passed_over_or_not_borne_is_named(act, name, seizure_bundle, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    CHANGES[act](root / name)
    assert not verify(root, seizure_bundle.keys).passed
    assert not guide_passes(root)
