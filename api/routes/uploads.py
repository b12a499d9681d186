"""Resumable uploads of sealed payloads: tus 1.0 (tus.io/protocols/resumable-upload).

Core, creation, creation-with-upload and termination. The recording's id names the upload, so
creating it again finds it. What is durable, and where a station goes on, is `ingest/uploads.py`;
here bytes are only taken off the wire, a part ahead of what is being stored.
"""

import asyncio
import base64
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.problems import ApiError
from api.station_door import CounterHere
from ingest.counter import Counter
from ingest.uploads import LIMIT, PART, Offset, Writer
from storage.digest import Algorithm, Digest
from storage.errors import FixityError
from storage.recording import RecordingId

router = APIRouter(tags=["uploads"])
VERSION = "1.0.0"
BYTES = "application/offset+octet-stream"
_TIME_ORDERED = 7  # UUID version of recording ids
_REST_S = 1.0  # what came in so many seconds may have to come again
_EXTENSIONS = "creation,creation-with-upload,termination"
Length = Annotated[int, Header(alias="Upload-Length", ge=1, le=LIMIT)]
Position = Annotated[int, Header(alias="Upload-Offset", ge=0, le=LIMIT)]
Resumable = Annotated[str, Header(alias="Tus-Resumable")]


@router.options("/uploads", status_code=204)
def options() -> Response:
    """Tell what this server can do."""
    facts = {"Tus-Version": VERSION, "Tus-Extension": _EXTENSIONS, "Tus-Max-Size": str(LIMIT)}
    return Response(status_code=204, headers=facts | {"Tus-Resumable": VERSION})


@router.post("/uploads", status_code=201)
async def create(
    request: Request,
    counter: CounterHere,
    length: Length,
    metadata: Annotated[str, Header(alias="Upload-Metadata", max_length=1000)],
    resumable: Resumable,
) -> Response:
    """Begin an upload, or find it; a small payload may come along whole."""
    _same_version(resumable)
    recording, sha256 = _metadata(metadata)
    data, more = bytearray(), False
    if request.headers.get("content-type") == BYTES and length <= PART:
        data, more = await _gathered(request, length)
    if len(data) == length:
        await run_in_threadpool(counter.put_whole, recording, data, sha256)
        return _answer(201, Offset(length, length), recording)
    state = await run_in_threadpool(
        counter.uploads.begin, counter.station, recording, length, sha256
    )
    if data and state.offset == 0:
        stream = request.stream() if more else _nothing()
        state = await _take(stream, counter, recording, 0, data)
    return _answer(201, state, recording)


@router.head("/uploads/{recording}")
def head(counter: CounterHere, recording: UUID, resumable: Resumable) -> Response:
    """Tell how many bytes are durable."""
    _same_version(resumable)
    state = counter.uploads.at(counter.station, RecordingId(recording))
    response = _answer(200, state, RecordingId(recording))
    response.headers["Upload-Length"] = str(state.size)
    return response


@router.patch("/uploads/{recording}", status_code=204)
async def patch(
    request: Request,
    counter: CounterHere,
    recording: UUID,
    offset: Position,
    resumable: Resumable,
) -> Response:
    """Take bytes from the offset on; whatever ends the request, what arrived is kept."""
    _same_version(resumable)
    if request.headers.get("content-type") != BYTES:
        raise ApiError("media-type", wanted=BYTES)
    state = await _take(request.stream(), counter, RecordingId(recording), offset)
    return _answer(204, state, RecordingId(recording))


@router.delete("/uploads/{recording}", status_code=204)
def delete(counter: CounterHere, recording: UUID, resumable: Resumable) -> Response:
    """Give an upload up that is not complete."""
    _same_version(resumable)
    counter.uploads.at(counter.station, RecordingId(recording))
    counter.uploads.discard(RecordingId(recording))
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


async def _take(
    stream: AsyncIterable[bytes],
    counter: Counter,
    recording: RecordingId,
    offset: int,
    before: bytes | bytearray = b"",
) -> Offset:
    """Take what `before` and the stream bring, up to wherever the stream ends."""
    writer = await run_in_threadpool(counter.uploads.writer, counter.station, recording, offset)
    intake = _Intake(writer, bytearray(before))
    resting = asyncio.create_task(intake.rest_often())
    try:
        async for chunk in stream:
            await intake.take(chunk)
    except ClientDisconnect:
        pass  # the link dropped; below, what arrived is kept, and nobody reads the answer
    finally:
        resting.cancel()
        durable = await intake.finish()
    return Offset(durable, writer.row.size)


class _Intake:
    """Gathers one request's bytes while the writer is busy with those before."""

    def __init__(self, writer: Writer, waiting: bytearray) -> None:
        self._writer = writer
        self._waiting = waiting
        self._storing: asyncio.Task[None] | None = None

    async def take(self, chunk: bytes) -> None:
        """Take bytes; when they are many, wait until the writer has those before."""
        self._waiting += chunk
        if len(self._waiting) >= PART:
            await self._idle()
            self._store(self._writer.add)

    async def rest_often(self) -> None:
        """Have what came slowly made durable, again and again, until cancelled."""
        while True:
            await asyncio.sleep(_REST_S)
            if self._storing is None or (self._storing.done() and not self._storing.exception()):
                self._store(self._rest)

    async def finish(self) -> int:
        """Have everything made durable; return the durable offset."""
        await self._idle()
        return await run_in_threadpool(_finish, self._writer, self._waiting)

    async def _idle(self) -> None:
        """Wait until the writer has nothing to do. Raises: what it raised."""
        while (storing := self._storing) is not None:
            await storing
            if self._storing is storing:
                self._storing = None

    def _store(self, work: Callable[[bytearray], None]) -> None:
        data, self._waiting = self._waiting, bytearray()
        self._storing = asyncio.create_task(run_in_threadpool(work, data))

    def _rest(self, data: bytearray) -> None:
        self._writer.add(data)
        self._writer.rest()


async def _gathered(request: Request, length: int) -> tuple[bytearray, bool]:
    """Return what came along with the creation, and whether more may come.

    What a slow link brings is not waited for here, but kept bit by bit (`_take`).
    """
    data = bytearray()
    try:
        async with asyncio.timeout(_REST_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > length:
                    raise ApiError("invalid", problem="Upload-Length")
    except (TimeoutError, ClientDisconnect):
        return data, True
    return data, False


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


def _finish(writer: Writer, data: bytearray) -> int:
    writer.add(data)
    return writer.close()


def _metadata(text: str) -> tuple[RecordingId, Digest]:
    """Read `recording` and `sha256` (Upload-Metadata: names with base64 values)."""
    try:
        pairs = dict(pair.strip().split(" ", 1) for pair in text.split(","))
        values = {name: base64.b64decode(value, validate=True) for name, value in pairs.items()}
        recording = RecordingId(UUID(values["recording"].decode()))
        sha256 = Digest(Algorithm.SHA256, bytes.fromhex(values["sha256"].decode()))
    except (KeyError, ValueError, FixityError) as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error
    if recording.version != _TIME_ORDERED:
        raise ApiError("invalid", problem="Upload-Metadata")
    return recording, sha256


def _same_version(resumable: str) -> None:
    if resumable != VERSION:
        raise ApiError("tus-version", wanted=VERSION)


def _answer(status: int, state: Offset, recording: RecordingId) -> Response:
    headers = {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(state.offset),
        "Location": f"/api/v1/uploads/{recording}",
    }
    return Response(status_code=status, headers=headers)
