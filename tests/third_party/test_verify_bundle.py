"""A verifier of other hands, written from docs/spec alone, agrees with ours on every bundle."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.office.evidence.export import export_bundle
from api.office.service import Service
from api.office.wiring import Office
from storage.bundle.verify import verify
from storage.bundle.write import GUIDE
from storage.signed.signing import SigningKey
from tests.attacks.bundle_lies import ATTACKS
from tests.attacks.dishonest_centre import LyingBundle
from tests.office import FIRST, Desk, dock, segment
from tests.old_log import before_chains, forget_chains
from tests.sampling import sample

SCRIPT = Path(__file__).with_name("verify_bundle.py")


def refused(bundle, *keys):
    """Return the levels at which the third party refuses a bundle, and all that it printed."""
    # -I: no current folder, no PYTHONPATH, no user site; -S would hide cryptography itself
    command = [sys.executable, "-I", str(SCRIPT), str(bundle), *map(str, keys)]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    levels = {int(one) for one in re.findall(r"^L([12]) .*: WRONG", done.stdout, re.MULTILINE)}
    assert not done.stderr
    assert done.returncode == bool(levels), done.stdout
    return levels, done.stdout


def ours(bundle, keys):
    return {check.level for check in verify(bundle, keys).checks if not check.passed} - {3}


@pytest.mark.parametrize("own_keys", [True, False])
def test_a_true_bundle_passes(seizure_bundle, own_keys):
    levels, said = refused(seizure_bundle.folder, *[seizure_bundle.keys] * own_keys)
    assert levels == set(), said
    assert ("the bundle's own" in said) != own_keys


@pytest.mark.parametrize("sealed", [False, True])
def test_a_bundle_of_an_open_case_begun_before_chains_passes(sealed, tmp_path):
    with before_chains():
        desk = Desk.set_up(tmp_path)
        case, action = desk.seizure(30)
        dock(desk, "bay-1", FIRST, segment(-5, 45))
        desk.sweep()
        desk.link(action)
    forget_chains(desk.office.catalogue)
    desk.office.close()
    office = Office.open(desk.office.settings)
    try:
        later = Desk(office, Service.of_office(office), desk.persons)
        export_bundle(later.service, later.visitor("zhang"), case, tmp_path / "bag", sealed=sealed)
    finally:
        office.close()
    assert ours(tmp_path / "bag", office.settings.keys) == set()
    levels, said = refused(tmp_path / "bag", office.settings.keys)
    assert levels == set(), said


def test_keys_of_another_office_open_nothing(seizure_bundle, tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    for path in seizure_bundle.keys.glob("*.verify"):
        (keys / path.name).write_bytes(path.read_bytes())
    other = SigningKey.from_seeds("centre", bytes(64)).verify_key().to_json()
    (keys / "centre.verify").write_text(json.dumps(other), encoding="utf-8")
    levels, said = refused(seizure_bundle.folder, keys)
    assert levels == {1}, said


BY_NAME = {one.name: one for one in ATTACKS}


@pytest.mark.parametrize("name", sample(BY_NAME, [], 4))
def test_it_refuses_a_lie_at_the_level_at_which_we_do(name, seizure_bundle, tmp_path):
    lying = LyingBundle(seizure_bundle, tmp_path / "copy")
    BY_NAME[name].do(lying)
    found = ours(lying.sign(), seizure_bundle.keys)
    levels, said = refused(lying.root, seizure_bundle.keys)
    if 1 in found:  # where nothing is proven, what level 2 says means nothing
        levels, found = levels & {1}, found & {1}
    assert levels == found, said


def test_the_specification_names_the_digest_of_the_guide():
    digest = hashlib.sha256(GUIDE.read_bytes()).hexdigest()
    root = Path(__file__).parents[2]
    assert f"\n    {digest}\n" in (root / "docs/spec/bundle.md").read_text(encoding="utf-8")
    assert digest in SCRIPT.read_text(encoding="utf-8")
