"""Officers: at least so many certified persons at the action (兴隆县指导意见 第三条)."""

from dataclasses import dataclass
from typing import ClassVar

from policies.facts.facts import ActionFacts
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class Officers:
    """Parameters: how many certified officers, auxiliaries not counted (第二条).

    With `all_certified` nobody may take part who is neither certified nor an auxiliary.
    """

    scope: ClassVar[Scope] = Scope.ACTION
    certified: int = 2
    all_certified: bool = False

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Count who was certified on that day."""
        certified_count = len({o.id for o in facts.officers if o.certified and not o.auxiliary})
        wanting = {o.id: o.why for o in facts.officers if not o.certified and not o.auxiliary}
        details = {"certified": certified_count, "required": self.certified, "wanting": wanting}
        few = certified_count < self.certified
        if not few and not (self.all_certified and wanting):
            return Outcome(
                passed=True,
                message_zh=f"有 {certified_count} 名持证执法人员在场。",
                message_en=f"{certified_count} certified officers were present.",
                facts=details,
            )
        zh = (
            [f"持证执法人员不得少于 {self.certified} 人,当日有效的有 {certified_count} 人"]
            if few
            else []
        )
        en = [
            (
                f"{self.certified} certified officers are required; "
                f"{certified_count} were valid that day"
            )
        ]
        en = en if few else []
        if wanting:
            reasons = sorted(set(wanting.values()))
            zh.append(f"{len(wanting)} 人当日无有效执法证件({'、'.join(map(why_zh, reasons))})")
            en.append(f"{len(wanting)} without a valid certificate ({', '.join(reasons)})")
        return Outcome(
            passed=False,
            message_zh=f"{';'.join(zh)}。",
            message_en=f"{'; '.join(en)}.",
            mend_zh="请补登在场的持证执法人员,或者在人员名册中补正证件;确实不足的,应由持证人员重新实施。",
            mend_en="Add the certified officers who were present, or mend the register.",
            facts=details,
        )


_WHY_ZH = {
    "no-certificate": "未登记证件",
    "not-yet-valid": "证件尚未生效",
    "expired": "证件已过期",
    "surrendered": "证件已收回",
    "revoked": "证件已吊销",
}


def why_zh(why: str) -> str:
    """Say in Chinese why somebody was not certified."""
    return _WHY_ZH.get(why, why)
