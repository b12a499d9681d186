"""Verification of log entries under the log's keys. Pure: no database, network or clock.

The whole verification in one page: the checkpoint is signed by every key that is expected; the
entry hashes, along its path, to the root that was signed (RFC 9162 2.1.3.2). Receipts, bundles
and stations all come here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.custody.checkpoint import Checkpoint, open_checkpoint
from storage.custody.entries.event import details_digest, parse_leaf
from storage.custody.merkle.proof import Proof
from storage.custody.merkle.tree import leaf_hash, verify_inclusion
from storage.custody.note import NoteKey
from storage.errors import CustodyError
from storage.signed import canonical


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry that is in the log: its number, its JSON fields, and the head it stands under."""

    index: int
    entry: Mapping[str, Any]
    head: Checkpoint


def verify_entry(leaf: str, proof_text: str, keys: Sequence[NoteKey]) -> VerifiedEntry:
    """Return the entry after its proof and its checkpoint verified.

    `leaf` is the entry's exact text, `proof_text` a tlog-proof, `keys` the log's note keys
    (`checkpoint.log_keys`), all of which must have signed.
    Raises: SignatureError (checkpoint, or leaf not canonical), CustodyError (not in the log).
    """
    proof = Proof.parse(proof_text)
    head = open_checkpoint(proof.checkpoint, keys)
    content = leaf.encode()
    verify_inclusion(proof.index, head.size, leaf_hash(content), proof.path, head.root)
    # Parsed last: until its proof held, the leaf was bytes of anybody's.
    return VerifiedEntry(proof.index, parse_leaf(content), head)


def verify_details(entry: Mapping[str, Any], details: Mapping[str, Any], salt: bytes) -> None:
    """Check that these readable details are the ones whose digest the entry carries.

    Raises: CustodyError.
    """
    digest = details_digest(details, salt)
    if entry.get("details") != digest:
        raise CustodyError(
            problem="the details are not those of the entry",
            expected=entry.get("details"),
            found=digest,
            bytes=len(canonical.encode(details)),
        )
