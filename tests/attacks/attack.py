"""An attack as data: what is attacked, what is done to it, with what in hand, and who names it.

Each module of this folder may hold a tuple `ATTACKS`; docs/ATTACKS.md lists them all, and what its
`UNDETECTED` tells in words.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


class Means(StrEnum):
    """What the attacker has beside the thing that is attacked."""

    NONE = "none"
    CENTRE_KEY = "centre's key"
    SQL = "SQL"
    FILES = "files"
    ALL_KEYS = "all keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack, and the check that names it.

    `level` is that of docs/spec/bundle.md; None where no bundle shows it, but the check does.
    `do` carries it out on what the module's own test hands it. `held_before` tells whether
    8c2c158 named it.
    """

    asset: str
    act: str
    means: Means
    level: int | None
    check: str
    do: Callable[[Any], object]
    held_before: bool = False

    @property
    def name(self) -> str:
        return f"{self.asset}: {self.act}"


def every_attack() -> list[Attack]:
    """Return the attacks of all modules, in the order of the modules' names."""
    return [one for module in _modules() for one in getattr(module, "ATTACKS", ())]


def every_undetected() -> list[str]:
    """Return what no check names, as the modules say it: one sentence or two each."""
    return [one for module in _modules() for one in getattr(module, "UNDETECTED", ())]


def _modules() -> list[Any]:
    names = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    others = [name for name in names if not name.startswith("test_")]
    return [importlib.import_module(f"tests.attacks.{name}") for name in others]
