"""The county of deploy/county.toml as plain processes: same services, same order, same settings.

`running(folder)` yields a `Topology` whose services all answer. PostgreSQL and Ceph's gateway stand
for the two engines' images; what they are set up with is what the containers get. Processes are
started, killed and restarted by the names of the services: `centre-1`, `worker-2`, `proxy`, and the
engines as `db` and `objects`. Every process dies with the one that started it.
"""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from deploy.county import HERE, County, Service, filled
from tests.deploy import evidence_bucket
from tests.servers.ceph import Ceph
from tests.servers.postgres import Postgres

PATIENCE_S = 90
# What whoever starts a county says of it.
_ASKED = {
    "LIUHEN_COUNTY": "兴隆县",
    "LIUHEN_TOWNSHIP": "兴隆镇",
    "LIUHEN_LOG_ORIGIN": "county.test/custody",
}
_VARIABLE = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
_PROGRAMS = (
    str(Path(sys.executable).parent),
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)


class TopologyError(Exception):
    """A service did not do what the definition says; the text ends with its last words."""


@contextlib.contextmanager
def running(
    folder: Path,
    county: County | None = None,
    *,
    without: frozenset[str] = frozenset(),
    settings: Mapping[str, str] | None = None,
) -> Iterator["Topology"]:
    """Start the county on an empty folder; end all of it when the block ends.

    `without` leaves out kinds of services; `settings` are added to those of every office process.
    Raises: TopologyError, CephError, PostgresError.
    """
    topology = Topology(folder, county or County.load(), settings or {})
    try:
        topology.start_all(without)
        yield topology
    finally:
        topology.stop_all()


@dataclass
class Topology:
    """The running county."""

    folder: Path
    county: County
    settings: Mapping[str, str]
    db: Postgres = field(init=False)
    objects: Ceph = field(init=False)
    _ports: dict[str, int] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = _free_ports(sum(bool(each.port) + len(each.ports) for each in self.county.services))
        for service in self.county.services:
            for name in ([""] if service.port else []) + [f"-{name}" for name in service.ports]:
                self._ports[service.name + name] = taken.pop()
        self.db = Postgres(self.folder / "db", port=self._ports["db"])
        self.objects = Ceph(
            self.folder / "objects",
            "memstore",
            8 << 30,
            access_key="",
            secret_key="",
            port=self._ports["objects"],
        )

    # Where things are

    @property
    def url(self) -> str:
        """Where stations and browsers find the county."""
        return f"https://{self.address('proxy')}"

    @property
    def ca(self) -> Path:
        """The certificate that stations are handed."""
        return self.made("trust") / "ca.pem"

    def address(self, name: str) -> str:
        """Return host:port of a service."""
        return f"127.0.0.1:{self._ports[name]}"

    def made(self, name: str) -> Path:
        """Return the folder that stands for a volume."""
        return self.folder / "made" / name

    def log(self, name: str) -> str:
        """Return what a service has written."""
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    # Starting and ending

    def start_all(self, without: frozenset[str] = frozenset()) -> None:
        """Start every service in order, and wait until all are healthy."""
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        wanted = [each for each in self.county.services if each.kind not in without]
        for service in wanted:
            for name in (*service.folders, *service.reads):
                self.made(name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for service in wanted:
            for other, condition in self.county.dependencies(service):
                if condition == "healthy" and other in wanted:
                    self.wait(other.name)
            self.start(service.name)
        for service in wanted:
            if not service.once:
                self.wait(service.name)

    def start(self, name: str, within: Sequence[str] = ()) -> None:
        """Start a service; one that ends by itself is waited for. `within` wraps its command."""
        service = self._service(name)
        if name == "db":
            self._start_db()
        elif name == "objects":
            self._start_objects()
        elif name == "bucket":
            self._prepare_bucket()
        elif service.once:
            self.run(name, *self._command(service))
        else:
            self._processes[name] = self._spawn(service, [*within, *self._command(service)])

    def run(self, name: str, *command: str, **more: str) -> str:
        """Run a command to its end as if in the service; return what it printed.

        Raises: TopologyError when its exit status is not 0.
        """
        service = self._service(name)
        done = subprocess.run(
            command,
            env={**self.environment(service), **more},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        with (self.folder / "logs" / f"{name}.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise TopologyError(f"{name}: {command[:3]}: {(done.stdout + done.stderr)[-1500:]}")
        return done.stdout

    def walls(self, name: str) -> list[str]:
        """Return the words that shut a service in as its container does: read-only, one user."""
        service = self._service(name)
        walls = ["bwrap", "--unshare-user", "--uid", "10001", "--gid", "10001", "--cap-drop", "ALL"]
        walls += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
        for program in (HERE.parent, Path(sys.prefix)):  # a checkout may lie below /tmp
            walls += ["--ro-bind", str(program), str(program)]
        for folder in service.folders:
            walls += ["--bind", str(self.made(folder)), str(self.made(folder))]
        for folder in service.reads:
            walls += ["--ro-bind", str(self.made(folder)), str(self.made(folder))]
        return [*walls, "--chdir", "/", "--die-with-parent", "--"]

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a service with all its children, and wait until it has ended."""
        if name == "db":
            self.db.kill()
        elif name == "objects":
            self.objects.kill_gateway()
        else:
            process = self._processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                if how == signal.SIGKILL:
                    os.killpg(process.pid, how)
                else:  # as an engine does it: the first process alone is told
                    process.send_signal(how)
            process.wait(PATIENCE_S)

    def restart(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a service and start it again on its port; it is not waited for."""
        self.kill(name, how)
        self.start(name)

    def alive(self, name: str) -> bool:
        """Tell whether a service's process runs."""
        return name in self._processes and self._processes[name].poll() is None

    def stop_all(self) -> None:
        """End everything, whatever state it is in."""
        for name in reversed(list(self._processes)):
            self.kill(name)
        self.objects.stop()
        self.db.stop()

    # Asking

    def healthy(self, name: str) -> bool:
        """Ask a service for its health, as its container would be asked."""
        service = self._service(name)
        if name in {"db", "objects"}:
            return True  # their starters return when they answer
        if isinstance(service.health, str):
            asked = urlsplit(filled(service.health, self._places(service)))
            return _get(asked.netloc, asked.path) == http.client.OK
        command = [filled(word, self._places(service)) for word in service.health]
        environment = self.environment(service)
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def wait(self, name: str) -> None:
        """Wait until a service is healthy. Raises: TopologyError."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.healthy(name):
            if name in self._processes and self._processes[name].poll() is not None:
                raise TopologyError(f"{name} ended: {self.log(name)[-1500:]}")
            if time.monotonic() > deadline:
                raise TopologyError(f"{name} is not healthy: {self.log(name)[-1500:]}")
            time.sleep(0.1)

    def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, bytes]:
        """Ask the county over TLS, as a station would; return status and body. Raises: OSError."""
        context = more.pop("context", None) or ssl.create_default_context(cafile=self.ca)
        host, port = self.address("proxy").split(":")
        asking = http.client.HTTPSConnection(host, int(port), timeout=30, context=context)
        with contextlib.closing(asking):
            asking.request(method, path, **more)
            answer = asking.getresponse()
            return answer.status, answer.read()

    # The engines

    def _start_db(self) -> None:
        if self.db.founded:
            self.db.start()
            return
        self.db.found()
        password = (self.made("secrets-db") / "database-password").read_text()
        with psycopg.connect(self.db._dsn("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE liuhen LOGIN PASSWORD {}").format(sql.Literal(password))
            )
            connection.execute("CREATE DATABASE liuhen OWNER liuhen TEMPLATE template0")
            entries = self.db._data / "pg_hba.conf"
            entries.write_text(f"host all liuhen 127.0.0.1/32 scram-sha-256\n{entries.read_text()}")
            connection.execute("SELECT pg_reload_conf()")

    def _start_objects(self) -> None:
        if (self.objects.folder / "ceph.conf").exists():
            self.objects.start_gateway()
            return
        secrets = self.made("secrets-objects")
        self.objects.access_key = (secrets / "root-user").read_text()
        self.objects.secret_key = (secrets / "root-password").read_text()
        self.objects.found()

    def _prepare_bucket(self) -> None:
        (bucket,) = self.county.of("bucket")
        secrets = self.made("secrets-office")
        evidence_bucket.prepare(
            self.objects,
            bucket.run[-1],
            (secrets / "objects-access-key").read_text(),
            (secrets / "objects-secret-key").read_text(),
        )

    # The rest

    def _service(self, name: str) -> Service:
        return next(service for service in self.county.services if service.name == name)

    def _places(self, service: Service) -> dict[str, str]:
        addresses = {
            other.name: self.address(other.name) for other in self.county.services if other.port
        }
        own = {"listen": "127.0.0.1", "name": service.name}
        if service.port:
            own["port"] = str(self._ports[service.name])
        own |= {
            f"port-{name}": str(self._ports[f"{service.name}-{name}"]) for name in service.ports
        }
        folders = {name: str(self.made(name)) for name in (*service.folders, *service.reads)}
        fixed = dict.fromkeys(self.county.networks, "127.0.0.0/8")
        fixed |= {"made": str(self.folder / "made"), "deploy": str(HERE), "tools": str(HERE)}
        return {**addresses, **folders, **own, **fixed}

    def environment(self, service: Service) -> dict[str, str]:
        """Return the whole environment of a service's process: nothing of ours leaks into it."""
        places = self._places(service)
        told = self.county.environment(service)
        return {
            "PATH": os.pathsep.join(_PROGRAMS),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            **{name: _VARIABLE.sub(r"\1", filled(value, places)) for name, value in told.items()},
            **(_ASKED if service.name == "migrate" else {}),
            **(self.settings if service.image == "office" else {}),
        }

    def _command(self, service: Service) -> list[str]:
        places = self._places(service)
        return [_VARIABLE.sub(r"\1", filled(word, places)) for word in service.run]

    def _spawn(self, service: Service, command: list[str]) -> subprocess.Popen[bytes]:
        environment = self.environment(service)
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise TopologyError(f"{service.name}: {command[0]} is not installed")
        with (self.folder / "logs" / f"{service.name}.log").open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, *command[1:]],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _get(address: str, path: str) -> int | None:
    host, port = address.split(":")
    asking = http.client.HTTPConnection(host, int(port), timeout=5)
    with contextlib.closing(asking), contextlib.suppress(OSError, http.client.HTTPException):
        asking.request("GET", path)
        return asking.getresponse().status
    return None


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
