"""What goes into a bundle, as values. Whoever exports gathers them; no database is read here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.custody.merkle.partial_tree import Place
from storage.signed.signing import VerifyKey
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
    """One action: the facts that rules saw and what they said, as JSON, and what the list tells.

    A closed action was judged at its closing, and stays so: `later` is what the rules say of it at
    the export (`facts`, `verdict`), where that is something else.
    """

    id: str
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    later: Mapping[str, Any] | None
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
    the chains; `nodes` prove the entries and the receipts' heads under `checkpoint`. `rulebooks`
    are the files of each rulebook that judged here, by its digest.
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
    rulebooks: Mapping[str, Mapping[str, bytes]]
    made_at: datetime
    made_by: str
    software: str
