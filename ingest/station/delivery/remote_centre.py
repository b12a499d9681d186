"""The centre behind a network that may be away for days: implements `Centre`.

What is sealed goes to the spool, and what the log should hear goes to the journal; both are
brought by `Delivery` when there is a network. Questions that only save work (is this
file known?) are answered "unknown" while the centre is away.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from typing import Any, BinaryIO, cast
from uuid import UUID

from ingest.station.delivery.centre_client import (
    SLICE,
    SMALL,
    CentreAwayError,
    CentreClient,
    CentreRefusedError,
)
from ingest.station.delivery.spool import Spool
from ingest.station.journal import Journal
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.merkle.proof import Proof
from storage.custody.outside_head import LogContinuation
from storage.digest import Algorithm, Digest
from storage.errors import LiuhenError, SignatureError, SubmissionError
from storage.recording import RecordingId
from storage.signed import canonical
from storage.vault.objects import LARGEST, Block, Stored

_ACCESSION_S = 900.0  # the centre reads the whole payload back before it answers
_CONFLICTS = 5  # in one upload: more of them are no accident
_UNFIT = {"conflict", "invalid"}
_NO_ROUTE = "not-found"  # an older centre's answer to what it does not know
_TEXT = 600  # characters of a text in a note
_QUIET_S = 15.0  # how long an away centre is not asked questions that only save work


@dataclass(slots=True)
class RemoteCentre:
    """The county's centre, as one enrolled station reaches it."""

    client: CentreClient
    spool: Spool
    journal: Journal
    monotonic: Callable[[], float]
    on_step: Callable[[str], None] = lambda _step: None
    sent: Callable[[int], None] = lambda _bytes: None
    learn_origins: Callable[[Mapping[str, Any]], None] = lambda _origins: None
    immediate: bool = False
    _away_until: float = field(default=0.0)
    _begun: set[RecordingId] = field(default_factory=set)

    def holds_size(self, source: str, size: int) -> bool:
        """See Centre.holds_size; an away centre is taken not to."""
        answer = self._if_there("/holdings", {"source": source, "size": str(size)})
        return bool(answer.get("held"))

    def receipt_for(self, source: str, original: Digest) -> bytes | None:
        """See Centre.receipt_for; an away centre has none."""
        receipt = self._if_there("/receipts", {"source": source, "sha256": original.hex}).get(
            "receipt"
        )
        if not isinstance(receipt, str):
            return None
        self._follow_log(receipt.encode())
        return receipt.encode()

    def still_holds(self, source: str, original: Digest) -> bool | None:
        """See Centre.still_holds; None while the centre is away or does not take our word."""
        if self.monotonic() < self._away_until:
            return None
        query = {"source": source, "sha256": original.hex}
        try:
            answer = self.client.request_json("GET", "/receipts", query=query, timeout_s=_QUIET_S)
        except (CentreAwayError, CentreRefusedError):
            self._away_until = self.monotonic() + _QUIET_S
            return None
        return isinstance(answer.get("receipt"), str)

    def has_payload(self, recording: RecordingId, payload: Digest) -> bool:
        """See Centre.has_payload: it is in the spool."""
        return self.spool.digest_payload(recording) == payload

    def check_room(self, size: int) -> None:
        """See Centre.check_room."""
        if size > LARGEST:
            raise SubmissionError(reason="too-large", size=size, limit=LARGEST)
        self.spool.check_room(size)

    def put_payload(self, recording: RecordingId, blocks: Iterable[Block], expected: int) -> Stored:
        """See Centre.put_payload: the payload is durable here, for `accession` to bring.

        Raises, before anything is read: SubmissionError (too-large), SpoolFullError.
        """
        self.check_room(expected)
        stored = self.spool.put(recording, blocks, expected)
        self.on_step("payload-stored")
        return stored

    def accession(self, record: bytes, envelope: bytes) -> bytes:
        """See Centre.accession. The spool's payload is uploaded first, from where it stopped.

        Raises: CentreAwayError, CentreRefusedError, SignatureError.
        """
        recording, digest = _parse_record(record)
        document = {"record": record.decode(), "envelope": envelope.decode()}
        self._upload_payload(recording, digest)
        self.on_step("uploaded")
        answer = self.client.request_json("POST", "/accessions", document, timeout_s=_ACCESSION_S)
        self._away_until = 0.0  # it is there
        receipt = answer.get("receipt")
        if not isinstance(receipt, str):
            raise SignatureError(problem="no receipt")
        self._follow_log(receipt.encode())
        return receipt.encode()

    def _follow_log(self, untrusted_receipt: bytes) -> None:
        """Ask what became of the log where a receipt stands under an origin that we do not know.

        Whether the receipt is good is not looked at here.
        """
        try:
            proof = Proof.parse(canonical.decode(untrusted_receipt)["body"]["proof"])
        except (LiuhenError, KeyError, TypeError, AttributeError):
            return
        self._follow_origin(proof.checkpoint)

    def _follow_origin(self, untrusted_text: str) -> None:
        try:
            origin = untrusted_checkpoint(untrusted_text).origin
        except LiuhenError:
            return
        if origin not in self.client.origins:
            self.learn_origins(self.client.request_json("GET", "/log-origins"))

    def prove_log(self, sizes: Collection[int]) -> LogContinuation | None:
        """See Centre.prove_log. Raises: CentreAwayError, CentreRefusedError, CustodyError."""
        query = {"sizes": ",".join(map(str, sorted(sizes)))}
        try:
            answer = self.client.request_json("GET", "/log-consistency", query=query)
        except CentreRefusedError as error:
            if error.code != _NO_ROUTE:
                raise
            return None
        continuation = LogContinuation.from_json(answer)
        self._follow_origin(continuation.checkpoint)
        return continuation

    def discard_attempt(self, recording: RecordingId) -> None:
        """See Centre.discard_attempt: an attempt that was not delivered is only here."""
        self.spool.remove_payload(recording)

    def note_act(self, act: str, *, subject: str, outcome: str, details: Mapping[str, Any]) -> None:
        """See Centre.note_act: kept until the centre has it; endless names are cut short."""
        short_details = {
            name: f"{detail[:_TEXT]}…"
            if isinstance(detail, str) and len(detail) > _TEXT
            else detail
            for name, detail in details.items()
        }
        self.journal.add_note(act, subject=subject, outcome=outcome, details=short_details)

    def send_notes(self) -> int:
        """Bring the acts that wait, in their order; return how many the centre took.

        One that the centre refuses for what it says stays, and holds up none of the others.
        Raises: CentreAwayError, CentreRefusedError (of the station, not of an act).
        """
        count = 0
        for note in self.journal.list_notes():
            document = {
                "number": note.number,
                "act": note.act,
                "subject": note.subject,
                "outcome": note.outcome,
                "details": dict(note.details) | {"station_at": note.at},
            }
            try:
                self.client.request_json("POST", "/notes", document)
            except CentreRefusedError as error:
                if error.code not in _UNFIT:
                    raise
                continue
            self.on_step("note-sent")
            self.journal.drop_note(note.number)
            count += 1
        return count

    def _upload_payload(self, recording: RecordingId, digest: Digest) -> None:
        size = self.spool.measure_payload(recording)
        whole = None
        if size <= SMALL and recording not in self._begun:
            self._begun.add(recording)  # a link that cuts it short gets it in pieces the next time
            with self.spool.open(recording) as file:
                whole = file.read()
            self.sent(size)
        offset = self.client.begin_upload(recording, size, digest, whole)
        self.on_step("upload-begun")
        conflicts = 0
        while offset < size:
            part = min(SLICE, size - offset)
            body = partial(self._open_part, recording, offset, part)
            try:
                offset = self.client.upload_part(recording, offset, body, part)
            except CentreRefusedError as error:
                conflicts += 1
                if error.code != "conflict" or conflicts > _CONFLICTS:
                    raise
                offset = self.client.upload_offset(recording)

    def _open_part(self, recording: RecordingId, offset: int, length: int) -> BinaryIO:
        file = self.spool.open(recording)
        file.seek(offset)
        return cast("BinaryIO", _Part(file, length, self.sent))

    def _if_there(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        if self.monotonic() < self._away_until:
            return {}
        try:
            return self.client.request_json("GET", path, query=query, timeout_s=_QUIET_S)
        except (CentreAwayError, CentreRefusedError):
            self._away_until = self.monotonic() + _QUIET_S
            return {}


class _Part:
    """The next `length` bytes of a file, counted as they are read."""

    def __init__(self, file: FileIO, length: int, sent: Callable[[int], None]) -> None:
        self._file = file
        self._left = length
        self._sent = sent

    def read(self, size: int) -> bytes:
        """Return the next bytes, but never beyond the length."""
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        self._sent(len(block))
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parse_record(record: bytes) -> tuple[RecordingId, Digest]:
    """Return which recording our own record is about, and its payload's digest."""
    try:
        body = canonical.decode(record)["body"]
        payload = bytes.fromhex(body["payload"][Algorithm.SHA256])
        return RecordingId(UUID(body["recording"])), Digest(Algorithm.SHA256, payload)
    except (KeyError, TypeError, ValueError) as error:
        raise SignatureError(problem="not a sealed record") from error
