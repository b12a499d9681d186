"""Scene codes."""

import hashlib


def tag_of(action_id: str) -> bytes:
    """Return the action's tag."""
    return hashlib.sha256(b"liuhen/scene/v1\n" + action_id.encode()).digest()[:8]
