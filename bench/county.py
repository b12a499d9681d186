"""A county on this machine for measurements: PostgreSQL, an S3 server, centres behind HAProxy.

TLS ends at the proxy, by the very configuration that we ship (`deploy/proxy`); the centres are
processes of one office behind it.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.office.settings.settings import Settings
from api.station import process as station_home
from api.station.process import StationHome
from ingest.bays.bay import Outcome
from ingest.bays.settle import Patience
from tests.servers import ceph, postgres
from tests.servers.tls import Authority

_ROOT = Path(__file__).resolve().parent.parent
_BEHIND = 2  # centres that the proxy's configuration names


@dataclass
class County:
    """The servers that every centre of this run shares."""

    folder: Path
    s3: ceph.Ceph
    database: postgres.Postgres
    authority: Authority

    @contextmanager
    def centre(self, name: str, *, folder: bool = False) -> Iterator["Centre"]:
        """Found an office of its own on the servers and run one centre process of it.

        With `folder` its objects lie in a local folder instead of the S3 server.
        """
        with self.centres(name, 1, folder=folder) as (one,):
            yield one

    @contextmanager
    def centres(self, name: str, count: int, *, folder: bool = False) -> Iterator[list["Centre"]]:
        """Run one or two centre processes of an office, as `centre`, behind one proxy."""
        home = self.folder / name
        home.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "LIUHEN_HOME": str(home / "var"),
            "LIUHEN_COUNTY": "兴隆县",
            "LIUHEN_TOWNSHIP": "兴隆镇",
            "LIUHEN_LOG_ORIGIN": "bench.invalid/custody",
            "LIUHEN_DATABASE_URL": self.database.create(),
            "LIUHEN_OBJECTS_URL": (
                f"s3://{self.s3.endpoint.rpartition('/')[2]}/liuhen-{name}?secure=false"
            ),
            "LIUHEN_OBJECTS_ACCESS_KEY_FILE": str(self._secret("access", self.s3.access_key)),
            "LIUHEN_OBJECTS_SECRET_FILE": str(self._secret("secret", self.s3.secret_key)),
        }
        if folder:
            environment = {k: v for k, v in environment.items() if "OBJECTS" not in k}
            environment["LIUHEN_IMMUTABLE"] = "false"  # the scratch folder goes afterwards
        said(environment, "found")
        public, *own = (_free_port() for _ in range(1 + _BEHIND))
        with ExitStack() as stack:
            centres = [Centre(self, environment, port, public) for port in own[:count]]
            for centre in centres:
                stack.enter_context(centre.running())
            stack.enter_context(self._proxy(public, own))
            yield centres

    @contextmanager
    def _proxy(self, public: int, own: list[int]) -> Iterator[None]:
        certificate, key = self.authority.issue(f"proxy-{public}")
        both = self.folder / f"proxy-{public}.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        environment = {
            "LISTEN": f"127.0.0.1:{public}",
            "HEALTH": f"127.0.0.1:{_free_port()}",
            "CERTIFICATE": str(both),
            **{f"CENTRE_{n}": f"127.0.0.1:{port}" for n, port in enumerate(own, 1)},
        }
        command = ["haproxy", "-db", "-f", str(_ROOT / "deploy" / "proxy" / "haproxy.cfg")]
        where = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
        with (self.folder / f"proxy-{public}.log").open("wb") as log:
            running = subprocess.Popen(command, env=environment | where, stdout=log, stderr=log)
        try:
            _wait(public)
            yield
        finally:
            running.terminate()
            running.wait(30)

    def _secret(self, name: str, value: str) -> Path:
        path = self.folder / name
        path.write_text(value, encoding="utf-8")
        path.chmod(0o600)
        return path


@dataclass
class Centre:
    """One centre process: `own` is its port, `port` that of the proxy before it."""

    county: County
    environment: dict[str, str]
    own: int
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the process until the block ends."""
        command = [sys.executable, "-m", "api.cli.main", "centre"]
        environment = self.environment | {"LIUHEN_PORT": str(self.own)}
        with (self.county.folder / f"centre-{self.own}.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=_ROOT, env=environment, stdout=log, stderr=log
            )
        try:
            _wait(self.own)
            yield
        finally:
            self.process.terminate()
            self.process.wait(30)

    @property
    def url(self) -> str:
        """The address that stations know."""
        return f"https://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Return the resident bytes of the process now."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """Return the most resident bytes since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin to look for the peak anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
        return int(found.group(1)) << 10 if found else 0

    @property
    def pid(self) -> int:
        """The process's id. Raises: RuntimeError when it does not run."""
        if self.process is None:
            raise RuntimeError("not running")
        return self.process.pid


@contextmanager
def county(folder: Path) -> Iterator[County]:
    """Run the servers until the block ends."""
    folder.mkdir(parents=True)
    with ceph.running(folder / "s3") as s3, postgres.running(folder / "db") as database:
        yield County(folder, s3, database, Authority.make(folder / "ca"))


def station_at(
    centre: Centre, folder: Path, *, files: int, size: int, streams: int = 1
) -> StationHome:
    """Enrol a station, dock so many files and seal them to its spool; nothing is delivered yet."""
    bay = folder / "bay"
    bay.mkdir(parents=True)
    for number in range(files):
        with (bay / f"file-{number:05}.bin").open("wb") as file:
            left = size
            while left:
                left -= file.write(os.urandom(min(left, 1 << 24)))
    settings = Settings(
        home=folder / "var",
        bays={"bay-1": bay},
        immutable=False,
        quiet_s=0,
        spool_reserve_gb=0,
        streams=streams,
        centre_timeout_s=120,
    )
    name = folder.name
    made = said(centre.environment, "stations", "code", name, "--json")
    code = re.search(r'"code": "([^"]+)"', made)
    if code is None:
        raise RuntimeError(made)
    station_home.enrol_station(
        settings, centre.url, code.group(1), centre.county.authority.certificate
    )
    home = StationHome.open(settings, patience=Patience(0, 1e9))
    for _ in range(2):
        results = home.station.sweep_bay(home.bays()[0])
    if [result.outcome for result in results].count(Outcome.SEALED) != files:
        raise RuntimeError(results[:3])
    for path in bay.iterdir():
        path.unlink()
    return home


def said(environment: dict[str, str], *words: str) -> str:
    """Return what a command of ours prints."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", *words],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(words, done.stdout[-500:], done.stderr[-1500:])
    return done.stdout


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("nothing came up", port)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
