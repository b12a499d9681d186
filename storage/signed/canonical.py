"""Canonical JSON (RFC 8785): the same facts are the same bytes, for ever.

Everything that is hashed or signed goes through here; nothing else in the project serialises
a signed or logged document.
"""

import json
from typing import Any

import rfc8785

from storage.errors import SignatureError


def encode(document: Any) -> bytes:
    """Return the one canonical encoding of a JSON value (integers within ±2^53)."""
    return bytes(rfc8785.dumps(document))


def decode(content: bytes) -> Any:
    """Read JSON that must already be canonical, byte for byte.

    Raises: SignatureError when the bytes are not canonical JSON: a second spelling of the same
    facts would be a second document.
    """
    try:
        document = json.loads(content)
        canonical = encode(document)
    except (ValueError, RecursionError) as error:
        # Nesting without an end is hostile input like any other.
        raise SignatureError(problem="not JSON") from error
    if canonical != content:
        raise SignatureError(problem="not canonical JSON (RFC 8785)")
    return document
