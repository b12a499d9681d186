"""ReviewBefore: no major decision without a passed legal review (兴隆县指导意见 第九条).

Every review counts, not the last alone: after one that did not pass, another must pass.
"""

from dataclasses import dataclass
from typing import ClassVar

from policies.facts.facts import CaseFacts
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class ReviewBefore:
    """No parameters: when the rule applies, the newest review must have passed."""

    scope: ClassVar[Scope] = Scope.CASE

    def check_facts(self, facts: CaseFacts) -> Outcome:
        """Tell whether the newest legal review passed, before the decision if there is one."""
        before = [
            review
            for review in facts.reviews
            if facts.decision is None or review.at <= facts.decision.at
        ]
        last = max(before, key=lambda review: review.at, default=None)
        details = {"reviews": len(facts.reviews), "passed": last is not None and last.passed}
        if last is not None and last.passed:
            return Outcome(
                passed=True,
                message_zh="法制审核已通过。",
                message_en="The legal review passed.",
                facts=details,
            )
        why_zh = "未经法制审核" if last is None else "法制审核未通过"
        why_en = "was not reviewed" if last is None else "did not pass its review"
        return Outcome(
            passed=False,
            message_zh=f"本案属于重大行政执法决定,{why_zh},不得作出决定。",
            message_en=f"A major decision: the case {why_en}, so nothing may be decided.",
            mend_zh="请提交法制审核;审核意见要求补正的,补正后重新提交。",
            mend_en="Hand the case in for legal review; mend it and hand it in again if refused.",
            facts=details,
        )
