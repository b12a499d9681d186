"""The county as processes: it comes up whole, answers over TLS, and outlives one of its centres."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deploy import first_start
from deploy.county import HERE
from tests.deploy.topology import PATIENCE_S, Topology, running
from tests.servers import ceph, postgres

CENTRES = ("centre-1", "centre-2")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    missing = [*ceph.missing(), *([] if postgres.binaries() else ["postgresql"])]
    missing += [] if shutil.which("haproxy", path="/usr/sbin:/usr/bin") else ["haproxy"]
    if missing:
        told = f"THE COUNTY WAS NOT STARTED: {', '.join(missing)} missing"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    quick = {"LIUHEN_QUIET_S": "0.5", "LIUHEN_SWEEP_S": "1", "LIUHEN_WORKER_SILENT_S": "6"}
    with running(tmp_path_factory.mktemp("county"), settings=quick) as topology:
        yield topology


@pytest.fixture
def whole(county: Topology) -> Topology:
    """The county with nothing killed."""
    dead = [
        service.name
        for service in county.county.services
        if not service.once
        and service.kind not in {"db", "objects"}
        and not county.alive(service.name)
    ]
    for name in dead:
        county.start(name)
    for name in dead:
        county.wait(name)
    until(lambda: served(county) == set(CENTRES))
    return county


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def served(county: Topology) -> set[str]:
    """Return the centres that the proxy believes in, by its own log of their checks."""
    log = county.log("proxy")
    up = set(CENTRES)
    for line in log.splitlines():
        for name in CENTRES:
            if f"centres/{name} is DOWN" in line:
                up.discard(name)
            elif f"centres/{name} is UP" in line:
                up.add(name)
    return up


def test_every_service_is_healthy(whole: Topology) -> None:
    for service in whole.county.services:
        assert service.once or whole.healthy(service.name), service.name


def test_county_answers_over_tls(whole: Topology) -> None:
    assert whole.ask("/healthz")[0] == 200
    assert whole.ask("/readyz")[0] == 200
    status, body = whole.ask("/api/v1/openapi.json")
    assert status == 200
    assert json.loads(body)["info"]["title"]


def test_wrong_authority_is_refused(whole: Topology, tmp_path: Path) -> None:
    assert first_start.main([str(tmp_path)]) == 0  # another county's
    stranger = ssl.create_default_context(cafile=tmp_path / "trust/ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        whole.ask("/healthz", context=stranger)


def test_old_tls_and_plain_http_are_refused(whole: Topology) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(whole.ca)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    assert whole.ask("/healthz", context=old)[0] == 200
    host, port = whole.address("proxy").split(":")
    ancient = hello_of_tls_1_1()
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(ancient)
        answer = line.recv(16)
    assert answer[:1] == b"\x15"  # an alert, not a handshake
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in line.recv(64)


def hello_of_tls_1_1() -> bytes:
    """Return a ClientHello that offers nothing newer than TLS 1.1 (RFC 4346 7.4.1.2)."""
    suites = bytes.fromhex("c013c014002f0035")
    body = b"\x03\x02" + bytes(32) + b"\x00" + len(suites).to_bytes(2, "big") + suites + b"\x01\x00"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


@pytest.fixture(scope="module")
def password(county: Topology) -> str:
    secret = "a-long-enough-password"
    person = ("--username", "li", "--name", "李", "--role", "reviewer", "--password", secret)
    county.run("migrate", "liuhen", "accounts", "add", *person)
    return secret


def log_in(county: Topology, password: str, **headers: str) -> tuple[int, str, str]:
    """Return status, cookie and token."""
    host, port = county.address("proxy").split(":")
    context = ssl.create_default_context(cafile=county.ca)
    asking = http.client.HTTPSConnection(host, int(port), timeout=30, context=context)
    with contextlib.closing(asking):
        body = json.dumps({"username": "li", "password": password})
        told = {"Content-Type": "application/json", **headers}
        asking.request("POST", "/api/v1/sessions", body, told)
        answer = asking.getresponse()
        document = json.loads(answer.read())
        return answer.status, answer.headers["Set-Cookie"] or "", document.get("token", "")


def test_visitor_cannot_say_by_a_header_that_he_came_without_tls(
    whole: Topology, password: str
) -> None:
    for spoofed in ({}, {"X-Forwarded-Proto": "http"}, {"Forwarded": "proto=http"}):
        status, cookie, _token = log_in(whole, password, **spoofed)
        assert status == 201
        assert "Secure" in cookie


def test_visitor_cannot_say_by_a_header_where_he_comes_from(whole: Topology, password: str) -> None:
    lie = "192.0.2.66"
    for name in ("X-Forwarded-For", "x-forwarded-for", "X-Real-IP", "Forwarded"):
        assert log_in(whole, password, **{name: lie if name != "Forwarded" else f"for={lie}"})
        with psycopg.connect(whole.db._dsn("liuhen")) as connection:
            newest = "SELECT details FROM custody_event WHERE act = 'session.open' ORDER BY index"
            (details,) = connection.execute(f"{newest} DESC LIMIT 1").fetchone()
        told = details if isinstance(details, dict) else json.loads(details)
        assert told["address"] == "127.0.0.1"


def test_session_opened_at_one_centre_is_known_to_the_other(whole: Topology, password: str) -> None:
    _status, _cookie, token = log_in(whole, password)
    for centre in CENTRES:
        whole.kill(centre)
        headers = {"Authorization": f"Bearer {token}"}
        status, body = whole.ask("/api/v1/me", headers=headers)
        assert (status, json.loads(body)["username"]) == (200, "li")
        whole.start(centre)
        whole.wait(centre)
        until(lambda: served(whole) == set(CENTRES))


def test_body_of_an_upload_is_passed_on_as_it_comes(whole: Topology) -> None:
    context = ssl.create_default_context(cafile=whole.ca)
    host, port = whole.address("proxy").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=30) as line,
        context.wrap_socket(line, server_hostname="localhost") as secured,
    ):
        # 10 GiB are announced, one byte is sent: who gathers the body first would never answer.
        secured.sendall(
            b"POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
            b"Content-Type: application/offset+octet-stream\r\nContent-Length: 10737418240\r\n\r\nx"
        )
        assert secured.recv(12) == b"HTTP/1.1 401"


def recordings(county: Topology) -> int:
    with psycopg.connect(county.db._dsn("liuhen")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM recording").fetchone()
        return int(count)


def film(county: Topology) -> None:
    """Put three more segments onto the recorder in the simulated station's bay."""
    county.run("station", "python", str(HERE / "film.py"), str(county.made("recorder")))


def test_station_delivers_through_either_centre(whole: Topology) -> None:
    until(lambda: recordings(whole) >= 3)
    for centre in CENTRES:
        before = recordings(whole)
        whole.kill(centre)
        film(whole)
        until(lambda before=before: recordings(whole) >= before + 3)
        whole.start(centre)
        whole.wait(centre)
        until(lambda: served(whole) == set(CENTRES))
    told = json.loads(whole.run("migrate", "liuhen", "verify", "--all", "--json"))
    assert told["verified"]
    assert told["recordings"] == recordings(whole)


def test_service_goes_on_when_a_centre_is_killed(whole: Topology) -> None:
    for centre in CENTRES:
        whole.kill(centre)
        for _ in range(20):
            assert whole.ask("/readyz")[0] == 200
        whole.start(centre)
        whole.wait(centre)
        until(lambda: served(whole) == set(CENTRES))


def test_county_without_a_centre_says_so_and_comes_back(whole: Topology) -> None:
    for centre in CENTRES:
        whole.kill(centre)
    until(lambda: not whole.healthy("proxy"))
    assert whole.ask("/readyz")[0] == 503
    whole.start("centre-2")
    until(lambda: whole.ask("/readyz")[0] == 200)


def test_county_outlives_its_database(whole: Topology) -> None:
    whole.kill("db")
    until(lambda: whole.ask("/readyz")[0] == 503)
    whole.start("db")
    until(lambda: whole.ask("/readyz")[0] == 200)
    until(lambda: served(whole) == set(CENTRES))


def test_second_start_changes_nothing(whole: Topology) -> None:
    def kept() -> dict[str, bytes]:
        return {
            str(file): file.read_bytes()
            for name in ("authority", "trust", "secrets-office", "secrets-proxy", "home/keys")
            for file in whole.made(name).rglob("*")
            if file.is_file()
        }

    before = kept()
    for name in ("first-start", "migrate", "introduce"):
        whole.start(name)
    assert kept() == before
    assert whole.ask("/readyz")[0] == 200


def test_no_process_has_a_secret_in_its_environment_or_its_words(whole: Topology) -> None:
    secrets = [
        file.read_bytes()
        for folder in whole.folder.glob("made/secrets-*")
        for file in folder.iterdir()
        if file.name != "server.pem"
    ]
    for process in whole._processes.values():
        for told in ("environ", "cmdline"):
            text = Path(f"/proc/{process.pid}/{told}").read_bytes()
            assert not any(secret in text for secret in secrets)


def test_centre_asked_to_stop_ends_by_itself(whole: Topology) -> None:
    process = whole._processes["centre-1"]
    whole.kill("centre-1", signal.SIGTERM)
    assert process.returncode in {0, -signal.SIGTERM}


def test_killed_worker_is_found_out_and_the_other_goes_on(whole: Topology) -> None:
    whole.kill("worker-1")
    until(lambda: not whole.healthy("worker-1"))
    assert whole.healthy("worker-2")
    whole.start("worker-1")
    whole.wait("worker-1")


@pytest.mark.parametrize("name", ["centre-1", "worker-1", "station"])
def test_service_writes_nowhere_but_into_its_own_folders(whole: Topology, name: str) -> None:
    """A read-only root, another user, no powers: what its container will give it."""
    whole.kill(name)
    whole.start(name, whole.walls(name))
    whole.wait(name)
    before = recordings(whole)
    if name == "station":
        film(whole)
        until(lambda: recordings(whole) >= before + 3)
    whole.kill(name)
    whole.start(name)
    whole.wait(name)
