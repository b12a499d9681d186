"""A real PostgreSQL of the tests' own: Debian's binaries, a folder, a free port, nobody's rights."""

import atexit
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

_START_S = 60
# Waits for the end of what it reads, which is ours: then server and data go, however we ended.
_GUARD = """read _; kill -INT "$0"; while kill -0 "$0"; do sleep 0.1; done; rm -rf "$1" """


class PostgresError(Exception):
    """The server did not come up, or its binaries are not here."""


def binaries() -> Path | None:
    """Return the folder of the newest server that Debian installed, if there is any."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return Path(found[-1]).parent if found else None


@dataclass
class Postgres:
    """One server, with its log in `folder`. It syncs, as the product demands of every server.

    Its data lie in a folder of their own until this process ends: pytest's folders are root's alone,
    and made so again by every run that begins. `within` is where, if not among temporary files.
    """

    folder: Path
    port: int = 0
    within: str | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def founded(self) -> bool:
        """Whether the cluster was made."""
        return self._data.exists()

    def found(self) -> None:
        """Make the cluster and start the server. Raises: PostgresError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--no-sync",
        )
        self.start()

    def start(self) -> None:
        """Start the server on its folder, and wait until it answers. Raises: PostgresError."""
        self.port = self.port or _free_port()
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._work),
            "max_connections": 200,
            "max_wal_size": "256MB",
            "autovacuum": "off",
            "logging_collector": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as(), str(self._bin / "postgres"), "-D", str(self._data), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, str(self._process.pid), str(self._work)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self._dsn("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                threading.Event().wait(0.05)
            else:
                return
        raise PostgresError((self.folder / "log").read_text()[-2000:])

    def create(self, template: str = "template0", *options: str) -> str:
        """Make a database of its own and return its URL, as settings take it."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with self.admin() as connection:
            if connection.info.server_version >= 150000:
                options = (*options, "STRATEGY FILE_COPY")  # ten times as fast for small ones
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {' '.join(options)}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Take a database away, whoever is still connected."""
        with self.admin() as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    @contextmanager
    def admin(self, name: str = "postgres") -> Iterator[psycopg.Connection]:
        """Connect as the server's owner; every statement is its own transaction."""
        with psycopg.connect(self._dsn(name), autocommit=True) as connection:
            yield connection

    def url(self, name: str) -> str:
        """Return a database's URL."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """Kill every process of the server with -9, so that none can finish; `start` recovers."""
        if self._process is None:
            return
        self._unguard()
        self._process.send_signal(signal.SIGSTOP)  # no child is born or mourned from now on
        children = _children(self._process.pid)
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None
        # A process that still has the old shared memory would keep the next server from starting.
        deadline = time.monotonic() + _START_S
        while any(_lives(pid) for pid in children) and time.monotonic() < deadline:
            threading.Event().wait(0.005)

    def stop(self) -> None:
        """End the server."""
        if self._process is not None:
            self._unguard()
            self._process.send_signal(signal.SIGINT)  # fast: ends sessions
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def _unguard(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard.stdin.close()
            self._guard = None

    @property
    def _bin(self) -> Path:
        found = binaries()
        if found is None:
            raise PostgresError("no PostgreSQL here: install postgresql")
        return found

    @cached_property
    def _work(self) -> Path:
        work = Path(tempfile.mkdtemp(prefix="liuhen-postgres-", dir=self.within))
        atexit.register(shutil.rmtree, work, ignore_errors=True)
        if os.geteuid() == 0:
            shutil.chown(work, "nobody", "nogroup")
        return work

    @property
    def _data(self) -> Path:
        return self._work / "data"

    def _as(self) -> list[str]:
        """Return the words that give up root, which PostgreSQL refuses."""
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*self._as(), str(self._bin / program), *words], capture_output=True, check=False
        )
        if done.returncode:
            raise PostgresError(done.stderr.decode()[-2000:])

    def _dsn(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """Run a server on an empty folder until the block ends. Raises: PostgresError."""
    server = Postgres(folder)
    try:
        server.found()
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
