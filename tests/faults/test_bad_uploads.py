"""A hostile or broken station at the centre's door: refused in words, and nothing has changed.

Everything goes over real HTTPS, most of it with a valid token of an enrolled station.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import select

from api.office.evidence.integrity_check import list_orphans, whole_check
from api.problems import TABLE, reason_zh
from api.station.process import StationHome
from ingest.bays.bay import Outcome
from ingest.station.delivery.centre_client import ASSERTION_TYPE, CentreRefusedError
from ingest.station.journal import Entry, State
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.tables import UploadRow
from storage.digest import Digest
from storage.errors import ConflictError
from storage.record import RECORD_DOMAIN
from storage.recording import RecordingId, new_recording_id
from storage.signed import canonical
from storage.signed.signing import SigningKey, sign_document
from storage.vault.keys import KeyRing, SealKey
from storage.vault.sealing import seal_envelope
from tests.office import PASSWORD
from tests.township import County, Township, sweep

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    county = County.found(tmp_path_factory.mktemp("county"))
    with county.serve():
        yield county
    county.desk.office.close()


@pytest.fixture(scope="module")
def home(county: County, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StationHome]:
    """A station with two sealed files, of which the first was delivered."""
    township = Township(tmp_path_factory.mktemp("township"), "s-raw")
    township.enrol(county)
    with township.open() as home:
        for name in ("first.bin", "second.bin"):
            (township.bay("bay-1") / name).write_bytes(os.urandom(3000))
            assert Outcome.SEALED in {result.outcome for result in sweep(home)}
            if name == "first.bin":
                assert home.deliver().accessioned == 1
        yield home


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        assert self.headers.get_content_type() == "application/problem+json"
        told = json.loads(self.body)
        assert told["detail"]
        assert told["code"] in TABLE
        return str(told["code"])


@dataclass
class Wire:
    """Requests exactly as given, with the station's token unless another is."""

    county: County
    home: StationHome

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.county.authority.certificate)

    def __call__(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        token: str | None = None,
    ) -> Answer:
        bearer = self.home.centre.client._current_token() if token is None else token
        given = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.county.port, context=self.tls, timeout=20
        )
        with contextlib.closing(connection):
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(
                method, f"/api/v1{path}", body, given | (headers or {}), encode_chunked=chunked
            )
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def post(self, path: str, document: object) -> Answer:
        return self("POST", path, JSON, json.dumps(document).encode())

    def begin(self, recording: object, data: bytes) -> Answer:
        headers = TUS | {"Upload-Length": str(len(data))} | metadata(recording, data)
        return self("POST", "/uploads", headers)

    def patch(self, recording: object, offset: int, data: bytes | Iterator[bytes]) -> Answer:
        headers = TUS | BYTES | {"Upload-Offset": str(offset)}
        return self("PATCH", f"/uploads/{recording}", headers, data)

    def offset(self, recording: object) -> int:
        return int(self("HEAD", f"/uploads/{recording}", TUS).headers["Upload-Offset"])

    @contextlib.contextmanager
    def raw(self) -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(("127.0.0.1", self.county.port), 20) as plain,
            self.tls.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
        ):
            yield wire


@pytest.fixture
def wire(county: County, home: StationHome) -> Wire:
    return Wire(county, home)


def metadata(recording: object, data: bytes) -> dict[str, str]:
    pairs = {"recording": str(recording), "sha256": hashlib.sha256(data).hexdigest()}
    return {"Upload-Metadata": ",".join(f"{name} {b64(text)}" for name, text in pairs.items())}


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def fresh() -> RecordingId:
    return new_recording_id(datetime.now(UTC), os.urandom(10))


def kept(county: County) -> dict[str, Any]:
    """Everything that the centre holds, but its entries about refusals."""
    office = county.desk.office
    with office.catalogue.read() as session:
        log = LogReader(session)
        events = [log.get_event(index) for index in range(log.size)]
        under_way = [(row.recording, row.offset) for row in session.scalars(select(UploadRow))]
        statuses = [(row.station_id, row.told) for row in enrolment.list_statuses(session)]
    return {
        "rows": [(row.id, row.receipt_text) for row in county.rows()],
        "uploads": under_way,
        "objects": list(office.objects.keys()),
        "acts": [event.act for event in events if event.outcome != "refused"],
        "statuses": statuses,
    }


@pytest.fixture
def nothing_changes(county: County) -> Iterator[None]:
    before = kept(county)
    yield
    assert kept(county) == before


LENGTH = {"Upload-Length": "12"}
GOOD_ID, DATA = RecordingId(UUID("01a20b3b-2dc6-7dd9-899d-2efb0dcb4300")), b"twelve bytes"
CREATIONS: dict[str, tuple[dict[str, str], int]] = {
    "no length": (TUS | metadata(GOOD_ID, DATA), 422),
    "no bytes": (TUS | {"Upload-Length": "0"} | metadata(GOOD_ID, DATA), 422),
    "less than nothing": (TUS | {"Upload-Length": "-5"} | metadata(GOOD_ID, DATA), 422),
    "a length that is no number": (TUS | {"Upload-Length": "1e3"} | metadata(GOOD_ID, DATA), 422),
    "more than any disk": (TUS | {"Upload-Length": str(1 << 60)} | metadata(GOOD_ID, DATA), 422),
    "a number without end": (TUS | {"Upload-Length": "9" * 5000} | metadata(GOOD_ID, DATA), 422),
    "no metadata": (TUS | LENGTH, 422),
    "empty metadata": (TUS | LENGTH | {"Upload-Metadata": ""}, 422),
    "metadata without values": (TUS | LENGTH | {"Upload-Metadata": "recording,sha256"}, 422),
    "metadata that is not base64": (
        TUS | LENGTH | {"Upload-Metadata": "recording !,sha256 !"},
        422,
    ),
    "metadata that is not text": (
        TUS | LENGTH | {"Upload-Metadata": f"recording {b64(bytes([255, 254]))},sha256 AAAA"},
        422,
    ),
    "metadata without end": (TUS | LENGTH | {"Upload-Metadata": "x AAAA," * 1000}, 422),
    "an id that is a path": (TUS | LENGTH | metadata("../../keys/centre", DATA), 422),
    "an id that is not of a time": (
        TUS | LENGTH | metadata("9b2b6c1e-6a53-4c6c-9b61-0d5e7b0c0a11", DATA),
        422,
    ),
    "the id of nothing": (TUS | LENGTH | metadata("0" * 32, DATA), 422),
    "a digest that is too short": (
        TUS | LENGTH | {"Upload-Metadata": f"recording {b64(str(GOOD_ID))},sha256 {b64('abcd')}"},
        422,
    ),
    "another version of the protocol": (
        {"Tus-Resumable": "0.2.2"} | LENGTH | metadata(GOOD_ID, DATA),
        412,
    ),
    "no version of the protocol": (LENGTH | metadata(GOOD_ID, DATA), 422),
}


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("kind", CREATIONS)
def test_a_creation_that_makes_no_sense_is_refused(wire: Wire, kind: str) -> None:
    headers, status = CREATIONS[kind]
    answer = wire("POST", "/uploads", headers)
    assert (answer.status, answer.code) == (status, "tus-version" if status == 412 else "invalid")


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    ("body", "status"), [(b"twelve byteS", 409), (b"more than twelve bytes", 422)]
)
def test_a_creation_with_other_bytes_than_it_announces_is_refused(
    wire: Wire, body: bytes, status: int
) -> None:
    headers = TUS | BYTES | LENGTH | metadata(fresh(), DATA)
    answer = wire("POST", "/uploads", headers, body)
    assert (answer.status, answer.code) == (status, "conflict" if status == 409 else "invalid")


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    "place",
    [
        "..%2f..%2fkeys%2fcentre",
        "%2e%2e/%2e%2e/keys",
        "../../healthz",
        "%00",
        "not-a-uuid",
        f"{GOOD_ID}%2f..%2fpayload",
        f"{GOOD_ID}/payload",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_path_trick_finds_nothing(wire: Wire, method: str, place: str) -> None:
    headers = TUS | BYTES | {"Upload-Offset": "0"}
    answer = wire(method, f"/uploads/{place}", headers, b"x")
    assert answer.status in {400, 404, 405, 422}
    if answer.status != 400:  # the server itself, before us
        assert answer.code in {"invalid", "not-found", "no-such-method"}


@pytest.fixture
def strangers_token(county: County, tmp_path: Path) -> str:
    stranger = Township(tmp_path, "s-stranger")
    stranger.enrol(county)
    with stranger.open() as home:
        return home.centre.client._current_token()


@pytest.fixture
def begun(county: County, wire: Wire) -> Iterator[RecordingId]:
    """An upload of twelve bytes, of which five are there."""
    recording = fresh()
    assert wire.begin(recording, DATA).status == 201
    assert wire.patch(recording, 0, DATA[:5]).headers["Upload-Offset"] == "5"
    before = kept(county)
    yield recording
    assert kept(county) == before
    answer = wire.patch(recording, 5, DATA[5:])
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, "12")
    stored = county.desk.office.uploads.assemble_payload("s-raw", recording)
    assert stored is not None
    assert stored.digest == Digest.compute(DATA)
    county.desk.office.uploads.discard_upload(recording)
    county.desk.office.centre.discard_attempt(recording)


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"Upload-Offset": "0"}, 409, "conflict"),
        ({"Upload-Offset": "4"}, 409, "conflict"),
        ({"Upload-Offset": "6"}, 409, "conflict"),
        ({"Upload-Offset": "12"}, 409, "conflict"),
        ({"Upload-Offset": "13"}, 409, "conflict"),
        ({"Upload-Offset": str(1 << 40)}, 409, "conflict"),
        ({"Upload-Offset": str(1 << 70)}, 422, "invalid"),
        ({"Upload-Offset": "-1"}, 422, "invalid"),
        ({"Upload-Offset": "five"}, 422, "invalid"),
        ({"Upload-Offset": "5", "Content-Type": "text/html"}, 415, "media-type"),
        ({"Upload-Offset": "5", "Tus-Resumable": "2.0.0"}, 412, "tus-version"),
    ],
)
def test_bytes_for_another_place_are_refused(
    wire: Wire, begun: RecordingId, more: dict[str, str], status: int, code: str
) -> None:
    answer = wire("PATCH", f"/uploads/{begun}", TUS | BYTES | more, b"abc")
    assert (answer.status, answer.code) == (status, code)
    if status == 409:
        assert answer.headers["Upload-Offset"] == "5"


@pytest.mark.parametrize("chunked", [False, True])
def test_more_bytes_than_announced_are_refused(
    wire: Wire, begun: RecordingId, *, chunked: bool
) -> None:
    data = DATA[5:] + b" and more"
    answer = wire.patch(begun, 5, iter([data]) if chunked else data)
    assert (answer.status, answer.code) == (409, "conflict")
    assert wire.offset(begun) == 5


def test_the_same_id_with_other_facts_is_refused(wire: Wire, begun: RecordingId) -> None:
    for data in (b"eleven bytes"[:11], b"TWELVE BYTES"):
        assert wire.begin(begun, data).code == "conflict"
        headers = TUS | BYTES | {"Upload-Length": str(len(data))} | metadata(begun, data)
        assert wire("POST", "/uploads", headers, data).code == "conflict"


def test_another_station_finds_no_upload_of_ours(
    wire: Wire, strangers_token: str, begun: RecordingId
) -> None:
    token = strangers_token
    place = f"/uploads/{begun}"
    for method in ("PATCH", "DELETE"):
        answer = wire(method, place, TUS | BYTES | {"Upload-Offset": "5"}, b"x", token)
        assert (answer.status, answer.code) == (404, "not-found")
    assert wire("HEAD", place, TUS, token=token).status == 404
    headers = TUS | {"Upload-Length": "12"} | metadata(begun, DATA)
    assert wire("POST", "/uploads", headers, token=token).code == "conflict"


def head(wire: Wire, recording: object, offset: int, length: int) -> bytes:
    token = wire.home.centre.client._current_token()
    lines = [
        f"PATCH /api/v1/uploads/{recording} HTTP/1.1",
        "Host: centre",
        f"Authorization: Bearer {token}",
        "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream",
        f"Upload-Offset: {offset}",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_body_shorter_than_it_says_is_kept_as_far_as_it_came(county: County, wire: Wire) -> None:
    recording, data = fresh(), os.urandom(1000)
    wire.begin(recording, data)
    with wire.raw() as raw:
        raw.sendall(head(wire, recording, 0, 1000) + data[:100])
        pause, deadline = threading.Event(), time.monotonic() + 20
        while wire.offset(recording) < 100 and time.monotonic() < deadline:
            pause.wait(0.05)
    assert wire.offset(recording) == 100
    wire.patch(recording, 100, data[100:])
    stored = county.desk.office.uploads.assemble_payload("s-raw", recording)
    assert stored is not None
    assert stored.digest == Digest.compute(data)
    county.desk.office.uploads.discard_upload(recording)
    county.desk.office.centre.discard_attempt(recording)


def test_a_body_longer_than_it_says_is_no_second_request(wire: Wire) -> None:
    recording, data = fresh(), os.urandom(1000)
    wire.begin(recording, data)
    with wire.raw() as raw:
        raw.sendall(head(wire, recording, 0, 400) + data)
        assert raw.recv(100)[:12] in {b"HTTP/1.1 204", b"HTTP/1.1 400"}
    assert wire.offset(recording) <= 400
    assert wire("DELETE", f"/uploads/{recording}", TUS).status == 204
    assert wire("HEAD", f"/uploads/{recording}", TUS).status == 404


def test_two_writers_at_once_end_in_the_right_bytes(county: County, wire: Wire) -> None:
    recording, data = fresh(), os.urandom(20 * MIB)
    wire.begin(recording, data)
    statuses: list[int] = []

    def write(step: int) -> None:
        offset = 0
        while offset < len(data):
            pieces = (data[at : at + step] for at in range(offset, len(data), step))
            with contextlib.suppress(OSError):
                statuses.append(wire.patch(recording, offset, pieces).status)
            offset = wire.offset(recording)

    writers = [threading.Thread(target=write, args=(step,)) for step in (300_000, 70_000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert set(statuses) <= {204, 409}
    uploads = county.desk.office.uploads
    try:
        stored = uploads.assemble_payload("s-raw", recording)
    except ConflictError:  # a clean restart
        assert wire.patch(recording, 0, data).status == 204
        stored = uploads.assemble_payload("s-raw", recording)
    assert stored is not None
    assert stored.digest == Digest.compute(data)
    uploads.discard_upload(recording)
    county.desk.office.centre.discard_attempt(recording)


def test_a_store_that_lost_the_attempt_begins_anew(county: County, wire: Wire) -> None:
    recording, data = fresh(), os.urandom(1000)
    wire.begin(recording, data)
    wire.patch(recording, 0, data[:600])
    folder = county.folder / "centre" / "var" / "objects" / str(recording)
    (attempt,) = folder.glob(".put-*")
    attempt.unlink()
    answer = wire.patch(recording, 600, data[600:])
    assert (answer.code, answer.headers["Upload-Offset"]) == ("conflict", "0")
    assert wire.patch(recording, 0, data).status == 204
    stored = county.desk.office.uploads.assemble_payload("s-raw", recording)
    assert stored is not None
    assert stored.digest == Digest.compute(data)
    county.desk.office.uploads.discard_upload(recording)
    county.desk.office.centre.discard_attempt(recording)


# Documents


@dataclass
class Sealed:
    """What waits in the station's spool, and what it would be under other claims."""

    home: StationHome
    entry: Entry

    @property
    def envelope(self) -> str:
        return (self.entry.envelope or b"").decode()

    @property
    def document(self) -> dict[str, str]:
        return {"record": (self.entry.record or b"").decode(), "envelope": self.envelope}

    def claiming(self, key: SigningKey | None = None, **claims: object) -> dict[str, str]:
        body = canonical.decode(self.entry.record or b"")["body"] | claims
        record = sign_document(key or self.home.station.seal.key, RECORD_DOMAIN, body)
        return self.document | {"record": record.decode()}


@pytest.fixture
def sealed(home: StationHome) -> Sealed:
    (entry,) = home.journal.in_state(State.SEALED)
    return Sealed(home, entry)


@pytest.fixture
def uploaded(county: County, sealed: Sealed) -> Iterator[Sealed]:
    """Its payload is at the centre; nothing else of it comes to be."""
    recording, digest = sealed.entry.recording, None
    payload = sealed.home.settings.home / "spool" / str(recording) / "payload"
    assert recording is not None
    digest = Digest.compute(payload.read_bytes())
    sealed.home.centre.client.begin_upload(
        recording, payload.stat().st_size, digest, payload.read_bytes()
    )
    before = kept(county)
    yield sealed
    assert kept(county) == before
    county.desk.office.centre.discard_attempt(recording)


@pytest.mark.usefixtures("nothing_changes")
def test_an_old_delivery_again_gets_its_old_receipt(
    county: County, home: StationHome, wire: Wire
) -> None:
    (entry,) = home.journal.in_state(State.ACCESSIONED)
    assert entry.record
    assert entry.envelope
    document = {"record": entry.record.decode(), "envelope": entry.envelope.decode()}
    for _ in range(3):
        answer = wire.post("/accessions", document)
        assert answer.status == 200
        assert json.loads(answer.body)["receipt"] == (entry.receipt or b"").decode()


@pytest.mark.usefixtures("nothing_changes")
def test_a_record_without_its_payload_is_refused(wire: Wire, sealed: Sealed) -> None:
    answer = wire.post("/accessions", sealed.document)
    assert (answer.status, answer.code) == (422, "delivery-refused")
    assert "仍在本站" in reason_zh("delivery-refused")


def test_an_envelope_sealed_to_other_keys_is_refused(
    wire: Wire, uploaded: Sealed, home: StationHome, tmp_path: Path
) -> None:
    """The centre gives no receipt for what neither its vault nor its recovery key opens."""
    recipients = [_other_key(key, tmp_path / key.kid) for key in home.ring.recipients]
    assert uploaded.entry.recording is not None
    envelope = seal_envelope(os.urandom(32), uploaded.entry.recording, "s-raw", recipients)
    document = uploaded.claiming(envelope={"sha-256": Digest.compute(envelope).hex})
    answer = wire.post("/accessions", document | {"envelope": envelope.decode()})
    assert (answer.status, answer.code) == (422, "delivery-refused")


def _other_key(key: SealKey, folder: Path) -> SealKey:
    KeyRing.create(
        folder,
        station="x",
        origin="x.invalid/log",
        recovery_out=folder.with_suffix(".recovery"),
        entropy=os.urandom,
    )
    return next(one for one in KeyRing.load(folder).recipients if one.kid != key.kid)


CLAIMS: dict[str, dict[str, object]] = {
    "another envelope": {"envelope": {"sha-256": "00" * 32}},
    "another payload": {"payload": {"sha-256": "00" * 32, "size": 3000}},
    "a payload of another size": {"size": 1},
    "another recording": {"recording": str(fresh())},
    "another station": {"station": "s-other"},
    "no recording": {"recording": "../../keys"},
    "no source": {"source": {}},
    "no media": {"media": {}},
    "a time that is none": {"clocks": {"file_start": "soon", "offset_s": 0}},
    "another version": {"v": 2},
    "text for a list": {"inspection": 5},
}


@pytest.mark.parametrize("kind", [kind for kind in CLAIMS if kind != "a payload of another size"])
def test_a_record_that_claims_what_is_not_so_is_refused(
    wire: Wire, uploaded: Sealed, kind: str
) -> None:
    answer = wire.post("/accessions", uploaded.claiming(**CLAIMS[kind]))
    assert answer.status in {409, 422}
    assert answer.code in {"conflict", "delivery-refused"}


def test_a_record_under_another_key_is_refused(wire: Wire, uploaded: Sealed) -> None:
    key = SigningKey.from_seeds("s-raw", os.urandom(64))
    answer = wire.post("/accessions", uploaded.claiming(key))
    assert (answer.status, answer.code) == (409, "conflict")


DEEP = "[" * 100_000
BODIES: dict[str, bytes] = {
    "a record of a mebibyte": json.dumps({"record": "x" * MIB, "envelope": "{}"}).encode(),
    "a body of two": b'{"record": "' + b"x" * 2 * MIB,
    "a record that is deep": json.dumps({"record": DEEP, "envelope": "{}"}).encode(),
    "a body that is deep": DEEP.encode(),
    "a deep value": b'{"record": ' + DEEP.encode(),
    "not JSON": b"record=1&envelope=2",
    "not text": bytes(range(256)),
    "nothing": b"",
    "a list": b"[]",
    "more than is known": json.dumps({"record": "", "envelope": "", "payload": ""}).encode(),
    "a surrogate": b'{"record": "\\ud800", "envelope": "{}"}',
}


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("place", ["/accessions", "/notes", "/status", "/stations/enrol"])
@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_nobody_should_send_is_refused(wire: Wire, place: str, kind: str) -> None:
    method = "PUT" if place == "/status" else "POST"
    answer = wire(method, place, JSON, BODIES[kind])
    assert 400 <= answer.status < 500
    assert answer.code in {"invalid", "conflict"}


# Notes and status


def note(**more: object) -> dict[str, object]:
    told: dict[str, object] = {
        "number": 1_000_000,
        "act": "submission.refuse",
        "subject": "bay:bay-1",
        "outcome": "refused",
        "details": {"reason": "link", "path": "x"},
    }
    return told | more


NOTES: dict[str, dict[str, object]] = {
    "an act of the centre": {"act": "recording.accession"},
    "an act of a person": {"act": "hold.release"},
    "no act": {"act": ""},
    "rows of the catalogue": {
        "details": {"rows": [{"table": "recording", "key": "x", "state": None}]}
    },
    "who did it": {"details": {"actor": "person:1"}},
    "another subject": {"details": {"subject": "recording:1"}},
    "a fact that is no plain value": {"details": {"path": {"deep": [1]}}},
    "a number without end": {"details": {"submission": 1 << 80}},
    "not a number": {"details": {"submission": 1.5}},
    "a path without end": {"details": {"path": "x" * 5000}},
    "facts without end": {"details": {str(number): "x" for number in range(1000)}},
    "a huge body of facts": {"details": {"path": "x" * 900_000}},
    "an outcome that is none": {"outcome": "maybe"},
    "a subject of another kind": {"subject": "case:1"},
    "a subject that is a path": {"subject": "bay:../../x"},
    "number zero": {"number": 0},
    "a number that no database counts": {"number": 1 << 63},
}


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("kind", NOTES)
def test_a_note_that_is_not_a_stations_is_refused(wire: Wire, kind: str) -> None:
    answer = wire.post("/notes", note(**NOTES[kind]))
    assert answer.status in {409, 422}
    assert answer.code in {"conflict", "invalid"}


def test_a_note_that_comes_again_is_one_entry(county: County, wire: Wire) -> None:
    before = county.acts("submission.refuse")
    for details in ({"reason": "link", "path": "x"}, {"reason": "other", "path": "y"}):
        assert wire.post("/notes", note(details=details)).status == 204
    assert county.acts("submission.refuse") == before + 1


def test_a_name_without_end_does_not_hold_up_the_stations_other_notes(
    county: County, home: StationHome
) -> None:
    told = {"reason": "too-deep", "path": "很深" * 5000}
    home.centre.note_act("submission.refuse", subject="bay:bay-1", outcome="refused", details=told)
    home.journal.add_note("not.ours", subject="bay:bay-1", outcome="refused", details={})
    told = {"reason": "link", "path": "z"}
    home.centre.note_act("submission.refuse", subject="bay:bay-1", outcome="refused", details=told)
    before = county.acts("submission.refuse")
    assert home.centre.send_notes() == 2
    assert county.acts("submission.refuse") == before + 2
    (left,) = home.journal.list_notes()
    assert left.act == "not.ours"
    home.journal.drop_note(left.number)


# Tokens


Claims = dict[str, object]
Forge = Callable[["Door"], str]


@dataclass
class Door:
    """Makes assertions as the station would, or nearly so."""

    county: County
    home: StationHome
    at: datetime

    @property
    def key(self) -> SigningKey:
        return self.home.station.seal.key

    @property
    def private(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(self.key.ed25519_seed)

    def claims(self, **more: object) -> Claims:
        now = int(self.at.timestamp())
        told: Claims = {
            "iss": "s-raw",
            "sub": "s-raw",
            "aud": self.county.desk.office.ring.get_verify_key("log").name,
            "iat": now,
            "exp": now + 200,
            "jti": os.urandom(8).hex(),
        }
        return {name: value for name, value in (told | more).items() if value is not None}

    def signed(self, headers: dict[str, object] | None = None, **more: object) -> str:
        kid = {"kid": self.key.verify_key().kid}
        return jwt.encode(
            self.claims(**more), self.private, algorithm="EdDSA", headers=kid | (headers or {})
        )

    def by_hand(self, header: object, signature: Callable[[bytes], bytes], payload: object) -> str:
        def part(value: object) -> bytes:
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        message = part(header) + b"." + part(payload)
        return (message + b"." + part(signature(message))).decode()

    def ask(self, wire: Wire, assertion: str, **more: str) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return wire("POST", "/token", headers, urlencode(form | more).encode(), "")


@pytest.fixture
def door(county: County, home: StationHome) -> Door:
    return Door(county, home, datetime.now(UTC))


def _unsigned(door: Door) -> str:
    header = {"alg": "none", "kid": door.key.verify_key().kid}
    return door.by_hand(header, lambda _message: b"", door.claims())


def _hmac_of_public_key(door: Door) -> str:
    public = door.key.verify_key().ed25519
    header = {"alg": "HS256", "typ": "JWT", "kid": door.key.verify_key().kid}
    return door.by_hand(
        header, lambda message: hmac.digest(public, message, "sha256"), door.claims()
    )


def _own_key_in_header(door: Door) -> str:
    own = ed25519.Ed25519PrivateKey.generate()
    x = base64.urlsafe_b64encode(own.public_key().public_bytes_raw()).rstrip(b"=").decode()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}
    header = {"alg": "EdDSA", "kid": door.key.verify_key().kid, "jwk": jwk}
    return door.by_hand(header, own.sign, door.claims())


FORGED: dict[str, tuple[Forge, str]] = {
    "unsigned": (_unsigned, "enrolment-assertion"),
    "signed with what everybody knows": (_hmac_of_public_key, "enrolment-assertion"),
    "a key of its own": (_own_key_in_header, "enrolment-assertion"),
    "a key that nobody enrolled": (
        lambda door: door.signed({"kid": "0123456789abcdef"}),
        "enrolment-unknown",
    ),
    "no key": (lambda door: door.signed({"kid": ""}), "enrolment-unknown"),
    "another station's name": (lambda door: door.signed(sub="station-1"), "enrolment-unknown"),
    "another issuer": (lambda door: door.signed(iss="station-1"), "enrolment-assertion"),
    "for another centre": (lambda door: door.signed(aud="other.invalid"), "enrolment-assertion"),
    "for nobody": (lambda door: door.signed(aud=None), "enrolment-assertion"),
    "without a name": (lambda door: door.signed(jti=None), "enrolment-assertion"),
    "without an end": (lambda door: door.signed(exp=None), "enrolment-assertion"),
    "ended": (
        lambda door: door.signed(iat=door.at.timestamp() - 900, exp=door.at.timestamp() - 700),
        "enrolment-clock",
    ),
    "not begun": (
        lambda door: door.signed(iat=door.at.timestamp() + 1e5, exp=door.at.timestamp() + 1e5),
        "enrolment-clock",
    ),
    "without end": (lambda door: door.signed(exp=1e12), "enrolment-clock"),
    "of no time": (lambda door: door.signed(iat=float("nan")), "enrolment-clock"),
    "of a time beyond numbers": (
        lambda door: door.by_hand(
            {"alg": "EdDSA", "kid": door.key.verify_key().kid},
            door.private.sign,
            door.claims(exp=10**400),
        ),
        "enrolment-assertion",
    ),
    "changed on the way": (lambda door: door.signed()[:-4] + "AAAA", "enrolment-assertion"),
    "a deep header": (
        lambda door: door.by_hand(b"[" * 2500, door.private.sign, door.claims()),
        "enrolment-assertion",
    ),
    "deep claims": (
        lambda door: door.by_hand(
            {"alg": "EdDSA", "kid": door.key.verify_key().kid}, door.private.sign, b"[" * 2500
        ),
        "enrolment-assertion",
    ),
    "a list": (lambda door: door.by_hand([], door.private.sign, []), "enrolment-assertion"),
    "garbage": (lambda _door: "a.b.c", "enrolment-assertion"),
}


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_assertion_gets_no_token(wire: Wire, door: Door, kind: str) -> None:
    forge, code = FORGED[kind]
    answer = door.ask(wire, forge(door))
    assert (answer.status, answer.code) == (401, code)


@pytest.mark.usefixtures("nothing_changes")
def test_a_good_assertion_for_another_purpose_gets_no_token(wire: Wire, door: Door) -> None:
    assert door.ask(wire, door.signed(), grant_type="password").code == "enrolment-assertion"
    assert door.ask(wire, door.signed(), client_assertion_type="x").code == "enrolment-assertion"
    assert door.ask(wire, "x" * 20_000).code == "invalid"
    assert door.ask(wire, door.signed()).status == 200


PLACES = [
    ("POST", "/uploads"),
    ("HEAD", f"/uploads/{GOOD_ID}"),
    ("PATCH", f"/uploads/{GOOD_ID}"),
    ("DELETE", f"/uploads/{GOOD_ID}"),
    ("POST", "/accessions"),
    ("POST", "/notes"),
    ("PUT", "/status"),
    ("GET", "/holdings?source=x&size=1"),
    ("GET", f"/receipts?source=x&sha256={'0' * 64}"),
]


def ask_everywhere(wire: Wire, token: str) -> set[tuple[int, str]]:
    answers = set()
    for method, place in PLACES:
        headers = TUS | {"Upload-Offset": "0"} | LENGTH | metadata(GOOD_ID, DATA)
        documents = place in {"/accessions", "/notes", "/status"}
        headers |= JSON if documents else BYTES
        body = {"/accessions": {"record": "", "envelope": ""}, "/notes": note()}.get(place, {})
        answer = wire(method, place, headers, json.dumps(body).encode(), token)
        answers.add((answer.status, "" if method == "HEAD" else answer.code))
    return answers


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("token", ["", "x", "' OR 1=1 --", "a" * 4000])
def test_without_a_token_every_door_is_shut(wire: Wire, token: str) -> None:
    answers = ask_everywhere(wire, token)
    assert {status for status, _code in answers} == {401} or answers == {(422, "invalid")}
    assert {code for _status, code in answers} <= {"enrolment-token", "invalid", ""}


def test_a_persons_session_opens_no_door_of_the_stations(county: County, wire: Wire) -> None:
    token, _until = county.desk.service.identity.login("wang", PASSWORD)
    before = kept(county)
    assert {code for _status, code in ask_everywhere(wire, token)} <= {"enrolment-token", ""}
    assert kept(county) == before


def test_a_token_ends_after_ten_minutes_and_an_enrolment_after_its_years(
    county: County, home: StationHome, wire: Wire, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = json.loads(door.ask(wire, door.signed()).body)["access_token"]
    office = county.desk.office
    before = kept(county)
    real = office.clock
    try:
        office.clock = lambda: real() + timedelta(minutes=11)
        assert {code for _status, code in ask_everywhere(wire, token)} == {"enrolment-token", ""}
        office.clock = lambda: real() + timedelta(days=731)
        later = Door(county, home, real() + timedelta(days=731))
        answer = later.ask(wire, later.signed())
        assert (answer.status, answer.code) == (403, "enrolment-expired")
    finally:
        office.clock = real
    assert kept(county) == before
    assert "到期" in reason_zh("enrolment-expired")


def test_a_revoked_stations_token_is_worth_nothing_at_once(
    county: County, wire: Wire, tmp_path: Path
) -> None:
    township = Township(tmp_path, "s-gone")
    township.enrol(county)
    with township.open() as gone:
        token = gone.centre.client._current_token()
        with county.desk.office.catalogue.write() as uow:
            enrolment.revoke_enrolments(uow, "s-gone", "stolen", actor="system")
        before = kept(county)
        assert {code for _status, code in ask_everywhere(wire, token)} == {"enrolment-token", ""}
        gone.centre.client._token = None
        with pytest.raises(CentreRefusedError) as refused:
            gone.report()
        assert refused.value.code == "enrolment-revoked"
        assert kept(county) == before
    assert "撤销" in reason_zh("enrolment-revoked")


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    "document",
    ["", "{}", DEEP[:19_000], '{"body": {"key": {}}}', '{"body": {"key": []}, "signatures": []}'],
)
def test_an_enrolment_that_proves_no_key_is_refused(
    county: County, wire: Wire, document: str
) -> None:
    code = "s-raw/" + "-".join(["AAAA"] * 8)
    answer = wire.post("/stations/enrol", {"code": code, "document": document})
    assert (answer.status, answer.code) == (409, "enrolment-key")


def test_after_all_that_the_centre_is_whole_and_takes_what_is_good(
    county: County, home: StationHome
) -> None:
    tally = home.deliver()
    assert (tally.accessioned, tally.waiting, tally.refused, tally.away) == (1, 0, 0, None)
    assert [wrong.to_json() for wrong in whole_check(county.desk.office)] == []
    assert list_orphans(county.desk.office) == []
