"""Inside the sandbox: let ffmpeg record what comes through the socket on standard input.

ffmpeg opens RTSP by address only, and in here there is no network but a loopback of our own. So
this stands in for the camera on that loopback and passes the bytes on; the other end of standard
input is the service, which alone talks to the camera. Runs the command it is given, with the
loopback's address in place of `{camera}`, and ends as ffmpeg ends.
"""

import contextlib
import socket
import subprocess
import sys
import threading

_BLOCK = 1 << 16
_LOOK_S = 0.2


def main(command: list[str]) -> int:
    """Run ffmpeg against the socket on standard input; return its exit status."""
    outside = socket.socket(fileno=0)
    # Port 0: the kernel chooses one, which nobody can have taken before.
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(_LOOK_S)
        at = f"127.0.0.1:{door.getsockname()[1]}"
        ready = [part.replace("{camera}", at) for part in command]
        child = subprocess.Popen(ready, stdin=subprocess.DEVNULL)
        while True:
            try:
                inside, _ = door.accept()
                break
            except TimeoutError:
                # ffmpeg may end before it connects: to wait on would be for ever.
                if child.poll() is not None:
                    return child.returncode
    inside.settimeout(None)
    up = threading.Thread(target=_pass_bytes, args=(inside, outside), daemon=True)
    up.start()
    _pass_bytes(outside, inside)
    # The camera is gone, or we are told to stop: ffmpeg sees the end and closes its file.
    return child.wait()


def _pass_bytes(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK):
            target.sendall(block)
    # Both ways: either side's end must reach the other, or ffmpeg never closes its file.
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
