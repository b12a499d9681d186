"""AnswerWithin: a complaint, reconsideration or lawsuit is answered in time.

Sources: 兴隆县指导意见 第十六、十八条 (登记、答复; 复议应诉); 行政复议法 (10 days, in the short
procedure 5). Where the law counts working days, the rule says `working`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from policies.facts.facts import ProceedingFacts
from policies.facts.terms import PROCEEDING_ZH
from policies.requirements.deadlines.day_limit import DayLimit, InTime, Late, Misdated, Unknown
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.calendar import MEND_EN, MEND_ZH, unpublished_en, unpublished_zh
from policies.time.wording import day_and_clock


@dataclass(frozen=True, slots=True)
class AnswerWithin:
    """Parameters: days from receipt, whose day is not counted; fewer in the short procedure."""

    scope: ClassVar[Scope] = Scope.PROCEEDING
    days: int = 10
    summary_days: int = 5
    working: bool = False

    def find_deadline(self, facts: ProceedingFacts) -> Deadline | None:
        """Return the end of the last day; its time is None in an unpublished year."""
        return Deadline(self._limit_days(facts).last_moment, facts.answered_at)

    def check_facts(self, facts: ProceedingFacts) -> Outcome:
        """Judge the answer, or as long as there is none the moment of asking."""
        limit, answered_at = self._limit_days(facts), facts.answered_at
        days = f"{limit.days} {'个工作日' if self.working else '日'}"
        name = PROCEEDING_ZH[facts.kind]
        details = {
            "received": facts.received_at,
            "answered": answered_at,
            "due": limit.last_moment,
        }
        standing = limit.judge_fulfilment(answered_at, facts.at)
        if isinstance(standing, Misdated):
            return Outcome(
                passed=False,
                message_zh="答复时间早于收到时间,登记有误。",
                message_en="The answer is entered as given before anything was received.",
                mend_zh="请更正收到时间或者答复时间。",
                mend_en="Correct the time of receipt or of the answer.",
                facts=details,
            )
        if isinstance(standing, Unknown):
            return Outcome(
                passed=False,
                message_zh=f"{unpublished_zh(standing.day)},无法计算 {days}的答复期限。",
                message_en=f"{unpublished_en(standing.day)}: the working days cannot be counted.",
                mend_zh=MEND_ZH,
                mend_en=MEND_EN,
                facts=details,
            )
        if isinstance(standing, Late):
            return _report_late(standing, name, days, details)
        if isinstance(standing, InTime):
            zh, en = f"{name}已在 {days}内答复。", "Answered in time."
        else:
            last = day_and_clock(standing.last)
            zh = f"{name}尚未答复,最迟 {last}(收到之日起 {days})。"
            en = f"Not answered yet; due by {last}."
        return Outcome(passed=True, message_zh=zh, message_en=en, facts=details)

    def _limit_days(self, facts: ProceedingFacts) -> DayLimit:
        days = self.summary_days if facts.summary else self.days
        return DayLimit(facts.received_at, days, self.working)


def _report_late(late: Late, name: str, days: str, details: Mapping[str, Any]) -> Outcome:
    last = day_and_clock(late.last)
    zh = f"{name}应于 {last} 前答复(收到之日起 {days}),"
    en = f"To be answered by {last}, "
    if late.done_at is None:
        return Outcome(
            passed=False,
            message_zh=f"{zh}至今没有答复。",
            message_en=f"{en}not answered yet.",
            mend_zh="请立即答复并登记答复时间。",
            mend_en="Answer now and enter when.",
            facts=details,
        )
    return Outcome(
        passed=False,
        message_zh=f"{zh}实际于 {day_and_clock(late.done_at)} 答复,已逾期。",
        message_en=f"{en}answered late, at {day_and_clock(late.done_at)}.",
        mend_zh="迟延不能补正,请提交情况说明。",
        mend_en="Lateness cannot be undone: explain it in writing.",
        facts=details,
    )
