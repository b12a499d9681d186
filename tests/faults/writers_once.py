"""Processes that write to a catalogue's log: so many entries each, or one that never ends."""

import os
import signal
from datetime import UTC, datetime
from multiprocessing.synchronize import Event

from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import PremisType


def now() -> datetime:
    return datetime.now(UTC)


def opened(url: str, **more: float) -> Catalogue:
    return Catalogue(url, now, os.urandom, **more)


def write(url: str, name: str, count: int) -> None:
    """Append so many entries, each in a transaction of its own."""
    catalogue = opened(url)
    for number in range(count):
        with catalogue.write() as uow:
            uow.record(
                "test.write",
                PremisType.VALIDATION,
                actor=f"person:{name}",
                subject=f"writer:{name}",
                number=number,
            )
    catalogue.close()


def hold(url: str, holding: Event) -> None:
    """Take the writers' lock, say so, and do nothing more until killed."""
    with opened(url).write():
        holding.set()
        signal.pause()
