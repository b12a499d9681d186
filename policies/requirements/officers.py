"""Officers: at least so many certified persons at the action (兴隆县指导意见 第三条)."""

from dataclasses import dataclass

from policies.facts import ActionFacts
from policies.requirements.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Officers:
    """Parameters: how many certified officers, auxiliaries not counted (第二条)."""

    certified: int = 2

    def check(self, facts: ActionFacts) -> Outcome:
        """Count the certified officers on that day."""
        found = len({o.id for o in facts.officers if o.certified and not o.auxiliary})
        if found >= self.certified:
            return Outcome(
                passed=True,
                message_zh=f"有 {found} 名持证执法人员在场。",
                message_en=f"{found} certified officers were present.",
                facts={"certified": found},
            )
        return Outcome(
            passed=False,
            message_zh=f"持证执法人员不得少于 {self.certified} 人,本次登记了 {found} 人。",
            message_en=f"{self.certified} certified officers are required; {found} listed.",
            mend_zh="请补登在场的持证执法人员;确实不足的,应由持证人员重新实施。",
            mend_en="Add the certified officers who were present.",
            facts={"certified": found, "required": self.certified},
        )
