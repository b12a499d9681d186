"""A session that the log did not open lets nobody in; an act outside one is named."""

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.office.evidence.export import export_bundle
from api.problems import ApiError
from storage.bundle.verify import verify
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.jobs import jobs
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import DiscrepancyKind
from tests.attacks.session_attacks import (
    ACTS,
    ADDRESSES,
    JOBS,
    ROWS,
    TOKEN,
    TRUE_ADDRESSES,
    asked_job,
    enter,
    log_in,
)
from tests.office import FIRST, PASSWORD, Desk, dock, segment
from tests.sampling import sample

THIRD_PARTY = Path(__file__).parents[1] / "third_party" / "verify_bundle.py"


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
        return [log.get_event(index) for index in range(log.size)]


def outside(desk):
    """Return what the audit says of acts outside sessions, whole and in parts: number and reason."""
    with desk.office.catalogue.read() as session:
        size = LogReader(session).size
        third = -(-size // 3)
        parts = [range(first, min(first + third, size)) for first in range(0, size, third)]
        whole, *some = (list(audit_catalogue(session, [], part=part)) for part in (None, *parts))
    found = [one for one in whole if one.kind is DiscrepancyKind.ACT_OUTSIDE_SESSION]
    in_parts = [one for one in chain(*some) if one.kind is DiscrepancyKind.ACT_OUTSIDE_SESSION]
    assert in_parts == found
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
    visitor, before = desk.service.identity.authenticate_token(token), len(entries(desk))
    played, exported = tried(app, case, token)
    assert (set(played), exported) == ({200}, 200)
    acts = [one for one in entries(desk)[before:] if one.actor == visitor.actor]
    assert {one.act for one in acts} >= {"recording.access", "bundle.export"}
    assert {one.details["session"] for one in acts} == {visitor.actor.session}
    assert outside(desk) == {}


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.act)
def test_a_session_that_the_log_did_not_open_so_lets_nobody_in(attack, desk, app, case):
    token = attack.do(desk)
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


def asker(desk, job):
    """Return whom the worker that takes a job up finds to have asked for it."""
    with desk.office.catalogue.write() as uow:
        life = jobs.register_worker(uow, f"worker-{uow.new_id()}", over=None)
    with desk.office.catalogue.write() as uow:
        return desk.service.identity.authenticate_job(jobs.claim_job(uow, job, 1, life))


def test_a_job_that_was_asked_for_is_done_in_the_session_of_the_asking(desk):
    assert asker(desk, asked_job(desk)).actor.session


@pytest.mark.parametrize("attack", JOBS, ids=lambda attack: attack.act)
def test_a_job_is_nobodys_whose_row_says_other_than_the_log(attack, desk):
    job = attack.do(desk)
    with pytest.raises(ApiError, match="unauthenticated"):
        asker(desk, job)


@pytest.mark.parametrize("attack", ACTS, ids=lambda attack: attack.act)
def test_an_act_outside_a_session_is_named(attack, desk, case):
    actor, before = attack.do(desk), outside(desk)
    index = enter(desk, actor)
    assert outside(desk) == before | {index: attack.why}


def bundled(desk, folder, forge=None):
    """Export a case, after an act upon it that somebody forged; return what fails at a reader's."""
    case, _action = desk.seizure(10, complete=False, number=folder.name)
    if forge is not None:
        enter(desk, forge(desk), f"case:{case}")
    export_bundle(desk.service, desk.visitor("zhang"), case, folder / "bag")
    report = verify(folder / "bag", desk.office.settings.keys)
    third = subprocess.run(
        [sys.executable, "-I", str(THIRD_PARTY), str(folder / "bag")],
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    wrong = re.findall(r"^L(\d) (\w+).*: WRONG", third.stdout, re.MULTILINE)
    return [(one.level, one.name) for one in report.checks if not one.passed], wrong


def test_a_case_whose_acts_lie_in_sessions_verifies(desk, tmp_path):
    assert bundled(desk, tmp_path) == ([], [])


IN_BUNDLES = {one.act: one for one in ACTS if one.level == 2}


@pytest.mark.parametrize("act", sample(IN_BUNDLES, [], 3))
def test_a_bundle_names_an_act_of_its_case_in_no_open_session(act, desk, tmp_path):
    found = bundled(desk, tmp_path, IN_BUNDLES[act].do)
    assert found == ([(2, "sessions")], [("2", "sessions")])


def logged_address(desk, token):
    opened = entries(desk)[-1]
    assert opened.act == "session.open"
    assert opened.details["agent"] == "x" * 120
    assert token not in str(opened.details)
    return opened.details["address"]


@pytest.mark.parametrize(("peer", "headers", "address"), TRUE_ADDRESSES)
def test_the_address_is_the_connections_or_the_trusted_proxys_word(
    peer, headers, address, desk, app
):
    assert logged_address(desk, log_in(app, peer, headers)) == address


@pytest.mark.parametrize("attack", ADDRESSES, ids=lambda attack: attack.act)
def test_no_header_of_a_client_changes_the_address(attack, desk, app):
    assert logged_address(desk, attack.do(app)) == attack.address
