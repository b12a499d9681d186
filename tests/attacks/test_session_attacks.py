"""A session that the log did not open lets nobody in; an act outside one is named."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from storage.catalogue.audit import audit
from storage.catalogue.custody_log import LogReader
from storage.catalogue.discrepancy import What
from tests.attacks.session_attacks import ACTS, ADDRESSES, ROWS, TOKEN, act
from tests.office import FIRST, PASSWORD, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("office")
    desk = Desk.set_up(folder, trusted_proxies=["172.30.238.0/24"])
    dock(desk, "bay-1", FIRST, segment(-5, 15))
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def case(desk):
    case, action = desk.seizure(10)
    desk.link(action)
    return case


@pytest.fixture(scope="module")
def app(desk):
    return create_app(desk.service)


def entries(desk):
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        return [log.event(index) for index in range(log.size)]


def outside(desk):
    """Return what the audit says of acts outside sessions: number and reason."""
    with desk.office.catalogue.read() as session:
        found = [one for one in audit(session, []) if one.what is What.ACT_OUTSIDE_SESSION]
    return {one.facts["index"]: one.facts["why"] for one in found}


def tried(app, case, token):
    """Return how playing and exporting are answered to this token."""
    client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    listed = client.get("/api/v1/recordings").json().get("items", ())
    played = [client.get(f"/api/v1/recordings/{one['id']}/content").status_code for one in listed]
    exported = client.post(f"/api/v1/cases/{case}/bundle", json={"sealed": True}).status_code
    return played, exported


def test_logged_in_he_plays_and_exports_and_each_act_names_his_session(desk, app, case):
    token, _until = desk.service.identity.login("shen", PASSWORD)
    visitor, before = desk.service.identity.visitor(token), len(entries(desk))
    played, exported = tried(app, case, token)
    assert (set(played), exported) == ({200}, 200)
    acts = [one for one in entries(desk)[before:] if one.actor == visitor.actor]
    assert {one.act for one in acts} >= {"recording.access", "bundle.export"}
    assert {one.details["session"] for one in acts} == {visitor.actor.session}
    assert outside(desk) == {}


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.act)
def test_a_session_that_the_log_did_not_open_so_lets_nobody_in(attack, desk, app, case):
    token = attack.forge(desk)
    before = len(entries(desk))
    assert tried(app, case, token) == ([], 401)
    (refused,) = entries(desk)[before:]
    assert (refused.act, refused.outcome, refused.actor) == ("session.use", "refused", "system")
    assert outside(desk) == {}


def test_a_token_that_no_row_has_leaves_no_entry(desk, app, case):
    before = len(entries(desk))
    assert tried(app, case, TOKEN + "x") == ([], 401)
    assert len(entries(desk)) == before


def test_after_the_logout_nothing_is_done_and_the_log_has_it_once(desk, app, case):
    token, _until = desk.service.identity.login("shen", PASSWORD)
    client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    before = len(entries(desk))
    assert client.delete("/api/v1/sessions/current").status_code == 204
    assert client.delete("/api/v1/sessions/current").status_code == 401
    assert tried(app, case, token) == ([], 401)
    assert [(one.act, one.details["why"]) for one in entries(desk)[before:]] == [
        ("session.close", "logout")
    ]


@pytest.mark.parametrize("attack", ACTS, ids=lambda attack: attack.act)
def test_an_act_outside_a_session_is_named(attack, desk):
    before = outside(desk)
    index = act(desk, attack.actor(desk))
    assert outside(desk) == before | {index: attack.why}


@pytest.mark.parametrize("attack", ADDRESSES, ids=lambda attack: attack.act)
def test_the_address_is_the_connections_or_the_trusted_proxys_word(attack, desk, app):
    client = TestClient(app, client=(attack.peer, 50000), headers={"user-agent": "x" * 500 + "\t"})
    body = {"username": "zhang", "password": PASSWORD}
    headers = list(attack.headers)
    token = client.post("/api/v1/sessions", json=body, headers=headers).json()["token"]
    opened = entries(desk)[-1]
    assert opened.act == "session.open"
    assert (opened.details["address"], opened.details["agent"]) == (attack.address, "x" * 120)
    assert token not in str(opened.details)
