"""Canonical JSON (RFC 8785): the same facts are the same bytes, for ever.

Everything that is hashed or signed goes through here; nothing else in the project serialises
a signed or logged document.
"""

import json
from typing import Any

import rfc8785

from storage.errors import SignatureError


def encode(value: Any) -> bytes:
    """Return the one canonical encoding of a JSON value (integers within ±2^53)."""
    return bytes(rfc8785.dumps(value))


def decode(data: bytes) -> Any:
    """Read JSON that must already be canonical, byte for byte.

    Raises: SignatureError when the bytes are not canonical JSON: a second spelling of the same
    facts would be a second document.
    """
    try:
        value = json.loads(data)
        canonical = encode(value)
    except (ValueError, RecursionError) as error:
        raise SignatureError(problem="not JSON") from error
    if canonical != data:
        raise SignatureError(problem="not canonical JSON (RFC 8785)")
    return value
