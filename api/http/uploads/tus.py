"""tus 1.0 on the wire (tus.io/protocols/resumable-upload), for whoever uploads.

Here bytes are only taken off the wire, a part ahead of what is being stored. What is durable, and
where an upload goes on, is `ingest/centre/uploads.py`.
"""

import asyncio
import base64
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Annotated

from fastapi import Header, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.problems import ApiError
from ingest.centre.uploads import PART, Offset, Writer
from storage.digest import Algorithm, Digest
from storage.errors import FixityError

VERSION = "1.0.0"
BYTES = "application/offset+octet-stream"
_NUMBER = 1 << 40  # bytes: beyond that nobody means it; the limits proper are others'
_REST_S = 1.0  # what came in so many seconds may have to come again
Length = Annotated[int, Header(alias="Upload-Length", ge=1, le=_NUMBER)]
Position = Annotated[int, Header(alias="Upload-Offset", ge=0, le=_NUMBER)]
Resumable = Annotated[str, Header(alias="Tus-Resumable")]
Metadata = Annotated[str, Header(alias="Upload-Metadata", max_length=1000)]


def describe_server(extensions: str, limit: int) -> Response:
    """Answer what this server can do."""
    facts = {"Tus-Version": VERSION, "Tus-Extension": extensions, "Tus-Max-Size": str(limit)}
    return Response(status_code=204, headers=facts | {"Tus-Resumable": VERSION})


def same_version(resumable: str) -> None:
    """Raise: ApiError(tus-version) for a client of another version."""
    if resumable != VERSION:
        raise ApiError("tus-version", wanted=VERSION)


def parse_metadata(text: str) -> dict[str, bytes]:
    """Read Upload-Metadata: names with base64 values. Raises: ApiError(invalid)."""
    try:
        pairs = (pair.strip().partition(" ") for pair in text.split(","))
        return {
            name: base64.b64decode(encoded_value, validate=True) for name, _, encoded_value in pairs
        }
    except ValueError as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error


def sha256_of(pairs: dict[str, bytes]) -> Digest:
    """Return the digest that the metadata announces. Raises: ApiError(invalid)."""
    try:
        return Digest(Algorithm.SHA256, bytes.fromhex(pairs["sha256"].decode()))
    except (KeyError, ValueError, FixityError) as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error


def offset_response(status: int, state: Offset, location: str) -> Response:
    """Answer with where the upload stands."""
    headers = {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(state.offset),
        "Location": location,
    }
    return Response(status_code=status, headers=headers)


async def receive_upload(
    stream: AsyncIterable[bytes],
    opened: Callable[[], Writer],
    before: bytes = b"",
) -> Offset:
    """Receive the bytes of `before` and of the stream, until the stream ends."""
    writer = await run_in_threadpool(opened)
    intake = _Intake(writer, before)
    # Beside the reading, not between two pieces: on a slow link the next piece may be a minute off.
    resting = asyncio.create_task(intake.rest_often())
    try:
        async for chunk in stream:
            await intake.receive(chunk)
    except ClientDisconnect:
        pass  # the link dropped; below, what arrived is kept, and nobody reads the answer
    finally:
        # First, so that nothing new is begun; what it has begun is waited for in `finish`.
        resting.cancel()
        durable = await intake.finish()
    return Offset(durable, writer.row.size)


class _Intake:
    """Gathers one request's bytes while the writer is busy with those before."""

    def __init__(self, writer: Writer, before: bytes) -> None:
        self._writer = writer
        self._waiting = [before]  # joined once: a part is copied once
        self._count = len(before)
        self._storing: asyncio.Task[None] | None = None

    async def receive(self, chunk: bytes) -> None:
        """Take bytes; when they are many, wait until the writer has those before."""
        self._waiting.append(chunk)
        self._count += len(chunk)
        # Some two parts of a request are in memory: one being stored, one being gathered. A client
        # that is faster than the store is held up by not being read.
        if self._count >= PART:
            await self._wait_idle()
            self._start_writing(self._writer.add_bytes)

    async def rest_often(self) -> None:
        """Have what came slowly made durable, again and again, until cancelled."""
        while True:
            await asyncio.sleep(_REST_S)
            # A failed write is left as it is: begun anew, it would hide the error that `finish` is
            # to raise.
            if self._storing is None or (self._storing.done() and not self._storing.exception()):
                self._start_writing(self._write_rest)

    async def finish(self) -> int:
        """Have everything made durable; return the durable offset."""
        await self._wait_idle()
        return await run_in_threadpool(_finish_upload, self._writer, self._drain())

    async def _wait_idle(self) -> None:
        """Wait until the writer has nothing to do. Raises: what it raised."""
        # A loop, for `rest_often` may have begun another write while this one was waited for.
        while (storing := self._storing) is not None:
            await storing
            if self._storing is storing:
                self._storing = None

    def _start_writing(self, work: Callable[[bytearray], None]) -> None:
        self._storing = asyncio.create_task(run_in_threadpool(work, self._drain()))

    def _drain(self) -> bytearray:
        content = bytearray().join(self._waiting)
        # Emptied before the thread begins: no byte can be written twice.
        self._waiting, self._count = [], 0
        return content

    def _write_rest(self, content: bytearray) -> None:
        self._writer.add_bytes(content)
        # As the tail: a link that drops now, or a kill, costs what came in the last second.
        self._writer.flush()


async def gather_body(request: Request, length: int) -> tuple[bytes, bool]:
    """Return the bytes sent with the creation, and whether more may follow.

    What a slow link brings is not waited for here, but kept bit by bit (`take`). A busy centre is
    not to take itself for one: another second is given while the last one's pace does for the rest.
    """
    chunks: list[bytes] = []
    # So that the first second is always given.
    count, before = 0, -length
    # Goes on while as much as came in the last second would do for what is left.
    while length - count <= count - before:
        before = count
        try:
            async with asyncio.timeout(_REST_S):
                async for chunk in request.stream():
                    chunks.append(chunk)
                    count += len(chunk)
                    # More than was announced: refused at the first byte too many, not when all is
                    # here.
                    if count > length:
                        raise ApiError("invalid", problem="Upload-Length")
                return b"".join(chunks), False
        except TimeoutError:
            continue
        except ClientDisconnect:
            break
    return b"".join(chunks), True


async def empty_stream() -> AsyncIterator[bytes]:
    """Yield nothing: no more will come."""
    none: tuple[bytes, ...] = ()
    for chunk in none:
        yield chunk


def _finish_upload(writer: Writer, content: bytearray) -> int:
    writer.add_bytes(content)
    return writer.close()
