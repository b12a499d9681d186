"""Many log in at once: what checking their passwords costs stays bounded, and nobody else waits."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.office import identity, login_limit
from api.office.identity import HASHES_AT_ONCE
from api.office.login_limit import Logins
from tests.office import PASSWORD, Desk


class Held:
    """A hasher whose checks begin, are counted, and end when the test lets them."""

    def __init__(self, real):
        self._real = real
        self._lock = threading.Lock()
        self.go = threading.Event()
        self.full = threading.Event()
        self.now = self.most = self.checked = 0

    def hash(self, password):
        return self._real.hash(password)

    def verify(self, kept, password):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == HASHES_AT_ONCE:
                self.full.set()
        assert self.go.wait(60)
        with self._lock:
            self.now -= 1
            self.checked += 1
        return self._real.verify(kept, password)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture
def held(monkeypatch):
    held = Held(identity.HASHER)
    monkeypatch.setattr(identity, "HASHER", held)
    yield held
    held.go.set()


@pytest.fixture
def client(desk, held):
    desk.service.logins = Logins(desk.service.identity, most=6)
    # One loop for all that ask, as in a service.
    with TestClient(create_app(desk.service), raise_server_exceptions=False) as client:
        yield client
    desk.service.logins = Logins(desk.service.identity)


def log_in(client, name, password=PASSWORD):
    return client.post("/api/v1/sessions", json={"username": name, "password": password})


def test_many_logins_at_once_are_checked_few_at_a_time_and_hold_up_nobody_else(client, held):
    with ThreadPoolExecutor(60) as people:
        # More than the service has threads for all its other requests.
        asked = [people.submit(log_in, client, "zhang") for _ in range(60)]
        assert held.full.wait(60)
        assert client.get("/api/v1/time").status_code == 200
        refused = list(islice(as_completed(asked, timeout=60), 54))  # while none was checked
        assert held.checked == 0
        held.go.set()
        answers = [one.result() for one in asked]
    assert held.most == HASHES_AT_ONCE
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201
    assert statuses.count(201) + statuses.count(429) == 60
    assert all(one.result().status_code == 429 for one in refused)
    busy = next(answer for answer in answers if answer.status_code == 429)
    assert busy.json()["code"] == "logins-busy"
    assert busy.headers["Retry-After"] == str(login_limit.COME_AGAIN_S)
    assert "没有核对密码" in busy.json()["detail"]
    assert log_in(client, "zhang").status_code == 201  # who comes again is let in


def test_a_full_queue_checks_no_password_and_tells_people_in_chinese(client, held):
    with ThreadPoolExecutor(6) as people:
        asked = [people.submit(log_in, client, "zhang") for _ in range(6)]
        assert held.full.wait(60)
        while client.app.state.service.logins.in_hand < 6:
            client.get("/healthz")  # the others are on their way
        page = client.post(
            "/login",
            data={"username": "zhang", "password": PASSWORD},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        held.go.set()
        assert [one.result().status_code for one in asked] == [201] * 6
    assert page.status_code == 429
    assert "同时登录的人太多" in page.text
    assert held.checked == 6
