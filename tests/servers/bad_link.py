"""A bad line between a station and the centre: cut, slow, silent, deaf; it counts what goes up.

It passes bytes on and knows nothing of TLS or HTTP. What each connection fares is a `Fare`, asked
for by its number; `fare` may be changed at any time and holds for connections made from then on.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_CHUNK = 16 << 10
_BUFFER = 64 << 10  # bytes of each kernel buffer: what a rural line holds, not what loopback does
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset


@dataclass(frozen=True, slots=True)
class Fare:
    """How one connection fares; bytes are counted from its beginning."""

    cut_up: int | None = None  # it is cut when so many bytes came from the station
    cut_down: int | None = None  # it is cut when so many bytes came from the centre
    silent_up: int | None = None  # from then on nothing passes, and nobody is told
    silent_down: int | None = None
    unheard: bool = False  # the centre does not hear of the cut: its side stays open
    rate: float | None = None  # bytes a second, upward
    stall: tuple[int, float] | None = None  # every so many bytes upward, so many seconds' pause
    refuse: bool = False
    deaf: bool = False  # answers are lost: the first byte of one cuts the connection


GOOD = Fare()


class BadLink:
    """A line to a port of this machine; `up` and `down` are bytes in all, `made` connections."""

    def __init__(self, upstream: int, fare: Callable[[int], Fare] = lambda _number: GOOD) -> None:
        self.upstream = upstream
        self.fare = fare
        self.up = self.down = self.made = 0
        self.port = 0
        self.deaf = False  # see Fare.deaf: at once, for every connection
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._heard = asyncio.Event()
        self._lines: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(10)

    def hear(self) -> None:
        """Let the centre hear of the cuts that it did not hear of."""
        self._loop.call_soon_threadsafe(self._heard.set)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        server = await asyncio.start_server(self._connection, sock=listener, limit=_CHUNK)
        self._ready.set()
        await self._ended.wait()
        server.close()
        self._heard.set()
        await asyncio.gather(*self._lines)
        await server.wait_closed()
        await asyncio.sleep(0.01)  # the loop's own turn: it closes what was cut

    async def _connection(
        self, station: asyncio.StreamReader, to_station: asyncio.StreamWriter
    ) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)
        self.made += 1
        fare = self.fare(self.made)
        if fare.refuse:
            _cut(to_station)
            return
        try:
            centre, to_centre = await asyncio.open_connection(
                "127.0.0.1", self.upstream, limit=_CHUNK
            )
        except OSError:
            _cut(to_station)
            return
        to_centre.transport.set_write_buffer_limits(0)  # the kernel's buffers are enough
        pumps = [
            asyncio.create_task(self._up(station, to_centre, fare)),
            asyncio.create_task(self._down(centre, to_station, fare)),
            asyncio.create_task(self._end()),
        ]
        end = _cut
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if all(pump.exception() is None and pump.result() for pump in done):
                end = _close
            elif fare.unheard:
                _cut(to_station)
                await self._heard.wait()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            end(to_station)
            end(to_centre)

    async def _end(self) -> bool:
        await self._ended.wait()
        return False

    async def _up(
        self, station: asyncio.StreamReader, centre: asyncio.StreamWriter, fare: Fare
    ) -> bool:
        """Pass bytes on; tell whether the sender ended, or else the line was cut."""
        passed = 0
        while fare.cut_up is None or passed < fare.cut_up:
            left = [limit - passed for limit in (fare.cut_up, fare.silent_up) if limit is not None]
            data = await station.read(min([_CHUNK, *left]))
            if not data:
                return True
            self.up += len(data)
            passed += len(data)
            centre.write(data)
            await centre.drain()
            if passed == fare.silent_up:
                await self._ended.wait()
            if fare.rate is not None:
                await asyncio.sleep(len(data) / fare.rate)
            if fare.stall is not None and passed % fare.stall[0] < len(data):
                await asyncio.sleep(fare.stall[1])
        return False

    async def _down(
        self, centre: asyncio.StreamReader, station: asyncio.StreamWriter, fare: Fare
    ) -> bool:
        """Pass bytes on; tell whether the sender ended, or else the line was cut."""
        passed = 0
        while fare.cut_down is None or passed < fare.cut_down:
            left = [
                limit - passed for limit in (fare.cut_down, fare.silent_down) if limit is not None
            ]
            data = await centre.read(min([_CHUNK, *left]))
            if not data:
                return True
            if fare.deaf or self.deaf:
                return False
            self.down += len(data)
            passed += len(data)
            station.write(data)
            await station.drain()
            if passed == fare.silent_down:
                await self._ended.wait()
        return False


def _close(side: asyncio.StreamWriter) -> None:
    side.close()


def _cut(side: asyncio.StreamWriter) -> None:
    """Reset a connection, as a line that is cut does sooner or later."""
    raw = side.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    side.transport.abort()


@contextmanager
def bad_link(
    upstream: int, fare: Callable[[int], Fare] = lambda _number: GOOD
) -> Iterator[BadLink]:
    link = BadLink(upstream, fare)
    link.start()
    try:
        yield link
    finally:
        link.stop()
