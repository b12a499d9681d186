"""A line that is cut, slow, silent or deaf, and answers that are not the centre's.

Every recording arrives once, at little more than its own bytes; nothing goes to a stranger.
"""

import hashlib
import http.server
import json
import os
import socketserver
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.uploads import tus
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.problems import reason_zh
from api.station.process import StationHome
from ingest.bays.bay import Outcome
from ingest.centre.uploads import Uploads
from ingest.station.delivery.centre_client import CentreAwayError
from ingest.station.journal import Entry, State
from storage.errors import LiuhenError
from storage.record import RECORD_DOMAIN, Receipt
from storage.signed import canonical
from storage.signed.signing import sign_document
from tests.servers.bad_link import GOOD, BadLink, Fare, bad_link
from tests.servers.tls import Authority
from tests.township import County, Township, sweep

# CPython loses hold of a socket that was reset before its handshake (ssl.SSLSocket._create).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
MIB = 1 << 20
HANDSHAKES = 96 << 10  # bytes that many connections, tokens and documents may take beside payloads


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    county = County.found(tmp_path_factory.mktemp("county"))
    with county.serve():
        yield county
    county.desk.office.close()


@pytest.fixture
def link(county: County) -> Iterator[BadLink]:
    with bad_link(county.port) as link:
        yield link


@pytest.fixture
def home(
    county: County, link: BadLink, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[StationHome]:
    """A station whose only way to the centre is the bad line."""
    name = "s-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    township = Township(tmp_path, name, {"centre_timeout_s": 3})
    township.enrol(county, link.url)
    with township.open() as home:
        yield home


def spool(home: StationHome, *sizes: int) -> list[Entry]:
    """Seal files of random bytes while the centre is not asked; return what waits."""
    bay = home.settings.bays["bay-1"]
    (bay / "liuhen-source.json").write_text(f'{{"serial":"R-{home.enrolment["station"]["id"]}"}}')
    for number, size in enumerate(sizes):
        (bay / f"{number}.bin").write_bytes(os.urandom(size))
    home.centre._away_until = float("inf")
    assert {result.outcome for result in sweep(home)} == {Outcome.SEALED}
    home.centre._away_until = 0.0
    return home.journal.in_state(State.SEALED)


def hang_up(home: StationHome) -> None:
    """Go on as after a while: new connections, a new token."""
    home.centre.client.wire.close()
    home.centre.client._token = None


def deliver_all(home: StationHome, passes: int) -> int:
    """Make passes until nothing waits; return how many it took."""
    for number in range(1, passes + 1):
        tally = home.deliver()
        hang_up(home)
        if not tally.waiting:
            return number
        assert tally.refused == 0
    raise AssertionError(f"{tally} after {passes} passes")


def bring(home: StationHome, entry: Entry) -> str | None:
    """Try to deliver one; return the code of what kept it."""
    try:
        home.station.deliver_entry(entry)
    except LiuhenError as error:
        return error.code
    return None


def check_once(county: County, entries: list[Entry]) -> None:
    wanted = [str(entry.recording) for entry in entries]
    rows = [row for row in county.rows() if row.id in wanted]
    assert Counter(row.id for row in rows) == Counter(wanted)
    assert all(row.receipt_text for row in rows)
    assert list_orphans(county.desk.office) == []


def test_a_line_cut_at_any_byte_delivers_once(
    county: County, link: BadLink, home: StationHome
) -> None:
    """Cut once, upward or downward, at a byte that hypothesis chooses; the next call succeeds."""
    waiting = spool(home, *range(1000, 1024))
    entries = list(waiting)

    @settings(max_examples=24, deadline=None, derandomize=True, database=None)
    @given(upward=st.booleans(), count=st.integers(0, 24_000))
    def cut(*, upward: bool, count: int) -> None:
        entry = waiting.pop()
        number = link.made + 1
        fare = Fare(cut_up=count) if upward else Fare(cut_down=count)
        link.fare = lambda made: fare if made == number else GOOD
        hang_up(home)
        code = bring(home, entry)
        assert code in {None, "centre-unreachable"}
        if code is not None:
            hang_up(home)
            assert bring(home, entry) is None
        done = next(one for one in home.journal.of_source(entry.source) if one.id == entry.id)
        assert done.state is State.ACCESSIONED

    cut()
    check_once(county, entries)


def test_every_second_connection_cut_costs_hardly_a_byte(
    county: County, link: BadLink, home: StationHome
) -> None:
    entries = spool(home, 6 * MIB, 3 * MIB, MIB)
    link.up = 0
    link.fare = lambda number: Fare(cut_up=2_000_000 if number % 2 else None, rate=10 * MIB)
    deliver_all(home, 10)
    assert link.up <= 1.1 * 10 * MIB + HANDSHAKES
    check_once(county, entries)


@pytest.mark.parametrize("size", [16 * MIB, 4 * MIB - 20_000])
@pytest.mark.parametrize("heard", ["both sides hear of it", "the centre does not hear of it"])
def test_a_slow_line_cut_again_and_again_sends_little_twice(
    county: County,
    link: BadLink,
    home: StationHome,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    heard: str,
) -> None:
    """2 Mbit/s cut every 10 s are 2.5 MB a connection: here in a tenth of the time and less."""
    monkeypatch.setattr(tus, "_REST_S", 0.02)
    (entry,) = spool(home, size)
    link.up = 0
    unheard = heard != "both sides hear of it"
    link.fare = lambda _number: Fare(cut_up=2_500_000, rate=8 * MIB, unheard=unheard)
    passes = deliver_all(home, 12)
    assert passes > 1
    assert link.up <= 1.1 * size + HANDSHAKES
    check_once(county, [entry])


@pytest.mark.parametrize(("takes_s", "pieces"), [(0.6, 0), (2.0, 1)])
def test_what_comes_in_little_more_than_one_wait_is_taken_whole(
    county: County,
    link: BadLink,
    home: StationHome,
    monkeypatch: pytest.MonkeyPatch,
    takes_s: float,
    pieces: int,
) -> None:
    """A busy centre sees every line as slow; it must not choose the way that costs it most."""
    begun: list[object] = []
    begin = Uploads.begin_upload

    def watched(*given: Any) -> Any:
        begun.append(given)
        return begin(*given)

    monkeypatch.setattr(tus, "_REST_S", 0.4)
    monkeypatch.setattr(Uploads, "begin_upload", watched)
    (entry,) = spool(home, MIB)
    link.fare = lambda _number: Fare(rate=int(MIB / takes_s))
    assert bring(home, entry) is None
    assert len(begun) == pieces
    check_once(county, [entry])


def test_a_line_that_stalls_and_drops_delivers_once(
    county: County, link: BadLink, home: StationHome
) -> None:
    """What 5 % of lost packets look like to TCP: pauses everywhere, now and then a reset."""
    entries = spool(home, 5 * MIB, 100_000, 2 * MIB)
    link.up = 0
    link.fare = lambda number: Fare(
        stall=(300_000, 0.02), cut_up=900_000 + 37_000 * number, rate=12 * MIB
    )
    deliver_all(home, 20)
    assert link.up <= 1.1 * 7.1 * MIB + 2 * HANDSHAKES
    check_once(county, entries)


def test_an_answer_that_is_lost_after_accession_comes_again_as_the_same_receipt(
    county: County, link: BadLink, home: StationHome
) -> None:
    entries = spool(home, 3 * MIB, 2000)
    kept: dict[str, str] = {}

    def lose_the_answer(step: str) -> None:
        link.deaf = step == "uploaded"

    home.centre.on_step = lose_the_answer
    for entry in entries:
        with pytest.raises(CentreAwayError):
            home.station.deliver_entry(entry)
        link.deaf = False
        hang_up(home)
        receipts = {row.id: row.receipt_text for row in county.rows()}
        kept[str(entry.recording)] = receipts[str(entry.recording)] or ""
    home.centre.on_step = lambda _step: None
    link.up = 0
    deliver_all(home, 1)
    assert link.up < HANDSHAKES  # no payload went twice
    for entry in home.journal.of_source(entries[0].source):
        assert (entry.receipt or b"").decode() == kept[str(entry.recording)]
    check_once(county, entries)
    assert [wrong.to_json() for wrong in whole_check(county.desk.office)] == []


def test_an_answer_that_is_lost_after_a_small_payload_costs_no_second_sending(
    county: County, link: BadLink, home: StationHome
) -> None:
    (entry,) = spool(home, 3 * MIB)
    home.centre.client.measure_clock()
    home.centre.client._current_token()
    link.deaf = True
    with pytest.raises(CentreAwayError):
        home.station.deliver_entry(entry)
    link.deaf = False
    hang_up(home)
    link.up = 0
    deliver_all(home, 1)
    assert link.up < HANDSHAKES
    check_once(county, [entry])


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_line_that_goes_silent_is_told_as_a_timeout(
    county: County, link: BadLink, home: StationHome, direction: str
) -> None:
    home.centre.client.wire.timeout_s = 0.3
    entries = spool(home, 12 * MIB)
    silent = Fare(silent_up=2 * MIB) if direction == "up" else Fare(silent_down=3_000)
    link.fare = lambda _number: silent
    tally = home.deliver()
    assert tally.away == "centre-timeout"
    assert "超时" in reason_zh(tally.away)
    assert "centre-timeout" in home.spool()["alarms"]
    link.fare = lambda _number: GOOD
    home.centre.client.wire.timeout_s = 10
    hang_up(home)
    deliver_all(home, 2)
    check_once(county, entries)


def test_a_late_word_of_a_writer_that_lost_its_place_harms_nothing(
    county: County, link: BadLink, home: StationHome
) -> None:
    """The centre still gathers from a dead connection while the station sends on another."""
    (entry,) = spool(home, 20 * MIB)
    first = link.made + 1
    link.fare = lambda number: Fare(cut_up=10 * MIB, unheard=True) if number == first else GOOD
    hang_up(home)
    assert home.deliver().away == "centre-unreachable"
    hang_up(home)
    held: list[int] = []

    def wake(step: str) -> None:
        """While the second connection is in use, the first ends at last: what it held comes now."""
        if step == "upload-begun":
            held.append(link.made)
            threading.Timer(0.05, link.hear).start()

    home.centre.on_step = wake
    link.fare = lambda _number: Fare(rate=60 * MIB)
    deliver_all(home, 2)
    assert held
    check_once(county, [entry])


def test_a_line_that_nobody_answers_on_is_told_and_nothing_is_lost(
    county: County, link: BadLink, home: StationHome
) -> None:
    entries = spool(home, 1000)
    link.fare = lambda _number: Fare(refuse=True)
    hang_up(home)
    assert home.deliver().away == "centre-unreachable"
    assert "连不上" in reason_zh("centre-unreachable")
    link.fare = lambda _number: GOOD
    deliver_all(home, 1)
    check_once(county, entries)


def test_a_name_that_does_not_resolve_is_told(home: StationHome) -> None:
    spool(home, 1000)
    wire = home.centre.client.wire
    wire.address = replace(wire.address, url="https://centre.invalid")
    assert home.deliver().away == "centre-unknown-name"
    assert "域名" in reason_zh("centre-unknown-name")


class _Page(http.server.BaseHTTPRequestHandler):
    """A login page, whatever was asked for."""

    server: "_Stranger"
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.heard.append(self.rfile.read(length))
        page = self.server.page
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = _answer  # noqa: N815 - as the module wants

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing."""


class _Stranger(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Something that answers on the centre's port and is not the centre."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.heard: list[bytes] = []
        self.page = b"<html><body>Please log in to the network</body></html>"
        self.status = 200
        self.headers = {"Content-Type": "text/html; charset=utf-8"}

    def handle_error(self, _request: object, _address: object) -> None:
        """A handshake that failed is what is wanted here."""


@contextmanager
def stranger(context: ssl.SSLContext | None) -> Iterator[_Stranger]:
    server = _Stranger()
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def tls(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def old_tls(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = tls(files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


Context = Callable[[County], ssl.SSLContext | None]
STRANGERS: dict[str, tuple[Context, str, str]] = {
    "portal with a certificate of ours": (
        lambda county: tls(county.authority.issue("portal")),
        "centre-portal",
        "先登录",
    ),
    "portal with a certificate of its own": (
        lambda county: tls(Authority.make(county.folder / "other", "portal").issue("portal")),
        "centre-certificate-unknown",
        "不是可信机构签发",
    ),
    "expired": (
        lambda county: tls(county.authority.issue("expired", days=(-30, -1))),
        "centre-certificate-expired",
        "过期",
    ),
    "not yet valid": (
        lambda county: tls(county.authority.issue("not-yet", days=(2, 30))),
        "centre-certificate-not-yet",
        "尚未生效",
    ),
    "of another name": (
        lambda county: tls(county.authority.issue("name", host="centre.example")),
        "centre-certificate-name",
        "名称不符",
    ),
    "of an address alone": (
        lambda county: tls(county.authority.issue("bare", host="127.0.0.1")),
        "centre-certificate-name",
        "名称不符",
    ),
    "of another address": (
        lambda county: tls(county.authority.issue("address", host="127.0.0.2")),
        "centre-certificate-name",
        "名称不符",
    ),
    "TLS 1.1 and older": (
        lambda county: old_tls(county.authority.issue("old")),
        "centre-tls",
        "加密",
    ),
    "no TLS": (lambda _county: None, "centre-tls", "加密"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_gets_nothing_and_is_told_for_what_it_is(
    county: County, link: BadLink, home: StationHome, kind: str
) -> None:
    context, code, hint = STRANGERS[kind]
    wire, before = home.centre.client.wire, home.centre.client.wire.address
    entries = spool(home, 5000)
    with stranger(context(county)) as server:
        link.upstream = server.server_address[1]
        hang_up(home)
        if kind == "of an address alone":
            wire.address = replace(wire.address, url=f"https://localhost:{link.port}")
        tally = home.deliver()
        assert (tally.away, tally.accessioned, tally.waiting) == (code, 0, 1)
        with pytest.raises(CentreAwayError) as away:
            home.report()
        assert away.value.code == code
        assert code in home.spool()["alarms"]
        payload = home.settings.home / "spool" / str(entries[0].recording) / "payload"
        assert payload.read_bytes()[:64] not in b"".join(server.heard)
        if "certificate" in code or code == "centre-tls":
            assert server.heard == []
    assert hint in reason_zh(code)
    assert reason_zh(code) != code
    link.upstream, wire.address = county.port, before
    hang_up(home)
    deliver_all(home, 1)
    check_once(county, entries)


@pytest.mark.parametrize(
    ("status", "kind", "page", "code"),
    [
        (302, "text/html", b"", "centre-portal"),
        (200, "application/json", b"<html>", "centre-portal"),
        (200, "application/json", b"[1, 2]", "centre-portal"),
        (200, "application/json", b'{"now": "yes"}', "centre-portal"),
        (200, "application/json", b'{"now": "2026-01-01T00:00:00"}', "centre-portal"),
        (200, "application/json", b"[" * 100_000, "centre-portal"),
        (403, "application/problem+json", b'{"code": "../../etc"}', "centre-portal"),
        (502, "text/html", b"bad gateway", "centre-busy"),
        (500, "application/problem+json", b'{"code": "internal"}', "centre-failing"),
        (200, "application/octet-stream", b"\0" * (3 << 20), "centre-portal"),
    ],
)
def test_a_portal_that_our_own_authority_vouches_for_is_not_believed(
    county: County,
    link: BadLink,
    home: StationHome,
    status: int,
    kind: str,
    page: bytes,
    code: str,
) -> None:
    with stranger(tls(county.authority.issue("portal"))) as server:
        server.status, server.page = status, page
        server.headers = {"Content-Type": kind, "Location": "http://login.example/"}
        link.upstream = server.server_address[1]
        hang_up(home)
        with pytest.raises(CentreAwayError) as away:
            home.report()
    assert away.value.code == code
    assert reason_zh(code) != code


def test_a_portal_that_says_yes_to_everything_gives_no_receipt(
    county: County, link: BadLink, home: StationHome
) -> None:
    """It knows the wire, but not the keys: what it calls a receipt clears nothing."""
    (entry,) = spool(home, 5000)
    now = home.clock().isoformat()
    page = {
        "now": now,
        "access_token": "yes",
        "expires_in": 600,
        "receipt": "{}",
        "held": True,
    }
    with stranger(tls(county.authority.issue("portal"))) as server:
        server.page = json.dumps(page).encode()
        server.headers = {
            "Content-Type": "application/json",
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "5000000",
        }
        link.upstream = server.server_address[1]
        hang_up(home)
        with pytest.raises(LiuhenError) as refused:
            home.station.deliver_entry(entry)
    assert refused.value.code == "signature"
    assert [one.state for one in home.journal.of_source(entry.source)] == [State.SEALED]
    link.upstream = county.port
    hang_up(home)
    deliver_all(home, 1)
    check_once(county, [entry])


def test_one_recording_that_the_centre_cannot_take_holds_up_no_other(
    county: County, home: StationHome
) -> None:
    bad, good = spool(home, 2000, 3000)
    body = canonical.decode(bad.record or b"")["body"] | {"envelope": {"sha-256": "00" * 32}}
    home.journal.keep_record(bad, sign_document(home.station.seal.key, RECORD_DOMAIN, body))
    tally = home.deliver()
    assert (tally.accessioned, tally.refused, tally.waiting, tally.away) == (1, 1, 1, None)
    (kept,) = home.journal.in_state(State.SEALED)
    assert (kept.id, kept.reason) == (bad.id, "delivery-refused")
    assert home.centre.spool.list_recordings() == [str(bad.recording)]
    assert "拒收" in reason_zh(kept.reason)
    home.journal.keep_record(bad, bad.record or b"")
    home.delivery._refused.clear()
    deliver_all(home, 1)
    check_once(county, [bad, good])


def test_two_stations_with_one_recorders_serial_lose_nothing(
    county: County, link: BadLink, tmp_path: Path
) -> None:
    """The same file is one recording with one receipt; different files are two."""
    names = ("s-twin-a", "s-twin-b")
    same, kept = os.urandom(4000), {}
    for name in names:
        township = Township(tmp_path / name, name)
        township.enrol(county, link.url)
        bay = township.bay("bay-1")
        (bay / "liuhen-source.json").write_text('{"serial":"R-twin"}')
        (bay / "same.bin").write_bytes(same)
        (bay / "own.bin").write_bytes(os.urandom(4000))
        with township.open() as home:
            home.centre._away_until = float("inf")
            sweep(home)
    homes = [Township(tmp_path / name, name).open() for name in names]
    with homes[0] as one, homes[1] as other:
        threads = [threading.Thread(target=home.deliver) for home in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for home in (one, other):
            assert (home.tally.waiting, home.tally.refused, home.tally.away) == (0, 0, None)
            for entry in home.journal.of_source("R-twin"):
                receipt = Receipt.verify(
                    entry.receipt or b"",
                    county.desk.office.ring.get_verify_key("centre"),
                    county.desk.office.ring.get_verify_key("log"),
                )
                kept.setdefault(entry.sha256, set()).add(receipt.recording)
    rows = [row for row in county.rows() if row.source_serial == "R-twin"]
    assert len(rows) == len(kept) == 3
    assert all(len(recordings) == 1 for recordings in kept.values())
    assert list_orphans(county.desk.office) == []
