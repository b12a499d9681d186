"""Gateway of the centre for one enrolled station: its allowed calls, under its own identity.

The same acts as `Centre`, but nothing that the station says of itself is believed: a
record must be signed by the very key that it enrolled, a payload must be its own upload, and the
log names it by the enrolment, never by what it sends.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.centre.accession import LocalCentre
from ingest.centre.uploads import Uploads, Writer
from policies.identifiers import StationId, Subject
from storage.catalogue.stations import enrolment
from storage.custody.outside_head import LogContinuation
from storage.digest import Digest
from storage.errors import (
    ConflictError,
    EnvelopeError,
    FixityError,
    LiuhenError,
    ObjectConflictError,
    ObjectMissingError,
    SignatureError,
)
from storage.record import SealedRecord
from storage.recording import RecordingId
from storage.signed.signing import VerifyKey
from storage.vault.objects import Block

ACTS = frozenset(
    {
        "source.clear",
        "submission.refuse",
        "submission.duplicate",
        "station.log-alarm",
        "station.log-follow",
    }
)
FACTS = frozenset(
    {
        "reason",
        "path",
        "source",
        "submission",
        "sha256",
        "station_at",
        "noticed",
        "seen_size",
        "seen_root",
        "shown_size",
        "shown_root",
    }
)
_TEXT = 1000  # characters


class DeliveryRefusedError(LiuhenError):
    """The recording itself cannot be taken as the station sealed it; `problem` is why."""

    code = "delivery-refused"


@dataclass(frozen=True, slots=True)
class StationGateway:
    """One request's view of the centre, as this station."""

    centre: LocalCentre
    uploads: Uploads
    station: str
    enrolment: str
    key: VerifyKey

    def holds_size(self, source: str, size: int) -> bool:
        """See Centre.holds_size."""
        return self.centre.holds_size(source, size)

    def receipt_for(self, source: str, original: Digest) -> bytes | None:
        """See Centre.receipt_for: whoever has the bytes may have their receipt."""
        return self.centre.receipt_for(source, original)

    def put_whole(self, recording: RecordingId, payload: Block, sha256: Digest) -> None:
        """Take a small payload whole. Raises: as `Uploads.put_whole`."""
        stored = self.uploads.put_whole(self.station, recording, payload, sha256)
        if stored is not None:
            self.centre.remember_read_back(stored)

    def prepare_writer(self, recording: RecordingId, offset: int) -> Callable[[], Writer]:
        """Prepare the opening of this station's upload writer; see `Uploads.open_writer`."""
        return partial(self.uploads.open_writer, self.station, recording, offset)

    def accession(self, record: bytes, envelope: bytes) -> bytes:
        """See Centre.accession; the payload is what this station uploaded.

        Raises: ConflictError(problem=signature: not signed by this station's enrolled key |
        incomplete | digest), DeliveryRefusedError, and as `Centre.accession`.
        """
        try:
            # Its own enrolled key alone: another station's key must not sign in this one's name.
            sealed = SealedRecord.verify(record, [self.key])
        except SignatureError as error:
            raise ConflictError(problem="signature", why=str(error)[:200]) from error
        stored = None
        if not self.centre.has_read_back(sealed.id):  # else it came whole a moment ago
            # A call whose answer was lost, or that a crash cut short before its upload was
            # dropped.
            if (earlier_receipt := self.centre.receipt_of(sealed)) is not None:
                self.uploads.forget_upload(sealed.id)
                return earlier_receipt
            stored = self.uploads.assemble_payload(self.station, sealed.id)
        try:
            receipt = self.centre.accession_verified_record(sealed, record, envelope, stored)
        except (EnvelopeError, FixityError, ObjectConflictError, ObjectMissingError) as error:
            # Final for this record; the vault's other errors may pass, and are the caller's.
            raise DeliveryRefusedError(problem=error.code) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Signed by the station, and yet no record: it says what cannot be.
            raise DeliveryRefusedError(problem="record") from error
        # After the receipt: until then a repeated call goes on from the upload's row.
        if stored is not None:
            self.uploads.forget_upload(sealed.id)
        return receipt

    def prove_log(self, sizes: Collection[int]) -> LogContinuation:
        """See Centre.prove_log."""
        return self.centre.prove_log(sizes)

    def note_act(
        self, number: int, act: str, *, subject: str, outcome: str, details: Mapping[str, Any]
    ) -> bool:
        """Write a station's act into the log, once for each number; tell whether it was new.

        Only plain facts under known names: an entry's details are also where rows are logged.
        Raises: ConflictError for an act or a fact that is not a station's.
        """
        if act not in ACTS:
            raise ConflictError(problem="not a station's act", act=act[:80])
        # No station writes an alarm into another one's chain.
        if subject.startswith("station:") and subject != Subject.of_station(
            StationId(self.station)
        ):
            raise ConflictError(problem="another station", act=act)
        if not FACTS.issuperset(details) or not all(map(_is_plain, details.values())):
            raise ConflictError(problem="not a station's facts", act=act)
        with self.centre.catalogue.write() as uow:
            # In the entry's own transaction: a note whose answer was lost is sent again, and finds
            # its number used.
            new = enrolment.note_once(uow, self.enrolment, number)
            if new:
                self.centre.record_act(
                    uow,
                    act,
                    self.station,
                    subject=subject,
                    outcome=outcome,
                    details={**details, "number": number},
                )
        return new


def _is_plain(fact: object) -> bool:
    if isinstance(fact, str):
        return len(fact) <= _TEXT
    # RFC 8785 writes numbers as IEEE doubles: a larger one has no canonical form.
    return fact is None or (isinstance(fact, int) and abs(fact) < 1 << 53)
