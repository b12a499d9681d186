"""A real S3 server with Object Lock: Debian's Ceph gateway over one monitor and one OSD.

Ports are free ones on 127.0.0.1, the data lies in the given folder, any user may run it. The
three processes die with the one that started them, however that one ends. `memstore` keeps the
data in memory (up in about 2 s); `bluestore` keeps it in a file and outlives `restart`.
Options: docs.ceph.com, "Configuring Ceph", of release 16 (Pacific) and later.
"""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMMANDS = (
    "radosgw",
    "radosgw-admin",
    "ceph",
    "ceph-mon",
    "ceph-osd",
    "ceph-authtool",
    "monmaptool",
)
PATIENCE_S = 60

CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{monitor_port}/0]
ms_bind_msgr1 = false
public_addr = 127.0.0.1
keyring = {folder}/keyring
run_dir = {folder}/run
crash_dir = {folder}/run
admin_socket = {folder}/run/$name.$pid.asok
log_file = {folder}/log/$name.log
setuser =
setgroup =
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
debug_osd = 0/0
debug_bluestore = 0/0
debug_bluefs = 0/0
debug_rocksdb = 0/0
debug_ms = 0/0
[mon]
mon_data = {folder}/mon
mon_cluster_log_file = {folder}/log/cluster.log
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_election_timeout = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.02
auth_allow_insecure_global_id_reclaim = false
[osd]
cluster_addr = 127.0.0.1
osd_data = {folder}/osd
osd_objectstore = {store}
osd_class_dir = {classes}
osd_memory_target = 939524096
memstore_device_bytes = {size}
bluestore_block_size = {size}
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
[client.rgw.a]
rgw_data = {folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_thread_pool_size = 64
"""

KEYS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.rgw.a": {"mon": "allow rw", "osd": "allow rwx"},
}


class CephError(Exception):
    """The server did not come up; the text says why."""


def missing() -> list[str]:
    """Return the commands that are not installed."""
    return [command for command in COMMANDS if shutil.which(command) is None]


def _class_folder() -> Path:
    """Return where Debian keeps the classes of the OSD; its own Ceph 18 looks below `./lib`.

    Raises: CephError.
    """
    for folder in sorted(Path("/usr/lib").glob("*/rados-classes")):
        return folder
    raise CephError("no rados-classes below /usr/lib: install ceph-osd")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, store: str = "memstore", size_gib: int = 8) -> Iterator["Ceph"]:
    """Start a server on an empty folder, and end it when the block ends.

    Raises: CephError.
    """
    server = Ceph(folder, store, size_gib << 30)
    try:
        server.found()
        yield server
    finally:
        server.stop()


@dataclass
class Ceph:
    """One server. `endpoint` is host:port of its S3 gateway, plain HTTP."""

    folder: Path
    store: str
    size: int
    access_key: str = "liuhen-test"
    secret_key: str = field(default_factory=lambda: uuid.uuid4().hex)
    port: int = field(default_factory=free_port)
    monitor_port: int = field(default_factory=free_port)
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def found(self) -> None:
        """Make the cluster, start it, and create the one user."""
        for name in ("mon", "osd", "rgw", "run", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        fsid = str(uuid.uuid4())
        self._configuration.write_text(
            CONFIGURATION.format(
                fsid=fsid,
                folder=self.folder,
                port=self.port,
                monitor_port=self.monitor_port,
                store=self.store,
                size=self.size,
                classes=_class_folder(),
            )
        )
        keyring, map_ = self.folder / "keyring", self.folder / "monmap"
        self._run("ceph-authtool", "--create-keyring", keyring)
        for name, powers in KEYS.items():
            caps = [word for power in powers.items() for word in ("--cap", *power)]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
        address = f"[v2:127.0.0.1:{self.monitor_port}/0]"
        self._run("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, map_)
        made = ("--monmap", map_, "--keyring", keyring)
        self._run("ceph-mon", *self._here, "--mkfs", "-i", "a", *made)
        self._start("mon")
        self._ceph("auth", "import", "-i", keyring)
        disk = str(uuid.uuid4())
        self._ceph("osd", "new", disk, "0")
        self._run("ceph-osd", *self._here, "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._start("osd")
        self._start("rgw")
        self._wait_for_gateway()
        self.add_user("liuhen-test", self.access_key, self.secret_key)

    def add_user(self, name: str, access_key: str, secret_key: str) -> None:
        """Create a user who may make buckets."""
        keys = (f"--access-key={access_key}", f"--secret-key={secret_key}")
        self.admin("user", "create", f"--uid={name}", f"--display-name={name}", *keys)

    def admin(self, *words: str) -> str:
        """Run `radosgw-admin`, as the operator of the server could; return what it prints."""
        return self._run("radosgw-admin", *self._here, "-n", "client.admin", *words)

    def kill_gateway(self) -> None:
        """Kill the gateway with -9; what it acknowledged stays with the OSD."""
        self._end("rgw", signal.SIGKILL)

    def start_gateway(self) -> None:
        """Start the gateway again on its port."""
        self._start("rgw")
        self._wait_for_gateway()

    def stop(self) -> None:
        """Kill what runs; the data of a bluestore survives that."""
        for name in reversed(list(self._daemons)):
            self._end(name, signal.SIGKILL)

    @property
    def _configuration(self) -> Path:
        return self.folder / "ceph.conf"

    @property
    def _here(self) -> tuple[str, str]:
        return ("-c", str(self._configuration))

    def _run(self, *words: str | Path) -> str:
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if done.returncode != 0:
            raise CephError(f"{words[0]}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def _ceph(self, *words: str | Path) -> str:
        return self._run("ceph", *self._here, "--connect-timeout", str(PATIENCE_S), *words)

    def _start(self, name: str) -> None:
        command = {
            "mon": ("ceph-mon", "-i", "a"),
            "osd": ("ceph-osd", "-i", "0"),
            "rgw": ("radosgw", "-n", "client.rgw.a"),
        }[name]
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, *self._here, "-f"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _end(self, name: str, how: signal.Signals) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, how)
            daemon.wait()

    def _wait_for_gateway(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for name, daemon in self._daemons.items():
                if daemon.poll() is not None:
                    raise CephError(f"{name} ended: {self._last_words(name)}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                try:
                    asking.request("GET", "/")
                    asking.getresponse().read()
                finally:
                    asking.close()
                return
            time.sleep(0.05)
        raise CephError(f"the gateway did not answer in {PATIENCE_S} s: {self._last_words('rgw')}")

    def _last_words(self, name: str) -> str:
        return (self.folder / "log" / f"{name}.out").read_text(errors="replace")[-500:]
