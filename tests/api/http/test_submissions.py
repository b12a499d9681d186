"""Files that persons hand in over HTTP: resumed, refused, taken in once, and in their name."""

import base64
import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from api.cli.processes.serve import _make_handin_worker
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.station_parts import StationBusyError
from api.office.wiring import Office
from ingest.bays.settle import Patience
from policies.access.access import Role
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.recordings import uploads
from storage.recording import RecordingId
from storage.vault.folder.folder_objects import FolderObjects
from tests.office import FIRST, PASSWORD, Desk, dock, segment

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}
ROOT = "/api/v1/submissions"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"), spool_reserve_gb=0, hand_in_gb=0.01)
    desk.persons["elsewhere"] = desk.service.identity.create_person(
        username="elsewhere", password=PASSWORD, role=Role.OFFICER, name="外某", township="外乡"
    )
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def clients(desk):
    app = create_app(desk.service)
    found = SimpleNamespace(nobody=TestClient(app))
    for name in desk.persons:
        client = TestClient(app)
        login = {"username": name, "password": PASSWORD}
        token = client.post("/api/v1/sessions", json=login).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        setattr(found, name, client)
    return found


def told(data, name="VID_20261120_090000.mp4", sha256=None, length=None, **more):
    """Return the headers that announce these bytes."""
    raw = name if isinstance(name, bytes) else name.encode()
    facts = {
        "filename": raw,
        "sha256": (sha256 or hashlib.sha256(data).hexdigest()).encode(),
    } | {key: str(value).encode() for key, value in more.items()}
    pairs = (f"{key} {base64.b64encode(value).decode()}" for key, value in facts.items())
    size = str(len(data) if length is None else length)
    return TUS | {"Upload-Length": size, "Upload-Metadata": ",".join(pairs)}


def begin(client, data, **more):
    answer = client.post(ROOT, headers=told(data, **more))
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def send(client, place, data, offset=0):
    return client.patch(place, headers=BYTES | {"Upload-Offset": str(offset)}, content=data)


def sweep(desk):
    """Let the office's station take in what was handed in."""
    station = desk.office.build_station(patience=Patience(0, 1000))
    for _ in range(2):
        station.sweep_bay(desk.office.handed_in)


def listed(client, place):
    (found,) = [one for one in client.get(ROOT).json()["items"] if place.endswith(one["id"])]
    return found


def acts(desk, act):
    with desk.office.catalogue.read() as session:
        return list(session.scalars(select(CustodyEventRow).where(CustodyEventRow.act == act)))


def plaintext(desk):
    """Return what of it lies about in plaintext."""
    return [path for path in desk.office.reception.home.rglob("*") if path.is_file()]


def test_a_file_handed_in_in_pieces_becomes_a_recording_of_the_person(desk, clients):
    (clip,) = [p for p in dock(desk, "bay-2", FIRST, segment(0, 2)) if p.suffix == ".MP4"]
    data = clip.read_bytes()
    for path in sorted(desk.bay("bay-2").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    place = begin(clients.zhang, data, name="手持终端 录像.mp4", modified=1763600000123)
    half = len(data) // 2
    assert send(clients.zhang, place, data[:half]).headers["Upload-Offset"] == str(half)
    (half_way,) = [p for p in plaintext(desk) if p.stat().st_size]
    assert stat.S_IMODE(half_way.stat().st_mode) == 0o600
    assert listed(clients.zhang, place)["state"] == "arriving"
    # after a reload the same bytes are found again, and tell where to go on
    again = clients.zhang.post(ROOT, headers=told(data, name="手持终端 录像.mp4"))
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (place, str(half))
    assert "GMT" in again.headers["Upload-Expires"]
    done = send(clients.zhang, place, data[half:], half)
    assert (done.status_code, done.headers["Upload-Offset"]) == (204, str(len(data)))
    assert listed(clients.zhang, place)["state"] == "received"
    (whole,) = plaintext(desk)
    assert (whole.read_bytes(), whole.name) == (data, "手持终端 录像.mp4")
    assert whole.stat().st_mtime_ns == 1763600000123 * 10**6
    sweep(desk)
    found = listed(clients.zhang, place)
    assert found["state"] == "accessioned"
    assert plaintext(desk) == []
    recording = clients.zhang.get(f"/api/v1/recordings/{found['recording']}").json()
    assert recording["sha256"] == hashlib.sha256(data).hexdigest()
    assert recording["name"] == "手持终端 录像.mp4"
    copy = clients.zhang.get(f"/api/v1/recordings/{found['recording']}/content?purpose=copy")
    assert copy.content == data
    chain = clients.zhang.get(f"/api/v1/recordings/{found['recording']}/custody").json()["items"]
    assert [one["act"] for one in chain][:2] == ["submission.hand-in", "recording.accession"]
    assert chain[0]["actor"] == f"person:{desk.persons['zhang']}"
    assert chain[1]["details"]["operator"] == f"person:{desk.persons['zhang']}"
    assert "source.clear" in [one["act"] for one in chain]
    assert list(whole_check(desk.office)) == []
    assert list_orphans(desk.office) == []
    # and once more is nothing new
    assert begin(clients.zhang, data, name="另一个名字.mp4") == place
    assert len(acts(desk, "recording.accession")) == 1


def test_the_recording_is_of_the_township_of_who_handed_it_in(desk, clients):
    data = b"from another township"
    send(clients.elsewhere, place := begin(clients.elsewhere, data), data)
    sweep(desk)
    recording = listed(clients.elsewhere, place)["recording"]
    assert clients.elsewhere.get(f"/api/v1/recordings/{recording}").status_code == 200
    assert clients.zhang.get(f"/api/v1/recordings/{recording}").status_code == 403


def test_two_persons_with_the_same_bytes_have_a_recording_each(desk, clients):
    data = b"filmed once, handed in twice"
    places = [(one, begin(one, data)) for one in (clients.zhang, clients.li)]
    for client, place in places:
        assert send(client, place, data).status_code == 204
    sweep(desk)
    assert len({listed(client, place)["recording"] for client, place in places}) == 2


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"..",
        b"../../keys/centre.sign",
        b"a/b.mp4",
        b"C:\\DCIM\\a.mp4",
        b"a\0.mp4",
        b"a\xff.mp4",
        b"x" * 256,
        b"a.mp4.part",
        b"Thumbs.db",
        b"liuhen-source.json",
    ],
)
def test_a_name_that_is_none_is_refused(desk, clients, name):
    before = plaintext(desk)
    answer = clients.zhang.post(ROOT, headers=told(b"x", name=name))
    assert (answer.status_code, answer.json()["code"]) == (422, "hand-in-name")
    assert answer.json()["next"]
    assert plaintext(desk) == before


def test_a_name_that_turns_the_reading_direction_is_shown_made_safe(desk, clients):
    name = "收据\u202egpj.exe\x07.mp4"
    send(clients.zhang, place := begin(clients.zhang, b"bidi", name=name), b"bidi")
    assert listed(clients.zhang, place)["name"] == "收据\\u202egpj.exe\\u0007.mp4"
    sweep(desk)
    recording = listed(clients.zhang, place)["recording"]
    shown = clients.zhang.get(f"/api/v1/recordings/{recording}").json()["name"]
    assert shown == "收据\\u202egpj.exe\\u0007.mp4"


def test_other_bytes_than_announced_are_not_taken_and_begin_anew(desk, clients):
    data = b"what was announced"
    place = begin(clients.zhang, data)
    answer = send(clients.zhang, place, b"what has been sent")
    assert (answer.status_code, answer.json()["code"]) == (409, "hand-in-digest")
    assert answer.headers["Upload-Offset"] == "0"
    assert listed(clients.zhang, place)["offset"] == 0
    assert not any(desk.office.reception.bay_folder.glob("*/*"))
    assert send(clients.zhang, place, data).status_code == 204
    sweep(desk)
    assert listed(clients.zhang, place)["state"] == "accessioned"


def test_lies_about_the_offset_and_too_many_bytes_change_nothing(clients):
    data = b"0123456789"
    place = begin(clients.li, data)
    assert send(clients.li, place, data[:4]).status_code == 204
    for offset in (0, 3, 5, 10):
        answer = send(clients.li, place, b"xx", offset)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "4")
    assert send(clients.li, place, b"x" * 7, 4).status_code == 409
    assert clients.li.head(place, headers=TUS).headers["Upload-Offset"] == "4"
    for headers in (BYTES, BYTES | {"Upload-Offset": "-1"}, BYTES | {"Upload-Offset": "x"}):
        assert clients.li.patch(place, headers=headers, content=b"x").status_code == 422
    wrong = TUS | {"Content-Type": "text/plain", "Upload-Offset": "4"}
    assert clients.li.patch(place, headers=wrong, content=b"x").json()["code"] == "media-type"
    old = BYTES | {"Tus-Resumable": "0.2.1", "Upload-Offset": "4"}
    assert clients.li.patch(place, headers=old, content=b"x").json()["code"] == "tus-version"
    assert send(clients.li, place, data[4:], 4).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Metadata": "filename"},
        {"Upload-Metadata": "filename !!!,sha256 !!!"},
        {"Upload-Metadata": f"filename {base64.b64encode(b'a.mp4').decode()}"},
        told(b"x", sha256="ab"),
        told(b"x", modified="yesterday"),
        told(b"x", modified=-1),
    ],
)
def test_an_announcement_that_says_too_little_is_refused(clients, headers):
    given = TUS | {"Upload-Length": "1"} | headers
    assert clients.zhang.post(ROOT, headers=given).status_code == 422


def test_too_large_and_empty_files_are_refused_before_a_byte(clients):
    for length in (11 << 20, 1 << 39):
        answer = clients.zhang.post(ROOT, headers=told(b"", length=length))
        assert (answer.status_code, answer.json()["code"]) == (413, "hand-in-size")
    assert clients.zhang.post(ROOT, headers=told(b"", length=0)).status_code == 422
    limit = clients.nobody.options(ROOT).headers["Tus-Max-Size"]
    assert int(limit) == int(0.01 * (1 << 30))


def test_nobody_but_the_owner_sees_writes_or_drops_it(clients):
    data = b"zhang's own"
    place = begin(clients.zhang, data)
    for other in (clients.li, clients.elsewhere):
        assert other.head(place, headers=TUS).status_code == 404
        assert send(other, place, data).status_code == 404
        assert other.delete(place, headers=TUS).status_code == 404
        assert place.rpartition("/")[2] not in other.get(ROOT).text
    unknown = f"{ROOT}/019c0000-0000-7000-8000-000000000000"
    assert clients.zhang.head(unknown, headers=TUS).status_code == 404
    assert send(clients.zhang, f"{ROOT}/..%2F..%2Fkeys", data).status_code in {404, 422}
    # a station's upload is no submission, and a submission no station's upload
    assert send(clients.zhang, place.replace("submissions", "uploads"), data).status_code == 401
    assert clients.zhang.delete(place, headers=TUS).status_code == 204
    assert clients.zhang.head(place, headers=TUS).status_code == 404


def test_without_a_login_or_the_right_nothing_is_taken(desk, clients):
    for name in ("shen", "wang", "guan"):
        answer = getattr(clients, name).post(ROOT, headers=told(b"x"))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    refused = [one for one in acts(desk, "submission.hand-in") if one.outcome == "refused"]
    assert len(refused) == 3
    for method in ("post", "get"):
        headers = told(b"x") | {"Sec-Fetch-Site": "same-origin"}
        assert clients.nobody.request(method, ROOT, headers=headers).status_code == 401


def test_another_sites_page_hands_nothing_in_with_our_cookie(clients):
    browser = TestClient(clients.nobody.app)
    login = {"username": "li", "password": PASSWORD}
    browser.post("/api/v1/sessions", json=login, headers={"Sec-Fetch-Site": "same-origin"})
    own = {"Sec-Fetch-Site": "same-origin"}
    data = b"li's own"
    place = browser.post(ROOT, headers=told(data) | own).headers["Location"]
    for site in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        assert browser.post(ROOT, headers=told(b"forged") | site).json()["code"] == "cross-site"
        patch = BYTES | {"Upload-Offset": "0"} | site
        assert browser.patch(place, headers=patch, content=data).json()["code"] == "cross-site"
        assert browser.delete(place, headers=TUS | site).json()["code"] == "cross-site"
    assert browser.head(place, headers=TUS).headers["Upload-Offset"] == "0"
    assert browser.delete(place, headers=TUS | own).status_code == 204


def test_a_person_has_only_so_many_files_on_their_way(desk, clients):
    client = clients.elsewhere
    places = [begin(client, bytes([number])) for number in range(5)]
    answer = client.post(ROOT, headers=told(b"one more"))
    assert (answer.status_code, answer.json()["code"]) == (409, "hand-in-many")
    assert begin(client, b"\x00") == places[0]  # going on is always possible
    send(client, places[0], b"\x00")  # received, but nobody took it in yet
    assert client.post(ROOT, headers=told(b"one more")).status_code == 409
    sweep(desk)
    places.append(begin(client, b"one more"))
    for place in places[1:]:
        assert client.delete(place, headers=TUS).status_code == 204


def test_what_is_received_cannot_be_taken_back(desk, clients):
    data = b"no way back"
    send(clients.zhang, place := begin(clients.zhang, data), data)
    answer = clients.zhang.delete(place, headers=TUS)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    sweep(desk)
    assert listed(clients.zhang, place)["state"] == "accessioned"
    assert clients.zhang.delete(place, headers=TUS).status_code == 409


def test_two_who_send_the_same_upload_at_once_spoil_nothing(desk, clients):
    data = bytes(range(256)) * 4000
    place = begin(clients.zhang, data)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(clients.zhang, place, data), range(4)))
    assert {one.status_code for one in answers} <= {204, 409}
    at = int(clients.zhang.head(place, headers=TUS).headers["Upload-Offset"])
    if at < len(data):
        assert send(clients.zhang, place, data[at:], at).status_code == 204
    sweep(desk)
    recording = listed(clients.zhang, place)["recording"]
    copy = clients.zhang.get(f"/api/v1/recordings/{recording}/content?purpose=copy")
    assert copy.content == data


def test_what_nobody_goes_on_with_expires_and_what_was_taken_in_is_forgotten(desk, clients):
    place = begin(clients.li, b"never finished")
    send(clients.li, place, b"never")
    done = begin(clients.li, b"finished")
    send(clients.li, done, b"finished")
    reception = desk.office.reception
    reception.sweep_idle(desk.office.clock() + timedelta(days=6))
    assert clients.li.head(place, headers=TUS).headers["Upload-Offset"] == "5"
    reception.sweep_idle(desk.office.clock() + timedelta(days=8))
    assert clients.li.head(place, headers=TUS).status_code == 404
    assert listed(clients.li, done)["state"] == "received"  # it is still the station's to take
    assert [path.read_bytes() for path in plaintext(desk)] == [b"finished"]
    sweep(desk)
    reception.sweep_idle(desk.office.clock() + timedelta(days=8))
    assert done.rpartition("/")[2] not in clients.li.get(ROOT).text
    assert plaintext(desk) == []
    assert list(whole_check(desk.office)) == []


def test_what_is_completed_while_idle_uploads_are_swept_keeps_its_owner(desk, clients, monkeypatch):
    place = begin(clients.li, b"slow but whole")
    send(clients.li, place, b"slow")
    list_idle = uploads.untouched_since

    def list_then_complete(*question):
        rows = list_idle(*question)
        assert send(clients.li, place, b" but whole", 4).status_code == 204
        return rows

    monkeypatch.setattr(uploads, "untouched_since", list_then_complete)
    desk.office.reception.sweep_idle(desk.office.clock() + timedelta(days=8))
    monkeypatch.undo()
    assert listed(clients.li, place)["state"] == "received"
    sweep(desk)
    assert listed(clients.li, place)["state"] == "accessioned"
    assert plaintext(desk) == []


class PowerCutError(BaseException):
    """The power goes."""


@pytest.mark.parametrize("cut_before", ["abort", "delete", "forget"])
def test_giving_up_that_a_power_cut_stopped_leaves_no_plaintext_behind(
    desk, clients, monkeypatch, cut_before
):
    data = b"joined and then given up"
    reception, person = desk.office.reception, desk.persons["li"]
    name = UUID(begin(clients.li, data).rpartition("/")[2])
    writer = reception.uploads.open_writer(person, RecordingId(name), 0)
    writer.add_bytes(bytearray(data))
    writer.flush()  # a link that is slow: these bytes are in a tail, too
    writer.close()
    reception.uploads.assemble_payload(person, RecordingId(name))  # and no further

    def cut(*_args, **_more):
        raise PowerCutError

    owner = uploads if cut_before == "forget" else FolderObjects
    monkeypatch.setattr(owner, {"forget": "forget_upload"}.get(cut_before, cut_before), cut)
    with pytest.raises(PowerCutError):
        reception.give_up(person, name)
    monkeypatch.undo()
    reception.give_up(person, name)
    assert plaintext(desk) == []
    assert not reception.has_waiting_files()


def test_bytes_that_a_slow_link_left_in_a_tail_go_when_the_file_is_received(desk, clients):
    reception, person = desk.office.reception, desk.persons["li"]
    place = begin(clients.li, b"slow, piece by piece")
    name = RecordingId(UUID(place.rpartition("/")[2]))
    writer = reception.uploads.open_writer(person, name, 0)
    for piece in (b"slow, ", b"piece by ", b"piece"):
        writer.add_bytes(bytearray(piece))
        writer.flush()
    writer.close()
    assert len(plaintext(desk)) == 2
    reception.receive_file(person, name)
    assert [path.read_bytes() for path in plaintext(desk)] == [b"slow, piece by piece"]
    sweep(desk)
    assert plaintext(desk) == []


def test_of_two_centres_one_takes_it_in(desk, clients):
    """Several centres of one home: whoever is the station first stays it; the others do not."""
    while desk.office._lock:  # this desk was the station itself until now
        import os

        os.close(desk.office._lock.pop())
    data = b"for one of them"
    send(clients.zhang, place := begin(clients.zhang, data), data)
    other = Office.open(desk.office.settings)
    try:
        worker = _make_handin_worker(other)
        assert worker is not None
        assert _make_handin_worker(desk.office) is None
        with pytest.raises(StationBusyError):
            desk.office.build_station(alone=False)
        worker.start()
        try:
            for _ in range(600):
                if listed(clients.zhang, place)["state"] == "accessioned" and not plaintext(desk):
                    break
                worker.wake()
                worker._stop.wait(0.05)
        finally:
            worker.stop()
    finally:
        other.close()
    assert listed(clients.zhang, place)["state"] == "accessioned"
    assert _make_handin_worker(desk.office) is None  # nothing is left to do


def test_a_file_from_the_year_2400_stops_nobody_who_hands_in(desk, clients):
    """A browser's File.lastModified: one such file stopped the reception of everybody for good."""
    for client, data, more in (
        (clients.zhang, b"of the year 2400", {"modified": 13_569_465_600_000}),
        (clients.li, b"of an ordinary day", {}),
    ):
        place = begin(client, data, name=f"{data.decode()}.txt", **more)
        assert send(client, place, data).status_code == 204
    sweep(desk)
    sweep(desk)
    for client in (clients.zhang, clients.li):
        assert {one["state"] for one in client.get(ROOT).json()["items"]} == {"accessioned"}
