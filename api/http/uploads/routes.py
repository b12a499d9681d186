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
def describe_uploads() -> Response:
    """Tell what this server can do."""
    return tus.describe_server(_EXTENSIONS, LARGEST)


@router.post("/uploads", status_code=201)
async def create_upload(
    request: Request,
    counter: GatewayHere,
    length: Length,
    metadata: Metadata,
    resumable: Resumable,
) -> Response:
    """Begin an upload, or find it; a small payload may come along whole."""
    # Before anything is begun: a client of another tus version may mean something else by the rest.
    same_version(resumable)
    recording, sha256 = _parse_metadata(metadata)
    content, more = b"", False
    # creation-with-upload: only what fits into one part is gathered here, in memory.
    if request.headers.get("content-type") == BYTES and length <= PART:
        content, more = await tus.gather_body(request, length)
    # Came whole: stored at once, without a row, parts or a second request.
    if len(content) == length:
        await run_in_threadpool(counter.put_whole, recording, content, sha256)
        return _offset_response(201, Offset(length, length), recording)
    state = await run_in_threadpool(
        counter.uploads.begin_upload, counter.station, recording, length, sha256
    )
    # An upload that was begun before stands elsewhere: its bytes are durable, these are let go of,
    # and the client goes on from the offset in the answer.
    if content and state.offset == 0:
        stream = request.stream() if more else tus.empty_stream()
        state = await tus.receive_upload(stream, counter.prepare_writer(recording, 0), content)
    return _offset_response(201, state, recording)


@router.head("/uploads/{recording}")
def get_upload_offset(counter: GatewayHere, recording: UUID, resumable: Resumable) -> Response:
    """Tell how many bytes are durable."""
    same_version(resumable)
    state = counter.uploads.get_offset(counter.station, RecordingId(recording))
    response = _offset_response(200, state, RecordingId(recording))
    response.headers["Upload-Length"] = str(state.size)
    return response


@router.patch("/uploads/{recording}", status_code=204)
async def append_upload(
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
    # The offset is claimed as the writer opens: where it is not the durable one, nothing is read,
    # and the answer (409) says where to go on.
    state = await tus.receive_upload(request.stream(), counter.prepare_writer(name, offset))
    return _offset_response(204, state, name)


@router.delete("/uploads/{recording}", status_code=204)
def delete_upload(counter: GatewayHere, recording: UUID, resumable: Resumable) -> Response:
    """Give an upload up that is not complete."""
    same_version(resumable)
    # Raises for an upload of another station before anything is discarded.
    counter.uploads.get_offset(counter.station, RecordingId(recording))
    counter.uploads.discard_upload(RecordingId(recording))
    return Response(status_code=204, headers={"Tus-Resumable": tus.VERSION})


def _parse_metadata(text: str) -> tuple[RecordingId, Digest]:
    """Read `recording` and `sha256`. Raises: ApiError(invalid)."""
    metadata = tus.parse_metadata(text)
    try:
        recording = RecordingId(UUID(metadata["recording"].decode()))
    except (KeyError, ValueError) as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error
    # Lists go by id, the newest first: one that is not ordered by time would stand anywhere.
    if recording.version != _TIME_ORDERED:
        raise ApiError("invalid", problem="Upload-Metadata")
    return recording, tus.sha256_of(metadata)


def _offset_response(status: int, state: Offset, recording: RecordingId) -> Response:
    return tus.offset_response(status, state, f"/api/v1/uploads/{recording}")
