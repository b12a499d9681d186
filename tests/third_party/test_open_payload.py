"""A third party opens an exported recording with the recovery key and tools we did not write."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from api.office.evidence.export import export_bundle
from tests.office import FIRST, Desk, dock, segment

SCRIPT = Path(__file__).with_name("open_payload.py")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A sealed export, its recovery key and the originals' digests by size."""
    folder = tmp_path_factory.mktemp("office")
    desk = Desk.set_up(folder)
    case, action = desk.seizure(30)
    (path,) = dock(desk, "bay-1", FIRST, segment(-5, 40))
    original = path.read_bytes()
    desk.sweep()
    desk.link(action)
    export_bundle(desk.service, desk.visitor("zhang"), case, folder / "bag", sealed=True)
    recovery = desk.office.settings.recovery_out
    desk.office.close()
    (recording,) = (folder / "bag" / "data" / "recordings").iterdir()
    return recording, recovery, original


def run(*arguments):
    # -I: no current folder, no PYTHONPATH, no user site; -S would hide cryptography itself
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, arguments)], capture_output=True, check=False
    )


def test_the_recovery_key_opens_an_exported_recording(exported, tmp_path):
    recording, recovery, original = exported
    out = tmp_path / "original"
    done = run(recovery, recording / "envelope.json", recording / "payload", out)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == hashlib.sha256(original).hexdigest()
    assert out.read_bytes() == original


def test_it_opens_nothing_that_was_changed(exported, tmp_path):
    recording, recovery, _original = exported
    payload = bytearray((recording / "payload").read_bytes())
    payload[-1] ^= 1
    (tmp_path / "payload").write_bytes(payload)
    done = run(recovery, recording / "envelope.json", tmp_path / "payload")
    assert done.returncode != 0
    assert done.stdout == b""
