"""Premises: the room's own camera shows an interview or a hearing whole, picture and sound.

Source: 乡镇人民政府和街道办事处行政执法场所设置规范 第六条 (全程录音录像监控系统). A recorder on
somebody's chest does not stand in for the room's camera. The arithmetic is `coverage`'s.
"""

from dataclasses import dataclass
from typing import ClassVar

from policies.facts.facts import ActionFacts
from policies.facts.terms import SourceKind
from policies.requirements.footage.coverage import Coverage
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class Premises:
    """Parameters as `coverage` has them, seconds; the source is always a room camera."""

    scope: ClassVar[Scope] = Scope.ACTION
    audio: bool = True
    max_gap_s: float = 1.0
    rollover_s: float = 2.0
    assumed_uncertainty_s: float = 2.0

    @property
    def coverage(self) -> Coverage:
        """The coverage that is demanded."""
        return Coverage(
            audio=self.audio,
            max_gap_s=self.max_gap_s,
            rollover_s=self.rollover_s,
            assumed_uncertainty_s=self.assumed_uncertainty_s,
            sources=(SourceKind.ROOM_CAMERA,),
        )

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Tell whether the room's camera shows the whole action."""
        return self.coverage.check_facts(facts)
