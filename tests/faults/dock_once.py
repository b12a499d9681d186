"""Dock one bay in a process of its own, and kill it with -9 at a named step.

usage: python -m tests.faults.dock_once FOLDER [STEP [OCCURRENCE]]
`STEP` is a step of the station or the centre; or `payload@BYTES`, amid the one read of a file; or
`before@CALL`, before the process makes this system call: strace sees to that; or `beside@STEP`,
when three files are at this step at once.
Every step is written down in FOLDER/steps, on a line of its own.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from api.office.wiring import Office
from ingest.bays.bay import BayState, Progress
from ingest.bays.settle import Patience
from ingest.station.clear import When
from ingest.station.sweep.file_walk import SEAL_PART
from tests.office import settings_for

PTRACE_FORBIDDEN = 77
_LIMIT_S = 60


def main(folder: Path, step: str = "", occurrence: int = 1) -> None:
    amid = int(step.partition("@")[2]) if step.startswith("payload@") else None
    looked_at: list[int] = []  # what is shown of the bay's one file before its payload is read

    def listen(progress: Progress) -> None:
        if amid is None or progress.state is not BayState.SEALING:
            return
        looked_at.append(progress.bytes_done)
        read = progress.bytes_done - looked_at[0]
        whole = SEAL_PART * (progress.bytes_total - looked_at[0])
        if read and read * progress.bytes_total >= amid * whole:
            _die()

    if step.startswith("before@"):
        _traced(folder, step.partition("@")[2], occurrence)
    settings = settings_for(folder, clear=When.AT_ONCE)
    office = Office.open(settings, _Steps(folder, step, occurrence).take)
    station = office.build_station(listen, patience=Patience(0, 1000))
    if step.startswith("before@"):
        station.at_once = 1  # all calls are this thread's, whose calls are counted
    for _ in range(2):
        for bay in office.list_bays():
            station.sweep_bay(bay)
    office.close()


class _Steps:
    """Writes each step down, and ends the process at its step; several files take steps at once."""

    def __init__(self, folder: Path, last: str, occurrence: int) -> None:
        self._folder = folder
        self._last = last
        self._occurrence = occurrence
        self._seen: Counter[str] = Counter()
        self._turn = threading.Lock()
        self._three = threading.Barrier(3, action=_die)

    def take(self, name: str) -> None:
        if self._last == f"beside@{name}":
            self._three.wait(_LIMIT_S)
        with self._turn:
            self._seen[name] += 1
            with (self._folder / "steps").open("a") as steps:
                steps.write(f"{name}\n")
            if name == self._last and self._seen[name] == self._occurrence:
                _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _traced(folder: Path, call: str, occurrence: int) -> None:
    """Have strace kill this thread's process before the n-th call of this name from now on."""
    command = ["strace", "-qq", "-o", str(folder / "trace"), "-p", str(os.getpid())]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={occurrence}"]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        if tracer.poll() is not None:
            sys.exit(PTRACE_FORBIDDEN)


if __name__ == "__main__":
    given = sys.argv[2:3] or [""]
    main(Path(sys.argv[1]), given[0], *map(int, sys.argv[3:4]))
