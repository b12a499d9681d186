"""What somebody with the machine does to the time in the log: its clock, or the program itself."""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from api.office.evidence.export import export_bundle
from storage.catalogue.cases import cases
from storage.catalogue.people import people
from storage.custody.entries import log_time
from storage.custody.entries.event import PremisType
from tests.attacks.attack import Attack, Means
from tests.attacks.dishonest_centre import LyingBundle
from tests.bundles import MadeBundle
from tests.office import Desk

WHO = "system"  # as `liuhen log accept-clock` writes it
YEARS = timedelta(days=600)


class WrongClock:
    """An office whose clock somebody moves; it goes on from there."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.folder = desk, folder
        self._true = desk.office.clock

    def move(self, by: timedelta) -> None:
        """Move it from the true time by so much."""
        office = self.desk.office
        office.clock = office.catalogue._clock = lambda: self._true() + by
        self.desk.service.identity._clock = office.clock

    @contextmanager
    def writing(self, *, past_the_rule: bool = False):
        """Open a unit of work; `past_the_rule` is what a changed program does."""
        with self.desk.office.catalogue.write() as uow:
            if past_the_rule:
                uow._floor = None
            yield uow

    def add_station(self, name: str, *, past_the_rule: bool = False) -> None:
        """Write one entry."""
        with self.writing(past_the_rule=past_the_rule) as uow:
            people.add_station(uow, id=name, name=name, township="t", actor=WHO)

    def export(self, case: str) -> MadeBundle:
        """Export a case."""
        folder, office = self.folder / "bag", self.desk.office
        export_bundle(self.desk.service, self.desk.visitor("zhang"), case, folder)
        ring, settings = office.ring, office.settings
        station = ring.get_signing_key(f"station-{settings.station}")
        return MadeBundle(folder, settings.keys, ring.get_signing_key("centre"), station)

    def forgiven(self) -> MadeBundle:
        """Export a case begun by a clock that ran ahead, after a person let the log go on."""
        self.move(timedelta(days=3))
        case, _action = self.desk.seizure(30)
        self.move(timedelta())
        with self.writing() as uow:
            uow.accept_clock("ran ahead", actor=WHO)
        return self.export(case)


def _write_on(clock: WrongClock) -> None:
    clock.move(-YEARS)
    clock.add_station("s9")


def _date_back(clock: WrongClock) -> None:
    clock.move(-YEARS)
    clock.add_station("s9", past_the_rule=True)
    clock.move(timedelta())


def _accept_elsewhere(clock: WrongClock) -> None:
    """Say where no bundle looks that the clock had run ahead."""
    clock.move(-YEARS)
    with clock.writing(past_the_rule=True) as uow:
        kind = PremisType.METADATA_MODIFICATION
        uow.record(log_time.ACT, kind, actor=WHO, subject="station:s9", reason="x")
    clock.move(timedelta())


def _date_back_closing(clock: WrongClock) -> Path:
    case, action = clock.desk.seizure(30)
    clock.move(-YEARS)
    with clock.writing(past_the_rule=True) as uow:
        cases.close_action(uow, action, clock.desk.office.rulebook, actor=WHO)
    clock.move(timedelta())
    return clock.export(case).folder


def _leave_out_why(clock: WrongClock) -> Path:
    lying = LyingBundle(clock.forgiven(), clock.folder / "copy")
    lying.without(lambda one: log_time.ACT in one["leaf"])
    return lying.sign()


def _attack(
    asset: str,
    act: str,
    means: Means,
    level: int | None,
    check: str,
    do: Callable[[WrongClock], Path | None],
) -> Attack:
    return Attack(asset=asset, act=act, means=means, level=level, check=check, do=do)


_KEYS = Means.ALL_KEYS
ATTACKS = (
    _attack("clock", "set back, and written on", Means.FILES, None, "log-clock", _write_on),
    _attack("log", "dated back by a changed program", _KEYS, None, "time-runs-back", _date_back),
    _attack(
        "log", "dated back, accepted elsewhere", _KEYS, None, "time-runs-back", _accept_elsewhere
    ),
    _attack("closing", "dated back by a changed program", _KEYS, 2, "chains", _date_back_closing),
    _attack("clock", "why time ran back left out", Means.CENTRE_KEY, 2, "chains", _leave_out_why),
)
UNDETECTED = (
    """A clock set back by less than the time since the last entry dates entries wrongly within that
    gap. Whoever has the machine can also say `liuhen log accept-clock`; that stays in every bundle.""",
)
