"""A county without its database: what people and programs read, and how much the logs say.

Real PostgreSQL, HAProxy, centre, service and worker, each a process of its own.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy import first_start
from deploy.county import HERE
from tests.command import LIUHEN, environment
from tests.office import Desk
from tests.servers import database, postgres

PATIENCE_S = 60
ROUNDS = 12
PEOPLE, PROGRAMS = "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"
PROCESSES = ("serve", "centre", "worker")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    def check_for_people(self) -> None:
        assert self.status == 503
        assert self.headers["content-type"].startswith("text/html")
        assert int(self.headers["retry-after"]) > 0
        assert self.body.lstrip().startswith("<!doctype html>")
        assert '<html lang="zh-CN">' in self.body
        assert "请稍候" in self.body
        assert "系统管理员" in self.body
        assert "记录仪内的文件没有清除" in self.body

    def check_for_programs(self) -> None:
        assert self.status == 503
        assert self.headers["content-type"] == "application/problem+json"
        assert int(self.headers["retry-after"]) > 0
        problem = json.loads(self.body)
        assert problem["type"] == f"urn:liuhen:problem:{problem['code']}"
        assert problem["detail"][0] > "\u4e00"  # Chinese
        assert problem["title"].isascii()
        assert "请稍候" in problem["next"]


@dataclass
class Outage:
    """What was heard while the database was away; by process what each wrote from then on."""

    of_centre: dict[str, Answer] = field(default_factory=dict)
    of_proxy: dict[str, Answer] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str, accept: str, ca: Path | None = None, method: str = "GET") -> Answer:
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if ca is None
        else http.client.HTTPSConnection(
            "localhost", port, timeout=20, context=ssl.create_default_context(cafile=ca)
        )
    )
    with contextlib.closing(connection):
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read().decode())


@contextlib.contextmanager
def process(log: Path, *words: str, **told: str) -> Iterator[None]:
    with log.open("wb") as written:
        started = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *words],
            env=told,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        yield
        assert started.poll() is None, log.read_text()[-2000:]
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if postgres.binaries() is None or haproxy is None:
        told = "THE OUTAGE WAS NOT TESTED: postgresql or haproxy missing"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    folder = tmp_path_factory.mktemp("outage")
    first_start.main([str(folder / "made")])
    ca = folder / "made/trust/ca.pem"
    serve, centre, proxy, nobody, health = (free_port() for _ in range(5))
    office = folder / "office"
    office.mkdir()
    with postgres.running(folder / "postgres") as server, contextlib.ExitStack() as processes:
        url = server.create("template0", database.BY_BYTES)
        desk = Desk.set_up(office, database_url=url)
        home = desk.office.settings.home
        desk.office.close()
        bay = desk.bay("bay-1")
        for name, words, more in (
            (
                "serve",
                ("serve", "--port", str(serve)),
                {"LIUHEN_BAYS": json.dumps({"1": str(bay)})},
            ),
            ("centre", ("centre", "--port", str(centre)), {}),
            ("worker", ("worker", "--name", "w1"), {"LIUHEN_WORKER_SILENT_S": "6"}),
        ):
            told = environment(home, **({"LIUHEN_DATABASE_URL": url, "LIUHEN_SWEEP_S": "1"} | more))
            processes.enter_context(process(folder / f"{name}.log", str(LIUHEN), *words, **told))
        places = {
            "LISTEN": f"127.0.0.1:{proxy}",
            "HEALTH": f"127.0.0.1:{health}",
            "CERTIFICATE": str(folder / "made/secrets-proxy/server.pem"),
            "CENTRE_1": f"127.0.0.1:{centre}",
            "CENTRE_2": f"127.0.0.1:{nobody}",
        }
        cfg = str(HERE / "proxy/haproxy.cfg")
        processes.enter_context(
            process(folder / "proxy.log", haproxy, "-db", "-f", cfg, PATH=os.defpath, **places)
        )

        def answers(port: int, *where: Path) -> Callable[[], bool]:
            def ready() -> bool:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    return ask(port, "/readyz", PROGRAMS, *where).status == 200
                return False

            return ready

        for port, where in ((serve, ()), (centre, ()), (proxy, (ca,))):
            until(answers(port, *where))
        until(lambda: "ready" in (folder / "worker.log").read_text())
        before = {name: len((folder / f"{name}.log").read_text()) for name in PROCESSES}

        def written(name: str) -> str:
            return (folder / f"{name}.log").read_text()[before[name] :]

        outage = Outage()
        server.kill()
        for number in range(20):  # files that cannot be taken now
            (bay / f"{number}.bin").write_bytes(bytes([number]))
        for _ in range(ROUNDS):
            outage.of_centre |= {
                "page": ask(centre, "/bays", PEOPLE, method="POST"),
                "login": ask(centre, "/login", PEOPLE, method="POST"),
            }
            for port in (centre, serve):
                cookie = "liuhen_session=" + "a" * 43
                outage.of_centre |= asked_with(port, cookie)
        # Until the proxy has found out, the centre's own answers go through it.
        until(lambda: "proxy-away" in ask(proxy, "/readyz", PROGRAMS, ca).body)
        until(lambda: all("数据库无法读写" in written(name) for name in PROCESSES))
        outage.of_proxy = {
            "page": ask(proxy, "/bays", PEOPLE, ca),
            "form": ask(proxy, "/login", PEOPLE, ca, method="POST"),
            "anything": ask(proxy, "/bays", "*/*", ca),
            "json": ask(proxy, "/bays", PROGRAMS, ca),
            "api": ask(proxy, "/api/v1/me", PEOPLE, ca),
            "tus": ask(proxy, "/api/v1/uploads", "*/*", ca, method="POST"),
            "station": ask(proxy, "/api/v1/token", "*/*", ca, method="POST"),
            "ready": ask(proxy, "/readyz", "*/*", ca),
        }
        server.start()
        until(lambda: all("已恢复" in written(name) for name in PROCESSES))
        until(answers(proxy, ca))
        outage.written = {name: written(name).splitlines() for name in PROCESSES}
        yield outage


def asked_with(port: int, cookie: str) -> dict[str, Answer]:
    found = {}
    for name, path, accept in (
        ("page", "/bays", PEOPLE),
        ("json", "/bays", PROGRAMS),
        ("api", "/api/v1/me", PEOPLE),
        ("ready", "/readyz", "*/*"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept": accept, "Cookie": cookie})
            answer = connection.getresponse()
            headers = {key.lower(): value for key, value in answer.getheaders()}
            found[name] = Answer(answer.status, headers, answer.read().decode())
    return found


def test_people_read_chinese_from_a_centre_without_its_database(outage: Outage) -> None:
    outage.of_centre["page"].check_for_people()


@pytest.mark.parametrize("what", ["json", "api", "ready"])
def test_programs_get_a_problem_from_a_centre_without_its_database(
    outage: Outage, what: str
) -> None:
    outage.of_centre[what].check_for_programs()


@pytest.mark.parametrize("what", ["page", "form", "anything"])
def test_people_read_chinese_from_the_proxy_when_no_centre_answers(
    outage: Outage, what: str
) -> None:
    outage.of_proxy[what].check_for_people()


@pytest.mark.parametrize("what", ["json", "api", "tus", "station", "ready"])
def test_programs_get_a_problem_from_the_proxy_when_no_centre_answers(
    outage: Outage, what: str
) -> None:
    outage.of_proxy[what].check_for_programs()


@pytest.mark.parametrize("name", PROCESSES)
def test_an_outage_takes_a_few_lines_however_much_fails_in_it(outage: Outage, name: str) -> None:
    """Nothing more is written before `REMIND_S`: as many in a minute as in these seconds."""
    lines = outage.written[name]
    assert len(lines) <= 8
    assert sum("数据库无法读写,自" in line for line in lines) == 1
    (over,) = [line for line in lines if "已恢复(数据库无法读写)" in line]
    assert "条同类记录未写" in over
    assert not any("Traceback" in line for line in lines)
