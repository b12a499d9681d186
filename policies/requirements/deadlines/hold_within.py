"""HoldWithin: seized goods are decided on or released in time.

Source: 行政强制法 第二十五条: 30 days, once longer by at most 30 with the head's written approval.
Time for testing and appraisal, which does not count, is not among the facts; an explanation covers
it. An action does not know the moment of asking: what is overdue today is told by
`policies/duties.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from policies.facts.facts import ActionFacts, Document
from policies.facts.stages import ActionKind
from policies.facts.terms import DOCUMENT_ZH, DocumentKind
from policies.requirements.deadlines.day_limit import DayLimit
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.wording import day_and_clock

_ENDING = (DocumentKind.SEIZURE_RELEASE, DocumentKind.DECISION)


@dataclass(frozen=True, slots=True)
class HoldWithin:
    """Parameters: days from the day of seizure, which is not counted, and days of one extension."""

    scope: ClassVar[Scope] = Scope.ACTION
    days: int = 30
    extension_days: int = 30

    def find_deadline(self, facts: ActionFacts) -> Deadline | None:
        """Return the last moment goods may be held, and when they were decided on or released."""
        if facts.kind is not ActionKind.SEIZURE:
            return None
        ended = _find_first_document(facts, *_ENDING)
        return Deadline(self._compute_last_moment(facts), ended.at if ended else None)

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Judge an ended seizure or a late extension; else report the deadline."""
        deadline = self.find_deadline(facts)
        if deadline is None or deadline.at is None:
            return Outcome(
                passed=True,
                message_zh="本次活动不是查封扣押,不适用查封扣押期限。",
                message_en="No seizure: holding periods do not apply.",
            )
        extension = _find_first_document(facts, DocumentKind.SEIZURE_EXTENSION)
        late = extension is not None and not self._is_timely_extension(facts, extension)
        details = {
            "due": deadline.at,
            "done": deadline.done_at,
            "extended": bool(extension) and not late,
        }
        if deadline.done_at is not None and deadline.done_at > deadline.at:
            return Outcome(
                passed=False,
                message_zh=f"查封扣押期限至 {day_and_clock(deadline.at)},"
                f"实际于 {day_and_clock(deadline.done_at)} 处理或者解除,已逾期。",
                message_en=f"Goods could be held until {day_and_clock(deadline.at)}; they "
                f"were decided on or released at {day_and_clock(deadline.done_at)}.",
                mend_zh="请核对检测、鉴定期间是否应当扣除;确已逾期的,提交情况说明。",
                mend_en="Check whether time for testing is to be deducted; else explain.",
                facts=details,
            )
        if late and deadline.done_at is None:
            return self._extended_late(deadline.at, details)
        ended = _find_first_document(facts, *_ENDING)
        zh = f"已在期限内处理({DOCUMENT_ZH[ended.kind]})" if ended else "尚未处理或者解除"
        return Outcome(
            passed=True,
            message_zh=f"查封扣押期限至 {day_and_clock(deadline.at)},{zh}。",
            message_en=f"Goods may be held until {day_and_clock(deadline.at)}; "
            + ("ended in time." if ended else "neither decided on nor released yet."),
            facts=details,
        )

    def _extended_late(self, last: datetime, details: Mapping[str, Any]) -> Outcome:
        return Outcome(
            passed=False,
            message_zh=f"延长查封扣押的决定作出时期限已满({day_and_clock(last)}),延长无效。",
            message_en=f"The extension was decided after the period ended ({day_and_clock(last)}).",
            mend_zh="请解除查封扣押并登记解除决定书,或者更正文书日期。",
            mend_en="Release the goods and enter the decision, or correct the document's date.",
            facts=details,
        )

    def _compute_last_moment(self, facts: ActionFacts) -> datetime:
        first = self._end_of_period(facts, self.days)
        extension = _find_first_document(facts, DocumentKind.SEIZURE_EXTENSION)
        if extension is None or extension.at > first:
            return first
        return self._end_of_period(facts, self.days + self.extension_days)

    def _is_timely_extension(self, facts: ActionFacts, extension: Document) -> bool:
        return extension.at <= self._end_of_period(facts, self.days)

    def _end_of_period(self, facts: ActionFacts, days: int) -> datetime:
        return DayLimit(facts.start, days).last_calendar_moment


def _find_first_document(facts: ActionFacts, *kinds: DocumentKind) -> Document | None:
    """Return the earliest such document made since the seizure began."""
    matches = [
        document
        for document in facts.documents
        if document.kind in kinds and document.at >= facts.start
    ]
    return min(matches, key=lambda document: document.at, default=None)
