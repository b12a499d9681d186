"""A TCP proxy on 127.0.0.1 that does to a connection what bad networks and bad servers do.

As `http` (HTTP/1.1, the default) it follows requests and their answers, so that a fault strikes
one exchange, at a byte of its body. Otherwise it passes bytes of any protocol and strikes at a
byte of the connection. `tls` is the context of its own side: in front of a plain server it makes
a TLS server, and still sees the exchanges.

    with FaultProxy("127.0.0.1", port) as proxy:
        with proxy.doing(Fault(Kind.DROP_REPLY, only="PUT ")):
            ...  # clients of proxy.endpoint meet the fault
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Self

BLOCK = 65536


class Kind(StrEnum):
    """What happens to an exchange (http), or to a connection (else)."""

    PASS = "pass"
    ANSWER = "answer"  # the request never arrives; the client gets `answer` (http)
    DROP_REPLY = "drop reply"  # the server did it, the client never hears (http)
    TRUNCATE = "truncate"  # the answer ends after `at` bytes of its body
    FLIP_DOWN = "flip down"  # one bit of byte `at` of the answer's body
    FLIP_UP = "flip up"  # one bit of byte `at` of the request's body
    HANG = "hang"  # taken, never answered
    RESET = "reset"  # the connection breaks after `at` bytes of the request's body


@dataclass(frozen=True)
class Fault:
    """One fault: of exchanges whose first line holds `only`, the first `times` (all: None)."""

    kind: Kind
    at: int = 0
    only: str = ""
    times: int | None = None
    answer: bytes = b""


PASS = Fault(Kind.PASS)


def answer(status: str, body: bytes, content_type: str = "application/xml") -> bytes:
    """Return a whole HTTP answer."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


BUSY = answer("503 Slow Down", b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>")
PORTAL = answer("200 OK", b"<!doctype html><title>Welcome, please log in</title>", "text/html")


class _BrokenError(Exception):
    """The connection ends here, by reset or quietly."""

    def __init__(self, *, reset: bool) -> None:
        self.reset = reset


class FaultProxy:
    """See the module. `hits` counts the faults that struck."""

    def __init__(
        self, host: str, port: int, *, http: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.hits = 0
        self._upstream = (host, port)
        self._http = http
        self._tls = tls
        self._fault = PASS
        self._struck = 0
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.set(PASS)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            _reset(connection)

    def set(self, fault: Fault) -> None:
        """Change what happens from now on; what hangs comes loose and is reset."""
        with self._changed:
            self._fault, self._struck = fault, 0
            self._changed.notify_all()

    @contextlib.contextmanager
    def doing(self, fault: Fault) -> Iterator[None]:
        """Let a fault strike while the block runs."""
        self.set(fault)
        try:
            yield
        finally:
            self.set(PASS)

    def cut(self) -> None:
        """Break every connection that is open now."""
        for connection in tuple(self._open):
            _reset(connection)

    def _strike(self, first_line: str) -> Fault:
        """Return the fault of this exchange."""
        with self._changed:
            fault = self._fault
            spent = fault.times is not None and self._struck >= fault.times
            if fault.kind is Kind.PASS or spent or fault.only not in first_line:
                return PASS
            self._struck += 1
            self.hits += 1
            return fault

    def _hang(self, fault: Fault) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._fault is not fault or self._closed)
        raise _BrokenError(reset=True)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        self._open.add(plain)
        client = plain
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(plain, server_side=True)
                self._open.discard(plain)
                self._open.add(client)
            with socket.create_connection(self._upstream) as server:
                self._open.add(server)
                try:
                    (self._exchanges if self._http else self._stream)(client, server)
                finally:
                    self._open.discard(server)
        except _BrokenError as struck:
            if struck.reset:
                _reset(client)
        except (OSError, ValueError):
            _reset(client)
        finally:
            self._open -= {plain, client}
            client.close()

    # HTTP: one exchange after the other

    def _exchanges(self, client: socket.socket, server: socket.socket) -> None:
        with client.makefile("rb") as asked, server.makefile("rb") as answered:
            while head := _head(asked):
                first_line = head.split(b"\r\n", 1)[0].decode("latin-1")
                self._exchange(client, server, asked, answered, head, self._strike(first_line))

    def _exchange(
        self,
        client: socket.socket,
        server: socket.socket,
        asked: BinaryIO,
        answered: BinaryIO,
        head: bytes,
        fault: Fault,
    ) -> None:
        request = _body(asked, head, has_length=True)
        if fault.kind in {Kind.ANSWER, Kind.HANG}:
            for _ in request:
                pass
            if fault.kind is Kind.HANG:
                self._hang(fault)
            client.sendall(fault.answer)
            raise _BrokenError(reset=False)
        server.sendall(head)
        _pour(request, server, fault, flip=Kind.FLIP_UP, end=Kind.RESET)
        reply = _head(answered)
        while reply.startswith(b"HTTP/1.1 100"):
            client.sendall(reply)
            reply = _head(answered)
        if not reply:
            raise _BrokenError(reset=True)
        has_body = not head.startswith(b"HEAD ") and reply[9:12] not in {b"204", b"304"}
        response = _body(answered, reply, has_length=has_body)
        if fault.kind is Kind.DROP_REPLY:
            for _ in response:
                pass
            raise _BrokenError(reset=True)
        client.sendall(reply)
        _pour(response, client, fault, flip=Kind.FLIP_DOWN, end=Kind.TRUNCATE)
        if b"connection: close" in reply.lower():
            raise _BrokenError(reset=False)

    # Any protocol: both ways at once

    def _stream(self, client: socket.socket, server: socket.socket) -> None:
        fault = self._strike("")
        if fault.kind is Kind.HANG:
            self._hang(fault)
        up = threading.Thread(
            target=self._pump, args=(client, server, fault, Kind.FLIP_UP, Kind.RESET), daemon=True
        )
        up.start()
        self._pump(server, client, fault, Kind.FLIP_DOWN, Kind.TRUNCATE)
        up.join()

    def _pump(
        self, source: socket.socket, target: socket.socket, fault: Fault, flip: Kind, end: Kind
    ) -> None:
        blocks = ((b"", block, b"") for block in iter(lambda: source.recv(BLOCK), b""))
        try:
            _pour(blocks, target, fault, flip=flip, end=end)
            target.shutdown(socket.SHUT_WR)
        except (OSError, _BrokenError):
            for side in (source, target):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)


# A piece of a body: what frames it before (the size of a chunk), its bytes, what frames it after.
Piece = tuple[bytes, bytes, bytes]


def _pour(
    pieces: Iterator[Piece], target: socket.socket, fault: Fault, *, flip: Kind, end: Kind
) -> None:
    passed = 0
    for before, data, after in pieces:
        here = fault.at - passed
        if fault.kind is end and here < len(data):
            target.sendall(before + data[:here])
            raise _BrokenError(reset=end is Kind.RESET)
        if fault.kind is flip and 0 <= here < len(data):
            data = data[:here] + bytes([data[here] ^ 1]) + data[here + 1 :]  # noqa: PLW2901
        target.sendall(before + data + after)
        passed += len(data)
    if fault.kind is end:
        raise _BrokenError(reset=end is Kind.RESET)


def _head(source: BinaryIO) -> bytes:
    """Read lines up to the empty one; nothing at the end of the stream."""
    lines = []
    for line in iter(source.readline, b""):
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return b""


def _body(source: BinaryIO, head: bytes, *, has_length: bool) -> Iterator[Piece]:
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if not has_length:
        return
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        for size in iter(source.readline, b""):
            length = int(size.split(b";")[0], 16)
            yield size, source.read(length), source.readline()
            if length == 0:
                return
    left = int(fields.get(b"content-length", b"0"))
    while left and (data := source.read(min(BLOCK, left))):
        left -= len(data)
        yield b"", data, b""


def _reset(connection: socket.socket) -> None:
    """Close with RST, so that the other side meets an error and not an end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
    connection.close()
