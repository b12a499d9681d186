"""Receipts: the last step of an accession, for one recording or for all that wait at once.

Order: log head signed and published -> receipts signed -> kept, each with its entry, in one
transaction. A crash between any two is mended by the next call for the same recordings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.catalogue.log import custody_log
from storage.catalogue.proofs.publish import publish_head
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.signer import LogSigner
from storage.digest import Digest
from storage.record import Receipt
from storage.signed.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Receipts:
    """Issuer of the centre's receipts, over its catalogue, its log and its folder of tiles."""

    catalogue: Catalogue
    signer: LogSigner
    tiles: Path
    key: SigningKey

    def issue_receipts(
        self, rows: Sequence[RecordingRow], on_step: Callable[[str], None]
    ) -> list[bytes]:
        """Return the receipt of each, in their order; one that was given before is given again.

        The objects of each are locked. Raises: CustodyError, CatalogueBusyError.
        """
        # One head that covers the last of them covers them all.
        last = max(row.leaf_index for row in rows)
        checkpoint = publish_head(self.catalogue, self.signer, self.tiles, covering=last)
        on_step("published")
        signed = self._sign_receipts(rows, checkpoint)
        on_step("receipt-signed")
        with self.catalogue.write() as uow:
            receipt_rows = recordings.keep_receipts(uow, signed)
        on_step("receipt-kept")
        # From the rows and not from `signed`: who kept a receipt first has given it out.
        return [(receipt_rows[row.id].receipt_text or "").encode() for row in rows]

    def _sign_receipts(self, rows: Sequence[RecordingRow], checkpoint: str) -> dict[str, str]:
        indexes = [row.leaf_index for row in rows]
        # One view, so that leaves and proofs are of one tree.
        with self.catalogue.read() as session:
            leaves = custody_log.LogReader(session).read_texts(indexes)
            proofs = custody_log.proofs_for(session, indexes, checkpoint)
        triples = zip(rows, leaves, proofs, strict=True)
        return {row.id: self._build_receipt(row, leaf, proof) for row, leaf, proof in triples}

    def _build_receipt(self, row: RecordingRow, leaf: str, proof: str) -> str:
        receipt = Receipt(
            recording=row.id,
            station=row.station,
            record=str(Digest.compute(row.record_text.encode())),
            original=f"sha-256:{row.sha256}",
            size=row.size,
            leaf=leaf,
            proof=proof,
            accessioned_at=row.accessioned_at.isoformat(),
        )
        return receipt.sign(self.key).decode()
