"""What is due, as a list and as a calendar; proceedings hold what they concern."""

from datetime import timedelta

import pytest

from tests.office import FIRST, SEIZED_AT, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    desk.seizure(20)
    dock(desk, "bay-1", FIRST, segment(-5, 30))
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.fixture
def zhang(desk):
    from fastapi.testclient import TestClient

    from api.app import create_app
    from tests.office import PASSWORD

    client = TestClient(create_app(desk.service), base_url="http://testserver")
    login = {"username": "zhang", "password": PASSWORD}
    token = client.post("/api/v1/sessions", json=login).json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def test_goods_that_are_held_have_a_day(zhang):
    due = {one["rule"]: one for one in zhang.get("/api/v1/duties").json()["items"]}
    held = due["qz-25-held"]
    assert held["due_at"].startswith("2026-12-20")
    assert held["what"]
    assert due["xl-05-training"]["township"]


def test_what_is_due_comes_page_by_page_as_it_stood_at_the_first(zhang, desk):
    whole = zhang.get("/api/v1/duties").json()
    assert whole["next"] is None
    assert len(whole["items"]) > 2
    found, cursor = [], None
    while True:
        asked = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = zhang.get("/api/v1/duties", params=asked).json()
        found += page["items"]
        if (cursor := page["next"]) is None:
            break
        last = cursor
    assert found == whole["items"]
    page = zhang.get("/duties").text
    assert page.count("<tr>") == len(found) + 1
    with pytest.MonkeyPatch.context() as patch:
        later = desk.office.clock() + timedelta(days=1)
        patch.setattr(desk.office, "clock", lambda: later)
        refused = zhang.get("/api/v1/duties", params={"cursor": last})
    assert (refused.status_code, refused.json()["code"]) == (422, "cursor")


def test_what_is_due_can_be_subscribed_to(zhang):
    answer = zhang.get("/api/v1/duties.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    assert answer.text.startswith("BEGIN:VCALENDAR\r\n")
    assert all(len(line.encode()) <= 75 for line in answer.text.split("\r\n"))


def test_a_complaint_holds_what_was_filmed_then_and_has_a_deadline(zhang):
    new = {
        "kind": "complaint",
        "number": "信访1号",
        "about": "现场执法粗暴",
        "brought_by": "孙某",
        "received_at": (SEIZED_AT + timedelta(days=1)).isoformat(),
        "since": (SEIZED_AT - timedelta(minutes=1)).isoformat(),
        "until": (SEIZED_AT + timedelta(minutes=1)).isoformat(),
    }
    made = zhang.post("/api/v1/proceedings", json=new)
    assert made.status_code == 201
    assert len(made.json()["held"]) == 1
    assert "xl-16-complaints" in {
        one["rule"] for one in zhang.get("/api/v1/duties").json()["items"]
    }
    path = f"/api/v1/proceedings/{made.json()['id']}"
    for step in ("answer", "release"):  # it is his own footage
        assert zhang.post(f"{path}/{step}", json={"text": "查无此事"}).json()["code"] == "concerned"
