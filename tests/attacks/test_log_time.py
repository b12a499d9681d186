"""The clock is set back, or entries are dated back: nothing is written, or it is named."""

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.export import export
from storage.bundle.verify import verify
from storage.catalogue import cases, people
from storage.catalogue.audit import audit
from storage.catalogue.custody_log import LogReader
from storage.catalogue.discrepancy import What
from storage.custody.log_time import SKEW, running_back
from storage.errors import ConflictError, LogClockError
from tests.attacks.dishonest_centre import LyingBundle
from tests.office import FIRST, SECOND, Desk, dock, segment

WHO = "person:admin"


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


@pytest.fixture
def set_clock(desk, monkeypatch):
    """Move the office's clock by so much; it goes on from there."""
    real = desk.office.clock

    def move(by):
        shifted = lambda: real() + by  # noqa: E731
        monkeypatch.setattr(desk.office.catalogue, "_clock", shifted)
        monkeypatch.setattr(desk.office, "clock", shifted)

    return move


def add(desk, name):
    with desk.office.catalogue.write() as uow:
        people.add_station(uow, id=name, name=name, township="t", actor=WHO)


def log_of(desk):
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        return log.size, log.last_at


def times_back(desk):
    with desk.office.catalogue.read() as session:
        found = audit(session, desk.office.signer.keys)
        return [one for one in found if one.what is What.TIME_RUNS_BACK]


def test_a_clock_a_little_slower_is_lifted_to_the_last_entry(desk, set_clock):
    add(desk, "s1")
    before = log_of(desk)
    set_clock(-SKEW / 2)
    add(desk, "s2")
    assert log_of(desk) == (before[0] + 1, before[1])
    assert not times_back(desk)


def test_a_clock_set_back_writes_nothing_and_is_told(desk, set_clock):
    add(desk, "s1")
    before = log_of(desk)
    set_clock(-timedelta(days=600))
    with pytest.raises(LogClockError):
        add(desk, "s2")
    assert log_of(desk) == before
    assert desk.service.readiness.check() == {"status": "ready", "clock": "log-clock"}


def test_after_a_clock_ran_ahead_a_person_lets_the_log_go_on_and_that_is_an_entry(
    desk, set_clock, monkeypatch, tmp_path
):
    set_clock(timedelta(days=3))
    add(desk, "ahead")
    _size, ahead = log_of(desk)
    set_clock(timedelta())
    with pytest.raises(LogClockError):
        add(desk, "s2")
    for name in ("home", "database_url"):
        if value := getattr(desk.office.settings, name):
            monkeypatch.setenv(f"LIUHEN_{name.upper()}", str(value))
    told = CliRunner().invoke(app, ["log", "accept-clock", "--reason", "主板电池没电"])
    assert told.exit_code == 0, told.output
    with desk.office.catalogue.read() as session:
        event = LogReader(session).event(log_of(desk)[0] - 1)
    assert (event.act, event.details["before"][:10]) == ("log.clock", ahead.isoformat()[:10])
    assert "主板电池没电" in event.details["reason"]
    add(desk, "s2")
    assert not times_back(desk)
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        uow.accept_clock("again", actor=WHO)


def test_a_clock_is_not_accepted_without_a_reason(desk, set_clock):
    set_clock(-timedelta(days=1))
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        uow.accept_clock("  ", actor=WHO)


def test_entries_dated_back_by_who_writes_past_the_rule_are_named(desk, set_clock, tmp_path):
    """The program itself is changed: the audit names it, and so does whoever has a bundle."""
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    real = desk.office.clock
    set_clock(-timedelta(days=600))
    with desk.office.catalogue.write() as uow:
        uow._floor = None  # what a changed program does
        people.add_station(uow, id="s9", name="n", township="t", actor=WHO)
    set_clock(timedelta())
    assert len(times_back(desk)) == 1
    assert real() > log_of(desk)[1] + timedelta(days=500)
    assert desk.close(action).allowed
    export(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    assert verify(tmp_path / "bag", desk.office.settings.keys).passed  # another subject's entry


def test_entries_of_the_case_dated_back_are_named_in_its_bundle(desk, set_clock, tmp_path):
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    set_clock(-timedelta(days=600))
    with desk.office.catalogue.write() as uow:
        uow._floor = None
        cases.close_action(uow, action, desk.office.rulebook, actor=WHO)
    set_clock(timedelta())
    export(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    report = verify(tmp_path / "bag", desk.office.settings.keys)
    (chains,) = [check for check in report.checks if check.name == "chains"]
    assert not chains.passed
    assert "time runs back" in str(chains)


def test_a_bundle_says_why_its_time_runs_back_or_fails(desk, set_clock, tmp_path):
    set_clock(timedelta(days=3))
    case, action = desk.seizure(30)
    set_clock(timedelta())
    with desk.office.catalogue.write() as uow:
        uow.accept_clock("ran ahead", actor=WHO)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    export(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    keys = desk.office.settings.keys
    assert verify(tmp_path / "bag", keys).passed
    lying = LyingBundle(tmp_path / "bag", tmp_path / "copy", desk.office.ring.signing("centre"))
    lying.without(lambda one: "log.clock" in one["leaf"])
    assert not verify(lying.sign(), keys).passed


def test_entries_of_version_1_were_made_before_the_rule():
    def entry(version, at, act="x"):
        return {"v": version, "at": at, "act": act}

    old, later, latest = "2025-01-01", "2026-01-01", "2027-01-01"
    assert not list(running_back(enumerate([entry(1, later), entry(1, old), entry(2, old)])))
    assert list(running_back([(4, entry(1, later)), (7, entry(2, old))])) == [(7, later)]
    forgiven = [entry(2, latest), entry(2, later, "log.clock"), entry(2, old)]
    assert [index for index, _last in running_back(enumerate(forgiven))] == [2]
