"""A station, or the county's centre, in a process of its own, killed with -9 at a named step.

`station` docks and delivers until nothing is left to do; `centre` serves until it is killed. Each
step is written down in FOLDER/steps, on a line of its own, before the process dies at it.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from api.app import create_app
from api.service import Service
from api.wiring import Office
from ingest.clear import When
from tests.office import settings_for
from tests.servers.tls import served
from tests.township import Township, sweep

CLEARING: dict[str, object] = {"clear": When.AT_ONCE}


def station(folder: Path, name: str, step: str = "", occurrence: int = 1) -> None:
    """Dock and deliver; twice, since what was delivered is cleared at the next look."""
    with Township(folder, name, CLEARING).open(on_step=_deadly(folder, step, occurrence)) as home:
        for _ in range(2):
            sweep(home)
            home.deliver()


def centre(
    folder: Path, files: tuple[Path, Path], port: int, step: str = "", occurrence: int = 1
) -> None:
    """Serve the centre of this folder, which was founded before."""
    office = Office.open(settings_for(folder), _deadly(folder, step, occurrence))
    with served(create_app(Service.over(office)), *files, port=port):
        signal.pause()


def _deadly(folder: Path, step: str, occurrence: int) -> Callable[[str], None]:
    seen: Counter[str] = Counter()
    one_by_one = threading.Lock()  # deliveries run side by side

    def on_step(name: str) -> None:
        with one_by_one, (folder / "steps").open("a") as steps:
            seen[name] += 1
            count = seen[name]
            steps.write(f"{name}\n")
        if name == step and count == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_step
