"""Retain: how long a recording is kept at least; the longest period that applies wins."""

from dataclasses import dataclass
from typing import ClassVar

from policies.requirements.outcome import Scope


@dataclass(frozen=True, slots=True)
class Retain:
    """Parameters: days from accession; `permanent` is kept as 100 years under lock."""

    scope: ClassVar[Scope] = Scope.KEEP
    days: int = 0
    permanent: bool = False

    @property
    def lock_days(self) -> int:
        """Days of the object lock that this period asks for."""
        return 36_525 if self.permanent else self.days
