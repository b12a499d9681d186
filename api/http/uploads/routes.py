"""Resumable uploads of sealed payloads: tus 1.0 (tus.io/protocols/resumable-upload).

Core, creation, creation-with-upload and termination. The recording's id names the upload, so
creating it again finds it. How bytes come off the wire is `tus.py`; what is durable, and where a
station goes on, `ingest/centre/uploads.py`.
"""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.http.stations.gateway import GatewayHere
from api.http.uploads import tus
from api.http.uploads.tus import BYTES, Length, Metadata, Position, Resumable, same_version
from api.problems import ApiError
from ingest.centre.uploads import PART, Offset
from storage.digest import Digest
from storage.recording import RecordingId
from storage.vault.objects import LARGEST

router = APIRouter(tags=["uploads"])
_TIME_ORDERED = 7  # UUID version of recording ids
_EXTENSIONS = "creation,creation-with-upload,termination"


@router.options("/uploads", status_code=204)
def options() -> Response:
    """Tell what this server can do."""
    return tus.abilities(_EXTENSIONS, LARGEST)


@router.post("/uploads", status_code=201)
async def create(
    request: Request,
    counter: GatewayHere,
    length: Length,
    metadata: Metadata,
    resumable: Resumable,
) -> Response:
    """Begin an upload, or find it; a small payload may come along whole."""
    same_version(resumable)
    recording, sha256 = _metadata(metadata)
    data, more = b"", False
    if request.headers.get("content-type") == BYTES and length <= PART:
        data, more = await tus.gathered(request, length)
    if len(data) == length:
        await run_in_threadpool(counter.put_whole, recording, data, sha256)
        return _answer(201, Offset(length, length), recording)
    state = await run_in_threadpool(
        counter.uploads.begin, counter.station, recording, length, sha256
    )
    if data and state.offset == 0:
        stream = request.stream() if more else tus.nothing()
        state = await tus.take(stream, counter.opener(recording, 0), data)
    return _answer(201, state, recording)


@router.head("/uploads/{recording}")
def head(counter: GatewayHere, recording: UUID, resumable: Resumable) -> Response:
    """Tell how many bytes are durable."""
    same_version(resumable)
    state = counter.uploads.at(counter.station, RecordingId(recording))
    response = _answer(200, state, RecordingId(recording))
    response.headers["Upload-Length"] = str(state.size)
    return response


@router.patch("/uploads/{recording}", status_code=204)
async def patch(
    request: Request,
    counter: GatewayHere,
    recording: UUID,
    offset: Position,
    resumable: Resumable,
) -> Response:
    """Take bytes from the offset on; whatever ends the request, what arrived is kept."""
    same_version(resumable)
    if request.headers.get("content-type") != BYTES:
        raise ApiError("media-type", wanted=BYTES)
    name = RecordingId(recording)
    state = await tus.take(request.stream(), counter.opener(name, offset))
    return _answer(204, state, name)


@router.delete("/uploads/{recording}", status_code=204)
def delete(counter: GatewayHere, recording: UUID, resumable: Resumable) -> Response:
    """Give an upload up that is not complete."""
    same_version(resumable)
    counter.uploads.at(counter.station, RecordingId(recording))
    counter.uploads.discard(RecordingId(recording))
    return Response(status_code=204, headers={"Tus-Resumable": tus.VERSION})


def _metadata(text: str) -> tuple[RecordingId, Digest]:
    """Read `recording` and `sha256`. Raises: ApiError(invalid)."""
    given = tus.metadata(text)
    try:
        recording = RecordingId(UUID(given["recording"].decode()))
    except (KeyError, ValueError) as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error
    if recording.version != _TIME_ORDERED:
        raise ApiError("invalid", problem="Upload-Metadata")
    return recording, tus.sha256_of(given)


def _answer(status: int, state: Offset, recording: RecordingId) -> Response:
    return tus.answer(status, state, f"/api/v1/uploads/{recording}")
