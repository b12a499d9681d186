"""Keeping through HTTP: due lists, holds, classes, two persons, and the whole way to a tombstone.

The office's clock stands: footage was accessioned 200 days before, so that it is due today.
"""

from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.jobs.attempt import Runner
from policies.access.access import Role
from storage.catalogue.cases import exhibits
from storage.catalogue.jobs import jobs
from storage.catalogue.log import custody_log
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings import recordings
from storage.custody.entries.event import PremisType
from storage.errors import ObjectMissingError
from storage.signed.signing import verify_document
from storage.upkeep.destruction import CERTIFICATE_DOMAIN
from storage.vault.objects import PARTS, key_of
from tests.aged_office import AgedDesk
from tests.keeping import TOWNSHIP
from tests.office import PASSWORD, SEIZED_AT

FOREIGN = "青龙镇"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = AgedDesk.aged(tmp_path_factory.mktemp("office"))
    own = desk.office.settings.township
    for name, role, township in (
        ("zhao", Role.HEAD, own),
        ("qian", Role.HEAD, own),
        ("foreign", Role.HEAD, FOREIGN),
        ("sun", Role.REVIEWER, own),
    ):
        desk.persons[name] = desk.service.identity.create_person(
            username=name, password=PASSWORD, role=role, name=f"{name}某", township=township
        )
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def clients(desk):
    return logged_in(desk)


def logged_in(desk):
    app = create_app(desk.service)
    found = SimpleNamespace()
    for name in desk.persons:
        client = TestClient(app, raise_server_exceptions=False)
        login = {"username": name, "password": PASSWORD}
        token = client.post("/api/v1/sessions", json=login).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        setattr(found, name, client)
    return found


@pytest.fixture
def due(desk):
    """A recording that nothing keeps any more."""
    return desk.keep()


@pytest.fixture
def runner(desk):
    runner = Runner(desk.office)
    with desk.office.catalogue.write() as uow:
        runner.life = jobs.register_worker(uow, f"worker-{uow.new_id()}", over=None)
    return runner


def run(desk, runner, kind, subject):
    """Run the job of this subject as a worker would take it up now."""
    with desk.office.catalogue.read() as session:
        found = jobs.list_due_jobs(session, desk.clock.at, [kind], 100)
    [job] = [one.id for one in found if one.subject == subject]
    return runner.run(job, 1)


def propose(client, *ids, reason="保管期限届满"):
    new = {"recordings": list(ids), "reason": reason}
    return client.post("/api/v1/dispositions", json=new)


def act(client, disposition, what, **body):
    return client.post(f"/api/v1/dispositions/{disposition}/{what}", json=body or None)


def code(answer):
    return answer.status_code, answer.json()["code"]


def entries(desk, subject, act, outcome):
    with desk.office.catalogue.read() as session:
        found = custody_log.LogReader(session).events_of(subject)
    return [one for one in found if (one.act, one.outcome) == (act, outcome)]


def parts(desk, recording):
    found = set()
    for part in PARTS:
        try:
            desk.office.objects.facts(key_of(UUID(recording), part))
            found.add(part)
        except ObjectMissingError:
            continue
    return found


def propose_release(client, hold, why="调阅完毕"):
    return client.post(f"/api/v1/holds/{hold}/release", json={"why": why})


def decide_release(client, release, step, **body):
    return client.post(f"/api/v1/releases/{release}/{step}", json=body or None)


def release(first, second, hold):
    """Release a hold by two persons; return the answer to the second."""
    return decide_release(second, propose_release(first, hold).json()["id"], "approve")


def items(client, **asked):
    told = client.get("/api/v1/retention/due", params=asked).json()
    return {one["recording"]: one for one in told["items"]}


def test_what_is_due_says_why_and_another_township_sees_nothing_of_it(desk, clients, due):
    one = items(clients.zhang)[due]
    assert one["due"]
    assert one["disposition"] is None
    assert {reason["keeper"] for reason in one["reasons"]} == {"rule", "promise"}
    assert not any(reason["keeps"] for reason in one["reasons"])
    assert due in items(clients.shen)
    assert due not in items(clients.foreign)
    earlier = (desk.clock.at - timedelta(days=30)).isoformat()
    assert due not in items(clients.zhang, at=earlier)
    told = clients.foreign.get(f"/api/v1/recordings/{due}/retention")
    assert code(told) == (403, "forbidden")


def test_dates_and_cursors_that_nobody_meant_are_refused_in_words(clients, due):
    path = "/api/v1/retention/due"
    for cursor in (
        "x",
        "2026-01-01_x",
        "2026-01-01T00:00:00.0Z_\x00",
        "9999-12-31T23:59:59-12:00_",
    ):
        assert code(clients.zhang.get(path, params={"cursor": cursor})) == (422, "cursor")
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        for asked in (path, f"/api/v1/recordings/{due}/retention"):
            assert code(clients.zhang.get(asked, params={"at": at})) == (422, "invalid")
    for day in ("9999-12-31", "0001-01-01", "x", "2100-01-01"):
        assert clients.zhang.get("/keeping", params={"day": day}).status_code == 200, day


def test_a_page_goes_on_where_the_last_one_ended(desk, clients, due):
    other = desk.keep()
    seen, cursor = [], None
    while True:
        asked = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        told = clients.zhang.get("/api/v1/retention/due", params=asked).json()
        seen += [one["recording"] for one in told["items"]]
        cursor = told["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert {due, other} <= set(seen)


@pytest.mark.parametrize("who", ["wang", "guan"])
def test_operators_and_administrators_have_no_part_in_it(clients, due, who):
    client = getattr(clients, who)
    for path in ("retention/due", f"recordings/{due}/retention", "holds", "dispositions"):
        assert code(client.get(f"/api/v1/{path}")) == (403, "forbidden")
    assert code(client.get("/api/v1/reclassifications")) == (403, "forbidden")
    assert code(propose(client, due)) == (403, "forbidden")
    hold = {"reason": "other", "recording": due}
    assert code(client.post("/api/v1/holds", json=hold)) == (403, "forbidden")
    given = {"kind": "incident", "reason": "x"}
    path = f"/api/v1/recordings/{due}/classes"
    assert code(client.post(path, json=given)) == (403, "forbidden")


def test_an_officer_classifies_but_decides_nothing(desk, clients, due, runner):
    assert code(propose(clients.zhang, due)) == (403, "forbidden")
    less = {"taking": [], "reason": "x"}
    path = f"/api/v1/recordings/{due}"
    refused = clients.zhang.post(f"{path}/reclassifications", json=less)
    assert code(refused) == (403, "forbidden")
    refused = clients.zhang.post("/api/v1/holds", json={"reason": "other", "recording": due})
    assert code(refused) == (403, "forbidden")
    given = clients.zhang.post(
        f"{path}/classes", json={"kind": "obstruction", "reason": "当事人推搡执法人员"}
    )
    assert given.status_code == 201
    assert not given.json()["due"]
    assert given.json()["classes"] == ["obstruction"]
    assert any("永久保存" in one["zh"] for one in given.json()["reasons"] if one["keeps"])
    assert run(desk, runner, "lock", f"recording:{due}") == "done"
    locked = desk.office.objects.facts(key_of(UUID(due), "payload")).retain_until
    assert locked.year == 2100
    again = clients.zhang.post(f"{path}/classes", json={"kind": "obstruction", "reason": "x"})
    assert again.status_code == 409
    linked = clients.zhang.post(f"{path}/classes", json={"kind": "major", "reason": "x"})
    assert code(linked) == (422, "invalid")


def test_keeping_for_less_takes_two_persons_of_the_township(desk, clients, due):
    path = f"/api/v1/recordings/{due}"
    clients.zhang.post(f"{path}/classes", json={"kind": "incident", "reason": "误"})
    new = {"taking": ["incident"], "reason": "归类有误"}
    assert code(clients.foreign.post(f"{path}/reclassifications", json=new)) == (403, "forbidden")
    proposed = clients.zhao.post(f"{path}/reclassifications", json=new)
    assert proposed.status_code == 201
    decision = f"/api/v1/reclassifications/{proposed.json()['id']}/decision"
    waiting = clients.qian.get("/api/v1/reclassifications").json()["items"]
    assert [one["recording"] for one in waiting] == [due]
    assert clients.foreign.get("/api/v1/reclassifications").json()["items"] == []
    own = clients.zhao.post(decision, json={"approved": True})
    assert code(own) == (403, "another-person")
    assert entries(desk, f"recording:{due}", "reclassification.decide", "refused")
    assert code(clients.foreign.post(decision, json={"approved": True})) == (403, "forbidden")
    assert clients.qian.post(decision, json={"approved": True}).json()["approved"] is True
    assert code(clients.qian.post(decision, json={"approved": True})) == (409, "conflict")
    assert clients.zhao.get(f"{path}/retention").json()["due"]


def test_a_hold_is_released_by_its_own_authority_alone(desk, clients, due, runner):
    new = {"reason": "investigation", "recording": due, "note": "纪检调阅"}
    assert code(clients.foreign.post("/api/v1/holds", json=new)) == (403, "forbidden")
    placed = clients.zhao.post("/api/v1/holds", json=new)
    assert placed.status_code == 201
    hold = placed.json()
    assert hold["authority_zh"].endswith("人民政府")
    assert run(desk, runner, "hold", f"hold:{hold['id']}") == "done"
    assert desk.office.objects.facts(key_of(UUID(due), "payload")).on_hold
    assert not items(clients.zhao)[due]["due"]
    assert code(propose(clients.zhao, due)) == (409, "still-kept")
    assert hold["id"] in {one["id"] for one in clients.shen.get("/api/v1/holds").json()["items"]}
    assert hold["id"] not in {
        one["id"] for one in clients.foreign.get("/api/v1/holds").json()["items"]
    }
    subject = f"hold:{hold['id']}"
    wrong = propose_release(clients.shen, hold["id"])
    assert code(wrong) == (403, "hold-authority")
    assert hold["authority_zh"] in wrong.json()["detail"]
    assert "行政负责人" in wrong.json()["next"]
    assert code(propose_release(clients.zhang, hold["id"])) == (403, "hold-authority")
    assert len(entries(desk, subject, "hold.release.propose", "refused")) == 2
    assert code(propose_release(clients.foreign, hold["id"])) == (403, "forbidden")
    assert code(propose_release(clients.wang, hold["id"])) == (403, "forbidden")
    assert propose_release(clients.zhao, hold["id"], " ").status_code == 422
    proposed = propose_release(clients.zhao, hold["id"])
    assert proposed.status_code == 201
    assert code(propose_release(clients.qian, hold["id"])) == (409, "conflict")
    assert not items(clients.zhao)[due]["due"]  # proposed is not released
    number = proposed.json()["id"]
    assert code(decide_release(clients.zhao, number, "approve")) == (403, "release-same-person")
    assert code(decide_release(clients.zhang, number, "approve")) == (403, "hold-authority")
    assert len(entries(desk, subject, "hold.release", "refused")) == 2
    assert code(decide_release(clients.foreign, number, "approve")) == (403, "forbidden")
    released = decide_release(clients.qian, number, "approve")  # the township's other head
    assert (released.json()["state"], released.json()["decided_by"]) == ("approved", "qian某")
    assert run(desk, runner, "hold", subject) == "done"
    assert not desk.office.objects.facts(key_of(UUID(due), "payload")).on_hold
    assert code(propose_release(clients.zhao, hold["id"])) == (409, "conflict")
    assert code(decide_release(clients.shen, number, "approve")) == (409, "release-state")
    assert items(clients.zhao)[due]["due"]


def test_a_release_is_rejected_or_withdrawn_and_the_hold_stays(desk, clients, due):
    new = {"reason": "investigation", "recording": due}
    hold = clients.shen.post("/api/v1/holds", json=new).json()["id"]
    number = propose_release(clients.shen, hold).json()["id"]
    assert code(decide_release(clients.sun, number, "withdraw", why="x")) == (
        403,
        "release-not-proposer",
    )
    assert code(decide_release(clients.shen, number, "reject", why="x")) == (
        403,
        "release-same-person",
    )
    for act_refused in ("hold.release.withdraw", "hold.release.reject"):
        assert entries(desk, f"hold:{hold}", act_refused, "refused")
    assert decide_release(clients.sun, number, "reject").status_code == 422  # without a reason
    rejected = decide_release(clients.sun, number, "reject", why="仍需调阅").json()
    assert (rejected["state"], rejected["decided_why"]) == ("rejected", "仍需调阅")
    number = propose_release(clients.shen, hold).json()["id"]
    page = clients.sun.get("/keeping").text
    assert "调阅完毕" in page
    assert f"/releases/{number}/approve" in page
    assert f"/releases/{number}/approve" not in clients.shen.get("/keeping").text
    withdrawn = decide_release(clients.shen, number, "withdraw", why="再查")
    assert withdrawn.json()["state"] == "withdrawn"
    states = {
        one["id"]: one["state"] for one in clients.zhang.get("/api/v1/releases").json()["items"]
    }
    assert states[number] == "withdrawn"
    assert number not in {
        one["id"] for one in clients.foreign.get("/api/v1/releases").json()["items"]
    }
    assert code(clients.foreign.get(f"/api/v1/releases/{number}")) == (403, "forbidden")
    assert code(clients.wang.get("/api/v1/releases")) == (403, "forbidden")
    assert release(clients.shen, clients.sun, hold).json()["state"] == "approved"


def test_a_release_is_void_when_more_is_held_than_when_it_was_proposed(desk, clients, due):
    _, action = desk.seizure(number="冻3")
    new = {"reason": "other", "action": action}
    hold = clients.shen.post("/api/v1/holds", json=new).json()["id"]
    number = propose_release(clients.shen, hold).json()["id"]
    assert "已提议解除" in clients.sun.get(f"/actions/{action}").text
    link(desk, action, due)
    page = clients.sun.get(f"/actions/{action}").text  # what is void keeps nobody from a new one
    assert "已提议解除" not in page
    assert f"/holds/{hold}/release" in page
    assert "该提议失效" in clients.sun.get("/keeping").text
    assert code(decide_release(clients.sun, number, "approve")) == (409, "release-void")
    assert entries(desk, f"hold:{hold}", "hold.release", "refused")
    assert clients.sun.get(f"/api/v1/releases/{number}").json()["state"] == "void"
    assert hold in {one["id"] for one in clients.shen.get("/api/v1/holds").json()["items"]}
    assert release(clients.sun, clients.shen, hold).status_code == 200


def link(desk, action, recording):
    with desk.office.catalogue.write() as uow:
        shown = {"shown_from": SEIZED_AT, "shown_to": SEIZED_AT}
        exhibits.link_by_hand(uow, action, recording, **shown, actor="system")


def complain(client, case, **more):
    new = {
        "kind": "complaint",
        "number": "信访9号",
        "about": "现场执法粗暴",
        "brought_by": "孙某",
        "received_at": "2026-11-27T01:00:00Z",
        "case": case,
    }
    return client.post("/api/v1/proceedings", json=new | more)


def test_an_officer_complained_about_cannot_answer_or_release(desk, clients, due):
    case, action = desk.seizure(number="诉1")
    link(desk, action, due)
    complaint = complain(clients.shen, case).json()
    assert complaint["held"] == [due]
    path, text = f"/api/v1/proceedings/{complaint['id']}", {"text": "查无此事"}
    for officer in (clients.zhang, clients.li):
        for step in ("answer", "release"):
            refused = officer.post(f"{path}/{step}", json=text)
            assert code(refused) == (403, "concerned")
            assert "应当回避" in refused.json()["detail"]
            assert "行政负责人或者县审核人员" in refused.json()["next"]
            assert "reviewer" in refused.json()["next_en"]
    subject = f"proceeding:{complaint['id']}"
    assert len(entries(desk, subject, "proceeding.answer", "refused")) == 2
    assert len(entries(desk, subject, "hold.release.propose", "refused")) == 2
    assert code(clients.foreign.post(f"{path}/answer", json=text)) == (403, "forbidden")
    assert code(clients.zhao.post(f"{path}/release", json=text)) == (409, "release-unanswered")
    assert clients.zhao.post(f"{path}/answer", json=text).json()["answered_at"]
    number = clients.zhao.post(f"{path}/release", json={"text": "已办结"}).json()["id"]
    for officer in (clients.zhang, clients.li):
        assert code(decide_release(officer, number, "approve")) == (403, "concerned")
        assert code(decide_release(officer, number, "reject", why="x")) == (403, "concerned")
        page = officer.get("/keeping").text
        assert "已办结" in page
        assert "您不能批准:本事项与您有关(参加了所涉执法活动)" in page
        assert f"/releases/{number}/" not in page
    assert code(decide_release(clients.zhao, number, "approve")) == (403, "release-same-person")
    shown = clients.shen.get(f"/api/v1/releases/{number}").json()
    assert (shown["may_approve"], shown["holds"], shown["proposed_by"]) == (True, 1, "zhao某")
    assert decide_release(clients.shen, number, "approve").json()["state"] == "approved"
    [released] = entries(desk, f"case:{case}", "hold.release", "success")
    assert released.details["proposed_by"] == f"person:{desk.persons['zhao']}"
    assert released.details["approved_by"] == f"person:{desk.persons['shen']}"
    assert complain(clients.shen, case, number="信访10号").json()["held"] == [due]  # and again


def test_a_head_who_decided_the_case_leaves_a_complaint_about_it_to_others(desk, clients):
    case, _ = desk.seizure(number="诉2")
    part = {"part": "decides", "person": desk.persons["zhao"]}
    assert clients.zhang.post(f"/api/v1/cases/{case}/parts", json=part).status_code == 201
    hold = clients.qian.post("/api/v1/holds", json={"reason": "other", "case": case}).json()["id"]
    assert code(propose_release(clients.zhao, hold)) == (403, "concerned")
    page = clients.zhao.get(f"/cases/{case}").text
    assert "审批决定过该案件" in page
    assert f"/holds/{hold}/release" not in page
    assert f"/holds/{hold}/release" in clients.qian.get(f"/cases/{case}").text
    path = f"/api/v1/proceedings/{complain(clients.shen, case).json()['id']}"
    assert code(clients.zhao.post(f"{path}/answer", json={"text": "x"})) == (403, "concerned")
    assert clients.qian.post(f"{path}/answer", json={"text": "x"}).status_code == 200


def test_what_one_took_part_in_is_judged_by_others_and_the_refusal_is_logged(desk, clients, due):
    case, action = desk.seizure(number="诉4")
    link(desk, action, due)
    complain(clients.shen, case)
    with desk.office.catalogue.read() as session:
        [exhibit] = case_queries.list_exhibits(session, action)
    doubt = {"kind": "black", "start_s": 1.0, "confirmed": False, "reason": "夜间"}
    for path, body, act_refused in (
        (f"exhibits/{exhibit.id}/reject", None, "exhibit.reject"),
        (f"recordings/{due}/doubts", doubt, "doubt.settle"),
    ):
        refused = clients.li.post(f"/api/v1/{path}", json=body)
        assert code(refused) == (403, "involved")
        assert "参加了所涉执法活动" in refused.json()["detail"]
        assert entries(desk, f"recording:{due}", act_refused, "refused")


def test_a_head_ends_no_footage_of_his_own(desk, clients, due):
    with desk.office.catalogue.write() as uow:
        recordings.by_id(uow.session, due).officer_id = desk.persons["zhao"]
        row = recordings.by_id(uow.session, due)
        kind = PremisType.METADATA_MODIFICATION
        uow.record("recording.answer", kind, row, actor="system", subject=f"recording:{due}")
    assert code(propose(clients.zhao, due)) == (403, "involved")
    assert entries(desk, "system", "disposition.propose", "refused")
    number = propose(clients.qian, due).json()["id"]
    assert code(act(clients.zhao, number, "approve")) == (403, "involved")
    assert entries(desk, f"disposition:{number}", "disposition.approve", "refused")
    less = {"taking": [], "reason": "x"}
    refused = clients.zhao.post(f"/api/v1/recordings/{due}/reclassifications", json=less)
    assert code(refused) == (403, "involved")
    assert entries(desk, f"recording:{due}", "reclassification.propose", "refused")
    act(clients.qian, number, "withdraw", why="x")


def test_nobody_is_made_handler_of_a_complaint_about_himself(desk, clients):
    case, _ = desk.seizure(number="诉3")
    refused = complain(clients.zhang, case, handler=desk.persons["li"])
    assert code(refused) == (403, "concerned")
    assert entries(desk, f"case:{case}", "proceeding.register", "refused")
    made = complain(clients.zhang, case, handler=desk.persons["sun"])
    assert made.json()["handler"] == desk.persons["sun"]


def test_a_party_is_held_in_ones_own_township_or_by_the_county_everywhere(clients):
    own = clients.zhao.post("/api/v1/holds", json={"reason": "other", "party": "某店"}).json()
    assert own["township"] == TOWNSHIP
    elsewhere = {"reason": "other", "party": "某店", "township": FOREIGN}
    assert code(clients.zhao.post("/api/v1/holds", json=elsewhere)) == (403, "forbidden")
    county = clients.shen.post("/api/v1/holds", json={"reason": "other", "party": "某店"}).json()
    assert county["township"] is None
    assert county["id"] in {
        one["id"] for one in clients.foreign.get("/api/v1/holds").json()["items"]
    }
    both = {"reason": "other", "party": "某店", "case": county["id"]}
    assert code(clients.shen.post("/api/v1/holds", json=both)) == (422, "invalid")
    assert code(clients.shen.post("/api/v1/holds", json={"reason": "other"})) == (422, "invalid")
    for first, second, one in (
        (clients.zhao, clients.shen, own),  # a reviewer may be the second for a township's
        (clients.shen, clients.sun, county),
    ):
        assert release(first, second, one["id"]).json()["state"] == "approved"


def test_a_case_and_its_action_show_what_holds_them_and_take_more(desk, clients, due):
    case, action = desk.seizure(number="冻1")
    other, _ = desk.seizure(number="冻2")  # the same party's
    link(desk, action, due)
    placed = {}
    for client, what, on in (
        (clients.zhao, "case", case),
        (clients.shen, "action", action),
        (clients.zhao, "party", "赵某"),
    ):
        new = {"reason": "litigation", what: on, "note": f"held-{what}"}
        if what != "party":
            assert code(clients.foreign.post("/api/v1/holds", json=new)) == (403, "forbidden")
            assert code(clients.zhang.post("/api/v1/holds", json=new)) == (403, "forbidden")
        placed[what] = client.post("/api/v1/holds", json=new).json()
    kept = clients.zhao.get(f"/api/v1/recordings/{due}/retention").json()
    assert {one["id"] for one in kept["holds"]} == {one["id"] for one in placed.values()}

    paths = {f"/cases/{case}": "冻结这个案件", f"/actions/{action}": "冻结这次执法活动"}
    for path, form in paths.items():
        for who in ("zhang", "zhao", "shen"):
            client = getattr(clients, who)
            page = client.get(path).text
            assert all(f"held-{what}" in page for what in placed), (path, who)
            assert "行政诉讼" in page
            assert (form in page) is (who != "zhang"), (path, who)
            yours = {
                one["id"] for one in client.get("/api/v1/holds").json()["items"] if one["yours"]
            }
            for one in placed.values():
                assert (f"/holds/{one['id']}/release" in page) is (one["id"] in yours), (path, who)
    page = clients.zhao.get(f"/cases/{other}").text
    assert [what for what in placed if f"held-{what}" in page] == ["party"]

    for first, second, what in (
        (clients.zhao, clients.qian, "case"),
        (clients.shen, clients.sun, "action"),
        (clients.qian, clients.shen, "party"),
    ):
        number = propose_release(first, placed[what]["id"]).json()["id"]
        assert all("已提议解除" in second.get(path).text for path in paths)
        assert decide_release(second, number, "approve").status_code == 200
        for path in paths:
            assert f"held-{what}" not in clients.zhao.get(path).text


def test_what_is_not_due_cannot_be_proposed(desk, clients, due):
    fresh = desk.keep(timedelta(days=3))
    refused = propose(clients.zhao, due, fresh)
    assert code(refused) == (409, "still-kept")
    assert fresh in refused.json()["detail"]
    assert entries(desk, f"recording:{fresh}", "recording.propose-disposition", "refused")
    assert code(propose(clients.zhao)) == (422, "disposition-empty")
    assert code(propose(clients.foreign, due)) == (403, "forbidden")
    assert propose(clients.zhao, due, reason=" ").status_code == 422
    assert items(clients.zhao)[due]["disposition"] is None


def test_nobody_approves_his_own_proposal_nor_one_of_another_township(desk, clients, due):
    proposed = propose(clients.zhao, due).json()
    assert code(act(clients.zhao, proposed["id"], "approve")) == (403, "disposition-same-person")
    subject = f"disposition:{proposed['id']}"
    assert entries(desk, subject, "disposition.approve", "refused")
    for path in ("", "/certificate"):
        told = clients.foreign.get(f"/api/v1/dispositions/{proposed['id']}{path}")
        assert code(told) == (403, "forbidden")
    assert clients.foreign.get("/api/v1/dispositions").json()["items"] == []
    assert code(act(clients.foreign, proposed["id"], "approve")) == (403, "forbidden")
    assert code(act(clients.zhang, proposed["id"], "approve")) == (403, "forbidden")
    assert clients.zhang.get(f"/api/v1/dispositions/{proposed['id']}").status_code == 200
    assert code(propose(clients.qian, due)) == (409, "conflict")  # listed already
    gone = act(clients.foreign, proposed["id"], "withdraw", why="x")
    assert code(gone) == (403, "forbidden")
    assert act(clients.qian, proposed["id"], "withdraw", why="先不处置").json()["state"] == (
        "withdrawn"
    )
    assert code(act(clients.qian, proposed["id"], "approve")) == (409, "disposition-state")
    assert propose(clients.qian, due).status_code == 201


def test_above_the_brake_a_third_person_must_approve_too(desk, clients, due):
    settings = desk.office.settings
    desk.office.settings = settings.model_copy(update={"brake_items": 0})
    try:
        number = propose(clients.zhao, due).json()["id"]
        first = act(clients.qian, number, "approve").json()
        assert (first["state"], first["asked"], first["may_approve"]) == ("proposed", 2, False)
        assert code(act(clients.qian, number, "approve")) == (403, "disposition-same-person")
        assert act(clients.shen, number, "approve").json()["state"] == "approved"
        assert code(act(clients.sun, number, "approve")) == (409, "disposition-approved-already")
        assert act(clients.sun, number, "withdraw", why="x").status_code == 200
    finally:
        desk.office.settings = settings


def test_the_whole_way_to_a_tombstone_and_what_was_held_meanwhile_stays(desk, clients, runner):
    gone, held = desk.keep(), desk.keep()
    proposed = propose(clients.zhao, gone, held).json()
    number = proposed["id"]
    assert (proposed["state"], proposed["asked"]) == ("proposed", 1)
    approved = act(clients.qian, number, "approve").json()
    assert approved["state"] == "approved"
    assert not approved["may_approve"]
    path = f"/api/v1/dispositions/{number}/certificate"
    assert clients.zhao.get(path).status_code == 404
    new = {"reason": "complaint", "recording": held}
    assert clients.shen.post("/api/v1/holds", json=new).status_code == 201
    desk.clock.at += timedelta(days=6, hours=23)
    with desk.office.catalogue.read() as session:  # no worker takes it up before its time
        assert jobs.list_due_jobs(session, desk.clock.at, ["destroy"], 100) == []
    desk.clock.at += timedelta(hours=2)
    assert run(desk, runner, "destroy", f"disposition:{number}") == "done"

    clients = logged_in(desk)  # sessions ended while the clock moved
    told = clients.zhao.get(f"/api/v1/dispositions/{number}").json()
    states = {one["recording"]: one for one in told["recordings"]}
    assert (told["state"], told["certified"]) == ("done", True)
    assert states[gone]["state"] == "gone"
    assert states[held]["state"] == "kept"
    assert "冻结" in states[held]["why"][0]["zh"]
    assert parts(desk, gone) == set()
    assert parts(desk, held) == set(PARTS)
    body = clients.zhao.get(path)
    signed = verify_document(
        body.content, CERTIFICATE_DOMAIN, [desk.office.ring.get_verify_key("centre")]
    )
    assert [one["recording"] for one in signed["destroyed"]] == [gone]

    stone = clients.zhao.get(f"/api/v1/recordings/{gone}/retention").json()
    assert stone["destroyed"]["verified_at"]
    assert not stone["due"]
    assert clients.zhang.get(f"/api/v1/recordings/{gone}").json()["destroyed_at"]
    assert code(clients.zhang.get(f"/api/v1/recordings/{gone}/content")) == (410, "destroyed")
    again_held = {"reason": "complaint", "recording": gone}
    assert code(clients.shen.post("/api/v1/holds", json=again_held)) == (410, "destroyed")
    given = {"kind": "incident", "reason": "x"}
    late = clients.zhang.post(f"/api/v1/recordings/{gone}/classes", json=given)
    assert code(late) == (410, "destroyed")
    page = clients.zhang.get(f"/recordings/{gone}").text
    assert "已销毁" in page
    assert "<video" not in page
    assert f"/api/v1/dispositions/{number}/certificate.pdf" in page
    late = act(clients.zhao, number, "withdraw", why="太晚")
    assert code(late) == (409, "disposition-state")
