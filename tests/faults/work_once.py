"""A worker in a process of its own that is killed with -9, or falls asleep, at a named step.

usage: python -m tests.faults.work_once FOLDER URL NAME [kill|sleep STEP [OCCURRENCE]]
It goes on until its parent ends it. Asleep, neither its job nor its beats go on until there is a
file FOLDER/awake; then both do, as if nothing had been. Every step is written down in FOLDER/steps-NAME.
"""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from api.jobs.worker import Workers
from api.office.wiring import Office
from tests.office import settings_for

SILENT_S = 2.0


class Sleepy(Workers):
    """A worker whose beats do not arrive while it sleeps."""

    asleep: Callable[[], bool]

    def _send_heartbeat(self) -> None:
        if not self.asleep():
            super()._send_heartbeat()


def main(folder: Path, url: str, name: str, how: str = "", step: str = "", nth: int = 1) -> None:
    seen: Counter[str] = Counter()
    lock, sleeping = threading.Lock(), threading.Event()

    def on_step(now: str) -> None:
        with lock:
            seen[now] += 1
            if now.startswith("job-"):
                with (folder / f"steps-{name}").open("a") as steps:
                    steps.write(f"{now}\n")
            here = (now, seen[now]) == (step, nth)
        if here and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if here:
            sleeping.set()
            while not (folder / "awake").exists():
                threading.Event().wait(0.1)
            sleeping.clear()

    settings = settings_for(folder, database_url=url, worker_silent_s=SILENT_S, job_streams=1)
    worker = Sleepy(Office.open(settings, on_step), name)
    worker.asleep = sleeping.is_set
    worker.run()


if __name__ == "__main__":
    given = sys.argv[4:6] or ["", ""]
    main(Path(sys.argv[1]), *sys.argv[2:4], *given, *map(int, sys.argv[6:7]))
