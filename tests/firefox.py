"""Debian's Firefox, driven by WebDriver BiDi over a WebSocket: as much of both as the tests need."""

import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

FIREFOX = shutil.which("firefox-esr")
NOT_TESTED = "firefox-esr is not installed: THE PAGE WAS NOT TESTED IN FIREFOX"
_PATIENCE_S = 120
_LISTENING = re.compile(rb"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)")


class BidiError(Exception):
    """What Firefox answers when it refuses a command."""


class Firefox:
    """One session with one tab (W3C WebDriver BiDi)."""

    def __init__(self, port: int) -> None:
        self._socket = _WebSocket(port, "/session")
        self._number = 0
        self.requests: list[str] = []
        self.command("session.new", capabilities={})
        tree = self.command("browsingContext.getTree")
        self.tab = tree["contexts"][0]["context"]
        self.command("session.subscribe", events=["network.beforeRequestSent"])

    def command(self, method: str, **params: Any) -> Any:
        """Send a command and return its result; requests that are told of meanwhile are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.receive())
            if answer.get("method") == "network.beforeRequestSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._number:
                if answer["type"] != "success":
                    raise BidiError(answer["error"], answer.get("message"))
                return answer["result"]

    def navigate(self, url: str) -> None:
        self.command("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression (or of its promise), by way of JSON."""
        result = self.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self.tab},
            awaitPromise=True,
        )
        if result["type"] != "success":
            raise BidiError(result["exceptionDetails"]["text"])
        return json.loads(result["result"].get("value", "null"))

    def choose_files(self, selector: str, *files: Path) -> None:
        """Give files to a chooser, as a person would."""
        nodes = self.command(
            "browsingContext.locateNodes",
            context=self.tab,
            locator={"type": "css", "value": selector},
        )
        element = {"sharedId": nodes["nodes"][0]["sharedId"]}
        self.command(
            "input.setFiles", context=self.tab, element=element, files=[str(file) for file in files]
        )


class _WebSocket:
    """A client of RFC 6455 for texts of any length, without extensions."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self._file.readline()
        assert b" 101 " in status, status
        while self._file.readline() != b"\r\n":
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        size = len(data)
        if size < 126:
            head = bytes([0x81, 0x80 | size])
        elif size < 1 << 16:
            head = bytes([0x81, 0xFE]) + struct.pack(">H", size)
        else:
            head = bytes([0x81, 0xFF]) + struct.pack(">Q", size)
        self._socket.sendall(head + mask + masked)

    def receive(self) -> str:
        parts = []
        while True:
            first, second = self._file.read(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", self._file.read(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._file.read(8))
            data = self._file.read(size)
            if first & 0x0F in {0, 1}:
                parts.append(data)
                if first & 0x80:
                    return b"".join(parts).decode()

    def close(self) -> None:
        self.__exit__()


@contextmanager
def open_firefox(folder: Path) -> Iterator[Firefox]:
    """A headless Firefox with a profile of its own, ended with the block."""
    assert FIREFOX is not None, NOT_TESTED
    profile = folder / "profile"
    profile.mkdir()
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile)]
    command += ["--remote-debugging-port", "0"]
    environment = os.environ | {"HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            firefox = Firefox(_read_port(process))
            yield firefox
            firefox._socket.close()
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


def _read_port(process: subprocess.Popen[bytes]) -> int:
    """Return the port that Firefox says it listens on; what it says later is read and dropped."""
    assert process.stderr is not None
    for line in process.stderr:
        if match := _LISTENING.search(line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return int(match[1])
    raise BidiError("firefox ended before it listened")
