"""SignedByHead: the head of the township signs the decision (兴隆县指导意见 第十九条)."""

from dataclasses import dataclass
from typing import ClassVar

from policies.facts.facts import CaseFacts
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class SignedByHead:
    """No parameters."""

    scope: ClassVar[Scope] = Scope.CASE

    def check_facts(self, facts: CaseFacts) -> Outcome:
        """Tell whether there is a decision and the head signed it."""
        signed = facts.decision is not None and facts.decision.signed_by_head
        if signed:
            return Outcome(
                passed=True,
                message_zh="决定已由行政负责人签批。",
                message_en="The head signed the decision.",
                facts={"decided": True, "signed": True},
            )
        decided = facts.decision is not None
        return Outcome(
            passed=False,
            message_zh="决定没有行政负责人签批。" if decided else "尚未登记执法决定。",
            message_en="The head did not sign." if decided else "No decision is entered yet.",
            mend_zh="请由乡镇人民政府行政负责人签批并登记决定。",
            mend_en="Let the head of the township government sign and enter the decision.",
            facts={"decided": decided, "signed": False},
        )
