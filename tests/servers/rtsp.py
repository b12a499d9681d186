"""A network camera on loopback: GStreamer's RTSP server, with a clip of ours and a password.

It is another implementation than the one under test on every layer: RTSP, Digest, RTP. It runs
under the system's own interpreter, which has GStreamer's bindings, as a process of its own: a
camera that can be killed, stopped and started again on its port.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

INTERPRETER = "/usr/bin/python3"
TYPELIB = "girepository-1.0/GstRtspServer-1.0.typelib"
USER, PASSWORD = "installer", "pass word:1%"
SERVER = r"""
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

clip, port, sound, method = sys.argv[1:]
user, password = sys.stdin.readline().rstrip("\n").split("\t")
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
tracks = "d. ! queue ! h264parse ! rtph264pay config-interval=1 name=pay0 pt=96 "
if sound == "aac":
    tracks += "d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 "
if sound == "pcma":
    tracks += "d. ! queue ! rtppcmapay name=pay1 pt=8 "
factory.set_launch(f"( filesrc location={clip} ! matroskademux name=d {tracks})")
factory.set_shared(False)
server.get_mount_points().add_factory("/live", factory)
if user:
    methods = {"digest": GstRtsp.RTSPAuthMethod.DIGEST, "basic": GstRtsp.RTSPAuthMethod.BASIC}
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(methods[method])
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if method == "digest":
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    factory.add_role_from_structure(Gst.Structure.new_from_string(
        "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"))
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


class Camera:
    """One camera's process; `start` again after `kill` brings it back on the same port."""

    def __init__(self, clip: Path, *, secured: bool, sound: str, method: str) -> None:
        self._login = (USER, PASSWORD) if secured else ("", "")
        self._more = (sound, method)
        self._clip = clip
        self._child: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    def start(self) -> Self:
        command = [INTERPRETER, "-c", SERVER, str(self._clip), str(self.port)]
        self._child = subprocess.Popen(
            [*command, *self._more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\t".join(self._login).encode() + b"\n")
        self._child.stdin.close()
        assert self._child.stdout.readline().strip() == str(self.port).encode()
        return self

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            assert self._child.stdout is not None
            self._child.stdout.close()
            self._child = None

    def freeze(self) -> None:
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGSTOP)


@contextmanager
def camera(
    clip: Path, *, secured: bool = True, sound: str = "aac", method: str = "digest"
) -> Iterator[Camera]:
    made = Camera(clip, secured=secured, sound=sound, method=method).start()
    try:
        yield made
    finally:
        made.kill()


def render(target: Path, seconds: float, *, sound: str = "aac") -> Path:
    """A clip with a key frame each second, as cameras send."""
    codec = {"aac": ("aac", "16000"), "pcma": ("pcm_alaw", "8000")}[sound]
    picture = f"testsrc2=s=320x240:r=10:d={seconds}"
    tone = f"aevalsrc='0.3*sin(2*PI*(180+40*sin(5*t))*t)':s={codec[1]}:d={seconds}"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i"]
    command += [tone, "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-bf", "0"]
    command += ["-pix_fmt", "yuv420p", "-c:a", codec[0], str(target)]
    subprocess.run(command, check=True)
    return target


@contextmanager
def speaking(script: bytes) -> Iterator[int]:
    """A listener that sends these bytes to whoever comes, again and again; gives its port."""
    program = (
        "import socket, sys\n"
        "door = socket.create_server(('127.0.0.1', 0))\n"
        "print(door.getsockname()[1], flush=True)\n"
        "said = sys.stdin.buffer.read()\n"
        "while True:\n"
        "    line, _ = door.accept()\n"
        "    try:\n"
        "        line.sendall(said)\n"
        "        while line.recv(65536): pass\n"
        "    except OSError: pass\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        port = int(child.stdout.readline())
        child.stdin.write(script)
        child.stdin.close()
        yield port
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
