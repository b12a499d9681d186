"""A process that is told to stop amid a large file stops at once, and the work goes on later.

Each is a real process, given a file that would take it minutes; it is told as soon as it is at it.
"""

import json
import shutil
import signal
import struct
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.command import FOUNDING, LIUHEN, environment, run

PATIENCE_S = 60
LARGE = (4 << 30) - (1 << 20)


def sparse(path: Path, head: bytes = b"") -> None:
    """Write a file of some GiB that takes no room."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(LARGE)


def silence() -> bytes:
    """Return the head of a sound file of some hours, which a look listens to from end to end."""
    size = LARGE - 44
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48000, 96000, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE")
        + form
        + struct.pack("<4sI", b"data", size)
    )


def descendants(of: int) -> dict[int, str]:
    """Return the processes below one, each with the time it was started at."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = (int(fields[1]), fields[19])
    found: dict[int, str] = {}
    near = {of}
    while near:
        near = {pid for pid, (parent, _) in parents.items() if parent in near} - found.keys()
        found |= {pid: parents[pid][1] for pid in near}
    return found


def alive(processes: dict[int, str]) -> list[int]:
    """Return which of these still run, zombies left out."""
    found = []
    for pid, started in processes.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and fields[19] == started:
            found.append(pid)
    return found


def until(met) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def sealing(home: Path, _process: subprocess.Popen) -> bool:
    """Whether the payload of a file is being written."""
    with suppress(OSError):  # it got its name meanwhile, or was removed
        return any(file.stat().st_size > 8 << 20 for file in home.glob("objects/**/.put-*"))
    return False


def inspecting(_home: Path, process: subprocess.Popen) -> bool:
    """Whether a child looks at a file."""
    for pid in descendants(process.pid):
        with suppress(OSError):  # it ended meanwhile
            if b"sandboxed\0--share" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
    return False


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("made") / "var"
    assert run(home, "keys", "init", *FOUNDING).returncode == 0
    return home


@pytest.mark.parametrize(
    ("command", "name", "at_it", "number", "status"),
    [
        (("serve", "--port", "0"), "large.bin", sealing, signal.SIGTERM, 0),
        (("station",), "large.wav", inspecting, signal.SIGTERM, 0),
        (("ingest",), "large.wav", inspecting, signal.SIGINT, 130),
        (("ingest",), "large.bin", sealing, signal.SIGTERM, 143),
    ],
)
def test_what_is_told_to_stop_amid_a_large_file_stops_at_once(
    tmp_path, made, command, name, at_it, number, status
):
    home, bay = tmp_path / "var", tmp_path / "bay"
    shutil.copytree(made, home)
    bay.mkdir()
    sparse(bay / name, silence() if name.endswith("wav") else b"")
    more = {"LIUHEN_BAYS": json.dumps({"bay-1": str(bay)})} if command[0] != "ingest" else {}
    more |= {"LIUHEN_QUIET_S": "0", "LIUHEN_SWEEP_S": "0.1"}
    words = [*command, str(bay)] if command[0] == "ingest" else [*command]
    with subprocess.Popen(
        [LIUHEN, *words],
        env=environment(home, **more),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            until(lambda: process.poll() is not None or at_it(home, process))
            children = descendants(process.pid)
            process.send_signal(number)
            began = time.monotonic()
            assert process.wait(PATIENCE_S) == status
            took = time.monotonic() - began
        finally:
            process.kill()
        told = process.stdout.read().decode()
    assert took < 10  # a second, on a machine of its own
    assert "Traceback" not in told, told
    until(lambda: not alive(children))
    assert not list(home.glob("objects/**/record.json"))
    (bay / name).unlink()
    (bay / "note.txt").write_text("one")
    assert run(home, "ingest", bay, "--json").returncode == 0  # nothing stands in its way
