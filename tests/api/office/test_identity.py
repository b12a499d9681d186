"""How a password is kept by an office, which this run's own hasher (`tests/conftest.py`) is not."""

import subprocess
import sys

_KEPT = """
import json
from argon2 import extract_parameters
from api.office.identity import HASHER
kept = extract_parameters(HASHER.hash("long enough for a test"))
print(json.dumps([kept.type.name, kept.time_cost, kept.memory_cost, kept.parallelism]))
"""


def test_passwords_are_kept_as_the_rfc_advises() -> None:
    """RFC 9106, 4, second recommended option: Argon2id, 3 passes, 64 MiB, 4 lanes."""
    done = subprocess.run([sys.executable, "-c", _KEPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '["ID", 3, 65536, 4]'
