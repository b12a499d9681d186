"""A case's way through HTTP: three persons, legal review, the head's signature, explanations."""

import io
import zipfile
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from policies.access.access import Role
from storage.bundle.verify import verify
from tests import clocks
from tests.office import FIRST, PASSWORD, SEIZED_AT, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    for name in ("zhao", "other"):
        desk.persons[name] = desk.service.identity.create_person(
            username=name,
            password=PASSWORD,
            role=Role.HEAD,
            name=f"{name}某",
            township=desk.office.settings.township,
        )
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8))
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def visitors(desk):
    app = create_app(desk.service)
    found = {}
    for name in ("zhang", "li", "shen", "zhao", "wang"):
        client = TestClient(app, base_url="http://testserver")
        told = client.post("/api/v1/sessions", json={"username": name, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {told.json()['token']}"
        client.cookies.clear()
        found[name] = client
    return found


def opened(visitors, number, stage="investigation", **more):
    new = {"number": number, "title": "占地", "party": "赵某", "stage": stage} | more
    answer = visitors["zhang"].post("/api/v1/cases", json=new)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def move(visitors, case, stage, who="zhang"):
    return visitors[who].post(f"/api/v1/cases/{case}/stage", json={"stage": stage})


def document(visitors, case, kind):
    new = {"kind": kind, "number": kind, "at": SEIZED_AT.isoformat()}
    assert visitors["zhang"].post(f"/api/v1/cases/{case}/documents", json=new).status_code == 201


def part(desk, visitors, case, name, person):
    new = {"part": name, "person": desk.persons[person]}
    return visitors["zhang"].post(f"/api/v1/cases/{case}/parts", json=new)


def blocking(answer):
    assert answer.status_code == 409, answer.text
    facts = answer.json()["facts"]
    return sorted(
        f["rule"] for f in facts["findings"] if not f["passed"] and f["severity"] == "blocks"
    )


def ready_to_decide(desk, visitors, number, **more):
    case = opened(visitors, number, **more)
    document(visitors, case, "site-record")
    assert part(desk, visitors, case, "handles", "zhang").status_code == 201
    assert move(visitors, case, "review").status_code == 200
    assert part(desk, visitors, case, "decides", "zhao").status_code == 201
    return case


def test_a_major_decision_waits_for_a_passed_legal_review(desk, visitors):
    case = ready_to_decide(desk, visitors, "重大1", features=["complex", "penalty"])
    assert blocking(move(visitors, case, "decision")) == ["xl-09-review", "xl-10-three-persons"]
    path = f"/api/v1/cases/{case}/reviews"
    refused = visitors["shen"].post(path, json={"passed": False, "opinion": "证据不足"})
    assert refused.status_code == 201
    assert blocking(move(visitors, case, "decision")) == ["xl-09-review"]
    assert visitors["zhang"].post(path, json={"passed": True, "opinion": ""}).status_code == 403
    assert visitors["shen"].post(path, json={"passed": True, "opinion": "同意"}).status_code == 201
    assert move(visitors, case, "decision").status_code == 200


def test_a_case_that_was_heard_is_major_by_that(desk, visitors):
    case = opened(visitors, "听证1")
    assert visitors["zhang"].get(f"/api/v1/cases/{case}/way").json()["major"] is False
    new = {
        "kind": "hearing",
        "place": "听证室",
        "start_at": SEIZED_AT.isoformat(),
        "officers": [desk.persons["zhang"]],
    }
    visitors["zhang"].post(f"/api/v1/cases/{case}/actions", json=new)
    assert visitors["zhang"].get(f"/api/v1/cases/{case}/way").json()["major"] is True


def test_the_whole_way_to_a_closed_case(desk, visitors):
    case = ready_to_decide(desk, visitors, "全程1", features=["penalty"])
    told = {"passed": True, "opinion": "同意"}
    assert visitors["shen"].post(f"/api/v1/cases/{case}/reviews", json=told).status_code == 201
    assert move(visitors, case, "decision").status_code == 200
    assert blocking(move(visitors, case, "service")) == ["xl-08-decision-recorded", "xl-19-signed"]
    path = f"/api/v1/cases/{case}/decision"
    new = {"penalty": True, "text": "责令改正"}
    assert visitors["zhang"].post(path, json=new).status_code == 403
    assert visitors["zhao"].post(path, json=new).status_code == 201
    document(visitors, case, "decision")
    assert move(visitors, case, "service").status_code == 200
    assert blocking(move(visitors, case, "closing")) == ["xl-08-service-recorded"]
    document(visitors, case, "service-receipt")
    now = desk.office.clock()
    disclosed = {"at": now.isoformat(), "where": "县政府网站"}
    path = f"/api/v1/cases/{case}/disclosure"
    assert visitors["zhang"].post(path, json=disclosed).json()["disclosed_where"] == "县政府网站"
    assert move(visitors, case, "closing").status_code == 200
    shown = visitors["zhang"].get(f"/api/v1/cases/{case}").json()
    assert shown["closed_at"] is not None
    assert set(shown["next_stages"]) == {"reconsideration", "litigation"}


def test_handling_review_and_decision_are_three_persons(desk, visitors):
    case = opened(visitors, "三人1")
    assert part(desk, visitors, case, "handles", "zhang").status_code == 201
    assert part(desk, visitors, case, "handles", "zhang").status_code == 201  # again: no change
    assert part(desk, visitors, case, "decides", "zhang").status_code == 409


def test_side_ways_interrupt_and_lead_back_only_to_what_they_left(desk, visitors):
    case = opened(visitors, "中止1")
    assert move(visitors, case, "suspension").status_code == 200
    shown = visitors["zhang"].get(f"/api/v1/cases/{case}").json()
    assert (shown["stage"], shown["next_stages"]) == ("suspension", ["investigation"])
    assert move(visitors, case, "review").json()["code"] == "move"
    assert move(visitors, case, "investigation").status_code == 200


def test_a_transfer_needs_its_letter_and_ends_the_case(desk, visitors):
    case = opened(visitors, "移送1")
    assert blocking(move(visitors, case, "transfer")) == ["xl-13-transfer"]
    document(visitors, case, "transfer-letter")
    assert move(visitors, case, "transfer").status_code == 200
    assert visitors["zhang"].get(f"/api/v1/cases/{case}").json()["next_stages"] == []


@pytest.fixture(scope="module")
def gap(desk):
    """A seizure whose footage has a gap; all else is there."""
    case, action = desk.seizure(30)
    desk.link(action)
    return case, action


def test_a_gap_stops_the_case_and_not_its_side_ways(desk, visitors, gap):
    case, _action = gap
    document(visitors, case, "site-record")
    assert part(desk, visitors, case, "handles", "li").status_code == 201
    answer = move(visitors, case, "review")
    assert answer.json()["code"] == "move"  # its action is still open
    assert move(visitors, case, "suspension").status_code == 200
    assert move(visitors, case, "investigation").status_code == 200


def hand_in(visitors, case, action, who="zhang", **more):
    new = {
        "rule": "xl-08-seizure-whole",
        "reason": "equipment",
        "text": "电池故障,更换后继续录制。",
        "action": action,
    } | more
    return visitors[who].post(f"/api/v1/cases/{case}/waivers", json=new)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"rule": "xl-03-two-officers"}, "not-waivable"),
        ({"rule": "qz-24-inventory", "reason": "weather"}, "reason"),
        ({"rule": "no-such-rule"}, "rule"),
    ],
)
def test_an_explanation_that_could_never_count_is_refused_at_once(visitors, gap, more, problem):
    answer = hand_in(visitors, *gap, **more)
    assert answer.status_code in {404, 409}
    assert problem in answer.text


def test_an_approved_explanation_lets_the_case_go_on_and_stays_visible(
    desk, visitors, gap, tmp_path
):
    case, action = gap
    with_clock(desk, SEIZED_AT + timedelta(days=1))
    close = f"/api/v1/actions/{action}/close"
    assert blocking(visitors["zhang"].post(close)) == ["xl-08-seizure-whole"]
    handed = hand_in(visitors, case, action)
    assert handed.status_code == 201, handed.text
    settle = f"/api/v1/waivers/{handed.json()['id']}/settlement"
    assert blocking(visitors["zhang"].post(close)) == ["xl-08-seizure-whole"]  # not approved yet
    assert visitors["zhang"].post(settle, json={"approved": True}).status_code == 403
    wrong = visitors["shen"].post(settle, json={"approved": True})  # the county may not: the head
    assert "approver" in wrong.text
    assert visitors["zhao"].post(settle, json={"approved": True}).json()["state"] == "approved"
    assert visitors["zhao"].post(settle, json={"approved": False}).status_code == 409
    closed = visitors["zhang"].post(close)
    assert closed.status_code == 200
    whole = next(f for f in closed.json()["findings"] if f["rule"] == "xl-08-seizure-whole")
    assert not whole["passed"]
    assert whole["waived"]["reason"] == "equipment"
    answer = visitors["shen"].post(f"/api/v1/cases/{case}/bundle", json={})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    (bundle,) = tmp_path.iterdir()
    report = verify(bundle)
    assert report.passed, report.format_lines()
    assert "equipment" in next(bundle.glob("data/actions/*/findings.json")).read_text()
    assert (
        "经批准的情况说明 explained</strong>:设备故障"
        in (bundle / "data/evidence-list.html").read_text()
    )
    forged = next(bundle.glob("data/actions/*/facts.json"))
    forged.write_text(forged.read_text().replace("equipment", "weather"))
    assert not verify(bundle).passed


def with_clock(desk, at):
    """Set the office's clock: explanations have days."""
    desk.office.catalogue._clock = lambda: at
    clocks.accept(desk.office.catalogue)


def test_an_explanation_comes_too_late_after_three_days(desk, visitors, gap):
    with_clock(desk, SEIZED_AT + timedelta(days=4))
    answer = hand_in(visitors, *gap)
    assert answer.status_code == 409
    assert "too-late" in answer.text


def test_a_case_explains_itself_in_both_languages(visitors, gap):
    told = visitors["zhang"].get(f"/api/v1/cases/{gap[0]}/explanation").json()
    whole = next(one for one in told["findings"] if one["rule"] == "xl-08-seizure-whole")
    assert "第八条" in whole["article_zh"]
    assert whole["zh"]
    assert whole["en"]
    assert whole["facts"]["share"] < 1
    assert whole["mend_zh"]
    assert whole["waivable_by_zh"] == ["乡镇人民政府行政负责人"]
    assert any("可以转入" in line or "不能转入" in line for line in told["zh"])
    way = visitors["zhang"].get(f"/api/v1/cases/{gap[0]}/way").json()
    assert {one["stage"] for one in way["moves"]} >= {"review", "suspension"}
    assert way["waivers"][0]["state"] == "approved"


def test_who_has_no_business_there_sees_no_way(visitors, gap):
    assert visitors["wang"].get(f"/api/v1/cases/{gap[0]}/way").status_code == 403


def test_a_scene_code_is_made_for_this_second(desk, visitors):
    case, action = desk_second_seizure(desk)
    first = visitors["zhang"].get(f"/api/v1/actions/{action}/scene-code").json()
    assert len(first["text"]) == 36
    assert first["svg"].startswith("<?xml")
    assert visitors["shen"].get(f"/api/v1/actions/{action}/scene-code").status_code == 403
    assert case


def desk_second_seizure(desk):
    from policies.facts.stages import ActionKind, Stage
    from storage.catalogue.cases import cases

    with desk.office.catalogue.write() as uow:
        case = cases.open_case(
            uow,
            number="码1",
            title="t",
            party="p",
            township=desk.office.settings.township,
            actor="system",
            stage=Stage.INVESTIGATION,
        )
        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.INSPECTION,
            place="x",
            start_at=SEIZED_AT,
            officers=[desk.persons["zhang"]],
            actor="system",
        )
    return case.id, action.id


def test_the_register_is_kept_by_the_administrator_and_seen_by_officers(desk, visitors):
    guan = TestClient(create_app(desk.service), base_url="http://testserver")
    told = guan.post("/api/v1/sessions", json={"username": "guan", "password": PASSWORD})
    guan.headers["Authorization"] = f"Bearer {told.json()['token']}"
    guan.cookies.clear()
    text = "姓名,人员类别,执法证号,所属单位,乡镇\n钱三,执法人员,E77,执法队,兴隆镇\n"
    assert visitors["zhang"].post("/api/v1/register/import", json={"csv": text}).status_code == 403
    tried = guan.post("/api/v1/register/import", json={"csv": text, "dry_run": True}).json()
    assert [one["change"] for one in tried] == ["new"]
    assert guan.post("/api/v1/register/import", json={"csv": text}).status_code == 200
    listed = visitors["zhang"].get("/api/v1/register/officers").json()["items"]
    (qian,) = [one for one in listed if one["name"] == "钱三"]
    assert qian["certified"] is True
    new = {"day": "2026-03-01", "hours": 8, "title": "行政处罚法"}
    path = f"/api/v1/register/officers/{qian['id']}/trainings"
    assert guan.post(path, json=new).status_code == 201
    source = {"serial": "R500", "label": "五号", "township": "兴隆镇"}
    assert guan.post("/api/v1/register/sources", json=source).status_code == 201
    assert guan.post("/api/v1/register/sources", json=source).status_code == 409
    path = "/api/v1/register/sources/R500/assignment"
    (held,) = guan.post(path, json={"person": qian["id"]}).json()
    assert held["held"][0]["name"] == "钱三"
    ended = guan.post(
        "/api/v1/register/certificates/E77/end", json={"on": "2026-01-01", "why": "revoked"}
    )
    assert ended.json()["ended_why"] == "revoked"
    listed = visitors["zhang"].get("/api/v1/register/officers").json()["items"]
    assert next(one["why"] for one in listed if one["name"] == "钱三") == "revoked"
    assert guan.post("/api/v1/register/import", json={"csv": "血型\n"}).json()["code"] == "register"


def test_a_draw_is_made_by_the_county_and_entered_by_who_was_drawn(desk, visitors):
    new = {"seed": "沪指3141.59", "purpose": "2026年第三季度", "count": 2}
    assert visitors["zhang"].post("/api/v1/draws", json=new).status_code == 403
    made = visitors["shen"].post("/api/v1/draws", json=new)
    assert made.status_code == 201, made.text
    assert made.json()["repeats"] is True
    assert visitors["shen"].post("/api/v1/draws", json=new).status_code == 409
    drawn = dict(made.json()["drawn"])
    path = f"/api/v1/draws/{made.json()['id']}/checks"
    for recording, inspectors in drawn.items():
        told = {"recording": recording, "good": True}
        expected = 201 if desk.persons["li"] in inspectors else 409
        assert visitors["li"].post(path, json=told).status_code == expected
    found = visitors["shen"].get("/api/v1/evaluation?township=兴隆镇&year=2026").json()
    assert {one["key"] for one in found} >= {"covered_share", "reviewed", "staffing"}
    assert visitors["zhang"].get("/api/v1/evaluation?township=别处镇").status_code == 403


def test_a_station_shows_a_code_that_sets_clocks(visitors):
    told = visitors["wang"].get("/api/v1/scene-code").json()
    assert (told["kind"], len(told["text"])) == ("time", 36)
