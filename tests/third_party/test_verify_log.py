"""Go's checksum database packages, which we did not write, read our checkpoint and our proofs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("verify_log.go")
PACKAGES = Path("/usr/share/gocode")
NOT_TESTED = "golang-go and golang-golang-x-mod-dev are not here: GO DID NOT READ THE LOG"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    if not shutil.which("go") or not (PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip(NOT_TESTED)
    folder = tmp_path_factory.mktemp("go")
    offline = {"GO111MODULE": "off", "GOPATH": str(PACKAGES), "GOCACHE": str(folder / "cache")}
    command = ["go", "build", "-o", str(folder / "verify_log"), str(SOURCE)]
    subprocess.run(command, env=os.environ | offline, check=True, capture_output=True)
    return folder / "verify_log"


def read(reader, bundle):
    return subprocess.run([reader, bundle], capture_output=True, check=False, encoding="utf-8")


def test_go_verifies_the_checkpoint_and_each_receipt(reader, seizure_bundle):
    done = read(reader, seizure_bundle.folder)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("OK checkpoint of ")
    assert len([one for one in lines if one.startswith("OK entry ")]) == 3


def test_go_refuses_a_checkpoint_of_another_size(reader, seizure_bundle, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    checkpoint = root / "data" / "custody" / "checkpoint"
    origin, size, rest = checkpoint.read_text(encoding="utf-8").split("\n", 2)
    checkpoint.unlink()
    checkpoint.write_text(f"{origin}\n{int(size) + 1}\n{rest}", encoding="utf-8")
    done = read(reader, root)
    assert done.returncode == 1
    assert done.stdout.startswith("WRONG: ")
