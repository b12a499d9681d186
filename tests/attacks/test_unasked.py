"""Nobody asks, and what was changed is named: the daily audit, whole or part by part."""

from itertools import pairwise
from operator import attrgetter

import pytest

from api.jobs import request
from api.jobs.attempt import Runner
from api.jobs.kinds import audit
from api.office.evidence.integrity_check import whole_check
from api.office.reports import duty_list
from storage.catalogue.jobs import jobs
from storage.catalogue.log.custody_log import LogReader
from storage.custody.entries.subjects import INTEGRITY
from tests.attacks.unasked import AUDITED_ATTACKS as ATTACKS
from tests.attacks.unasked import OBJECT_ATTACKS, Machine
from tests.office import FIRST, Desk, dock, segment
from tests.sampling import sample


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    _case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    desk.service.checkpoint()
    return desk.rest()


@pytest.fixture
def desk(template, tmp_path):
    desk = template.copy(tmp_path / "office")
    yield desk
    desk.office.close()


@pytest.fixture
def run_audit(desk):
    """Run the job once, as a worker does; return what its entry says."""
    runner = Runner(desk.office)
    with desk.office.catalogue.write() as uow:
        runner.life = jobs.register(uow, "worker-1", over=None)

    def run():
        row = request.ask(desk.office, "audit", None)
        assert runner.run(row.id, row.attempt) == "done"
        with desk.office.catalogue.read() as session:
            return LogReader(session).events_of(INTEGRITY, act=audit.ACT)[-1]

    return run


@pytest.fixture
def in_parts(monkeypatch, desk):
    """Make the log a large one, that is audited in three days."""
    with desk.office.catalogue.read() as session:
        size = LogReader(session).size
    monkeypatch.setattr(audit, "OFFICE_SIZE", -(-size // 3))
    monkeypatch.setattr(desk.office.settings, "audit_days", 3)


def test_an_untouched_office_passes_and_that_is_an_entry(desk, run_audit):
    told = run_audit()
    assert (told.outcome, told.details["count"], told.details["first"]) == ("success", 0, 0)
    assert desk.service.readiness.check() == {"status": "ready"}


@pytest.mark.usefixtures("in_parts")
def test_the_parts_of_an_untouched_office_follow_one_another_to_the_end(run_audit):
    told = [run_audit() for _ in range(6)]
    assert {one.outcome for one in told} == {"success"}
    assert all(
        one.details["first"] in {0, before.details["stop"]} for before, one in pairwise(told)
    )
    assert sum(not one.details["first"] for one in told) > 1  # begun anew


@pytest.mark.parametrize("attack", sample(ATTACKS, (), 5), ids=attrgetter("name"))
def test_what_nobody_asked_about_is_named(attack, desk, run_audit):
    attack.do(Machine(desk))
    told = run_audit()
    assert told.outcome == "failure"
    assert attack.check.partition(": ")[2] in {one["what"] for one in told.details["wrong"]}


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("attack", sample(ATTACKS, (), 3), ids=attrgetter("name"))
def test_the_parts_together_name_it_too(attack, desk, run_audit):
    attack.do(Machine(desk))
    wrong = [one["what"] for _ in range(4) for one in run_audit().details["wrong"]]
    assert attack.check.partition(": ")[2] in wrong


@pytest.mark.parametrize("attack", OBJECT_ATTACKS, ids=attrgetter("name"))
def test_what_is_wrong_with_an_object_is_named_where_objects_are_read(attack, desk):
    assert not list(whole_check(desk.office))
    attack.do(Machine(desk))
    (wrong,) = whole_check(desk.office)
    assert attack.check == f"verify: {wrong.what}"


def test_a_failed_audit_is_due_and_degrades_readiness_until_all_was_verified(desk, run_audit):
    ATTACKS[0].do(Machine(desk))
    run_audit()
    assert desk.service.readiness.check() == {"status": "ready", "integrity": "audit-failed"}
    first, *_others = duty_list.due(desk.office, desk.office.clock())
    assert (first.subject, first.rule) == (INTEGRITY, "audit-failed")
    assert Machine(desk).database.execute("UPDATE recording SET officer_no=?", _officer(desk))
    assert run_audit().outcome == "success"
    assert desk.service.readiness.check()["integrity"] == "audit-failed"  # nobody looked yet
    assert desk.service.verification(desk.visitor("shen")).verified
    assert desk.service.readiness.check() == {"status": "ready"}


def _officer(desk):
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        states = [
            row["state"]
            for index in range(log.size)
            for row in log.event(index).details.get("rows", ())
            if row["table"] == "recording"
        ]
    return states[-1]["officer_no"]
