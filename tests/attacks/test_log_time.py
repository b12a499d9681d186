"""The clock is set back, or entries are dated back: nothing is written, or it is named."""

from contextlib import suppress
from datetime import timedelta
from operator import attrgetter

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.office.reports import duty_list
from storage.bundle.verify import verify
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.catalogue.people import people
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.log_time import SKEW, running_back
from storage.custody.entries.subjects import CLOCK
from storage.errors import ConflictError, LogClockError
from tests.attacks.log_times import ATTACKS, WHO, YEARS, WrongClock
from tests.office import Desk
from tests.third_party.test_verify_bundle import refused


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


@pytest.fixture
def clock(desk, tmp_path):
    return WrongClock(desk, tmp_path)


def log_of(desk):
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        return log.size, log.last_at


def times_back(desk):
    with desk.office.catalogue.read() as session:
        found = audit_catalogue(session, desk.office.signer.keys)
        return [one for one in found if one.kind is DiscrepancyKind.TIME_RUNS_BACK]


def names_for(clock, bundle):
    """Return what the audit names, or of a bundle which checks fail."""
    if bundle is None:
        return {one.kind for one in times_back(clock.desk)}
    report = verify(bundle, clock.desk.office.settings.keys)
    return {one.name for one in report.checks if not one.passed}


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.check == LogClockError.code])
def test_nothing_is_written_by_a_clock_set_back(attack, clock):
    before = log_of(clock.desk)
    with pytest.raises(LogClockError):
        attack.do(clock)
    assert log_of(clock.desk) == before


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one.check != LogClockError.code], ids=attrgetter("name")
)
def test_what_a_changed_program_dated_back_is_named(attack, clock):
    bundle = attack.do(clock)
    assert attack.check in names_for(clock, bundle)
    assert bundle is None or attack.level in refused(bundle)[0]


def test_a_clock_that_ran_ahead_and_was_accepted_is_no_fault_of_a_bundle(clock):
    made = clock.forgiven()
    assert verify(made.folder, made.keys).passed
    assert refused(made.folder)[0] == set()
    assert not times_back(clock.desk)


def test_a_clock_a_little_slower_is_lifted_to_the_last_entry(desk, clock):
    clock.add_station("s1")
    size, at = log_of(desk)
    clock.move(-SKEW / 2)
    clock.add_station("s2")
    assert log_of(desk) == (size + 1, at)
    assert not times_back(desk)


@pytest.mark.parametrize("slower", [SKEW / 2, SKEW * 2])
def test_processes_with_two_clocks_write_one_order(slower, desk, clock):
    settings, office = desk.office.settings, desk.office
    other = Catalogue(settings.database, lambda: office.clock() - slower, office.entropy)
    try:
        for number in range(4):
            clock.add_station(f"s{number}")
            with suppress(LogClockError), other.write() as uow:
                people.add_station(uow, id=f"o{number}", name="o", township="t", actor=WHO)
                assert slower < SKEW
    finally:
        other.close()
    assert not times_back(desk)


def test_a_clock_set_back_is_told(desk, clock):
    clock.move(-YEARS)
    assert desk.service.readiness.check_readiness() == {"status": "ready", "clock": "log-clock"}
    first, *_others = duty_list.iterate_duties(desk.office, desk.office.clock())
    assert (first.subject, first.rule) == (CLOCK, "log-clock")


def test_the_readable_half_of_the_last_entry_lets_no_clock_run_back(desk, clock):
    with desk.office.catalogue._writer.begin() as connection:
        connection.exec_driver_sql("UPDATE custody_event SET at='2020-01-01 00:00:00.000000'")
    clock.move(-YEARS)
    with pytest.raises(LogClockError):
        clock.add_station("s2")


def test_after_a_clock_ran_ahead_a_person_lets_the_log_go_on_and_that_is_an_entry(
    desk, clock, monkeypatch
):
    clock.move(timedelta(days=3))
    clock.add_station("ahead")
    _size, ahead = log_of(desk)
    clock.move(timedelta())
    with pytest.raises(LogClockError):
        clock.add_station("s2")
    for name in ("home", "database_url"):
        if value := getattr(desk.office.settings, name):
            monkeypatch.setenv(f"LIUHEN_{name.upper()}", str(value))
    told = CliRunner().invoke(app, ["log", "accept-clock", "--reason", "主板电池没电"])
    assert told.exit_code == 0, told.output
    with desk.office.catalogue.read() as session:
        event = LogReader(session).get_event(log_of(desk)[0] - 1)
    assert (event.act, event.details["before"][:10]) == ("log.clock", ahead.isoformat()[:10])
    assert "主板电池没电" in event.details["reason"]
    clock.add_station("s2")
    assert not times_back(desk)
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        uow.accept_clock("again", actor=WHO)


def test_a_clock_is_not_accepted_without_a_reason(desk, clock):
    clock.move(-YEARS)
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        uow.accept_clock("  ", actor=WHO)


def test_entries_of_version_1_were_made_before_the_rule():
    def entry(version, at, act="x", subject=CLOCK):
        return {"v": version, "at": at, "act": act, "subject": subject}

    old, later, latest = "2025-01-01", "2026-01-01", "2027-01-01"
    assert not list(running_back(enumerate([entry(1, later), entry(1, old), entry(2, old)])))
    assert list(running_back([(4, entry(1, later)), (7, entry(2, old))])) == [(7, later)]
    assert list(running_back([(4, entry(2, later)), (7, entry(1, old))])) == [(7, later)]
    forgiven = [entry(2, latest), entry(2, later, "log.clock"), entry(2, old)]
    assert [index for index, _last in running_back(enumerate(forgiven))] == [2]
    elsewhere = [entry(2, latest), entry(2, later, "log.clock", "case:1")]
    assert [index for index, _last in running_back(enumerate(elsewhere))] == [1]
