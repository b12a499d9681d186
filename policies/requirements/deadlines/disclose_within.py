"""DiscloseWithin: a decision is made public within so many working days.

Source: 兴隆县指导意见 第七条: penalties within 7 working days, others within 20; the day of the
decision is not counted. What the law exempts from disclosure carries the feature SECRET.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from policies.facts.facts import CaseFacts, DecisionFact
from policies.facts.terms import Feature
from policies.requirements.deadlines.day_limit import DayLimit, InTime, Late, Misdated, Unknown
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.calendar import MEND_EN, MEND_ZH, unpublished_en, unpublished_zh
from policies.time.wording import day_and_clock


@dataclass(frozen=True, slots=True)
class DiscloseWithin:
    """Parameters: working days for decisions in general, and for penalties."""

    scope: ClassVar[Scope] = Scope.CASE
    working_days: int = 20
    penalty_working_days: int = 7

    def find_deadline(self, facts: CaseFacts) -> Deadline | None:
        """Return the end of the last working day; its time is None in an unpublished year."""
        decision = facts.decision
        if decision is None or Feature.SECRET in facts.features:
            return None
        return Deadline(self._limit_days(decision).last_moment, decision.disclosed_at)

    def check_facts(self, facts: CaseFacts) -> Outcome:
        """Judge the disclosure as of the moment of asking: not yet due is not yet failed."""
        decision = facts.decision
        if decision is None:
            return Outcome(
                passed=True,
                message_zh="尚未作出决定,公开时限尚未起算。",
                message_en="No decision yet; the time to disclose has not begun.",
            )
        if Feature.SECRET in facts.features:
            return Outcome(
                passed=True,
                message_zh="本案登记为依法不公开,不适用公开时限。",
                message_en="The case is registered as not to be disclosed by law.",
                facts={"exempt": Feature.SECRET.value},
            )
        return self._check_disclosure(facts, decision)

    def _check_disclosure(self, facts: CaseFacts, decision: DecisionFact) -> Outcome:
        limit = self._limit_days(decision)
        days = limit.days
        disclosed_at = decision.disclosed_at
        details = {
            "decided": decision.at,
            "disclosed": disclosed_at,
            "due": limit.last_moment,
            "working_days": days,
        }
        standing = limit.judge_fulfilment(disclosed_at, facts.at)
        if isinstance(standing, Misdated):
            return Outcome(
                passed=False,
                message_zh=f"公开时间({day_and_clock(standing.done_at)})早于决定时间"
                f"({day_and_clock(decision.at)}),登记有误。",
                message_en="The decision is entered as disclosed before it was made.",
                mend_zh="请更正公开时间或者决定时间。",
                mend_en="Correct the time of the disclosure or of the decision.",
                facts=details,
            )
        if isinstance(standing, Unknown):
            return Outcome(
                passed=False,
                message_zh=f"{unpublished_zh(standing.day)},无法计算 {days} 个工作日的公开期限。",
                message_en=f"{unpublished_en(standing.day)}: {days} working days cannot "
                "be counted.",
                mend_zh=MEND_ZH,
                mend_en=MEND_EN,
                facts=details,
            )
        if isinstance(standing, Late):
            return _report_late(standing, days, details)
        if isinstance(standing, InTime):
            zh = f"决定已在 {days} 个工作日内公开。"
            en = f"The decision was disclosed within {days} working days."
        else:
            last = day_and_clock(standing.last)
            zh = f"决定尚未公开,最迟 {last}(决定之日起 {days} 个工作日)。"
            en = f"Not disclosed yet; due by {last} ({days} working days)."
        return Outcome(passed=True, message_zh=zh, message_en=en, facts=details)

    def _limit_days(self, decision: DecisionFact) -> DayLimit:
        days = self.penalty_working_days if decision.penalty else self.working_days
        return DayLimit(decision.at, days, working=True)


def _report_late(late: Late, days: int, details: Mapping[str, Any]) -> Outcome:
    last = day_and_clock(late.last)
    zh = f"应于 {last} 前公开(决定之日起 {days} 个工作日),"
    en = f"To be disclosed by {last} ({days} working days), "
    if late.done_at is None:
        return Outcome(
            passed=False,
            message_zh=f"{zh}至今没有公开。",
            message_en=f"{en}not disclosed yet.",
            mend_zh="请立即公开并登记公开时间。",
            mend_en="Disclose it now and enter when.",
            facts=details,
        )
    return Outcome(
        passed=False,
        message_zh=f"{zh}实际于 {day_and_clock(late.done_at)} 公开,已逾期。",
        message_en=f"{en}disclosed late, at {day_and_clock(late.done_at)}.",
        mend_zh="迟延不能补正,请提交情况说明。",
        mend_en="Lateness cannot be undone: explain it in writing.",
        facts=details,
    )
