"""OpenSSH's own SFTP server and client; behind a real sshd on loopback where there is one.

With sshd: `internal-sftp` as in docs/OPERATIONS.md and one throwaway key, for the account that
runs the tests, so without the chroot (which needs folders that belong to root). Without it the
client speaks to the same server through a pipe.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMON = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
ALONE = "/usr/lib/openssh/sftp-server"
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
AuthorizedKeysFile {home}/terminal.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {landing} -u 0027
"""


class Server:
    """Where a terminal uploads to; `way` is how its client gets there."""

    def __init__(self, way: list[str]) -> None:
        self._way = way

    def client(self, *options: str) -> "subprocess.Popen[bytes]":
        """Start the client; its commands go to its standard input."""
        return subprocess.Popen(
            ["sftp", "-q", "-b", "-", *options, *self._way],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def say(self, *commands: str, options: tuple[str, ...] = ()) -> None:
        """Run commands to their end."""
        with self.client(*options) as client:
            client.communicate("\n".join(commands).encode() + b"\n")
        assert client.returncode == 0, commands


@contextmanager
def server(home: Path, landing: Path) -> Iterator[Server]:
    if DAEMON is None:
        yield Server(["-D", f"{ALONE} -d {landing} -u 0027"])
        return
    home.mkdir()
    for key in ("host", "terminal"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)]
        subprocess.run(made, check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (home / "config").write_text(CONFIG.format(port=port, home=home, landing=landing))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own, made by its service
    command = [DAEMON, "-D", "-e", "-f", str(home / "config")]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert daemon.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        way = ["-P", str(port), "-i", str(home / "terminal"), "-o", "StrictHostKeyChecking=no"]
        way += ["-o", "UserKnownHostsFile=/dev/null", f"{getpass.getuser()}@127.0.0.1"]
        yield Server(way)
    finally:
        daemon.kill()
        daemon.wait()
