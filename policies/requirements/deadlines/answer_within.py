"""AnswerWithin: a complaint, reconsideration or lawsuit is answered in time.

Sources: 兴隆县指导意见 第十六、十八条 (登记、答复; 复议应诉); 行政复议法 (10 days, in the short
procedure 5). Where the law counts working days, the rule says `working`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from policies.facts.facts import ProceedingFacts
from policies.facts.terms import PROCEEDING_ZH
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.calendar import (
    MEND_EN,
    MEND_ZH,
    county_day,
    day_after,
    end_of_day,
    surely_within,
    unpublished_en,
    unpublished_zh,
    working_deadline,
)
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
        return Deadline(self._compute_last_moment(facts), facts.answered_at)

    def check_facts(self, facts: ProceedingFacts) -> Outcome:
        """Judge the answer, or as long as there is none the moment of asking."""
        last, answered_at = self._compute_last_moment(facts), facts.answered_at
        days = f"{self._allowed_days(facts)} {'个工作日' if self.working else '日'}"
        details = {"received": facts.received_at, "answered": answered_at, "due": last}
        if answered_at is not None and answered_at < facts.received_at:
            return Outcome(
                passed=False,
                message_zh="答复时间早于收到时间,登记有误。",
                message_en="The answer is entered as given before anything was received.",
                mend_zh="请更正收到时间或者答复时间。",
                mend_en="Correct the time of receipt or of the answer.",
                facts=details,
            )
        if answered_at is not None and surely_within(
            facts.received_at, answered_at, self._allowed_days(facts)
        ):
            last = last or answered_at
        if last is None:
            day = county_day(facts.received_at)
            return Outcome(
                passed=False,
                message_zh=f"{unpublished_zh(day)},无法计算 {days}的答复期限。",
                message_en=f"{unpublished_en(day)}: the working days cannot be counted.",
                mend_zh=MEND_ZH,
                mend_en=MEND_EN,
                facts=details,
            )
        name = PROCEEDING_ZH[facts.kind]
        if (answered_at or facts.at) <= last:
            return Outcome(
                passed=True,
                message_zh=f"{name}已在 {days}内答复。"
                if answered_at
                else f"{name}尚未答复,最迟 {day_and_clock(last)}(收到之日起 {days})。",
                message_en="Answered in time."
                if answered_at
                else f"Not answered yet; due by {day_and_clock(last)}.",
                facts=details,
            )
        return Outcome(
            passed=False,
            message_zh=f"{name}应于 {day_and_clock(last)} 前答复(收到之日起 {days}),"
            + (
                f"实际于 {day_and_clock(answered_at)} 答复,已逾期。"
                if answered_at
                else "至今没有答复。"
            ),
            message_en=f"To be answered by {day_and_clock(last)}, "
            + (
                f"answered late, at {day_and_clock(answered_at)}."
                if answered_at
                else "not answered yet."
            ),
            mend_zh="迟延不能补正,请提交情况说明。"
            if answered_at
            else "请立即答复并登记答复时间。",
            mend_en="Lateness cannot be undone: explain it in writing."
            if answered_at
            else "Answer now and enter when.",
            facts=details,
        )

    def _allowed_days(self, facts: ProceedingFacts) -> int:
        return self.summary_days if facts.summary else self.days

    def _compute_last_moment(self, facts: ProceedingFacts) -> datetime | None:
        if self.working:
            return working_deadline(facts.received_at, self._allowed_days(facts))
        return end_of_day(day_after(facts.received_at, self._allowed_days(facts)))
