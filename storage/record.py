"""The two signed documents of a recording: the station's sealed record, the centre's receipt.

A sealed record says what was taken, from where, as what bytes, and what the station saw in it;
it is canonical JSON (RFC 8785) under the station's Ed25519 and ML-DSA-44 keys. A receipt says
that the centre holds it: the record's digest, its leaf in the custody log, and a C2SP tlog-proof
with a signed checkpoint, under the centre's keys. Both are written down in docs/spec/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID

from policies.identifiers import Subject
from storage.custody.checkpoint import log_keys
from storage.custody.merkle.proof import Proof
from storage.custody.verify import verify_entry
from storage.digest import Algorithm, Digest
from storage.errors import SignatureError
from storage.recording import RecordingId
from storage.signed import canonical
from storage.signed.signing import SigningKey, VerifyKey, sign_document, signer_of, verify_document

RECORD_DOMAIN = "sealed-record/v1"
RECEIPT_DOMAIN = "receipt/v1"
T = TypeVar("T")


def payload_of(record: bytes) -> tuple[int, Digest]:
    """Return size and SHA-256 of the payload that a verified record names, without its keys."""
    payload = canonical.decode(record)["body"]["payload"]
    return payload["size"], Digest(Algorithm.SHA256, bytes.fromhex(payload[Algorithm.SHA256]))


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """What the station signs. Every field is a JSON value; times are ISO 8601 with zone."""

    recording: str
    station: str
    source: Mapping[str, Any]  # serial|null, identity, kind, profile
    offered: Mapping[str, Any]  # name and path (display), path_bytes (base64, as on the source)
    size: int  # bytes of the original
    digests: Mapping[str, str]  # hex by algorithm; sha-256 always
    payload: Mapping[str, Any]  # size, sha-256
    envelope: Mapping[str, Any]  # sha-256
    media: Mapping[str, Any]
    inspection: tuple[Mapping[str, Any], ...]
    clocks: Mapping[str, Any]
    officer_no: str | None
    sequence: int | None
    marked: bool | None
    questions: tuple[str, ...]
    operator: str | None
    software: str
    sealed_at: str
    v: int = 1

    @property
    def id(self) -> RecordingId:
        """The recording's id."""
        return RecordingId(UUID(self.recording))

    @property
    def original(self) -> Digest:
        """SHA-256 of the original."""
        return Digest(Algorithm.SHA256, bytes.fromhex(self.digests[Algorithm.SHA256]))

    @property
    def payload_digest(self) -> Digest:
        """SHA-256 of the payload object."""
        return Digest(Algorithm.SHA256, bytes.fromhex(self.payload[Algorithm.SHA256]))

    @property
    def envelope_digest(self) -> Digest:
        """SHA-256 of the envelope object as first written."""
        return Digest(Algorithm.SHA256, bytes.fromhex(self.envelope[Algorithm.SHA256]))

    def sign(self, key: SigningKey) -> bytes:
        """Return the signed document's canonical bytes."""
        body = asdict(self) | {
            "inspection": list(self.inspection),
            "questions": list(self.questions),
        }
        return sign_document(key, RECORD_DOMAIN, body)

    @classmethod
    def verify(cls, document: bytes, stations: Sequence[VerifyKey]) -> Self:
        """Return the record after its signatures verified, by the very station it names.

        Raises: SignatureError, also for a body that is not a sealed record.
        """
        names = {key.kid: key.name for key in stations}
        body = verify_document(document, RECORD_DOMAIN, stations)
        record = _build_document(cls, body)
        # A station's key is good for that station alone: who stole it signs for no other.
        if record.station != names[signer_of(document)]:
            raise SignatureError(problem="signed by another station", station=record.station)
        try:
            # Read here once, so that nobody who uses a verified record meets a malformed one.
            _ = (record.id, record.original, record.payload_digest, record.envelope_digest)
            proper = record.v == 1 and isinstance(record.size, int)
        except (KeyError, TypeError, ValueError) as error:
            raise SignatureError(problem="not a sealed record") from error
        if not proper:
            raise SignatureError(problem="not a sealed record")
        return record


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the centre signs, after the objects were read back, catalogued and logged."""

    recording: str
    station: str
    record: str  # digest of the sealed record's bytes, as text
    original: str  # digest of the original, as text
    size: int  # bytes of the original
    leaf: str  # the entry's exact text
    proof: str  # C2SP tlog-proof with the checkpoint
    accessioned_at: str
    v: int = 1

    def sign(self, key: SigningKey) -> bytes:
        """Return the signed document's canonical bytes."""
        return sign_document(key, RECEIPT_DOMAIN, asdict(self))

    @classmethod
    def verify(cls, document: bytes, centre: VerifyKey, log: VerifyKey) -> Self:
        """Return the receipt after signature, leaf, inclusion proof and checkpoint verified.

        Raises: SignatureError, CustodyError.
        """
        receipt = _build_document(cls, verify_document(document, RECEIPT_DOMAIN, [centre]))
        entry = verify_entry(receipt.leaf, receipt.proof, log_keys(log, log.name)).entry
        # The proof is good for any recording's entry: it has to be this one's.
        if entry["subject"] != Subject.of_recording(receipt.recording):
            raise SignatureError(problem="the receipt's entry is about something else")
        return receipt

    def covers(self, record: bytes, original: Digest, size: int) -> bool:
        """Tell whether this receipt is for exactly this record and these bytes."""
        return (
            self.record == str(Digest.compute(record))
            and self.original == str(original)
            and self.size == size
        )

    @property
    def checkpoint(self) -> str:
        """The signed checkpoint that it stands under. Raises: CustodyError."""
        return Proof.parse(self.proof).checkpoint

    @property
    def accession_time(self) -> datetime:
        """When the centre took responsibility."""
        return datetime.fromisoformat(self.accessioned_at)


def _build_document(kind: type[T], body: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    # Exactly these: an unknown field would be signed, and looked at by nobody.
    if set(body) != names:
        raise SignatureError(problem="unexpected fields", found=sorted(set(body) ^ names))
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in body.items()})
