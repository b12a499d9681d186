"""Entries that are sealed and wait for their receipt: delivered, verified, or given up.

The look at a bay delivers here, and so does the thread that brings to a centre far away what
waits in the spool; both hold a receipt only after it was verified against what was sealed.
"""

from dataclasses import dataclass, field

from ingest.bays.docking import Dockings
from ingest.station.clear import verify_receipt
from ingest.station.equipment import Equipment
from ingest.station.journal import Entry, State
from storage.digest import Algorithm, Digest
from storage.errors import SubmissionError
from storage.record import RECORD_DOMAIN
from storage.signed import canonical
from storage.signed.signing import sign_document, signer_of


@dataclass(slots=True)
class SealedEntries:
    """The sealed entries of one station. Thread-safe."""

    equipment: Equipment
    dockings: Dockings
    _sealed_anew: set[int] = field(default_factory=set)

    def deliver_entry(self, entry: Entry) -> Entry:
        """Bring a sealed entry to the centre and keep its verified receipt.

        The centre's log must prove that it continues the newest head that was seen of it.
        Raises: SubmissionError(reason=journal-damaged), SignatureError, LogContradictedError,
        CustodyError, and as `Centre.accession`.
        """
        equipment = self.equipment
        if entry.record is None or entry.envelope is None or entry.sha256 is None:
            raise SubmissionError(reason="journal-damaged")
        # Idempotent at the centre: after a lost reply the same call gives a receipt.
        receipt = equipment.centre.accession(entry.record, entry.envelope)
        equipment.on_step("delivered")
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256))
        verified_receipt = verify_receipt(
            receipt, equipment.centre_key, equipment.log_key, original, entry.size
        )
        # Split view: a centre that shows this station another log is caught before clearing.
        equipment.witness.check_log(verified_receipt.checkpoint)
        same = verified_receipt.recording == str(entry.recording)
        entry = equipment.journal.move_entry(
            entry,
            State.ACCESSIONED if same else State.DUPLICATE,
            receipt=receipt,
            facts={"recording": verified_receipt.recording},
        )
        # After the move: a docking must not hear of a receipt that the journal does not hold.
        self.dockings.note_delivery(entry.id)
        equipment.on_step("accessioned")
        return entry

    def payload_is_whole(self, entry: Entry) -> bool:
        """Whether what was sealed of an entry is still what its record says. Raises: OSError."""
        if entry.record is None or entry.recording is None:
            return False
        payload = _payload_digest(entry.record)
        return payload is not None and self.equipment.centre.has_payload(entry.recording, payload)

    def may_seal_anew(self, entry: Entry) -> bool:
        """Whether a refused entry may be sealed once more: only the first time in a process.

        A fault that comes back is the file's, or the centre's, and sealing it for ever would
        only wear the card and fill the spool.
        """
        first = entry.id not in self._sealed_anew
        self._sealed_anew.add(entry.id)
        return first

    def give_up_attempt(self, entry: Entry) -> Entry:
        """Give a sealed attempt up, so that its source is sealed anew.

        Raises: ConflictError when it was accessioned after all.
        """
        # The centre is asked before the journal forgets: what it accessioned it does not discard.
        if entry.recording is not None:
            self.equipment.centre.discard_attempt(entry.recording)
        return self.equipment.journal.restart_entry(entry)

    def sign_again(self, entry: Entry) -> None:
        """After the station got a new key: sign what it still holds under that key."""
        seal = self.equipment.seal
        if entry.record is None or signer_of(entry.record) == seal.key.verify_key().kid:
            return
        body = canonical.decode(entry.record)["body"]
        self.equipment.journal.keep_record(entry, sign_document(seal.key, RECORD_DOMAIN, body))


def _payload_digest(record: bytes) -> Digest | None:
    """Return the digest of the payload that our own signed record names; None if it names none."""
    try:
        payload = canonical.decode(record)["body"]["payload"]
        return Digest(Algorithm.SHA256, bytes.fromhex(payload[Algorithm.SHA256]))
    except (KeyError, TypeError, ValueError):
        return None
