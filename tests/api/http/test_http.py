"""The HTTP API as its callers see it: logins, refusals, cases from opening to closing."""

import io
import zipfile
from datetime import timedelta

import pytest

from storage.bundle.verify import verify
from tests.office import PASSWORD, SEIZED_AT

# What is asked before there is a login or a token; each proves itself by what it brings.
OPEN = {
    "/healthz",
    "/readyz",
    "/api/v1/time",
    "/api/v1/token",
    "/api/v1/stations/enrol",
    ("/api/v1/sessions", "post"),
    ("/api/v1/uploads", "options"),
    ("/api/v1/submissions", "options"),
}


def test_everything_needs_a_login(clients):
    described = clients.nobody.get("/api/v1/openapi.json").json()
    for path, methods in described["paths"].items():
        for method in methods:
            if path in OPEN or (path, method) in OPEN:
                continue
            url = path.replace("{index}", "0")
            for name in ("recording", "case", "action", "exhibit", "disposition", "submission"):
                url = url.replace(f"{{{name}}}", "019c0000-0000-7000-8000-000000000000")
            body = {"json": {}} if method in {"post", "put"} else {}
            answer = clients.nobody.request(
                method, url, headers={"Sec-Fetch-Site": "same-origin"}, **body
            )
            assert answer.status_code == 401, (method, path, answer.text)
            if method != "head":
                assert answer.json()["code"] in {"unauthenticated", "enrolment-token"}


def test_every_route_is_described_with_its_problems(clients):
    described = clients.nobody.get("/api/v1/openapi.json").json()
    assert len(described["paths"]) > 20
    for methods in described["paths"].values():
        for told in methods.values():
            assert "409" in told["responses"]
            assert told.get("description")


def test_a_wrong_password_says_so_and_slows_down(clients):
    login = {"username": "shen", "password": "wrong"}
    codes = [clients.nobody.post("/api/v1/sessions", json=login).json()["code"] for _ in range(12)]
    assert codes[0] == "bad-login"
    assert codes[-1] == "too-many-logins"
    unknown = {"username": "nobody-here", "password": "wrong"}
    assert clients.nobody.post("/api/v1/sessions", json=unknown).json()["code"] == "bad-login"


def test_another_sites_page_cannot_act_with_our_cookie(desk, clients):
    from fastapi.testclient import TestClient

    browser = TestClient(clients.nobody.app)
    login = {"username": "li", "password": PASSWORD}
    browser.post("/api/v1/sessions", json=login, headers={"Sec-Fetch-Site": "same-origin"})
    case = {"number": "x", "title": "t", "party": "p"}
    sites = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://["},
        {"Origin": "null"},
        {},
    )
    # What a browser sends by itself to a place that once asked for it, and what names no token.
    others = ({}, {"Authorization": "Basic bGk6eA=="}, {"Authorization": "Bearer "})
    for headers in [site | other for site in sites for other in others]:
        answer = browser.post("/api/v1/cases", json=case, headers=headers)
        assert answer.status_code == 403, headers
        assert answer.json()["code"] == "cross-site"


def test_an_answer_to_our_own_defect_is_guarded_like_any_other(clients, monkeypatch):
    from fastapi.testclient import TestClient

    def fail(*_asked: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(type(clients.nobody.app.state.service.readiness), "check_readiness", fail)
    app = TestClient(clients.nobody.app, raise_server_exceptions=False)
    good, failed = app.get("/healthz"), app.get("/readyz")
    assert (good.status_code, failed.status_code) == (200, 500)
    assert failed.json()["code"] == "internal"
    for name in (
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "cache-control",
    ):
        assert failed.headers.get_list(name) == good.headers.get_list(name) != []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/api/v1/cases", {"number": "", "title": "t", "party": "p"}),
        ("post", "/api/v1/cases", {"number": "n", "title": "t", "party": "p", "extra": 1}),
        ("post", "/api/v1/cases", {"number": "n" * 300, "title": "t", "party": "p"}),
        ("get", "/api/v1/recordings?limit=100000", None),
        ("get", "/api/v1/recordings?since=yesterday", None),
        ("get", "/api/v1/recordings/../../etc/passwd", None),
        ("get", "/api/v1/recordings/not-an-id", None),
        ("get", "/api/v1/actions/' OR 1=1 --", None),
        ("post", "/api/v1/cases", "not json"),
    ],
)
def test_bad_input_is_a_clear_problem(clients, method, path, body):
    extra = {} if body is None else {"json": body} if isinstance(body, dict) else {"content": body}
    answer = clients.zhang.request(method, path, **extra)
    assert answer.status_code in {404, 422}
    told = answer.json()
    assert told["detail"]
    assert told["next"]


def test_a_body_without_end_is_cut(clients):
    answer = clients.zhang.post("/api/v1/cases", content=b"x" * (2 << 20))
    assert answer.status_code in {413, 422}


def test_unknown_things_are_not_found(clients):
    path = "/api/v1/recordings/019c0000-0000-7000-8000-000000000000"
    assert clients.zhang.get(path).json()["code"] == "not-found"


def test_a_case_goes_from_opening_to_a_verified_bundle(desk, clients, tmp_path):
    zhang = clients.zhang
    new = {
        "number": "兴乡执罚〔2026〕7号",
        "title": "占用土地",
        "party": "赵某",
        "stage": "investigation",
    }
    case = zhang.post("/api/v1/cases", json=new)
    assert case.status_code == 201
    assert zhang.post("/api/v1/cases", json=new).status_code == 409
    people = zhang.get("/api/v1/officers").json()["items"]
    action = zhang.post(
        f"/api/v1/cases/{case.json()['id']}/actions",
        json={
            "kind": "seizure",
            "place": "村东仓库",
            "start_at": SEIZED_AT.isoformat(),
            "officers": [person["id"] for person in people],
        },
    ).json()
    path = f"/api/v1/actions/{action['id']}"
    assert zhang.post(f"{path}/close").status_code == 409
    end = (SEIZED_AT + timedelta(seconds=30)).isoformat()
    assert zhang.put(f"{path}/end", json={"end_at": end}).status_code == 200

    proposed = zhang.post(f"{path}/proposals").json()
    assert len(proposed) == 3
    mine = [one for one in proposed if one["recording"]["officer"] == "zhang某"]
    for one in mine:
        assert zhang.post(f"/api/v1/exhibits/{one['id']}/confirm").status_code == 200
    refused = zhang.post(f"{path}/close")
    assert refused.status_code == 409
    told = refused.json()
    assert told["code"] == "gate"
    failed = {f["rule"]: f for f in told["facts"]["findings"] if not f["passed"]}
    assert set(failed) >= {"xl-08-seizure-whole", "xl-07-told", "qz-24-handed"}
    whole = failed["xl-08-seizure-whole"]
    assert "第八条" in whole["message_zh"]
    assert "no-footage" in {gap["cause"] for gap in whole["gaps"]}
    enter_what_is_missing(zhang, case.json()["id"], action["id"])

    shown = zhang.get(path).json()
    assert 0 < shown["coverage"]["share"] < 1
    (other,) = [one for one in proposed if one not in mine]
    zhang.post(f"/api/v1/exhibits/{other['id']}/confirm")
    assert zhang.post(f"{path}/close").json()["allowed"] is True
    assert zhang.post(f"{path}/close").status_code == 409
    assert zhang.post(f"/api/v1/exhibits/{other['id']}/reject").status_code == 409

    answer = clients.shen.post(f"/api/v1/cases/{case.json()['id']}/bundle", json={})
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    (bundle,) = tmp_path.iterdir()
    assert verify(bundle).passed
    assert not list((desk.office.settings.home / "spool").glob("*"))

    chain = zhang.get(f"/api/v1/cases/{case.json()['id']}/custody").json()["items"]
    assert [one["outcome"] for one in chain if one["act"] == "action.close"] == [
        "refused",  # no end yet
        "refused",  # a gap
        "success",
    ]


def enter_what_is_missing(zhang, case, action):
    """Mark the moments and file the documents of a seizure, as an officer does."""
    path = f"/api/v1/actions/{action}/moments"
    kinds = (
        "announced",
        "identity",
        "reasons",
        "rights",
        "statement",
        "witness",
        "counted",
        "signed",
    )
    for second, kind in enumerate(kinds, 8):
        at = (SEIZED_AT + timedelta(seconds=second)).isoformat()
        assert zhang.post(path, json={"kind": kind, "at": at}).status_code == 201
    outside = (SEIZED_AT + timedelta(hours=2)).isoformat()
    wrong = zhang.post(path, json={"kind": "arrival", "at": outside}).json()
    assert zhang.delete(f"/api/v1/moments/{wrong['id']}").status_code == 204
    assert len(zhang.get(path).json()["items"]) == len(kinds)
    before = (SEIZED_AT - timedelta(days=1)).isoformat()
    end = (SEIZED_AT + timedelta(seconds=30)).isoformat()
    for kind, at, served in (
        ("seizure-approval", before, None),
        ("seizure-decision", end, end),
        ("seizure-list", end, None),
    ):
        new = {"kind": kind, "number": kind, "at": at, "action": action, "served_at": served}
        entered = zhang.post(f"/api/v1/cases/{case}/documents", json=new)
        assert entered.status_code == 201
    served = {"at": end, "manner": "direct"}
    path = f"/api/v1/documents/{entered.json()['id']}/service"
    assert zhang.post(path, json=served).status_code == 200
    assert zhang.post(path, json=served).status_code == 409


def test_a_sealed_bundle_verifies_too(desk, clients, tmp_path):
    case = clients.shen.get("/api/v1/cases").json()["items"][0]
    answer = clients.shen.post(f"/api/v1/cases/{case['id']}/bundle", json={"sealed": True})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    (bundle,) = tmp_path.iterdir()
    assert verify(bundle).passed
    assert list(bundle.glob("data/recordings/*/payload"))
    assert not list(bundle.glob("data/recordings/*/original"))


def test_a_reviewer_changes_nothing_and_an_operator_sees_no_case(clients):
    case = clients.shen.get("/api/v1/cases").json()["items"][0]
    new = {"kind": "hearing", "place": "x", "start_at": SEIZED_AT.isoformat(), "officers": []}
    assert (
        clients.shen.post(
            "/api/v1/cases", json={"number": "n", "title": "t", "party": "p"}
        ).status_code
        == 403
    )
    new["officers"] = [clients.shen.get("/api/v1/me").json()["person"]]
    assert clients.shen.post(f"/api/v1/cases/{case['id']}/actions", json=new).status_code == 403
    assert clients.wang.get("/api/v1/cases").status_code == 403
    assert clients.guan.get("/api/v1/recordings").status_code == 403


def test_a_case_moves_only_to_a_next_stage(clients):
    new = {"number": "2号", "title": "t", "party": "p"}
    case = clients.zhang.post("/api/v1/cases", json=new).json()
    path = f"/api/v1/cases/{case['id']}/stage"
    assert clients.zhang.post(path, json={"stage": "decision"}).json()["code"] == "move"
    assert clients.zhang.post(path, json={"stage": "acceptance"}).json()["stage"] == "acceptance"


def test_what_nobody_knew_is_answered_by_a_person(desk, clients):
    items = clients.zhang.get("/api/v1/recordings", params={"kind": "unknown"}).json()["items"]
    recording = items[0]
    answer = clients.zhang.post(
        f"/api/v1/recordings/{recording['id']}/answers",
        json={"start_at": SEIZED_AT.isoformat(), "officer": desk.persons["li"]},
    )
    assert answer.json()["officer"] == "li某"
    chain = clients.zhang.get(f"/api/v1/recordings/{recording['id']}/custody").json()["items"]
    assert chain[-1]["act"] == "recording.answer"
    assert chain[-1]["actor_name"] == "zhang某"


def test_what_the_recorder_told_is_not_for_one_person_to_move(clients, videos):
    path = f"/api/v1/recordings/{videos[0]['id']}/answers"
    answer = clients.zhang.post(path, json={"start_at": SEIZED_AT.isoformat()})
    assert answer.json()["code"] == "conflict"
    assert clients.zhang.get(f"/api/v1/recordings/{videos[0]['id']}").json() == videos[0]


def test_bays_are_shown_in_chinese(clients):
    bays = clients.wang.get("/api/v1/bays").json()
    assert [bay["state"] for bay in bays] == ["safe", "safe"]
    assert bays[0]["state_zh"] == "全部入库,可以取走"
    assert bays[0]["source"] == "0000012"


def test_a_reviewer_verifies_everything_and_gets_proofs(clients):
    answer = clients.shen.post("/api/v1/custody/verification").json()
    assert answer["verified"], answer
    assert answer["recordings"] == 7
    head = clients.shen.get("/api/v1/custody/checkpoint").text
    assert head.startswith("office.test/custody\n")
    assert clients.shen.get("/api/v1/custody/entries/0/proof").text.startswith(
        "c2sp.org/tlog-proof"
    )
    assert clients.shen.get("/api/v1/custody/entries/0").text.startswith("{")
    assert clients.shen.get("/api/v1/custody/entries/999999").status_code == 404
    assert clients.zhang.get("/api/v1/custody/checkpoint").status_code == 403


def test_rules_name_their_article(clients):
    rules = clients.zhang.get("/api/v1/rules").json()
    assert {"xl-08-seizure-whole", "xl-08-demolition-whole"} <= {rule["id"] for rule in rules}
    rule = clients.zhang.get("/api/v1/rules/xl-08-seizure-whole").json()
    assert rule["basis"]["article"] == "第八条"
    assert clients.zhang.get("/api/v1/rules/none").status_code == 404


def test_health_needs_no_login_and_says_nothing_else(clients):
    assert clients.nobody.get("/healthz").json() == {"status": "ok"}
    assert clients.nobody.get("/readyz").json() == {"status": "ready"}


def test_logging_out_ends_the_session(clients):
    from fastapi.testclient import TestClient

    client = TestClient(clients.nobody.app)
    login = {"username": "wang", "password": PASSWORD}
    token = client.post("/api/v1/sessions", json=login).json()["token"]
    client.cookies.clear()
    client.headers["Authorization"] = f"Bearer {token}"
    assert client.get("/api/v1/me").json()["role"] == "operator"
    assert client.delete("/api/v1/sessions/current").status_code == 204
    assert client.get("/api/v1/me").status_code == 401
