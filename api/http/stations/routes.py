"""Routes of stations: enrolment, tokens, status reports, delivery of sealed recordings.

Bytes go by `api/http/uploads/`; here are the documents around them. Nothing here is for persons.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.http.schemas import RequestModel
from api.http.security import ServiceHere
from api.http.stations.gateway import GatewayHere
from api.office import enrolment as station_door
from api.problems import ApiError
from policies.identifiers import StationId
from storage.catalogue.stations import enrolment
from storage.custody.entries.event import Outcome
from storage.digest import Algorithm, Digest
from storage.errors import EnrolmentError
from storage.signed import canonical

router = APIRouter(tags=["stations"])
_STATUS_BYTES = 100_000
_SIZES = r"^[0-9]{1,18}(,[0-9]{1,18}){0,15}$"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Sha256 = Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")]
Source = Annotated[str, Query(min_length=1, max_length=200)]


class EnrolIn(RequestModel):
    """A code, and the station's new key in a document under that key."""

    code: str = Field(max_length=100)
    document: str = Field(max_length=20_000)


class TokenOut(BaseModel):
    """A token (RFC 6749, 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750, not a secret
    expires_in: int


class DeliveryIn(RequestModel):
    """The two documents of a sealed recording, exactly as signed and sealed."""

    record: str = Field(max_length=900_000)
    envelope: str = Field(max_length=100_000)


class ReceiptOut(BaseModel):
    """The centre's receipt, exactly as signed; null where there is none."""

    receipt: str | None


class ConsistencyOut(BaseModel):
    """The log's newest checkpoint, and the proof from each size that it reaches, base64 steps."""

    checkpoint: str
    proofs: dict[str, list[str]]


class NoteIn(RequestModel):
    """A station's own act; `number` is the station's, and makes it one entry however often sent."""

    number: int = Field(ge=1, lt=1 << 63)
    act: str = Field(max_length=60)
    subject: str = Field(pattern=r"^(recording|submission|bay|station):[A-Za-z0-9._-]{1,64}$")
    outcome: Outcome
    details: dict[str, Any] = Field(max_length=20)


class StatusIn(RequestModel):
    """How a station is: its bays, its spool, its clock, its software.

    `clock` is its time as put right by the centre's; `offset_s` how far its computer's is behind.
    """

    bays: list[dict[str, Any]] = Field(max_length=100)
    spool: dict[str, Any] = Field(max_length=20)
    clock: datetime
    offset_s: float | None = Field(default=None, allow_inf_nan=False)
    software: str = Field(max_length=60)


class StatusOut(BaseModel):
    """The centre's time, by which a station with a wrong clock finds its way."""

    now: datetime


@router.post("/stations/enrol")
def enrol_station(service: ServiceHere, enrolment_request: EnrolIn) -> dict[str, Any]:
    """Take up an enrolment with a one-time code. The same key again gets the same answer."""
    return station_door.enrol_station_key(
        service.office, enrolment_request.code, enrolment_request.document
    )


@router.post("/token")
def issue_token(
    service: ServiceHere,
    grant_type: Annotated[str, Form(max_length=60)],
    client_assertion_type: Annotated[str, Form(max_length=100)],
    client_assertion: Annotated[str, Form(max_length=8_000)],
) -> TokenOut:
    """Give a short-lived token for a signed assertion (RFC 7523, 2.2)."""
    if grant_type != "client_credentials" or client_assertion_type != ASSERTION_TYPE:
        raise EnrolmentError("assertion")
    secret, lasts = station_door.issue_token(service.office, client_assertion)
    return TokenOut(access_token=secret, expires_in=lasts)


@router.get("/time")
def get_time(service: ServiceHere) -> StatusOut:
    """Tell the centre's time; an assertion is made by it."""
    return StatusOut(now=service.office.clock())


@router.get("/log-origins")
def log_origins(service: ServiceHere, _counter: GatewayHere) -> dict[str, Any]:
    """Return the custody log's key with its origins, and each change of them with its proof."""
    return station_door.log_origins(service.office)


@router.get("/log-consistency")
def log_consistency(
    counter: GatewayHere, sizes: Annotated[str, Query(pattern=_SIZES, max_length=400)]
) -> ConsistencyOut:
    """Prove that the log's newest head continues its heads of some sizes (RFC 9162 2.1.4)."""
    consistency_proof = counter.prove_log({int(size) for size in sizes.split(",")})
    return ConsistencyOut.model_validate(consistency_proof.to_json())


@router.get("/holdings")
def check_holding(
    counter: GatewayHere, source: Source, size: Annotated[int, Query(ge=0)]
) -> dict[str, bool]:
    """Tell whether a recording of this source with so many bytes is held."""
    return {"held": counter.holds_size(source, size)}


@router.get("/receipts")
def find_receipt(counter: GatewayHere, source: Source, sha256: Sha256) -> ReceiptOut:
    """Return the receipt of exactly these bytes from this source, if it was ever given."""
    receipt_text = counter.receipt_for(source, Digest(Algorithm.SHA256, bytes.fromhex(sha256)))
    return ReceiptOut(receipt=receipt_text.decode() if receipt_text else None)


@router.post("/accessions", response_model=ReceiptOut)
def accession_recording(counter: GatewayHere, delivery: DeliveryIn) -> JSONResponse:
    """Take responsibility for a recording whose payload was uploaded; answer with the receipt."""
    outcome = counter.accession(delivery.record.encode(), delivery.envelope.encode())
    return JSONResponse({"receipt": outcome.decode()})  # a model would cost another thread's turn


@router.post("/notes", status_code=204)
def record_note(counter: GatewayHere, station_note: NoteIn) -> None:
    """Write a station's act into the custody log, once for each number."""
    counter.note_act(
        station_note.number,
        station_note.act,
        subject=station_note.subject,
        outcome=station_note.outcome,
        details=station_note.details,
    )


@router.put("/status")
def report_status(service: ServiceHere, counter: GatewayHere, report: StatusIn) -> StatusOut:
    """Store the station's status report; answer with the centre's time."""
    try:
        details = report.model_dump(mode="json")
        size = len(canonical.encode(details))
    except (ValueError, RecursionError) as error:  # depth, half letters, integers beyond 2^53, NaN
        raise ApiError("invalid", problem="status") from error
    if size > _STATUS_BYTES:
        raise ApiError("invalid", problem="status")
    # The answer's time is the transaction's, so that the station compares its clock with one
    # moment.
    with service.office.catalogue.write() as uow:
        enrolment.set_status(uow, StationId(counter.station), details)
        return StatusOut(now=uow.at)
