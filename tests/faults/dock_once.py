"""Dock one bay in a process of its own, and kill it with -9 at a named step.

usage: python -m tests.faults.dock_once FOLDER [STEP [OCCURRENCE]]
`STEP` is a step of the station or the centre; or `payload@BYTES`, amid the one read of a file; or
`before@CALL`, before the process makes this system call: strace sees to that.
Every step is written down in FOLDER/steps, on a line of its own.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from api.wiring import Office
from ingest.bay import BayState, Progress
from ingest.clear import When
from ingest.settle import Patience
from ingest.station import SEAL_PART
from tests.office import settings_for

PTRACE_FORBIDDEN = 77


def main(folder: Path, step: str = "", occurrence: int = 1) -> None:
    seen: Counter[str] = Counter()
    amid = int(step.partition("@")[2]) if step.startswith("payload@") else None

    def on_step(name: str) -> None:
        seen[name] += 1
        with (folder / "steps").open("a") as steps:
            steps.write(f"{name}\n")
        if name == step and seen[name] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    looked_at: list[int] = []  # what is shown of the bay's one file before its payload is read

    def listen(progress: Progress) -> None:
        if amid is None or progress.state is not BayState.SEALING:
            return
        looked_at.append(progress.bytes_done)
        read = progress.bytes_done - looked_at[0]
        whole = SEAL_PART * (progress.bytes_total - looked_at[0])
        if read and read * progress.bytes_total >= amid * whole:
            os.kill(os.getpid(), signal.SIGKILL)

    if step.startswith("before@"):
        _traced(folder, step.partition("@")[2], occurrence)
    settings = settings_for(folder, clear=When.AT_ONCE)
    office = Office.open(settings, on_step)
    station = office.station(listen, patience=Patience(0, 1000))
    for _ in range(2):
        for bay in office.bays():
            station.sweep(bay)
    office.close()


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
