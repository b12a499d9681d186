"""How a password is kept by an office, which this run's own hasher (`tests/conftest.py`) is not."""

import subprocess
import sys
from datetime import timedelta

import pytest

from api.problems import ApiError
from tests.office import Desk

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


def test_names_that_outsiders_tried_are_forgotten_after_the_pause(tmp_path) -> None:
    desk = Desk.set_up(tmp_path)
    identity, now = desk.service.identity, [desk.office.clock()]
    identity._clock = lambda: now[0]

    def code_of(name: str) -> str:
        with pytest.raises(ApiError) as refused:
            identity.login(name, "wrong")
        return refused.value.code

    for number in range(20):
        assert code_of(f"nobody-{number}") == "bad-login"
        now[0] += timedelta(seconds=10)
    # Those of the last minute alone, and no name that was only asked for.
    assert list(identity._failures) == [f"nobody-{number}" for number in range(14, 20)]
    # What still counts is not forgotten with them.
    for _ in range(5):
        assert code_of("zhang") == "bad-login"
    assert code_of("another") == "bad-login"
    assert code_of("zhang") == "too-many-logins"
    now[0] += timedelta(minutes=1)
    assert code_of("zhang") == "bad-login"
    assert list(identity._failures) == ["zhang"]
    desk.office.close()
