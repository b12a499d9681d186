"""Delivery from a station over TLS to a centre on S3 and PostgreSQL; peer: a plain SDK upload.

Two figures, each with the servers, the centre and the station on this one machine:
one sealed GiB from the spool to the receipt (TLS, parts, read-back, lock, catalogue, log) beside
the `minio` SDK's multipart upload of the very same bytes to the same server; bytes sent over a link
that is cut every few seconds. Many small recordings are `accession.py`'s.
"""

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from minio import Minio

from bench.county import Centre, County, county, station_at
from bench.machine import MIB
from bench.result import Result, within
from ingest.station.journal import State
from storage.vault.objects import PAYLOAD

ROUNDS = 3
SIZE = 1024 * MIB
CUT_S = 10.0
LINK = 2_000_000 // 8  # bytes a second
ON_LINK = 12 * MIB


def measure(folder: Path) -> Iterator[Result]:
    """Yield the results, the two of one big file first."""
    yield from _one_big(folder)
    with county(folder / "county") as servers:
        yield _bad_link(servers, folder)


def _one_big(folder: Path) -> Iterator[Result]:
    ours, peers, grown = [], [], []
    for number in range(ROUNDS):
        # Servers of its own each time: what one round leaves in their memory slows the next.
        with county(folder / f"county-{number}") as servers, servers.centre("big") as centre:
            home = station_at(centre, folder / f"big-{number}", files=1, size=SIZE)
            (entry,) = home.journal.in_state(State.SEALED)
            payload = home.settings.home / "spool" / str(entry.recording) / PAYLOAD
            peers.append(_plain(servers, payload))
            centre.forget_peak()
            before = centre.memory()
            began = time.perf_counter()
            tally = home.deliver()
            ours.append(time.perf_counter() - began)
            grown.append((centre.peak() - before) / MIB)
            if (tally.accessioned, tally.away) != (1, None):
                raise RuntimeError(tally)
            home.close()
            payload.unlink(missing_ok=True)
    mine, peer = statistics.median(ours), statistics.median(peers)
    yield Result(
        "deliver 1 GiB, station to S3",
        f"{SIZE / mine / 1e6:.0f} MB/s",
        f"minio SDK multipart {SIZE / peer / 1e6:.0f} MB/s",
        peer / mine,
        0.5,
        f"{ROUNDS} rounds: ours {_spread(ours)} s to the receipt, peer {_spread(peers)} s",
    )
    yield within("centre's memory for a stream", max(grown), 64, "MiB")


def _plain(servers: County, payload: Path) -> float:
    client = Minio(
        servers.s3.endpoint.rpartition("/")[2],
        servers.s3.access_key,
        servers.s3.secret_key,
        secure=False,
        region="us-east-1",
    )
    client.make_bucket("peer")
    began = time.perf_counter()
    client.fput_object("peer", "payload", str(payload), part_size=8 * MIB)
    took = time.perf_counter() - began
    client.remove_object("peer", "payload")
    return took


def _bad_link(servers: County, folder: Path) -> Result:
    with servers.centre("link") as centre:
        home = station_at(centre, folder / "link", files=1, size=ON_LINK)
        (entry,) = home.journal.in_state(State.SEALED)
        size = home.centre.spool.measure_payload(entry.recording) if entry.recording else 0
        with Link(centre.port, LINK, CUT_S) as link:
            home.centre.client.wire.address = type(home.centre.client.wire.address)(
                f"https://127.0.0.1:{link.port}", home.centre.client.wire.address.ca
            )
            while home.deliver().waiting:
                pass
        home.close()
    return Result(
        "bytes over a link cut every 10 s",
        f"{link.sent / MIB:.2f} MiB",
        f"the payload {size / MIB:.2f} MiB",
        link.sent / size,
        1.1,
        f"2 Mbit/s, {link.cuts} cuts; TLS and documents counted",
        at_most=True,
    )


class Link:
    """A link of so many bytes a second upwards that is cut every so often."""

    def __init__(self, target: int, rate: float, every_s: float) -> None:
        self._target, self._rate, self._every_s = target, rate, every_s
        self.sent = self.cuts = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._cut, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.close()
        self._drop()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
            self._open |= {near, far}
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            threading.Thread(target=self._down, args=(far, near), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(16 << 10):
                self.sent += len(data)
                far.sendall(data)
                time.sleep(len(data) / self._rate)
        except OSError:
            pass
        self._end(near, far)

    def _down(self, far: socket.socket, near: socket.socket) -> None:
        try:
            while data := far.recv(64 << 10):
                near.sendall(data)
        except OSError:
            pass
        self._end(near, far)

    def _cut(self) -> None:
        while not self._stop.wait(self._every_s):
            if self._open:
                self.cuts += 1
                self._drop()

    def _drop(self) -> None:
        for one in list(self._open):
            self._end(one)

    def _end(self, *sockets: socket.socket) -> None:
        for one in sockets:
            self._open.discard(one)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _spread(values: list[float]) -> str:
    return f"{min(values):.2f}-{max(values):.2f}"


__all__ = ["Centre", "measure"]
