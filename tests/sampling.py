"""A sample of a matrix of cases: those that must always run, and some that a seed draws.

`make test` runs the sample and prints its seed; `LIUHEN_SEED` draws the same again, and
`LIUHEN_WHOLE=1`, as `make faults` sets it, runs every case.
"""

import os
import random
from collections.abc import Iterable
from typing import TypeVar

Case = TypeVar("Case")

_SEED, _WHOLE = "LIUHEN_SEED", "LIUHEN_WHOLE"  # the workers of one run have them from the first


def begin() -> str:
    """Draw the seed of this run unless it is given; return what the run says of it."""
    os.environ.setdefault(_SEED, str(random.SystemRandom().randrange(10**6)))
    if os.environ.get(_WHOLE):
        return "matrices: whole"
    return f"matrices: a sample, {_SEED}={os.environ[_SEED]}"


def sample(every: Iterable[Case], always: Iterable[Case], drawn: int) -> list[Case]:
    """Return `always` and so many of the other cases, in the order of `every`."""
    every, must = list(every), list(always)
    others = [case for case in every if case not in must]
    if os.environ.get(_WHOLE):
        return every
    # Not by what the cases say of themselves: a function says its address, which no worker shares.
    chance = random.Random(f"{os.environ[_SEED]} {len(every)}")
    chosen = must + chance.sample(others, min(drawn, len(others)))
    return [case for case in every if case in chosen]
