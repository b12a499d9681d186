"""Staffing: enough full-time people enforce the law in a township.

Source: 兴隆县指导意见 第六条: at least 6; in 安子岭, 陡子峪, 南天门 and 上石洞 at least 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from policies.facts.facts import TownshipFacts
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class Staffing:
    """Parameters: how many full-time staff, and how many in townships named in `reduced`.

    `安子岭` means any township whose name begins so (安子岭乡); the longest name wins.
    """

    scope: ClassVar[Scope] = Scope.TOWNSHIP
    full_time: int = 6
    reduced: Mapping[str, int] = field(default_factory=dict)

    def count_required(self, township: str) -> int:
        """Return how many this township needs."""
        named = [name for name in self.reduced if name and township.startswith(name)]
        return self.reduced[max(named, key=len)] if named else self.full_time

    def check_facts(self, facts: TownshipFacts) -> Outcome:
        """Compare the full-time staff of that day with what the township needs."""
        needed = self.count_required(facts.township)
        details = {"full_time": facts.full_time, "required": needed}
        if facts.full_time >= needed:
            return Outcome(
                passed=True,
                message_zh=f"专职执法人员 {facts.full_time} 名,不少于 {needed} 名。",
                message_en=f"{facts.full_time} full-time officers; {needed} are required.",
                facts=details,
            )
        return Outcome(
            passed=False,
            message_zh=f"{facts.township}专职执法人员应不少于 {needed} 名,"
            f"现有 {facts.full_time} 名,缺 {needed - facts.full_time} 名。",
            message_en=f"{facts.township} needs {needed} full-time officers and has "
            f"{facts.full_time}.",
            mend_zh="请补足专职人员,或者在人员名册中补登在岗人员。",
            mend_en="Fill the posts, or enter those who work there in the register.",
            facts=details,
        )
