"""One act, as the custody log keeps it.

A leaf says what kind of act, when, by whom and upon what, all by opaque ids, and carries a salted
digest of the rest. It never holds names, places, texts or file names: the log is shown to
witnesses and outlives what it speaks of. The readable details and their salt stand in the
catalogue and in bundles, and open the digest. Event types are PREMIS terms
(id.loc.gov/vocabulary/preservation/eventType); leaves are canonical JSON (RFC 8785).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from policies.identifiers import SYSTEM, Subject
from storage.custody.entries.chain import ChainHead, heads_to_json
from storage.errors import CustodyError
from storage.signed import canonical

MAX_LEAF = 65_535  # an entry bundle prefixes each entry with a uint16 (C2SP tlog-tiles)
SALT_SIZE = 16

_OPAQUE = re.compile(r"[a-z][a-z-]{0,30}:[A-Za-z0-9._-]{1,64}\Z")
_ACT = re.compile(r"(?=.{1,100}\Z)[a-z][a-z0-9-]*(\.[a-z0-9-]+)*\Z")
_FIELDS = {"v", "act", "event", "outcome", "at", "actor", "subject", "details"}
_CHAINED = _FIELDS | {"chains", "heads"}
_MEMBERS = {1: _FIELDS, 2: _CHAINED}
_TEXTS = ("act", "event", "outcome", "at", "actor", "subject", "details")
_ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_MOST = (1 << 53) - 1  # RFC 8785 knows no larger whole number


class PremisType(StrEnum):
    """The PREMIS event types that our acts are, by their preferred labels."""

    ACCESSION = "accession"
    CAPTURE = "capture"
    CREATION = "creation"
    DEACCESSION = "deaccession"
    DECRYPTION = "decryption"
    DELETION = "deletion"
    DIGITAL_SIGNATURE_GENERATION = "digital signature generation"
    DIGITAL_SIGNATURE_VALIDATION = "digital signature validation"
    DISSEMINATION = "dissemination"
    ENCRYPTION = "encryption"
    FIXITY_CHECK = "fixity check"
    INFORMATION_PACKAGE_CREATION = "information package creation"
    INGESTION = "ingestion"
    METADATA_EXTRACTION = "metadata extraction"
    METADATA_MODIFICATION = "metadata modification"
    POLICY_ASSIGNMENT = "policy assignment"
    QUARANTINE = "quarantine"
    RECOVERY = "recovery"
    REDACTION = "redaction"
    REPLICATION = "replication"
    TRANSFER = "transfer"
    UNQUARANTINE = "unquarantine"
    VALIDATION = "validation"


class Outcome(StrEnum):
    """How it ended; a refused or failed attempt is an event like any other."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Event:
    """An act to be logged. `act` is our own word for it (`recording.accession`).

    `chains` are the subjects whose chains it continues, each with its head before this entry;
    `heads` those that it rests on or names without continuing them (chain.py).
    """

    act: str
    event: PremisType
    at: datetime
    actor: str
    subject: Subject
    outcome: Outcome = Outcome.SUCCESS
    details: Mapping[str, Any] = field(default_factory=dict)
    chains: Mapping[str, ChainHead] = field(default_factory=dict)
    heads: Mapping[str, ChainHead] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Leaves are shown to witnesses for ever: neither a name nor a path gets in by these two.
        opaque = self.actor == SYSTEM or _OPAQUE.match(self.actor)
        if not opaque or not (self.subject == SYSTEM or _OPAQUE.match(self.subject)):
            raise CustodyError(
                problem="actor and subject must be opaque ids",
                actor=self.actor[:80],
                subject=self.subject[:80],
            )
        if not _ACT.match(self.act) or self.at.tzinfo is None:
            raise CustodyError(problem="malformed act or naive time", act=self.act[:80])

    def encode_details(self) -> bytes:
        """Return the readable half's details, canonical: what the leaf has a digest of."""
        return canonical.encode(dict(self.details))

    def encode_leaf(self, salt: bytes, text: bytes | None = None) -> bytes:
        """Return the entry's exact bytes; `text` is the result of `encode_details`, if at hand.

        Raises: CustodyError when they exceed 65,535 bytes or the salt is not 16 bytes.
        """
        if len(salt) != SALT_SIZE:
            raise CustodyError(problem="salt length", expected=SALT_SIZE, found=len(salt))
        content = canonical.encode(
            {
                "v": 2,
                "act": self.act,
                "event": self.event.value,
                "outcome": self.outcome.value,
                "at": format_timestamp(self.at),
                "actor": self.actor,
                "subject": self.subject,
                # Salted: without it, a guessed text could be tried against the leaf.
                "details": text_digest(self.encode_details() if text is None else text, salt),
                "chains": heads_to_json(self.chains),
                "heads": heads_to_json(self.heads),
            }
        )
        if len(content) > MAX_LEAF:
            raise CustodyError(problem="entry too long", limit=MAX_LEAF, found=len(content))
        return content


def details_digest(details: Mapping[str, Any], salt: bytes) -> str:
    """Return `sha-256:<hex>` over salt and canonical details; the salt stops guessing."""
    return text_digest(canonical.encode(dict(details)), salt)


def text_digest(text: bytes, salt: bytes) -> str:
    """Return `details_digest` of details that are canonical text already."""
    return f"sha-256:{hashlib.sha256(salt + text).hexdigest()}"


def format_timestamp(at: datetime) -> str:
    """Return the one spelling of a time in the log: UTC, microseconds, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_leaf(leaf: bytes) -> dict[str, Any]:
    """Return the fields of an entry.

    Raises: SignatureError (not canonical JSON), CustodyError (not an entry of ours).
    """
    if (plain := _plain(leaf)) is not None:
        return plain
    entry = canonical.decode(leaf)
    # `type`, since JSON's `true` would pass for version 1.
    if isinstance(entry, dict) and type(version := entry.get("v")) is int:
        # An entry is always in its own subject's chain.
        chained = version == 1 or entry.get("subject") in entry.get("chains", ())
        if chained and set(entry) == _MEMBERS.get(version):
            return entry
    raise CustodyError(problem="not an entry of this log")


def _plain(leaf: bytes) -> dict[str, Any] | None:
    """Return what `parse_leaf` does, for entries of version 2 in a quarter of the time; or None.

    Of JSON that holds ASCII texts and whole numbers alone, Python's own encoder gives the canonical
    form (RFC 8785). What does not come out the same is no canonical JSON, or has to be asked there.
    """
    try:
        entry = json.loads(leaf)
        plain = (
            leaf.isascii()
            and entry.keys() == _MEMBERS[2]
            and type(entry["v"]) is int
            and entry["v"] == 2  # noqa: PLR2004 - the version
            and all(type(entry[name]) is str for name in _TEXTS)
            and _are_heads(entry["chains"])
            and _are_heads(entry["heads"])
            and entry["subject"] in entry["chains"]
        )
        # Only what comes out byte for byte was canonical: order, spaces and escapes included.
        if plain and _ENCODE(entry).encode() == leaf:
            return dict(entry)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    return None


def _are_heads(heads: Any) -> bool:
    return type(heads) is dict and all(
        type(head) is list
        and len(head) == 2  # noqa: PLR2004 - number and digest
        and type(head[0]) is int
        and 0 <= head[0] <= _MOST
        and type(head[1]) is str
        for head in heads.values()
    )
