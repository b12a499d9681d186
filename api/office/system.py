"""Clock and randomness of the machine, and the software's name: nothing else reads them.

Everybody is handed them from here, so that a test or a simulated day can hand in others.
"""

import os
from datetime import UTC, datetime
from importlib.metadata import version


def clock() -> datetime:
    """Return now, aware, in UTC."""
    return datetime.now(UTC)


def entropy(count: int) -> bytes:
    """Return random bytes of the operating system."""
    return os.urandom(count)


def software_version() -> str:
    """Return product and version, as sealed records carry it."""
    return f"liuhen {version('liuhen')}"
