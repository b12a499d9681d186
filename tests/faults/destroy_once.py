"""A destruction, or holds, in a process of its own: killed with -9 or made to wait at a named step."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.synchronize import Event
from pathlib import Path

from policies.facts.terms import HoldReason
from storage.catalogue.holds import holds
from storage.catalogue.holds.holds import NewHold
from storage.errors import DestroyedError
from storage.vault.folder.folder_objects import FolderObjects
from tests.keeping import WHO, Archive


def opened(folder: Path, at: datetime) -> Archive:
    """Open the archive in a folder, at a time."""
    objects = FolderObjects(folder / "objects", os.urandom, immutable=False)
    url = f"sqlite:///{folder}/catalogue.sqlite"
    return Archive(url, objects, at)


def killed(folder: Path, at: datetime, disposition: str, step: str, nth: int) -> None:
    """Destroy, and die at the n-th occurrence of a step."""
    seen: Counter[str] = Counter()

    def on_step(now: str) -> None:
        seen[now] += 1
        if (now, seen[now]) == (step, nth):
            os.kill(os.getpid(), signal.SIGKILL)

    archive = opened(folder, at)
    archive.on_step = on_step
    archive.execute(disposition)


def waiting(
    folder: Path,
    at: datetime,
    disposition: str,
    step: str,
    nth: int,
    here: Event,
    go: Event,
) -> None:
    """Destroy, and wait at the n-th occurrence of a step until told to go on."""
    seen: Counter[str] = Counter()

    def on_step(now: str) -> None:
        seen[now] += 1
        if (now, seen[now]) == (step, nth):
            here.set()
            assert go.wait(60)

    archive = opened(folder, at)
    archive.on_step = on_step
    archive.execute(disposition)


def hold_all(folder: Path, at: datetime, recordings: Sequence[str], asking: Event) -> None:
    """Place a hold on each of some recordings; FOLDER/placed and FOLDER/refused say which."""
    archive = opened(folder, at)
    answers: dict[str, list[str]] = {"placed": [], "refused": []}
    asking.set()
    for one in recordings:
        new = NewHold(reason=HoldReason.INVESTIGATION, authority="county", recording_id=one)
        try:
            with archive.catalogue.write() as uow:
                holds.place_hold(uow, new, actor=WHO)
        except DestroyedError:
            answers["refused"].append(one)
        else:
            answers["placed"].append(one)
    for name, found in answers.items():
        (folder / name).write_text("\n".join(found))
