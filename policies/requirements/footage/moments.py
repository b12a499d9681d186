"""Moments: what must be seen to happen during an action, marked on its timeline.

行政强制法 第十八条 (identity, reasons and rights, statement heard, signatures, witness); 兴隆县
指导意见 第七条 (执法身份、事由、依据、权利义务). Whether footage shows them is `coverage`'s
`shows`; here they must have been marked, inside the action.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from policies.facts.facts import ActionFacts, Moment
from policies.facts.terms import MOMENT_EN, MOMENT_ZH, MomentKind
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class Moments:
    """Parameters: all of `kinds`, and one of `either`; marked within `slack_s` of the action."""

    scope: ClassVar[Scope] = Scope.ACTION
    kinds: tuple[MomentKind, ...] = ()
    either: tuple[MomentKind, ...] = ()
    slack_s: float = 60.0

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Name every moment that nobody marked."""
        marked = {moment.kind for moment in facts.moments if self._is_inside(facts, moment)}
        missing_kinds = [kind for kind in self.kinds if kind not in marked]
        outside = sorted(
            {moment.kind.value for moment in facts.moments if not self._is_inside(facts, moment)}
        )
        lacking = bool(self.either) and marked.isdisjoint(self.either)
        details = {"marked": sorted(marked), "missing": list(missing_kinds), "outside": outside}
        if not missing_kinds and not lacking:
            return Outcome(
                passed=True,
                message_zh="必要时刻均已标记。",
                message_en="Every required moment is marked.",
                facts=details,
            )
        zh = [MOMENT_ZH[kind] for kind in missing_kinds]
        en = [MOMENT_EN[kind] for kind in missing_kinds]
        if lacking:
            zh.append("或者".join(MOMENT_ZH[kind] for kind in self.either))
            en.append(" or ".join(MOMENT_EN[kind] for kind in self.either))
        return Outcome(
            passed=False,
            message_zh=f"没有标记:{'、'.join(zh)}。",
            message_en=f"Not marked: {', '.join(en)}.",
            mend_zh="请在录像时间轴上找到并标记这些时刻;没有发生的,应当补正或者提交情况说明。",
            mend_en="Mark these moments on the timeline; what did not happen needs an explanation.",
            facts=details,
        )

    def _is_inside(self, facts: ActionFacts, moment: Moment) -> bool:
        at = moment.at
        slack = timedelta(seconds=self.slack_s)
        return facts.start - slack <= at and (facts.end is None or at <= facts.end + slack)
