"""Accession: the centre takes responsibility for a sealed recording, and answers with a receipt.

Order: payload, record and envelope are durable and verified -> catalogue row and custody entry in
one transaction -> objects locked -> log head signed and published -> receipt signed and kept ->
scene codes set its clock and link it.
Each step finds out by itself whether it was done before, so a crash between any two is mended by
the next call with the same record; at worst it leaves an orphan object, which a sweep finds.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from uuid import UUID

from ingest.centre.group_commit import Together
from ingest.centre.hand_in import submission_at
from ingest.centre.receipts import Receipts
from ingest.centre.record_parsing import (
    ParsedRecord,
    find_township,
    parse_record,
    station_and_operator,
)
from ingest.centre.self_linking import self_link
from policies.identifiers import StationId, Subject
from policies.retention.retention import retain_until
from policies.rules.rules import Rulebook
from storage.catalogue.log.custody_log import prove_continuation
from storage.catalogue.proofs.publish import newest_checkpoint
from storage.catalogue.recordings import clocks, recordings
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.custody.outside_head import LogContinuation
from storage.digest import Digest
from storage.errors import (
    ArchiveAwayError,
    ConflictError,
    CustodyError,
    EnvelopeError,
    FixityError,
    ObjectConflictError,
    ObjectMissingError,
    StorageFullError,
)
from storage.record import SealedRecord, payload_of
from storage.recording import RecordingId
from storage.signed.signing import VerifyKey
from storage.upkeep import attempts
from storage.vault.objects import (
    ENVELOPE,
    PARTS,
    PAYLOAD,
    RECORD,
    Block,
    ObjectStore,
    Stored,
    key_of,
    limit_lock_date,
    size_of,
)
from storage.vault.ranges import payload_size
from storage.vault.sealing import recipients_of

_REMEMBERED = 1000  # payloads
_Entered = tuple[RecordingRow, bool]
_PREMIS = {
    "source.clear": PremisType.DELETION,
    "submission.refuse": PremisType.QUARANTINE,
    "submission.duplicate": PremisType.VALIDATION,
    "station.log-alarm": PremisType.VALIDATION,
    "station.log-follow": PremisType.VALIDATION,
}


@dataclass(slots=True)
class LocalCentre:
    """The centre in the same process: implements `Centre`."""

    catalogue: Catalogue
    objects: ObjectStore
    receipts: Receipts
    stations: Callable[[], tuple[VerifyKey, ...]]
    rulebook: Rulebook
    station: str
    recipients: frozenset[str]
    scene_key: bytes
    on_step: Callable[[str], None] = lambda _step: None
    check_store: Callable[[], None] = lambda: None
    immediate: bool = True
    _read_back: dict[str, Digest] = field(default_factory=dict)
    _entering: Together[ParsedRecord, _Entered | None] = field(init=False)
    _receiving: Together[RecordingRow, bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Let accessions that come at once share their transactions and their signed head."""
        self._entering = Together(self._enter_recordings)
        self._receiving = Together(lambda rows: self.receipts.issue_receipts(rows, self.on_step))

    def holds_size(self, source: str, size: int) -> bool:
        """See Centre.holds_size."""
        with self.catalogue.read_uncoordinated() as session:
            return recordings.same_size(session, source, size)

    def receipt_for(self, source: str, original: Digest) -> bytes | None:
        """See Centre.receipt_for."""
        with self.catalogue.read_uncoordinated() as session:
            row = recordings.by_digest(session, source, original)
        if row is None:
            return None
        # The station may clear its original on the strength of this receipt: a row alone is not
        # enough, the bytes must be there now.
        self._check_kept(row)
        receipt = self._finish_again(row)
        self._link_again(row)
        return receipt

    def still_holds(self, source: str, original: Digest) -> bool | None:
        """See Centre.still_holds."""
        with self.catalogue.read_uncoordinated() as session:
            row = recordings.by_digest(session, source, original)
        # Without a receipt the accession may still have to begin anew, from the original.
        if row is None or row.receipt_text is None:
            return False
        try:
            return self._payload_size(row) == payload_size(row.size)
        except ObjectMissingError:
            return False
        except ArchiveAwayError:
            # Neither yes nor no: the station keeps the original and asks again.
            return None

    def has_payload(self, recording: RecordingId, payload: Digest) -> bool:
        """See Centre.has_payload."""
        try:
            return self.objects.digest(key_of(recording, PAYLOAD)) == payload
        except ObjectMissingError:
            return False

    def check_room(self, size: int) -> None:
        """See Centre.check_room."""
        room = self.objects.room()
        if room is not None and room < size:
            raise StorageFullError(where="objects", needed_mb=(size >> 20) + 1, free_mb=room >> 20)

    def put_payload(self, recording: RecordingId, blocks: Iterable[Block], expected: int) -> Stored:
        """See Centre.put_payload."""
        # Before the first byte: another store in the place of ours takes nothing in.
        self.check_store()
        self.check_room(expected)
        stored = self.objects.put(key_of(recording, PAYLOAD), blocks)
        self.remember_read_back(stored)
        self.on_step("payload-stored")
        return stored

    def accession(self, record: bytes, envelope: bytes) -> bytes:
        """See Centre.accession."""
        return self.accession_verified_record(
            SealedRecord.verify(record, self.stations()), record, envelope
        )

    def accession_verified_record(
        self, sealed: SealedRecord, record: bytes, envelope: bytes, payload: Stored | None = None
    ) -> bytes:
        """Take responsibility as `accession` does, for a record that was just verified.

        `payload` is what was just read back, where it arrived in parts.
        Raises: ConflictError(problem=incomplete) when the objects were swept away meanwhile: then
        nothing was entered, and the upload begins anew. DestroyedError.
        StoreReplacedError: nothing is taken into another store than this office's.
        """
        self.check_store()
        if payload is not None:
            self.remember_read_back(payload)
        # Bytes before rows: a kill from here to the commit leaves objects without a row, which the
        # same call takes up again, or which a sweep removes.
        self._verify_objects(sealed, envelope)
        new = parse_record(
            sealed, record, envelope, self._handed_in(sealed)
        )  # first: it makes sense
        self._put_record(sealed.id, record)
        self.on_step("record-stored")
        self.objects.put(key_of(sealed.id, ENVELOPE), [envelope])
        self.on_step("envelope-stored")
        entered = self._entering(new)
        if entered is None:
            raise ConflictError(problem="incomplete", offset=0, size=sealed.payload["size"])
        row, clock_was_read = entered
        self.on_step("catalogued")
        # Another text: an earlier accession answers for these bytes, so its objects are looked at
        # before its receipt is finished.
        fresh = row.record_text.encode() == record
        receipt = self._finish_accession(row) if fresh else self._finish_again(row)
        if row.id != sealed.recording:
            # This attempt's objects go only when the first one's are known to be in the store; a
            # kill before leaves an orphan.
            self._check_kept(row)  # the first one answers for these bytes from now on
            self.discard_attempt(sealed.id)
        self._link_itself(row, clock_was_read=clock_was_read)
        return receipt

    def remember_read_back(self, payload: Stored) -> None:
        """Remember the digest of a payload just read back: `accession` need not read it again.

        Only as many as may be between their two calls; what is forgotten is read once more.
        """
        while len(self._read_back) >= _REMEMBERED:
            # A dict keeps its order, so the first key is the oldest; another thread may take it
            # first.
            self._read_back.pop(next(iter(self._read_back)), None)
        self._read_back[payload.key] = payload.digest

    def has_read_back(self, recording: RecordingId) -> bool:
        """Tell whether this process read the payload back whole, when it was not accessioned."""
        return key_of(recording, PAYLOAD) in self._read_back

    def _put_record(self, recording: RecordingId, record: bytes) -> None:
        """Store the record; one that was never accessioned gives way to a newer one.

        A station that was enrolled anew signs again what it had sealed before.
        """
        try:
            self.objects.put(key_of(recording, RECORD), [record])
        except ObjectConflictError:
            if not self._remove_objects(recording, (RECORD, ENVELOPE)):
                raise
            self.objects.put(key_of(recording, RECORD), [record])

    def _remove_objects(self, recording: RecordingId, parts: Sequence[str]) -> bool:
        """Remove objects of a recording that was never accessioned; tell whether it was not."""
        return attempts.remove_attempt(
            self.catalogue,
            self.objects,
            str(recording),
            [key_of(recording, part) for part in parts],
            actor=Subject.of_station(StationId(self.station)),
            is_wanted=lambda session: recordings.is_accessioned(session, recording),
        )

    def receipt_of(self, sealed: SealedRecord) -> bytes | None:
        """Return the receipt that this very record got before, finished if a crash cut it short.

        None, too, when it got none and its payload is lost: then it is to be delivered again.
        Raises: DestroyedError.
        """
        with self.catalogue.read_uncoordinated() as session:
            if not recordings.is_accessioned(session, sealed.id):
                return None
            row = recordings.get_present_recording(session, sealed.id)
        # The id alone proves nothing: other bytes under a known id go the whole way, and are
        # refused.
        if row.sha256 != sealed.original.hex:
            return None
        if row.receipt_text is None and not self._has_object(sealed.id, PAYLOAD):
            return None
        receipt = self._finish_again(row)
        self._link_again(row)
        return receipt

    def discard_attempt(self, recording: RecordingId) -> None:
        """See Centre.discard_attempt."""
        # Only spares the work below: the question that counts is asked under the writers' lock.
        with self.catalogue.read_uncoordinated() as session:
            if recordings.is_accessioned(session, recording):
                raise ConflictError(problem="accessioned", recording=str(recording))
        # What is about to be deleted must not pass as read back when the id is used again.
        self._read_back.pop(key_of(recording, PAYLOAD), None)
        stored_parts = [part for part in PARTS if self._has_object(recording, part)]
        if stored_parts and not self._remove_objects(recording, stored_parts):
            raise ConflictError(problem="accessioned", recording=str(recording))

    def _has_object(self, recording: RecordingId, part: str) -> bool:
        try:
            size_of(self.objects, key_of(recording, part))
        except ObjectMissingError:
            return False
        return True

    def note_act(self, act: str, *, subject: str, outcome: str, details: Mapping[str, Any]) -> None:
        """See Centre.note_act."""
        with self.catalogue.write() as uow:
            self.record_act(
                uow, act, self.station, subject=subject, outcome=outcome, details=details
            )

    def prove_log(self, sizes: Collection[int]) -> LogContinuation:
        """See Centre.prove_log."""
        with self.catalogue.read() as session:
            head = newest_checkpoint(session)
            if head is None:
                raise CustodyError(problem="no head of the log was signed yet")
            return prove_continuation(session, head, sizes)

    def record_act(
        self,
        uow: UnitOfWork,
        act: str,
        station: str,
        *,
        subject: str,
        outcome: str,
        details: Mapping[str, Any],
    ) -> None:
        """Write a station's act into the log, within the caller's transaction."""
        uow.record(
            act,
            _PREMIS[act],
            actor=Subject.of_station(StationId(station)),
            subject=Subject(subject),
            outcome=Outcome(outcome),
            **details,
        )

    def _verify_objects(self, sealed: SealedRecord, envelope: bytes) -> None:
        key = key_of(sealed.id, PAYLOAD)
        read_back = self._read_back.pop(key, None)  # for one try: the next one looks at everything
        if Digest.compute(envelope) != sealed.envelope_digest:
            raise FixityError(part="envelope", recording=sealed.recording)
        if recipients_of(envelope, sealed.id) != self.recipients:
            # A receipt for what neither vault nor recovery key opens would be a lie.
            raise EnvelopeError(problem="sealed to other keys", recording=sealed.recording)
        # The size first: it costs one call, and the digest may read gigabytes.
        if size_of(self.objects, key) != sealed.payload["size"]:
            raise FixityError(part="payload", recording=sealed.recording, problem="size")
        # What this process itself read back when it stored it need not be read a third time.
        _check_payload_digest(sealed, read_back or self.objects.digest(key))

    def _handed_in(self, sealed: SealedRecord) -> dict[str, str]:
        """Return who handed a recording in at this office's reception, and as which submission.

        Only of this office's own station: another one vouches for no person of ours.
        """
        operator = sealed.operator or ""
        if sealed.station != self.station or not operator.startswith("person:"):
            return {}
        details = {"operator": operator}
        if name := submission_at(sealed.offered["path"].split("/")):
            details["submission"] = str(name)
        return details

    def _check_kept(self, row: RecordingRow) -> None:
        """Make sure that a recording's payload is in the store, as far as anybody can say now.

        One in an archive that is away is away, not missing. Raises: FixityError, VaultError.
        """
        try:
            size = self._payload_size(row)
        except ArchiveAwayError:
            return
        except ObjectMissingError as error:
            raise FixityError(part=PAYLOAD, recording=row.id, problem="missing") from error
        if size != payload_size(row.size):
            raise FixityError(part=PAYLOAD, recording=row.id, problem="size")

    def _payload_size(self, row: RecordingRow) -> int:
        return size_of(self.objects, key_of(RecordingId(UUID(row.id)), PAYLOAD))

    def _finish_accession(self, row: RecordingRow) -> bytes:
        """Finish an accession after its transaction: lock, sign, give the receipt; repeatable.

        Its objects were just verified. Raises: DestroyedError, FixityError, VaultError.
        """
        recordings.kept_row(row)
        if row.receipt_text is not None:
            return row.receipt_text.encode()
        recording = RecordingId(UUID(row.id))
        # Locked before the receipt is signed, since the receipt lets an original go. A lock only
        # grows, so the same call again is harmless.
        for part in PARTS:
            try:
                self.objects.lock(key_of(recording, part), limit_lock_date(row.retain_until))
            except ObjectMissingError as error:
                raise FixityError(part=part, recording=row.id, problem="missing") from error
        self.on_step("locked")
        return self._receiving(row)

    def _finish_again(self, row: RecordingRow) -> bytes:
        """Finish what a crash cut short, however long ago, after a look at its objects.

        Record and envelope are put back from the catalogue's copies where they are lost; another
        attempt's give way. Raises: as `_finish`, RetentionError.
        """
        if row.receipt_text is None:
            recording = RecordingId(UUID(row.id))
            self._verify_payload(SealedRecord.verify(row.record_text.encode(), self.stations()))
            for part, text in ((RECORD, row.record_text), (ENVELOPE, row.envelope_text)):
                self._put_back(key_of(recording, part), text.encode())
        return self._finish_accession(row)

    def _verify_payload(self, sealed: SealedRecord) -> None:
        try:
            digest = self.objects.digest(key_of(sealed.id, PAYLOAD))
        except ObjectMissingError as error:
            raise FixityError(
                part=PAYLOAD, recording=sealed.recording, problem="missing"
            ) from error
        _check_payload_digest(sealed, digest)

    def _link_itself(self, row: RecordingRow, *, clock_was_read: bool) -> None:
        """Let a recording link itself, where a scene code came with it or with its docking."""
        if clock_was_read or row.media.get("codes"):
            # Last, when the receipt is kept: whatever fails here costs links, and no evidence.
            self_link(self, row, self.scene_key)

    def _link_again(self, row: RecordingRow) -> None:
        """Do what failed after the receipt was kept: whoever asks for it again is its last call."""
        with self.catalogue.read_uncoordinated() as session:
            clock_was_read = bool(clocks.read_at_docking(session, [row]))
        self._link_itself(row, clock_was_read=clock_was_read)

    def _put_back(self, key: str, content: bytes) -> None:
        try:
            self.objects.put(key, [content])
        except ObjectConflictError:
            self.objects.delete(key, self.catalogue.now())  # a lock refuses, whoever set it
            self.objects.put(key, [content])

    def _enter_recordings(self, sealed: Sequence[ParsedRecord]) -> list[_Entered | None]:
        """Enter recordings into the catalogue and the log; the same bytes again are the first's.

        Tells of each, too, whether a scene code that came with it has told of its source's clock.
        None of one whose objects were swept away since they were verified.
        """
        with self.catalogue.write() as uow:
            until = retain_until(self.rulebook, uow.at)
            # One look-up for each station and person, not for each recording of the batch.
            whose = cache(partial(find_township, uow.session))
            ids = {id(attempt): str(attempt.keywords["id"]) for attempt in sealed}
            # Their objects were verified before this turn; a sweep may have come between. Asking
            # the log costs one question, asking the store several calls for each recording.
            swept = attempts.removed_attempts(uow.session, ids.values())
            whole = [
                attempt
                for attempt in sealed
                if ids[id(attempt)] not in swept or self._is_whole(attempt)
            ]
            rows = recordings.accession_recordings(
                uow,
                *(
                    attempt(retain_until=until, township=whose(*station_and_operator(attempt)))
                    for attempt in whole
                ),
            )
            read = clocks.read_at_docking(uow.session, rows)
            # By the attempt itself: two calls of one batch may bring the same recording.
            entered = {
                id(attempt): (row, row.id in read) for attempt, row in zip(whole, rows, strict=True)
            }
            return [entered.get(id(attempt)) for attempt in sealed]

    def _is_whole(self, sealed: ParsedRecord) -> bool:
        """Look at the objects of an attempt once more; nobody removes any while we have our turn.

        A payload that came anew since was read back by whoever brought it.
        """
        recording, texts = sealed.keywords["id"], sealed.keywords
        expected = {RECORD: texts["record_text"], ENVELOPE: texts["envelope_text"]}
        try:
            size = size_of(self.objects, key_of(recording, PAYLOAD))
            # The size must do for the payload: a digest would read it whole while every writer
            # waits.
            return size == payload_of(texts["record_text"].encode())[0] and all(
                self.objects.digest(key_of(recording, part)) == Digest.compute(text.encode())
                for part, text in expected.items()
            )
        except ObjectMissingError:
            return False


def _check_payload_digest(sealed: SealedRecord, payload: Digest) -> None:
    """Compare a payload as read with the record. Raises: FixityError."""
    if payload != sealed.payload_digest:
        raise FixityError(
            part=PAYLOAD,
            recording=sealed.recording,
            expected=str(sealed.payload_digest),
            found=str(payload),
        )
