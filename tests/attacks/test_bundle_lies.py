"""Each lie of a dishonest centre is named, at its level; the bundle that was copied verifies."""

import re

import pytest

from storage.bundle.verify import verify
from tests.attacks.bundle_lies import ATTACKS
from tests.attacks.dishonest_centre import LyingBundle
from tests.sampling import sample


@pytest.fixture
def lying(seizure_bundle, tmp_path):
    return LyingBundle(seizure_bundle, tmp_path / "copy")


def test_signed_again_and_nothing_changed_it_verifies(lying, seizure_bundle):
    report = verify(lying.sign(), seizure_bundle.keys)
    assert report.passed, report.format_lines()


BY_NAME = {one.name: one for one in ATTACKS}
ALWAYS = [one.name for one in ATTACKS if one.check == "chains"][:3]


@pytest.mark.parametrize("name", sample(BY_NAME, ALWAYS, 9))
def test_a_lie_is_named_at_its_level(name, lying, seizure_bundle):
    lie = BY_NAME[name]
    lie.do(lying)
    report = verify(lying.sign(), seizure_bundle.keys)
    failed = {(check.level, check.name) for check in report.checks if not check.passed}
    assert (lie.level, lie.check) in failed, report.format_lines()


@pytest.mark.parametrize("found", ["facts.json", "evidence-list.json", "record.json"])
def test_times_without_a_zone_are_named_and_not_verified(found, lying, seizure_bundle):
    (path, *_) = sorted(lying.data.rglob(found))
    text = path.read_text(encoding="utf-8")
    stripped = re.sub(r"(\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?)(\+00:00|Z)", r"\1", text)
    assert stripped != text
    lying.put(path.relative_to(lying.data).as_posix(), stripped.encode())
    report = verify(lying.sign(), seizure_bundle.keys)
    assert not report.passed
    if found == "facts.json":
        assert any("a time without a zone" in line for line in report.format_lines())
