"""An office whose clock stands, and whose footage was accessioned as long ago as a test wants.

What lies in it is an archive's (`tests/keeping.py`): real catalogue, real objects, no media.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from policies.time.trusted_time import ClockAnswer
from storage.catalogue.people import people
from tests import clocks
from tests.keeping import TOWNSHIP, WHO, Archive
from tests.office import Desk

AGE = timedelta(days=200)


@dataclass
class Clock:
    """A clock that stands until somebody moves it."""

    at: datetime


@dataclass
class AgedDesk(Desk):
    """A desk with such a clock; other clocks agree with it."""

    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))

    @classmethod
    def aged(cls, folder: Path, **more: object) -> "AgedDesk":
        """Found the office, its clock standing; any brake of dispositions is away."""
        desk = cls.set_up(folder, **{"township": TOWNSHIP, "brake_share": 1.0} | more)
        assert isinstance(desk, AgedDesk)
        office, clock = desk.office, desk.clock
        clock.at = office.clock()  # after all that was founded
        now: Callable[[], datetime] = lambda: clock.at  # noqa: E731
        office.clock = office.catalogue._clock = desk.service.identity._clock = now
        office.trusted = lambda: (ClockAnswer("test", clock.at, clock.at),)
        with office.catalogue.write() as uow:
            people.add_station(uow, id="s1", name="半壁山", township=TOWNSHIP, actor=WHO)
        return desk

    def keep(self, age: timedelta = AGE) -> str:
        """Accession a recording that long ago; return its id."""
        now, self.clock.at = self.clock.at, self.clock.at - age
        clocks.accept(self.office.catalogue)
        try:
            return _Archive(self).keep()
        finally:
            self.clock.at = now


class _Archive(Archive):
    """The archive of an office."""

    def __init__(self, desk: AgedDesk) -> None:
        self.catalogue, self.objects = desk.office.catalogue, desk.office.objects
        self.at, self.rulebook, self.entropy = (
            desk.clock.at,
            desk.office.rulebook,
            desk.office.entropy,
        )
