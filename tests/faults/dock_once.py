"""Dock one bay in a process of its own, and kill it with -9 at a named step.

usage: python -m tests.faults.dock_once FOLDER [STEP OCCURRENCE]
`STEP` is a step of the station or the centre, or `payload@BYTES`, amid the one read of a file.
Prints every step on a line of its own.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

from api.wiring import Office
from ingest.bay import BayState, Progress
from ingest.clear import When
from ingest.settle import Patience
from tests.office import settings_for


def main(folder: Path, step: str = "", occurrence: int = 0) -> None:
    seen: Counter[str] = Counter()

    def on_step(name: str) -> None:
        seen[name] += 1
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        if name == step and seen[name] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    def listen(progress: Progress) -> None:
        amid = progress.state is BayState.SEALING and progress.bytes_done > 0
        if step.startswith("payload@") and amid:
            seen[step] += 1
            if seen[step] == occurrence:
                os.kill(os.getpid(), signal.SIGKILL)

    settings = settings_for(folder, clear=When.AT_ONCE)
    office = Office.open(settings, on_step)
    station = office.station(listen, patience=Patience(0, 1000))
    for _ in range(2):
        for bay in office.bays():
            station.sweep(bay)
    office.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(int, sys.argv[3:4]))
