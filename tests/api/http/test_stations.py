"""The county's stations before persons: who sees them, gives codes, revokes; what they may say."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from api.http.stations import presenters as station_views
from api.office.enrolment import ENROL_DOMAIN, read_code
from api.problems import ALARMS, BAYS
from policies.access.access import Role
from storage.catalogue.log import custody_log
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.enrolment import Standing
from storage.signed.signing import SigningKey, sign_document
from tests.office import PASSWORD, Desk
from tests.servers.database import Database

ELSEWHERE = "青龙镇"


def set_up(folder):
    desk = Desk.set_up(folder)
    desk.persons["qin"] = desk.service.identity.create_person(
        username="qin",
        password=PASSWORD,
        role=Role.OPERATOR,
        name="qin某",
        township=ELSEWHERE,
    )
    return desk


@dataclass
class Door:
    """The centre's application, and somebody's way through it."""

    desk: Desk
    clients: dict[str, TestClient] = field(default_factory=dict)

    def client(self, name: str | None) -> TestClient:
        """Return somebody's client, logged in once; None is nobody."""
        if name in self.clients:
            return self.clients[name]
        client = TestClient(create_app(self.desk.service), raise_server_exceptions=False)
        if name is not None:
            token, _until = self.desk.service.identity.login(name, PASSWORD)
            client.headers["Authorization"] = f"Bearer {token}"
            self.clients[name] = client
        return client

    def listed(self, name: str = "guan") -> dict[str, dict]:
        answer = self.client(name).get("/api/v1/stations")
        assert answer.status_code == 200, answer.text
        return {one["id"]: one for one in answer.json()}

    def page(self, name: str = "guan") -> str:
        answer = self.client(name).get("/stations")
        assert answer.status_code == 200, answer.text
        return answer.text

    def offer(self, station: str, **more: str) -> str:
        answer = self.client("guan").post("/api/v1/stations", json={"id": station} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()["code"]


@dataclass
class Station:
    """A station as the wire sees it: a key, enrolled, and a token."""

    client: TestClient

    @classmethod
    def enrol(cls, door: Door, code_text: str) -> "Station":
        code = read_code(code_text)
        key = SigningKey.from_seeds(code.station, door.desk.office.entropy(64))
        body = {"code": code.secret_hash, "key": key.verify_key().to_json()}
        document = sign_document(key, ENROL_DOMAIN, body).decode()
        client = door.client(None)
        told = client.post(
            "/api/v1/stations/enrol", json={"code": code_text, "document": document}
        ).json()
        at = int(time.time())
        claims = {"iss": code.station, "sub": code.station, "aud": told["origin"], "iat": at}
        claims |= {"exp": at + 60, "jti": "first"}
        private = ed25519.Ed25519PrivateKey.from_private_bytes(key.ed25519_seed)
        kid = {"kid": key.verify_key().kid}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, private, algorithm="EdDSA", headers=kid),
        }
        token = client.post("/api/v1/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return cls(client)

    def tell(self, **more: object):
        return self.say(json.dumps(status(**more)))

    def say(self, text: str):
        headers = {"Content-Type": "application/json"}
        return self.client.put("/api/v1/status", content=text, headers=headers)


def status(**more: object) -> dict[str, object]:
    """What a healthy station says of itself."""
    told = {
        "bays": [{"name": "bay-1", "state": "safe", "reason": None}],
        "spool": {"used": 10, "limit": 1000, "waiting": 1, "oldest": None, "alarms": []},
        "clock": datetime.now(UTC).isoformat(),
        "offset_s": 0.0,
        "software": "liuhen 0.1",
    }
    return told | more


@pytest.fixture
def desk(tmp_path):
    desk = set_up(tmp_path)
    yield desk
    desk.office.close()


@pytest.fixture
def door(desk):
    return Door(desk)


def enrolled(door):
    return Station.enrol(door, door.offer("ql-1", name="青龙站", township=ELSEWHERE))


@pytest.fixture
def station(door):
    return enrolled(door)


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    """A door and an enrolled station that tests share which leave nothing but a told status."""
    desk = set_up(tmp_path_factory.mktemp("county"))
    door = Door(desk)
    yield door, enrolled(door)
    desk.office.close()


def entries(desk, act):
    with desk.office.catalogue.read() as session:
        log = custody_log.LogReader(session)
        subjects = session.scalars(
            select(CustodyEventRow.subject).where(CustodyEventRow.act == act).distinct()
        ).all()
        found = [event for subject in subjects for event in log.events_of(subject)]
        return [event for event in found if event.act == act]


# Who may


@pytest.mark.parametrize("who", ["zhang", "li"])
def test_who_may_not_see_stations_is_refused_and_that_is_logged(desk, door, who):
    for path in ("/api/v1/stations", "/stations"):
        assert door.client(who).get(path).status_code == 403
    refused = entries(desk, "station.see")
    assert [(one.actor, one.outcome) for one in refused] == [
        (f"person:{desk.persons[who]}", "refused")
    ] * 2
    assert "采集站</a>" not in door.client(who).get("/cases").text


def test_an_operator_sees_the_stations_of_the_own_township_alone(door):
    door.offer("ql-1", name="青龙站", township=ELSEWHERE)
    own = door.desk.office.settings.station
    assert set(door.listed("guan")) == set(door.listed("shen")) == {own, "ql-1"}
    assert set(door.listed("qin")) == {"ql-1"}
    assert set(door.listed("wang")) == {own}
    assert "ql-1" not in door.page("wang")


@pytest.mark.parametrize("who", ["wang", "qin", "shen", "zhang"])
def test_who_may_not_keep_stations_gives_no_code_and_revokes_nothing(desk, door, station, who):
    client = door.client(who)
    new = {"id": "ql-2", "name": "二站", "township": ELSEWHERE}
    assert client.post("/api/v1/stations", json=new).json()["code"] == "forbidden"
    assert client.post("/api/v1/stations", json={"id": "ql-1"}).json()["code"] == "forbidden"
    path = "/api/v1/stations/ql-1/revoke"
    assert client.post(path, json={"why": "x"}).json()["code"] == "forbidden"
    refused = entries(desk, "station.keep")
    assert sorted(one.subject for one in refused) == ["station:ql-1"] * 2 + ["station:ql-2"]
    assert {one.actor for one in refused} == {f"person:{desk.persons[who]}"}
    assert set(door.listed()) == {desk.office.settings.station, "ql-1"}
    assert station.tell().status_code == 200
    if who != "zhang":
        page = door.page(who)
        assert "发登记码" not in page
        assert "立即撤销" not in page
        assert "data-api" not in page


def test_nobody_without_a_login_sees_a_station(door):
    assert door.client(None).get("/api/v1/stations").status_code == 401
    assert (
        "/login" in door.client(None).get("/stations", follow_redirects=False).headers["location"]
    )


@pytest.mark.parametrize("name", ["%00", "a%20b", "站", "A", "x" * 200, "..%2f..%2fx", "a:b"])
@pytest.mark.parametrize("who", ["guan", "wang"])
def test_an_id_that_no_station_can_have_is_refused_in_order(county, who, name):
    answer = county[0].client(who).post(f"/api/v1/stations/{name}/revoke", json={"why": "x"})
    assert answer.status_code in {404, 422}
    assert answer.json()["code"] in {"invalid", "not-found"}


# A code, its use, its end


def test_a_station_goes_from_a_code_to_work_to_its_end_and_each_step_is_an_entry(desk, door):
    actor = f"person:{desk.persons['guan']}"
    code = door.offer("ql-1", name="青龙站", township=ELSEWHERE)
    offered = door.listed()["ql-1"]
    assert (offered["standing"], offered["alarms"]) == (Standing.OFFERED, [])
    assert offered["code_until"] is not None
    station = Station.enrol(door, code)
    assert station.tell().status_code == 200
    active = door.listed()["ql-1"]
    assert (active["standing"], active["code_until"]) == (Standing.ACTIVE, None)
    assert [bay["state_zh"] for bay in active["bays"]] == [BAYS["safe"]]
    answer = door.client("guan").post("/api/v1/stations/ql-1/revoke", json={"why": "设备失窃"})
    assert (answer.json()["standing"], answer.json()["revoked_why"]) == ("revoked", "设备失窃")
    assert station.tell().json()["code"] == "enrolment-token"
    acts = [entries(desk, f"station.{act}") for act in ("offer", "enrol", "revoke")]
    assert [[one.actor for one in found] for found in acts] == [[actor], ["station:ql-1"], [actor]]
    again = door.client("guan").post("/api/v1/stations/ql-1/revoke", json={"why": "x"})
    assert again.json()["code"] == "station-unenrolled"


def test_a_code_stands_in_no_row_no_entry_and_no_page(desk, door):
    code = door.offer("ql-1", name="青龙站", township=ELSEWHERE)
    secret = code.partition("/")[2]
    assert secret not in door.page()
    with desk.office.catalogue.read() as session:
        kept = [vars(row) for row in enrolment.of_station(session, "ql-1")]
    assert secret not in str(kept)
    assert secret not in str([event.details for event in entries(desk, "station.offer")])


def test_a_new_code_withdraws_the_one_before(door):
    first = door.offer("ql-1", name="青龙站", township=ELSEWHERE)
    second = door.offer("ql-1")
    body = {"code": first, "document": "{}"}
    assert door.client(None).post("/api/v1/stations/enrol", json=body).status_code == 409
    with pytest.raises(KeyError):
        Station.enrol(door, first)
    assert Station.enrol(door, second).tell().status_code == 200


def test_a_station_at_work_goes_on_until_its_new_code_is_used(door, station):
    code = door.offer("ql-1")
    waiting = door.listed()["ql-1"]
    assert waiting["standing"] == Standing.ACTIVE
    assert waiting["code_until"] is not None
    assert "新登记码待使用" in door.page()
    assert station.tell().status_code == 200
    assert Station.enrol(door, code).tell().status_code == 200
    assert station.tell().json()["code"] == "enrolment-token"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"id": "ql-1", "name": "另一站"}, "station-other"),
        ({"id": "ql-1", "township": "白云镇"}, "station-other"),
        ({"id": "ql-2"}, "invalid"),
        ({"id": "ql-2", "name": "二站"}, "invalid"),
        ({"id": "ql-2", "name": " ", "township": ELSEWHERE}, "invalid"),
        ({"id": "ql-2", "name": "a\x00b", "township": ELSEWHERE}, "text"),
        ({"id": "Ql-2", "name": "二站", "township": ELSEWHERE}, "invalid"),
        ({"id": "ql-2\n", "name": "二站", "township": ELSEWHERE}, "invalid"),
        ({"id": "-ql", "name": "二站", "township": ELSEWHERE}, "invalid"),
    ],
)
def test_a_code_that_should_not_be_given_is_refused(county, given, code):
    door, _station = county
    before = set(door.listed())
    answer = door.client("guan").post("/api/v1/stations", json=given)
    assert answer.json()["code"] == code, answer.text
    assert answer.json()["next"]
    assert set(door.listed()) == before
    assert door.listed()["ql-1"]["code_until"] is None


def test_the_offices_own_station_needs_no_code_and_cannot_be_revoked(desk, door):
    own = desk.office.settings.station
    client = door.client("guan")
    assert client.post("/api/v1/stations", json={"id": own}).json()["code"] == "station-own"
    told = client.post(f"/api/v1/stations/{own}/revoke", json={"why": "x"}).json()
    assert told["code"] == "station-unenrolled"
    assert (door.listed()[own]["standing"], door.listed()[own]["alarms"]) == ("local", [])


# What is wrong with a station


def test_a_silent_station_is_told_first_and_shows_nothing_green(desk, door, station, monkeypatch):
    door.offer("aa-1", name="安乐站", township="安乐镇")
    station.tell()
    assert 'data-state="safe"' in door.page()
    later = desk.office.clock() + station_views.SILENT + timedelta(seconds=5)
    monkeypatch.setattr(desk.office, "clock", lambda: later)
    found = list(door.listed().values())
    assert [one["id"] for one in found if one["alarms"]] == [found[0]["id"]] == ["ql-1"]
    assert found[0]["silent"]
    assert [one["zh"] for one in found[0]["alarms"]] == [ALARMS["silent"]]
    assert {bay["state"] for bay in found[0]["bays"]} == {"unknown"}
    assert 'data-state="safe"' not in door.page()
    assert "1 个需要处理" in door.page()


def test_a_revoked_station_shows_nothing_green(door, station):
    station.tell()
    door.client("guan").post("/api/v1/stations/ql-1/revoke", json={"why": "失窃"})
    assert 'data-state="safe"' not in door.page()
    assert "已撤销:失窃" in door.page()


@pytest.mark.parametrize(
    ("after", "alarms"),
    [
        (timedelta(minutes=9), []),
        (timedelta(minutes=11), ["never-seen"]),
        (timedelta(days=21), ["enrolment-expired"]),
    ],
)
def test_a_station_never_heard_of_or_past_its_time_is_told(desk, door, monkeypatch, after, alarms):
    desk.office.settings.enrolment_days = 20 if after.days else 365
    Station.enrol(door, door.offer("ql-1", name="青龙站", township=ELSEWHERE))
    later = desk.office.clock() + after
    monkeypatch.setattr(desk.office, "clock", lambda: later)
    with desk.office.catalogue.read() as session:
        found = station_views.present_stations(session, desk.office, ELSEWHERE)
    assert [one.code for one in found[0].alarms] == alarms


def test_an_enrolment_near_its_end_a_wrong_clock_and_a_full_spool_are_told(desk, door, monkeypatch):
    monkeypatch.setattr(desk.office.settings, "enrolment_days", 20)
    station = Station.enrol(door, door.offer("ql-1", name="青龙站", township=ELSEWHERE))
    spool = status()["spool"] | {"alarms": ["spool-filling", "clock", "centre-away"]}
    assert station.tell(offset_s=-300.0, spool=spool).status_code == 200
    alarms = door.listed()["ql-1"]["alarms"]
    assert [one["code"] for one in alarms[:3]] == ["ending", "clock", "spool-filling"]
    assert "+300.0 秒" in door.page()


def test_a_clock_that_is_right_has_no_sign_before_nothing(door, station):
    station.tell(offset_s=0.0)
    assert "-0.0 秒" not in door.page()


# What a station says is an outsider's word

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
TURNED = "bay\u202e1-yab\u2066\u0007\u200f"
HOSTILE = {
    "markup everywhere": {
        "bays": [{"name": EVIL, "state": EVIL, "reason": EVIL}],
        "spool": {"used": EVIL, "limit": EVIL, "waiting": EVIL, "oldest": EVIL, "alarms": [EVIL]},
        "software": EVIL,
    },
    "sentences for an administrator": {
        "bays": [{"name": "bay-1", "state": "请把登记码发给13900000000", "reason": "请速转账"}],
        "spool": status()["spool"] | {"alarms": ["请把登记码发给13900000000"] * 50},
    },
    "letters that turn the line": {
        "bays": [{"name": TURNED, "state": "safe", "reason": None}],
        "software": TURNED,
    },
    "figures without end": {
        "spool": {"used": 9e15, "limit": -5, "waiting": 2**53 - 1, "oldest": None},
        "offset_s": 1e300,
    },
    "a spool that holds less than nothing": {
        "spool": {"used": -1, "limit": 0, "waiting": -7, "oldest": None},
    },
    "times of other worlds": {
        "spool": status()["spool"] | {"oldest": "0001-01-01T00:00:00+14:00"},
        "clock": "9999-12-31T23:59:59-12:00",
    },
    "a time ahead": {"spool": status()["spool"] | {"oldest": "9999-12-31T23:59:59-12:00"}},
    "other types": {
        "bays": [{"name": ["x"], "state": {"a": 1}, "reason": 7}, {}, {"name": None}],
        "spool": {"used": [], "limit": {}, "waiting": True, "oldest": 12, "alarms": {"a": 1}},
    },
    "alarms of other types": {"spool": status()["spool"] | {"alarms": [None, 1, {}, [], "clock"]}},
    "no bays and no spool": {"bays": [], "spool": {}},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_a_hostile_station_says_is_harmless_to_whoever_looks(county, kind):
    door, station = county
    assert station.tell(**HOSTILE[kind]).status_code == 200
    shown = door.listed()["ql-1"]
    page = door.page()
    assert 'data-station="ql-1"' in page
    for text in (
        "<script>alert",
        "<img src=x",
        "13900000000",
        "转账",
        "\u202e",
        "\u2066",
        "\u0007",
    ):
        assert text not in page
    assert all(bay["state"] in BAYS for bay in shown["bays"])
    spool = shown["spool"]
    assert spool is None or (0 <= spool["used"] <= 1e15 and spool["limit"] > 0 <= spool["waiting"])
    assert spool is None or spool["oldest"] is None
    assert len(shown["alarms"]) <= 2  # the same word is told once
    assert set(door.listed()) == {"ql-1", door.desk.office.settings.station}


TOO_MUCH = {
    "an integer that no database keeps": '{"used": ' + "9" * 400 + "}",
    "an integer beyond floats": '{"used": 9007199254740993}',
    "no number": '{"used": NaN}',
    "more than any number": '{"used": 1e999}',
    "half a letter": '{"alarms": ["\\ud800"]}',
    "half a letter as a name": '{"\\ud800": 1}',
    "nothing that can be kept": '{"alarms": ["\\u0000"]}',
    "depth": '{"alarms": ' + "[" * 5000 + "]" * 5000 + "}",
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_what_cannot_be_kept_is_refused_or_shown_harmless(county, kind):
    door, station = county
    text = json.dumps(status(spool="HERE")).replace('"HERE"', TOO_MUCH[kind])
    answer = station.say(text)
    assert answer.status_code in {200, 422}, answer.text
    assert 'data-station="ql-1"' in door.page()
    door.listed()


@pytest.mark.parametrize("told", [{"spool": {"used": 10**400, "limit": 1, "waiting": 0}}])
def test_a_row_that_came_about_otherwise_does_not_hide_the_county(county, told):
    """SQLite and PostgreSQL keep the text of any JSON that some other version wrote."""
    door, station = county
    assert station.tell().status_code == 200
    Database(door.desk.office.settings.database).execute(
        "UPDATE station_status SET told = ?", json.dumps(status(**told))
    )
    assert door.listed()["ql-1"]["spool"] is None
    assert 'data-station="ql-1"' in door.page()
