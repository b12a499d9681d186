"""Files that a logged-in person hands in: tus 1.0, like the stations' uploads, and a list of them.

Core, creation, termination and expiration. The same bytes of the same person are the same upload,
so creating it again finds it and tells where to go on. What becomes of a file is
`ingest/centre/hand_in.py`.
"""

from datetime import datetime
from email.utils import format_datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel
from starlette.concurrency import run_in_threadpool

from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.security import ServiceHere, VisitorHere
from api.http.uploads import tus
from api.http.uploads.tus import Length, Metadata, Position, Resumable, same_version
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError, reason_zh
from ingest.centre.hand_in import BAY, Reception
from ingest.centre.uploads import Offset
from ingest.sources.names import display_text
from ingest.station.journal import RECEIPTED, State
from policies.access.access import Act
from storage.catalogue.stations.tables import HandedInRow
from storage.recording import RecordingId

router = APIRouter(tags=["submissions"])
_EXTENSIONS = "creation,termination,expiration"
_LATEST_MS = 1 << 52
STATES = {
    "arriving": "未传完",
    "received": "已收到,等待封存入库",
    "accessioned": "已入库",
    "attention": "需要处理",
}


class SubmissionOut(BaseModel):
    """A file that you handed in, or began to; `offset` of `size` bytes are durable.

    `state`: arriving, received (whole, and the station's to take), accessioned (as `recording`),
    attention (`reason` says why).
    """

    id: str
    name: str
    size: int
    offset: int
    sha256: str
    state: str
    state_zh: str
    recording: str | None
    reason: str | None
    reason_zh: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None


def submitter_of(service: ServiceHere, visitor: VisitorHere) -> Visitor:
    """Return who asks, if he may hand files in. Raises: ApiError(forbidden)."""
    service.authorise(visitor, Act.HAND_IN)
    return visitor


SubmitterHere = Annotated[Visitor, Depends(submitter_of)]


@router.get("/submissions")
def list_submissions(
    service: ServiceHere, visitor: SubmitterHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[SubmissionOut]:
    """Return what you handed in or began to, newest first."""
    after = read_cursor("submissions", cursor, datetime, str)
    rows = service.office.reception.list_hand_ins(visitor.person.id, after, limit + 1)
    show = partial(_present_submission, service)
    return page_of("submissions", rows, limit, lambda row: (row.created_at, row.id), show)


@router.options("/submissions", status_code=204)
def describe_submissions(service: ServiceHere) -> Response:
    """Tell what this server can do."""
    return tus.describe_server(_EXTENSIONS, service.office.reception.allowance.size)


@router.post("/submissions", status_code=201)
def create_submission(
    service: ServiceHere,
    visitor: SubmitterHere,
    length: Length,
    metadata: Metadata,
    resumable: Resumable,
) -> Response:
    """Begin to hand a file in, or find the one with these bytes that you began before.

    Upload-Metadata: `filename` (UTF-8), `sha256` (hex), and `modified` (milliseconds) if known.
    """
    same_version(resumable)
    parsed_metadata = tus.parse_metadata(metadata)
    row = service.office.reception.begin_hand_in(
        visitor.actor,
        parsed_metadata.get("filename", b""),
        length,
        tus.sha256_of(parsed_metadata),
        _modified_time(parsed_metadata),
    )
    return _offset_response(service.office.reception, 201, row)


@router.head("/submissions/{submission}")
def get_submission_offset(
    service: ServiceHere, visitor: SubmitterHere, submission: UUID, resumable: Resumable
) -> Response:
    """Tell how many bytes are durable."""
    same_version(resumable)
    row = service.office.reception.get_hand_in(visitor.person.id, submission)
    response = _offset_response(service.office.reception, 200, row)
    response.headers["Upload-Length"] = str(row.size)
    return response


@router.patch("/submissions/{submission}", status_code=204)
async def append_submission(  # noqa: PLR0917 - FastAPI hands them in by name
    request: Request,
    service: ServiceHere,
    visitor: SubmitterHere,
    submission: UUID,
    offset: Position,
    resumable: Resumable,
) -> Response:
    """Take bytes from the offset on; with the last one the file is verified and received."""
    same_version(resumable)
    if request.headers.get("content-type") != tus.BYTES:
        raise ApiError("media-type", wanted=tus.BYTES)
    reception, person = service.office.reception, visitor.person.id
    name = RecordingId(submission)
    # The person owns the upload: another's id answers as one that does not exist.
    opened = partial(reception.uploads.open_writer, person, name, offset)
    state = await tus.receive_upload(request.stream(), opened)
    # Reading the whole file back takes its time, so never in the event loop. Cut off before it, the
    # next call or the sweep does it.
    row = await run_in_threadpool(
        reception.receive_file if state.is_complete else reception.get_hand_in, person, name
    )
    return _offset_response(reception, 204, row)


@router.delete("/submissions/{submission}", status_code=204)
def delete_submission(
    service: ServiceHere, visitor: SubmitterHere, submission: UUID, resumable: Resumable
) -> Response:
    """Give up what you began and what is not received yet."""
    same_version(resumable)
    service.office.reception.give_up(visitor.person.id, submission)
    return Response(status_code=204, headers={"Tus-Resumable": tus.VERSION})


def _modified_time(metadata: dict[str, bytes]) -> int | None:
    if "modified" not in metadata:
        return None
    try:
        modified = int(metadata["modified"])
    except ValueError as error:
        raise ApiError("invalid", problem="Upload-Metadata") from error
    if not 0 <= modified < _LATEST_MS:
        raise ApiError("invalid", problem="Upload-Metadata")
    return modified


def _offset_response(reception: Reception, status: int, row: HandedInRow) -> Response:
    state = Offset(row.offset, row.size)
    response = tus.offset_response(status, state, f"/api/v1/submissions/{row.id}")
    # tus expiration: each write puts the end off; what was received does not expire.
    if row.received_at is None:
        ends = row.touched_at + reception.allowance.idle
        response.headers["Upload-Expires"] = format_datetime(ends, usegmt=True)
    return response


def _present_submission(service: Service, row: HandedInRow) -> SubmissionOut:
    reception = service.office.reception
    state, recording, reason = "arriving", None, None
    if row.received_at is not None:
        state = "received"
        # From here on the file is the station's: its journal knows how far it is.
        entry = service.office.journal.find_by_path(BAY, reception.path_of(row))
        if entry is not None and entry.state in RECEIPTED:
            state = "accessioned"
            # Bytes that were there before are no new recording: the facts name the one that has
            # them.
            recording = entry.facts.get("recording") or str(entry.recording)
        elif entry is not None and (entry.reason or entry.state is State.QUARANTINED):
            state, reason = "attention", entry.reason
    return SubmissionOut(
        id=row.id,
        name=display_text(row.file_name.encode()),
        size=row.size,
        offset=row.offset,
        sha256=row.sha256,
        state=state,
        state_zh=STATES[state],
        recording=recording,
        reason=reason,
        reason_zh=reason_zh(reason),
        created_at=row.created_at,
        expires_at=None if row.received_at else row.touched_at + reception.allowance.idle,
    )
