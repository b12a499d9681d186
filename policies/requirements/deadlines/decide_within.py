"""DecideWithin: a decision within days of filing, suspended time not counted.

Source: 行政处罚法 第六十条 (90 days from filing unless otherwise provided). A case that
ended with no decision (移送, 结案) has no such duty any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from policies.facts.facts import CaseFacts
from policies.facts.stages import ENDS, Stage
from policies.requirements.deadlines.day_limit import DayLimit, Late, Misdated
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.wording import day_and_clock


@dataclass(frozen=True, slots=True)
class DecideWithin:
    """Parameters: calendar days from the day of filing, which is not counted."""

    scope: ClassVar[Scope] = Scope.CASE
    days: int = 90

    def find_deadline(self, facts: CaseFacts) -> Deadline | None:
        """Return the last moment of the last day, later by what the case was suspended."""
        if facts.filed_at is None or (facts.decision is None and facts.stage in ENDS):
            return None
        return Deadline(
            self._limit_days(facts, facts.filed_at).last_calendar_moment,
            facts.decision.at if facts.decision else None,
        )

    def check_facts(self, facts: CaseFacts) -> Outcome:
        """Judge the decision, or as long as there is none the moment of asking."""
        if facts.filed_at is None:
            return Outcome(
                passed=True,
                message_zh="尚未立案,办案期限尚未起算。",
                message_en="Not filed yet; the time to decide has not begun.",
            )
        if facts.decision is None and facts.stage in ENDS:
            return Outcome(
                passed=True,
                message_zh="案件已终结且没有作出决定,不再计算办案期限。",
                message_en="The case ended without a decision; the time no longer runs.",
            )
        limit = self._limit_days(facts, facts.filed_at)
        last = limit.last_calendar_moment
        decided_at = facts.decision.at if facts.decision else None
        details = {
            "filed": facts.filed_at,
            "decided": decided_at,
            "due": last,
            "suspended_s": round(facts.suspended_s, 3),
        }
        standing = limit.judge_fulfilment(decided_at, facts.at)
        if isinstance(standing, Misdated):
            return Outcome(
                passed=False,
                message_zh="决定时间早于立案时间,登记有误。",
                message_en="The decision is entered as made before the case was filed.",
                mend_zh="请更正立案时间或者决定时间。",
                mend_en="Correct the time of filing or of the decision.",
                facts=details,
            )
        if not isinstance(standing, Late):
            return self._in_time(facts, last, details)
        return Outcome(
            passed=False,
            message_zh=f"应自立案之日起 {self.days} 日内({day_and_clock(last)} 前)作出决定,"
            + (
                f"实际于 {day_and_clock(decided_at)} 作出,已逾期。"
                if decided_at
                else "至今没有作出。"
            ),
            message_en=f"To be decided within {self.days} days of filing (by "
            f"{day_and_clock(last)}), "
            + (
                f"decided late, at {day_and_clock(decided_at)}."
                if decided_at
                else "not decided yet."
            ),
            mend_zh="请核对是否有依法延长或者中止而未登记;确已逾期的,提交情况说明。",
            mend_en="Check for an extension or suspension that was not entered; else explain.",
            facts=details,
        )

    def _in_time(self, facts: CaseFacts, last: datetime, details: Mapping[str, Any]) -> Outcome:
        if facts.decision is not None:
            zh, en = f"决定在立案之日起 {self.days} 日内作出。", "The decision was made in time."
        else:
            paused = facts.stage is Stage.SUSPENSION
            zh = f"办案期限至 {day_and_clock(last)}" + ("(现中止,期限顺延)。" if paused else "。")
            en = f"To be decided by {day_and_clock(last)}" + (
                " (suspended now: the time stands still)." if paused else "."
            )
        return Outcome(passed=True, message_zh=zh, message_en=en, facts=details)

    def _limit_days(self, facts: CaseFacts, filed_at: datetime) -> DayLimit:
        return DayLimit(filed_at, self.days, paused_s=facts.suspended_s)
