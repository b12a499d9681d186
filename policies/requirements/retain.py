"""Retain: how long a recording is kept at least; the longest period that applies wins."""

from dataclasses import dataclass
from typing import ClassVar

from policies.requirements.outcome import Scope


@dataclass(frozen=True, slots=True)
class Retain:
    """Parameters: days from accession, or `permanent`."""

    scope: ClassVar[Scope] = Scope.KEEP
    days: int = 0
    permanent: bool = False

    def __post_init__(self) -> None:
        """Refuse a period that is none, and one that says two things."""
        if self.permanent == (self.days > 0) or self.days < 0:
            raise ValueError("either days above 0 or permanent")
