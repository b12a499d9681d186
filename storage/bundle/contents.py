"""What goes into a bundle, as values. Whoever exports gathers them; no database is read here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.facts import ActionFacts
from policies.findings import Verdict
from storage.custody.partial_tree import Place
from storage.signing import VerifyKey
from storage.vault.keys import SealKey


@dataclass(frozen=True, slots=True)
class BundledRecording:
    """One recording: its signed documents, and either its original or its payload as stored.

    `original` streams the plaintext (None: the ciphertext goes out, by `payload`); `about` is what
    the evidence list tells of it: times in ISO 8601, names as people read them.
    """

    id: str
    record: bytes
    envelope: bytes
    receipt: bytes
    about: Mapping[str, Any]
    original: Callable[[], Iterable[bytes]] | None
    payload: Callable[[], Iterable[bytes]]

    @property
    def name(self) -> str:
        """The file name as it was offered."""
        return str(self.about["name"])


@dataclass(frozen=True, slots=True)
class BundledAction:
    """One action: the facts that rules saw, what they said, and what the evidence list tells."""

    id: str
    facts: ActionFacts
    verdict: Verdict
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BundledEntry:
    """One log entry; `details` and `salt`, which open its digest, are None where it stays closed.

    Closed is what an entry in one of the case's chains tells of another case.
    """

    index: int
    leaf: str
    details: Mapping[str, Any] | None
    salt: bytes | None


@dataclass(frozen=True, slots=True)
class Contents:
    """One bundle. `entries` are the whole chains that belong to the case, up to its export.

    `export` is the number of the entry that tells of this export and names the head of each of
    the chains; `nodes` prove the entries and the receipts' heads under `checkpoint`.
    """

    case: Mapping[str, Any]
    actions: Sequence[BundledAction]
    recordings: Sequence[BundledRecording]
    entries: Sequence[BundledEntry]
    nodes: Mapping[Place, bytes]
    export: int
    checkpoint: str
    stations: Sequence[VerifyKey]
    centre: VerifyKey
    log: VerifyKey
    recipients: Sequence[SealKey]
    rulebook: Mapping[str, bytes]
    made_at: datetime
    made_by: str
    software: str
