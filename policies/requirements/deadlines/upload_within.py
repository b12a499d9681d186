"""UploadWithin: recordings reach the county's vault within hours of the action's end.

Source: 兴隆县指导意见 第八条 (全过程留痕); the 24 hours are the usual figure of provincial rules on
recorders. Whether there is footage at all is `coverage`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from policies.facts.facts import ActionFacts, Footage
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.wording import day_and_clock, length_en, length_zh


@dataclass(frozen=True, slots=True)
class UploadWithin:
    """Parameters: within how many hours of the action's end every linked recording is taken in."""

    scope: ClassVar[Scope] = Scope.ACTION
    hours: float = 24

    def find_deadline(self, facts: ActionFacts) -> Deadline | None:
        """Return the deadline once the action has ended; done when the last recording came."""
        if facts.end is None:
            return None
        came = [footage.accessioned_at for footage in facts.footage]
        times = [at for at in came if at is not None]
        completed_at = max(times) if times and len(times) == len(came) else None
        return Deadline(facts.end + timedelta(hours=self.hours), completed_at)

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Name every recording that came late, and how late the last one was."""
        deadline = self.find_deadline(facts)
        if deadline is None or deadline.at is None:
            return Outcome(
                passed=True,
                message_zh="执法活动尚未登记结束时间,上传时限尚未起算。",
                message_en="The action has no end yet; the time to upload has not begun.",
            )
        if not facts.footage:
            return Outcome(
                passed=True,
                message_zh=f"尚无关联录像,没有可核对的上传时间"
                f"(最迟 {day_and_clock(deadline.at)})。",
                message_en="No footage is linked, so there is no upload to check "
                f"(at the latest {day_and_clock(deadline.at)}).",
                facts={"due": deadline.at, "footage": 0},
            )
        late = [
            i for i in facts.footage if i.accessioned_at is None or i.accessioned_at > deadline.at
        ]
        details = {
            "due": deadline.at,
            "footage": len(facts.footage),
            "late": [footage.recording for footage in late],
        }
        if not late:
            return Outcome(
                passed=True,
                message_zh=f"{len(facts.footage)} 段录像均在 {self.hours:g} 小时内入库。",
                message_en=f"All {len(facts.footage)} recordings came within {self.hours:g} h.",
                facts=details,
            )
        return self._report_late(deadline, late, details)

    def _report_late(
        self, deadline: Deadline, late: list[Footage], details: Mapping[str, Any]
    ) -> Outcome:
        zh = f"{len(late)} 段录像没有在活动结束后 {self.hours:g} 小时内入库"
        en = f"{len(late)} recording(s) did not come within {self.hours:g} h of the end"
        if deadline.at and deadline.done_at:
            over = (deadline.done_at - deadline.at).total_seconds()
            zh += f",最迟的一段晚 {length_zh(over)}"
            en += f"; the last was {length_en(over)} late"
        if unknown := sum(footage.accessioned_at is None for footage in late):
            zh += f",其中 {unknown} 段入库时间不明"
            en += f"; {unknown} of them came at an unknown time"
        if docked := _docked_in_time(deadline, late):
            zh += f",其中 {docked} 段按时接入采集站,迟在采集站之后"
            en += f"; {docked} of them were docked in time and delayed after the station"
        return Outcome(
            passed=False,
            message_zh=f"{zh}。",
            message_en=f"{en}.",
            mend_zh="迟延不能补正,请提交情况说明;今后执法活动结束后及时将记录仪接入采集站。",
            mend_en="Lateness cannot be undone: hand in a written explanation, "
            "and dock recorders when an action ends.",
            facts=details,
        )


def _docked_in_time(deadline: Deadline, late: list[Footage]) -> int:
    return sum(
        1
        for footage in late
        if footage.docked_at and deadline.at and footage.docked_at <= deadline.at
    )
