"""Stations as first witnesses: a centre that was put back, or goes on twice, is noticed by them."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from api.office.service import Service
from api.office.wiring import Office
from api.problems import alarm_zh, bay_reason_zh, reason_en
from api.station import log_acceptance, process
from ingest.bays.bay import BayState, Outcome
from ingest.station.clear import When
from ingest.station.delivery.witness import ALARM, FOLLOW
from ingest.station.journal import State
from storage.catalogue.log.tables import CustodyEventRow
from storage.errors import CustodyError
from tests.office import Desk
from tests.township import County, Township, sweep


class MovedCounty:
    """A centre whose home can be copied and put back between two of its lives."""

    def __init__(self, folder: Path) -> None:
        self.county = County.found(folder)
        self._settings = self.county.desk.office.settings
        self.home = self._settings.home
        self.county.desk.office.close()

    @contextmanager
    def at_work(self):
        office = Office.open(self._settings)
        self.county.desk = Desk(office, Service.of_office(office))
        try:
            with self.county.serve():
                yield self.county
        finally:
            office.close()

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.home, self.home.with_name(name), symlinks=True))

    def put_back(self, copy: Path) -> None:
        shutil.rmtree(self.home)
        shutil.copytree(copy, self.home, symlinks=True)

    def entries(self, act: str) -> list[tuple[str, str, dict]]:
        with self.county.desk.office.catalogue.read() as session:
            rows = session.scalars(select(CustodyEventRow).where(CustodyEventRow.act == act))
            return [(row.actor, row.outcome, row.details) for row in rows]


@pytest.fixture
def moved(tmp_path):
    return MovedCounty(tmp_path / "county")


def station(moved, tmp_path, name):
    township = Township(tmp_path / name, name, {"clear": When.AT_ONCE})
    township.folder.mkdir()
    township.enrol(moved.county)
    return township


def dock(township, number):
    file = township.bay("bay-1") / f"note-{number}.txt"
    file.write_bytes(b"%d of the inventory\n" % number * 4000)
    return file


def bring(township, number):
    """Dock one file, seal it, make one pass of deliveries; return what the pass said."""
    dock(township, number)
    with township.open() as home:
        sweep(home)
        return home.deliver()


def shown(home):
    return next(bay for bay in home.journal.list_bays() if bay.name == "bay-1")


def test_a_centre_put_back_is_noticed_by_the_station_that_saw_the_later_head(moved, tmp_path):
    with moved.at_work():
        first, second = (station(moved, tmp_path, name) for name in ("s-first", "s-second"))
    old = moved.copy("old")
    with moved.at_work():
        dock(first, 10)
        dock(first, 11)
        assert bring(first, 12).accessioned == 3
    later = moved.copy("later")
    moved.put_back(old)
    with moved.at_work():
        file = dock(first, 30)
        with first.open() as home:
            cleared = len(home.journal.in_state(State.CLEARED))
            assert {one.outcome for one in sweep(home)} >= {Outcome.SEALED}
            tally = home.deliver()
            assert (tally.away, tally.accessioned) == ("log-rolled-back", 0)
            sweep(home, 1)
            bay = shown(home)
            assert (bay.state, bay.reason) == (BayState.ATTENTION, "log-rolled-back")
            assert "倒退" in bay_reason_zh(bay.reason, bay.facts)
            assert str(bay.facts["seen_size"]) in reason_en(bay.reason, bay.facts)
            assert home.spool()["alarms"] == ["log-rolled-back"]
            assert "倒退" in alarm_zh("log-rolled-back")
            assert len(home.journal.in_state(State.CLEARED)) == cleared
            assert home.deliver().away == "log-rolled-back"
        assert file.exists()
        ((actor, outcome, details),) = moved.entries(ALARM)  # once, however often it is met
        assert (actor, outcome) == ("station:s-first", "failure")
        assert details["reason"] == "log-rolled-back"
        assert details["seen_size"] > details["shown_size"]
        # Grown beyond what was lost, it is another log than the one that was seen.
        dock(second, 40)
        dock(second, 41)
        assert bring(second, 42).away is None  # it never saw what was lost
        with first.open() as home:
            assert home.deliver().away == "log-forked"
    moved.put_back(later)  # the true log is there again
    with moved.at_work(), first.open() as home:
        tally = home.deliver()
        # What the centre had lost was taken anew meanwhile, and counts once more.
        assert (tally.away, tally.accessioned) == (None, 4)
        assert home.spool()["alarms"] == []
        sweep(home)
        assert not file.exists()
        assert [one[1] for one in moved.entries(FOLLOW)] == ["success"]


def test_a_copy_of_a_centre_that_goes_on_by_itself_is_noticed(moved, tmp_path):
    with moved.at_work():
        first, second = (station(moved, tmp_path, name) for name in ("s-first", "s-second"))
    copy = moved.copy("copy")
    with moved.at_work():
        assert bring(first, 10).away is None
    moved.put_back(copy)
    with moved.at_work():
        dock(second, 20)
        assert bring(second, 30).away is None
        assert bring(first, 50).away == "log-forked"
        with first.open() as home:
            # A person found out why, and says so: then it goes on, and both heads are kept.
            told = log_acceptance.accept_centre_log(first.settings, "县中心磁盘损坏,已由沈明核准")
            assert told["shown"] >= told["seen"]
            assert (home.deliver().away, home.spool()["alarms"]) == (None, [])
        ((actor, _outcome, details),) = moved.entries(FOLLOW)
        assert actor == "station:s-first"
        assert details["reason"].startswith("县中心磁盘损坏")
        with pytest.raises(CustodyError):
            log_acceptance.accept_centre_log(first.settings, "again")


def test_an_older_centre_without_proofs_is_told_and_believed_until_it_gave_one(
    moved, tmp_path, monkeypatch, caplog
):
    with moved.at_work():
        first = station(moved, tmp_path, "s-first")
        dock(first, 10)
        with first.open() as home:
            ask = home.centre.client.request_json

            def older(method, path, *args, **more):
                path = "/no-such-route" if path == "/log-consistency" else path
                return ask(method, path, *args, **more)

            monkeypatch.setattr(
                type(home.centre.client), "request_json", lambda _self, *a, **m: older(*a, **m)
            )
            sweep(home)
            assert (home.deliver().away, home.spool()["alarms"]) == (None, [])
            assert "gives no proofs" in caplog.text
            assert process.read_station_state(first.settings)["log"]["proven"] is False
            monkeypatch.undo()
            dock(first, 20)
            sweep(home)
            assert home.deliver().away is None
            assert process.read_station_state(first.settings)["log"]["proven"] is True
            monkeypatch.setattr(
                type(home.centre.client), "request_json", lambda _self, *a, **m: older(*a, **m)
            )
            dock(first, 30)
            sweep(home)
            assert home.deliver().away == "log-unproven"
