"""Jobs before persons: who sees them, who asks and has them tried again, and what is told."""

from datetime import timedelta
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from api.jobs import registry, request
from api.jobs.attempt import Runner
from api.office.evidence.integrity_check import whole_check
from api.problems import TABLE, job_error_zh, job_next_zh
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State
from storage.catalogue.log import custody_log
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.recordings import recordings
from tests.office import FIRST, PASSWORD, Desk, dock, segment

NOBODYS = str(UUID(int=7))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    for path in dock(desk, "bay-1", FIRST, segment(0, 2)):
        path.with_suffix(".log").unlink()
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def clients(desk):
    """A logged-in client by user name; None is nobody."""
    app = create_app(desk.service)
    found = {None: TestClient(app, raise_server_exceptions=False)}
    for name in desk.persons:
        token, _until = desk.service.identity.login(name, PASSWORD)
        headers = {"Authorization": f"Bearer {token}"}
        found[name] = TestClient(app, raise_server_exceptions=False, headers=headers)
    return found


@pytest.fixture(scope="module")
def guan(clients):
    return clients["guan"]


@pytest.fixture(scope="module")
def runner(desk):
    """A worker's hands, without an engine."""
    runner = Runner(desk.office)
    with desk.office.catalogue.write() as uow:
        runner.life = jobs.register_worker(uow, "worker-1", over=None)
    return runner


@pytest.fixture(autouse=True)
def fresh(desk):
    """Every test begins without jobs."""
    yield
    with desk.office.catalogue.write() as uow:
        for row in jobs.list_jobs(uow.session, limit=1000):
            uow.session.delete(row)


@pytest.fixture
def video(desk):
    with desk.office.catalogue.read() as session:
        return next(iter(recordings.iterate_recordings(session))).id


def entries(desk, act):
    with desk.office.catalogue.read() as session:
        log = custody_log.LogReader(session)
        wanted = select(CustodyEventRow.subject).where(CustodyEventRow.act == act).distinct()
        found = [event for subject in session.scalars(wanted) for event in log.events_of(subject)]
        return [event for event in found if event.act == act]


def put(desk, kind, subject="system", actor="system", **more):
    with desk.office.catalogue.write() as uow:
        return jobs.request_job(uow, kind, subject, actor=actor, **more).id


def failed(desk, runner, kind="verify", subject=f"recording:{NOBODYS}", **more):
    """Return the id of a job that failed, and for good."""
    job = put(desk, kind, subject, **more)
    assert runner.run(job, 1) == "failed"
    return job


# Who may


@pytest.mark.parametrize("who", ["zhang", "shen", "wang"])
def test_who_may_not_see_jobs_is_refused_and_that_is_logged(desk, clients, runner, who):
    job = failed(desk, runner)
    before = len(entries(desk, "job.see"))
    for path in ("/api/v1/jobs", f"/api/v1/jobs/{job}", "/api/v1/jobs/kinds", "/jobs"):
        assert clients[who].get(path).status_code == 403
    assert clients[who].get("/api/v1/jobs/workers").json()["code"] == "forbidden"
    refused = entries(desk, "job.see")[before:]
    assert {(one.actor, one.outcome) for one in entries(desk, "job.see")} >= {
        (f"person:{desk.persons[who]}", "refused")
    }
    assert len(refused) == 5
    assert "/jobs" not in clients[who].get("/recordings").text


@pytest.mark.parametrize("who", ["zhang", "shen", "wang"])
def test_who_may_not_keep_jobs_asks_for_none_and_retries_none(desk, clients, runner, video, who):
    job = failed(desk, runner)
    client, before = clients[who], len(entries(desk, "job.keep"))
    for body in ({"kind": "scrub"}, {"kind": "verify", "recording": video}, {"kind": "destroy"}):
        assert client.post("/api/v1/jobs", json=body).json()["code"] == "forbidden"
    assert client.post(f"/api/v1/jobs/{job}/retry").json()["code"] == "forbidden"
    assert len(entries(desk, "job.keep")) == before + 4
    with desk.office.catalogue.read() as session:
        assert [(row.id, row.state) for row in jobs.list_jobs(session)] == [(job, State.FAILED)]


def test_nobody_without_a_login_sees_or_asks(clients):
    assert clients[None].get("/api/v1/jobs").status_code == 401
    ours = {"Sec-Fetch-Site": "same-origin"}
    asked = clients[None].post("/api/v1/jobs", json={"kind": "scrub"}, headers=ours)
    assert asked.status_code == 401
    assert (
        clients[None].get("/jobs", follow_redirects=False).headers["location"].startswith("/login")
    )


@pytest.mark.parametrize("kind", ["inspect", "rendition"])
def test_an_administrator_has_no_footage_unwrapped(desk, guan, runner, video, kind):
    """Neither by asking, nor by having an officer's job tried again at a time of his own choice."""
    told = guan.post("/api/v1/jobs", json={"kind": kind, "recording": video}).json()
    assert told["code"] == "forbidden"
    assert guan.post("/api/v1/jobs", json={"kind": kind}).json()["code"] == "forbidden"
    officers = failed(desk, runner, kind, actor=f"person:{desk.persons['zhang']}")
    assert not guan.get(f"/api/v1/jobs/{officers}").json()["may_retry"]
    assert guan.post(f"/api/v1/jobs/{officers}/retry").json()["code"] == "forbidden"
    assert guan.get(f"/api/v1/jobs/{officers}").json()["state"] == "failed"
    assert f"/api/v1/jobs/{officers}/retry" not in guan.get("/jobs").text
    assert entries(desk, "recording.access") == []


@pytest.mark.parametrize("kind", ["destroy", "hold"])
def test_what_follows_from_a_decision_is_not_asked_for_past_it(desk, guan, kind):
    before = len(entries(desk, "job.keep"))
    assert guan.post("/api/v1/jobs", json={"kind": kind}).json()["code"] == "forbidden"
    (refused,) = entries(desk, "job.keep")[before:]
    assert refused.details["reason"] == "kind"
    assert guan.get("/api/v1/jobs").json()["items"] == []


def test_a_destruction_that_failed_is_not_tried_again_by_whoever_keeps_jobs(desk, guan, runner):
    job = failed(desk, runner, "destroy", f"disposition:{NOBODYS}")
    assert guan.post(f"/api/v1/jobs/{job}/retry").json()["code"] == "forbidden"
    assert guan.get(f"/api/v1/jobs/{job}").json()["state"] == "failed"


def test_every_kind_says_what_an_administrator_may(guan):
    told = {one["kind"]: one for one in guan.get("/api/v1/jobs/kinds").json()}
    assert set(told) == set(registry.KINDS)
    may = {kind for kind, one in told.items() if one["askable"]}
    assert may == {"verify", "audit", "scrub", "sweep", "publish", "due", "lock"}


# Asking


def test_a_scrub_that_is_asked_for_is_done_and_the_log_says_who(desk, guan, runner, video):
    answer = guan.post("/api/v1/jobs", json={"kind": "scrub"})
    assert answer.status_code == 201
    told = answer.json()
    assert (told["state"], told["kind_zh"], told["subject_zh"]) == ("waiting", "定期巡检", "全部")
    assert told["asked_by_zh"] == "guan某"
    (entry,) = [one for one in entries(desk, "job.ask") if one.subject == f"job:{told['id']}"]
    assert entry.actor == f"person:{desk.persons['guan']}"
    assert (entry.details["what"], entry.details["about"]) == ("scrub", "system")
    assert runner.run(told["id"], 1) == "done"
    after = guan.get(f"/api/v1/jobs/{told['id']}").json()
    assert (after["state"], after["state_zh"], after["error"]) == ("done", "完成", None)
    listed = guan.get("/api/v1/jobs", params={"kind": "verify"}).json()["items"]
    assert [(one["subject"], one["asked_by_zh"]) for one in listed] == [
        (f"recording:{video}", "guan某")
    ]
    kinds = {one["kind"]: one for one in guan.get("/api/v1/jobs/kinds").json()}
    assert kinds["scrub"]["done_at"] is not None
    assert list(whole_check(desk.office)) == []


def test_asking_twice_is_one_job_and_ends_its_pause(desk, guan):
    first = guan.post("/api/v1/jobs", json={"kind": "sweep"}).json()["id"]
    with desk.office.catalogue.write() as uow:
        jobs.by_id(uow.session, first).due_at = uow.at + timedelta(hours=1)
    again = guan.post("/api/v1/jobs", json={"kind": "sweep"}).json()
    assert again["id"] == first
    with desk.office.catalogue.read() as session:
        assert jobs.by_id(session, first).due_at <= desk.office.clock()
    asked = [one for one in entries(desk, "job.ask") if one.subject == f"job:{first}"]
    assert len(asked) == 2


def test_what_is_done_is_asked_for_anew(guan, runner):
    first = guan.post("/api/v1/jobs", json={"kind": "publish"}).json()["id"]
    assert runner.run(first, 1) == "done"
    assert guan.post("/api/v1/jobs", json={"kind": "publish"}).json()["id"] != first


def test_two_officers_wishes_are_two_jobs(desk, video):
    """In whose name footage is unwrapped is never shared."""
    first, second = (
        request.ask_as(desk.service, desk.visitor(name), "inspect", video)
        for name in ("zhang", "li")
    )
    assert first.id != second.id


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "nothing"}, 404, "not-found"),
        ({"kind": "verify"}, 422, "invalid"),
        ({"kind": "verify", "recording": NOBODYS}, 404, "not-found"),
        ({"kind": "verify", "recording": "' OR 1=1"}, 422, "invalid"),
        ({"kind": "Verify\x00"}, 422, "invalid"),
        ({"kind": "scrub", "actor": "system"}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
def test_what_cannot_be_asked_for_is_a_clear_problem(desk, guan, body, status, code):
    answer = guan.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["next"]
    with desk.office.catalogue.read() as session:
        assert jobs.list_jobs(session) == []


# Trying again


def test_a_failed_job_is_told_in_chinese_tried_again_and_the_log_says_who(desk, guan, runner):
    job = failed(desk, runner)
    told = guan.get(f"/api/v1/jobs/{job}").json()
    assert (told["state_zh"], told["error"]) == ("失败,需处理", "not-found")
    assert told["error_zh"] == "作业所指的内容已不在目录中"
    assert told["next_zh"]
    assert told["may_retry"]
    answer = guan.post(f"/api/v1/jobs/{job}/retry")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["attempt"]) == ("waiting", 2)
    assert answer.json()["asked_by"] == "system"
    (entry,) = [one for one in entries(desk, "job.retry") if one.subject == f"job:{job}"]
    assert entry.actor == f"person:{desk.persons['guan']}"
    again = guan.post(f"/api/v1/jobs/{job}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert runner.run(job, 2) == "failed"


def test_another_try_by_the_house_itself_is_an_entry_too(desk, runner):
    job = failed(desk, runner)
    request.retry_job(desk.office, job)
    (entry,) = [one for one in entries(desk, "job.retry") if one.subject == f"job:{job}"]
    assert entry.actor == "system"


@pytest.mark.parametrize("job", [NOBODYS, "x", "%00", "kinds"])
def test_a_job_that_is_none_is_not_tried_again(guan, job):
    assert guan.post(f"/api/v1/jobs/{job}/retry").status_code in {404, 422}


def test_a_kind_that_this_version_does_not_know_is_shown_and_left_alone(desk, guan, runner):
    job = failed(desk, runner, "no-such-kind", "system")
    told = guan.get(f"/api/v1/jobs/{job}").json()
    assert told["error_zh"] == "没有这一类后台作业:no-such-kind"
    assert not told["may_retry"]
    assert guan.post(f"/api/v1/jobs/{job}/retry").json()["code"] == "forbidden"
    assert "no-such-kind" in guan.get("/jobs").text


@pytest.mark.parametrize(
    "error",
    ["worker-died", "engine", "unauthenticated", "forbidden", "KeyError", "fixity", "vault"],
)
def test_every_reason_of_a_failure_is_chinese_and_says_what_to_do(error):
    for told in (job_error_zh(error, "verify"), job_next_zh(error)):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in told)
    if error not in TABLE:
        assert "登录" not in job_error_zh(error, "verify")


def test_damage_that_a_job_found_is_told_though_it_is_done(desk, guan, runner, video):
    path = desk.office.settings.home / "objects" / video / "payload"
    path.chmod(0o600)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        job = put(desk, "verify", f"recording:{video}")
        assert runner.run(job, 1) == "done"
    finally:
        path.write_bytes(whole)
    assert guan.get(f"/api/v1/jobs/{job}").json()["wrong"] == 1
    page = guan.get("/jobs").text
    assert "发现 1 处异常" in page
    assert f"/recordings/{video}" not in page  # which would lead an administrator to a refusal


# The list and the page


def test_jobs_are_listed_by_pages_newest_first(desk, guan):
    made = [put(desk, "publish") for _ in range(5)]
    seen, cursor = [], None
    while True:
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = guan.get("/api/v1/jobs", params=asked).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize(
    "asked", [{"state": "x"}, {"kind": "';--"}, {"cursor": "x"}, {"limit": 0}, {"limit": 100000}]
)
def test_a_filter_that_is_none_is_a_clear_problem(guan, asked):
    code = "cursor" if "cursor" in asked else "invalid"
    assert guan.get("/api/v1/jobs", params=asked).json()["code"] == code


def test_the_page_shows_what_failed_first_and_takes_any_filter(desk, guan, runner):
    bad = failed(desk, runner)
    later = put(desk, "scrub")
    page = guan.get("/jobs").text
    assert page.index(f"job-{bad}") < page.index(f"job-{later}")
    assert "1 项失败,需处理" in page
    only = guan.get("/jobs", params={"state": "waiting"}).text
    assert f"job-{later}" in only
    assert f"job-{bad}" not in only
    other = guan.get("/jobs", params={"kind": "sweep"}).text
    assert f"job-{bad}" not in other
    odd = guan.get("/jobs", params={"state": '"><script>', "kind": "<b>"})
    assert odd.status_code == 200
    assert "><script>" not in odd.text.replace('<script src="/static/console.js">', "")


def test_a_worker_that_fell_silent_is_not_called_at_work(desk, guan, runner, monkeypatch):
    (alive,) = guan.get("/api/v1/jobs/workers").json()["items"]
    assert (alive["name"], alive["alive"]) == ("worker-1", True)
    assert "没有运行中的作业进程" not in guan.get("/jobs").text
    later = desk.office.clock() + timedelta(seconds=3 * desk.office.settings.worker_silent_s)
    monkeypatch.setattr(desk.office, "clock", lambda: later)
    assert not guan.get("/api/v1/jobs/workers").json()["items"][0]["alive"]
    assert "没有运行中的作业进程" in guan.get("/jobs").text
