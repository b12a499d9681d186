"""Many small files share a sandbox, and each gets the very answer that it would have had alone."""

import json
import os
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.media import shared_sandbox
from ingest.media.sandbox import Level, Sandbox, Scene
from ingest.media.shared_sandbox import SharedSandbox, _Running
from tests.clips import render_once

HOSTILE = """
import os, signal, sys, time
sys.path.insert(0, "/sandboxed")
from many import serve_requests

def look(words):
    act = os.read(0, 100).decode()
    if act == "crash":
        os.abort()
    if act == "eat time":
        while True:
            pass
    if act == "sleep":
        os.write(1, b"{}")
        time.sleep(1000)
    if act == "stay" and os.fork() == 0:
        os.closerange(0, 64)
        os.setsid()
        time.sleep(1000)
    if act == "leave a name":
        os.close(os.open("/tmp/left", os.O_CREAT | os.O_WRONLY))
    if act == "kill the others":
        os.write(1, b'{"told": "by another"}')
        os.kill(os.getppid(), signal.SIGKILL)
    if act == "stop the others":
        os.kill(os.getppid(), signal.SIGSTOP)
    if act == "flood":
        while True:
            os.write(1, b"x" * 65536)
    if act == "half":
        os.write(1, b'{"half": ')
        os._exit(1)
    if act == "speak for others":
        for number in range(2, 64):
            try:
                os.write(number, b'{"told": "by another"}')
            except OSError:
                pass
    os.write(1, ('{"told": "%s"}' % act).encode())

if sys.argv[-1] == "--many":
    serve_requests(look)
else:
    os.write(1, b'{"told": "alone"}')
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class HostileSandbox(Sandbox):
    """A sandbox whose program does what its files tell it to: a decoder that was taken over."""

    def program_command(self) -> list[str]:
        return [*Sandbox.program_command(self)[:-1], "/hostile/program.py"]


@pytest.fixture(scope="module")
def sandbox():
    found = Sandbox.detect()
    if found.level is not Level.BWRAP:
        pytest.skip("nothing is shared without bubblewrap")
    return found


@pytest.fixture
def starts(monkeypatch):
    """Return the sandboxes that were started."""
    made, start = [], _Running.start

    def counted(sandbox):
        made.append(start(sandbox))
        return made[-1]

    monkeypatch.setattr(_Running, "start", counted)
    return made


@pytest.fixture
def hostile(sandbox, tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(HOSTILE)
    wrap = (*sandbox.wrap[:-1], "--ro-bind", str(tmp_path), "/hostile", "--")
    monkeypatch.setattr(shared_sandbox, "_WAIT_S", 2.0)
    monkeypatch.setattr(shared_sandbox, "_CPU_S", 1)
    shared = SharedSandbox(HostileSandbox(sandbox.level, wrap))
    yield shared
    shared.close()


def told(shared, path: Path, act: str) -> str:
    file = path / "file"
    file.write_text(act)
    with file.open("rb", buffering=0) as opened:
        return json.loads(shared.inspect_file(opened, len(act)))["told"]


@pytest.mark.parametrize(
    "act",
    [
        "crash",
        "eat time",
        "sleep",
        "stay",
        "leave a name",
        "kill the others",
        "stop the others",
        "flood",
        "half",
    ],
)
def test_a_hostile_file_costs_itself_the_company_and_the_others_nothing(
    hostile, starts, tmp_path, act
):
    assert told(hostile, tmp_path, "one") == "one"
    assert told(hostile, tmp_path, act) == "alone"
    assert starts[0].child.returncode is not None  # nothing of it lives on
    assert told(hostile, tmp_path, "two") == "two"
    assert len(starts) == 2


def test_a_hostile_file_has_no_way_to_speak_for_another(hostile, starts, tmp_path):
    for act in ("one", "speak for others", "two"):
        assert told(hostile, tmp_path, act) == act
    assert len(starts) == 1


def png(width: int, height: int) -> bytes:
    """Return a picture that is small until it is decoded."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + check

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x06\0\0\0"
    row = zlib.compressobj(9)
    data = b"".join([row.compress(bytes(1 + 4 * width)) for _ in range(height)]) + row.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def samples(folder: Path) -> list[Path]:
    """Return small files of several kinds: whole, cut off, no film at all, a bomb, real damage."""
    whole = folder / "whole.mp4"
    render_once(Scene(2, "whole", 0), whole)
    data = whole.read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) // 2])
    (folder / "noise.mp4").write_bytes(data[:64] + os.urandom(20000))
    (folder / "log.txt").write_text("one")
    (folder / "bomb.png").write_bytes(png(4000, 4000))
    files = sorted(folder.iterdir())
    if footage := os.environ.get("LIUHEN_FOOTAGE"):
        derived = sorted(Path(footage, "derived").rglob("*"), key=lambda file: file.stat().st_size)
        small = [file for file in derived if file.is_file() and 0 < file.stat().st_size < 4 << 20]
        files += small[:: max(1, len(small) // 4)]
    return files


def test_every_file_gets_the_answer_that_it_would_have_had_alone(sandbox, starts, tmp_path):
    files = samples(tmp_path)
    shared = SharedSandbox(sandbox)
    try:
        for file in files:
            answers = []
            for one in (sandbox, shared):
                with file.open("rb", buffering=0) as opened:
                    answers.append(one.inspect_file(opened, file.stat().st_size))
            alone, together = answers
            assert json.loads(together) == json.loads(alone), file
    finally:
        shared.close()
    assert len(starts) == 1


def test_an_original_cannot_be_cut_off_from_within(sandbox, tmp_path):
    """Through its own standard input in /proc, a child could open the file anew, for writing."""
    file = tmp_path / "evidence"
    file.write_bytes(b"evidence")
    attack = "import os; os.close(os.open('/proc/self/fd/0', os.O_WRONLY | os.O_TRUNC))"
    with file.open("rb") as opened:
        done = subprocess.run(
            [*sandbox.program_command()[:-1], "-c", attack],
            stdin=opened,
            capture_output=True,
            check=False,
        )
    assert done.returncode != 0
    assert file.read_bytes() == b"evidence"
