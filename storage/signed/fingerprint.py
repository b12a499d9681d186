"""Fingerprints of public keys: SHA-256, whole, in the one form in which people compare them.

A signing key's is over its raw Ed25519 and ML-DSA-44 public keys, one after the other; a sealing
key's over its public bytes. The first 16 of its 64 hex digits are the key's id (`kid`).
"""

import hashlib
import re

KID_DIGITS = 16
_GROUP = 8
_WHOLE = re.compile(r"[0-9a-f]{64}\Z")


def fingerprint_of(*public: bytes) -> str:
    """Return the fingerprint of a public key, given by its parts, as 64 hex digits."""
    return hashlib.sha256(b"".join(public)).hexdigest()


def format_fingerprint(fingerprint: str) -> str:
    """Return a fingerprint as it is shown to people: eight groups of eight digits."""
    return " ".join(
        fingerprint[first : first + _GROUP] for first in range(0, len(fingerprint), _GROUP)
    )


def read_fingerprint(typed: str) -> str:
    """Return a fingerprint that somebody typed; spaces, colons, hyphens and case do not matter.

    Raises: ValueError for anything but 64 hex digits: a part of one proves nothing.
    """
    digits = re.sub(r"[\s:-]", "", typed).lower()
    if not _WHOLE.match(digits):
        raise ValueError(typed)
    return digits
