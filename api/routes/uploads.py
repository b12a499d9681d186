"""Resumable uploads of sealed payloads: tus 1.0 (tus.io/protocols/resumable-upload).

Core, creation, creation-with-upload and termination. The recording's id names the upload, so
creating it again finds it. What is durable, and where a station goes on, is `ingest/uploads.py`;
here bytes are only taken off the wire, a part ahead of what is being stored.
"""

import asyncio
import base64
import hashlib
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
from storage.recording import RecordingId

router = APIRouter(tags=["uploads"])
VERSION = "1.0.0"
BYTES = "application/offset+octet-stream"
_TIME_ORDERED = 7  # UUID version of recording ids
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
    if request.headers.get("content-type") == BYTES and length <= PART:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > length:
                raise ApiError("invalid", problem="Upload-Length")
        if len(data) == length:
            await run_in_threadpool(
                counter.uploads.put_whole, counter.station, recording, data, sha256
            )
            return _answer(201, Offset(length, length), recording)
    state = await run_in_threadpool(
        counter.uploads.begin, counter.station, recording, length, sha256
    )
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
    state = await _take(request, counter, RecordingId(recording), offset)
    return _answer(204, state, RecordingId(recording))


@router.delete("/uploads/{recording}", status_code=204)
def delete(counter: CounterHere, recording: UUID, resumable: Resumable) -> Response:
    """Give an upload up that is not complete."""
    _same_version(resumable)
    counter.uploads.at(counter.station, RecordingId(recording))
    counter.uploads.discard(RecordingId(recording))
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


async def _take(request: Request, counter: Counter, recording: RecordingId, offset: int) -> Offset:
    writer = await run_in_threadpool(counter.uploads.writer, counter.station, recording, offset)
    storing: asyncio.Task[None] | None = None
    waiting = bytearray()
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) < PART:
                continue
            if storing is not None:
                await storing
            storing = asyncio.create_task(run_in_threadpool(writer.add, waiting))
            waiting = bytearray()
    except ClientDisconnect:
        pass  # the link dropped; below, what arrived is kept, and nobody reads the answer
    finally:
        if storing is not None:
            await storing
        durable = await run_in_threadpool(_finish, writer, waiting)
    return Offset(durable, writer.row.size)


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
    except (KeyError, ValueError) as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error
    if recording.version != _TIME_ORDERED or len(sha256.value) != hashlib.sha256().digest_size:
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
