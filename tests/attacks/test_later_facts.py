"""What comes to light after a closing changes nothing of its verdict: it stands beside, dated."""

import json
import re
from datetime import date

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from storage import canonical
from storage.catalogue import cases, register
from storage.catalogue.judgements import judgement_of
from storage.catalogue.log_tables import CustodyEventRow
from tests.office import FIRST, SECOND, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def closed(desk):
    """A seizure whose closing found nothing against it; case and action."""
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    assert desk.close(action).allowed
    return case, action


@pytest.fixture(scope="module")
def zhang(desk):
    token, _until = desk.service.identity.login("zhang", "long enough for a test")
    return TestClient(create_app(desk.service), headers={"Authorization": f"Bearer {token}"})


def shown(zhang, action):
    return zhang.get(f"/api/v1/actions/{action}").json()


def unrelated_docking(desk):
    dock(desk, "bay-1", FIRST, segment(300, 12))
    desk.sweep()


def certificate_ended_before(desk):
    with desk.office.catalogue.write() as uow:
        register.end_certificate(
            uow, SECOND.officer_no, on=date(2026, 11, 1), why="revoked", actor="system"
        )


def test_later_facts_stand_apart_and_the_closings_verdict_stays(desk, closed, zhang):
    case, action = closed
    control = shown(zhang, action)
    assert control["verdict"]["allowed"]
    assert control["later"] is None
    unrelated_docking(desk)
    after = shown(zhang, action)
    for name in ("verdict", "judged_at", "rulebook", "coverage"):
        assert after[name] == control[name]

    certificate_ended_before(desk)
    after = shown(zhang, action)
    for name in ("verdict", "judged_at", "rulebook", "coverage"):
        assert after[name] == control[name]
    assert any(not one["passed"] for one in after["later"]["findings"])
    assert after["later"]["at"] > after["judged_at"]

    for path in (f"/actions/{action}", f"/cases/{case}"):
        page = zhang.get(path, headers={"accept": "text/html"}).text
        at_the_closing, _, since = page.partition('<div class="later">')
        assert "后来发现" in since
        assert "办结时(" in at_the_closing
        assert re.findall(r'<li class="bad">', page) == []


def test_a_closing_of_an_earlier_version_shows_the_verdict_it_kept(desk, closed, zhang):
    """It kept no facts and no digest of the rulebook; its findings said less, too."""
    _case, action = closed
    with desk.office.catalogue.read() as session:
        row = cases.action(session, action)
        told = judgement_of(session, row, desk.office.rulebook, desk.office.clock())
    findings = [
        {k: v for k, v in one.items() if not k.startswith(("waiv", "pending"))}
        for one in json.loads(canonical.encode(told.verdict["findings"]))
    ]
    with desk.office.catalogue._writer.begin() as connection:
        entry = CustodyEventRow.__table__
        of_closing = (entry.c.act == "action.close") & (entry.c.outcome == "success")
        details = {"verdict": {"allowed": True, "findings": findings}, "exhibits": []}
        connection.execute(entry.update().where(of_closing).values(details=details))
    after = shown(zhang, action)
    assert after["verdict"]["allowed"]
    assert (after["rulebook"], len(after["verdict"]["findings"])) == (None, len(findings))
    assert zhang.get(f"/actions/{action}", headers={"accept": "text/html"}).status_code == 200
