"""What goes into a bundle, as values. Whoever exports gathers them; no database is read here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.facts import ActionFacts
from policies.findings import Verdict
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT
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
    name: str
    about: Mapping[str, Any]
    original: Callable[[], Iterable[bytes]] | None
    payload: Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class BundledAction:
    """One action: the facts that rules saw, what they said, and how it is told to people."""

    id: str
    facts: ActionFacts
    verdict: Verdict
    status: str
    place: str
    officers: Sequence[str]
    exhibits: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class BundledEntry:
    """One log entry with the readable half that opens its digest, and its proof."""

    index: int
    leaf: str
    details: Mapping[str, Any]
    salt: bytes
    proof: str


@dataclass(frozen=True, slots=True)
class Contents:
    """One bundle. `leaves` is every entry of the log up to the checkpoint, opaque as it is."""

    case: Mapping[str, Any]
    actions: Sequence[BundledAction]
    recordings: Sequence[BundledRecording]
    entries: Sequence[BundledEntry]
    leaves: Iterable[str]
    checkpoint: str
    stations: Sequence[VerifyKey]
    centre: VerifyKey
    log: VerifyKey
    recipients: Sequence[SealKey]
    rulebook: Mapping[str, bytes]
    made_at: datetime
    made_by: str
    software: str

    @property
    def subjects(self) -> frozenset[str]:
        """The log subjects whose every entry belongs into this bundle."""
        return frozenset(
            [f"case:{self.case['id']}", ORIGIN_SUBJECT]
            + [f"action:{action.id}" for action in self.actions]
            + [f"recording:{recording.id}" for recording in self.recordings]
            + [f"person:{one.id}" for action in self.actions for one in action.facts.officers]
        )
