"""A station, or the county's centre, in a process of its own, killed with -9 at a named step.

`station` docks and delivers until nothing is left to do; `centre` serves until it is killed. Each
step is written down in FOLDER/steps, on a line of its own, before the process dies at it. `bay`
lets its bay pass through every state, and is killed before or after one is written down.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.app import create_app
from api.office.service import Service
from api.office.wiring import Office
from ingest.station.clear import When
from storage.catalogue.stations.journal_store import JournalStore
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
    with served(create_app(Service.of_office(office)), *files, port=port):
        signal.pause()


def bay(folder: Path, name: str, state: str = "", when: str = "", occurrence: int = 1) -> None:
    """Dock what lies in FOLDER/recorder; the bay shows every state there is on the way."""
    _deadly_states(folder, state, when, occurrence)
    township = Township(folder, name, CLEARING)
    place = township.bay("bay-1")
    with township.open() as home:
        sweep(home, 1)
    with township.open() as home:  # what was shown before is taken back: unknown
        sweep(home, 1)
        for path in sorted((folder / "recorder").iterdir()):
            path.rename(place / path.name)
        sweep(home, 1)
        (place / "link").symlink_to("nowhere")
        sweep(home, 1)
        (place / "link").unlink()
        sweep(home, 1)
        home.deliver()
        sweep(home)
        home.deliver()


def _deadly_states(folder: Path, state: str, when: str, occurrence: int) -> None:
    seen: Counter[str] = Counter()
    last: dict[str, str] = {}
    written = JournalStore.set_bay

    def set_bay(store: JournalStore, name: str, **columns: Any) -> None:
        shown = str(columns["state"])
        if last.get(name) == shown:
            written(store, name, **columns)
            return
        last[name] = shown
        if name == "bay-1":
            seen[shown] += 1
            with (folder / "states").open("a") as states:
                states.write(f"{shown}\n")
        deadly = name == "bay-1" and shown == state and seen[shown] == occurrence
        if deadly and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        written(store, name, **columns)
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    JournalStore.set_bay = set_bay  # type: ignore[method-assign]


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
