"""The custody log's origin: what names a new one, and how a log goes on under another.

The origin (C2SP tlog-checkpoint) names the log to everybody who verifies it, so no two offices
may share one. A log that changes its origin keeps its key and its tree. The first entry beyond
its last head under the old origin says so: it names that head and the new origin, and nobody
signs under the old one again. Whoever knows the log's key under the old origin follows it to the
new one by that entry (`follow_origin`). Pure; docs/spec/custody-log.md, "Another origin".
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from policies.identifiers import Subject
from storage.custody.checkpoint import log_keys
from storage.custody.verify import verify_details, verify_entry
from storage.errors import CustodyError, SignatureError
from storage.signed.signing import FormerOrigin, VerifyKey

# What every office got that did not choose, until it was asked at founding.
SHARED_ORIGIN = "liuhen.invalid/custody"
ACT, SUBJECT = "log.change-origin", Subject("system:log-origin")
_VERSION = 1
_ORIGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~/-]{0,198}[A-Za-z0-9])?")


def is_new_origin(untrusted_origin: str) -> bool:
    """Tell whether this may name a new log: a URL without its scheme, 1 to 200 characters.

    The origin that offices shared once names none.
    """
    return bool(_ORIGIN.fullmatch(untrusted_origin)) and untrusted_origin != SHARED_ORIGIN


def propose_origin(entropy: bytes) -> str:
    """Return an origin that nobody else has, for an office without a domain of its own.

    `.invalid` is nobody's (RFC 2606, 2); give 6 random bytes at least.
    """
    return f"liuhen-{entropy.hex()}.invalid/custody"


def change_details(before: FormerOrigin, origin: str) -> dict[str, Any]:
    """Return the details of the entry that a change of origin is."""
    return {"v": _VERSION, "before": before.to_json(), "origin": origin}


def former_origin(details: Mapping[str, Any]) -> FormerOrigin:
    """Return the last head under the old origin that an entry's details name.

    Raises: CustodyError.
    """
    try:
        before = FormerOrigin.from_json(details["before"])
        # Built anew and compared: nothing may stand beside these three members.
        if dict(details) != change_details(before, str(details["origin"])):
            raise ValueError("details")
    except (KeyError, TypeError, ValueError) as error:
        raise CustodyError(problem="not a change of origin") from error
    return before


@dataclass(frozen=True, slots=True)
class OriginChange:
    """The entry of a change with what proves it: readable half, salt, tlog-proof."""

    leaf: str
    details: Mapping[str, Any]
    salt: bytes
    proof: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        salt = base64.b64encode(self.salt).decode()
        return {
            "leaf": self.leaf,
            "details": dict(self.details),
            "salt": salt,
            "proof": self.proof,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read `to_json`. Raises: KeyError, TypeError, ValueError."""
        salt = base64.b64decode(document["salt"], validate=True)
        return cls(str(document["leaf"]), dict(document["details"]), salt, str(document["proof"]))


def check_change(
    index: int, entry: Mapping[str, Any], details: Mapping[str, Any], key: VerifyKey, former: int
) -> None:
    """Check that a verified entry is the change that ended the key's former origin of that number.

    Raises: CustodyError.
    """
    before, after = key.former[former], key.names[former + 1]
    expected = change_details(before, after)
    # The very first entry beyond the old origin's last head, so that nothing lies between.
    if entry.get("act") != ACT or dict(details) != expected or index != before.size:
        raise CustodyError(problem="the log does not say that it changed its origin", origin=after)


def follow_origin(
    known_key: VerifyKey, untrusted_key: VerifyKey, changes: Sequence[OriginChange]
) -> VerifyKey:
    """Return the log's key under its origin of today, after every change since proved itself.

    `untrusted_key` says the origins; `changes` are the entries of those that `known` does not know.
    Raises: SignatureError (another key, or a head that the known key did not sign), CustodyError
    (an entry is not in the log, or is no change of this log's origin).
    """
    first = len(known_key.former)
    continued = untrusted_key.names[: first + 1] == known_key.names
    if not untrusted_key.is_same_key(known_key) or not continued:
        raise SignatureError(problem="the key of another log", found=untrusted_key.name[:80])
    # Whoever hands the key over cannot tell of another past than the one that is known.
    if untrusted_key.former[:first] != known_key.former:
        raise SignatureError(problem="another past of this log", found=untrusted_key.name[:80])
    if len(changes) != len(untrusted_key.former) - first:
        raise CustodyError(problem="a change of origin is missing")
    # Every change is proven under the newest origin (custody-log.md section 6).
    today = log_keys(untrusted_key, untrusted_key.name)[:2]
    for number, change in enumerate(changes, first):
        verified_entry = verify_entry(change.leaf, change.proof, today)
        verify_details(verified_entry.entry, change.details, change.salt)
        check_change(
            verified_entry.index, verified_entry.entry, change.details, untrusted_key, number
        )
    return untrusted_key
