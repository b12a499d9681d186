"""Sources: completeness of footage, assignment of its recorder, fit with the action.

Footage by a recorder that nobody had, a missing number between two files of one recorder (one
may have been deleted), scene codes that are not believed, recordings that miss most of a long
action or run far beyond it. None of these proves a fault; each is for a person to look at.
Source: 兴隆县指导意见 第八条 (执法音像记录管理制度).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from policies.facts.facts import ActionFacts, Footage
from policies.requirements.outcome import Outcome, Scope
from policies.scene_code import TROUBLE_EN, TROUBLE_ZH, Trouble
from policies.time.intervals import sum_span_seconds, unite_spans


@dataclass(frozen=True, slots=True)
class Sources:
    """Parameters: what to look for; a length is odd beyond `longer` or below `shorter` times."""

    scope: ClassVar[Scope] = Scope.ACTION
    assigned: bool = True
    sequence: bool = True
    codes: bool = True
    longer: float = 4.0
    shorter: float = 0.5

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Name everything odd about the linked footage and its neighbours."""
        odd = [
            *self._find_unassigned(facts),
            *self._find_missing_numbers(facts),
            *self._find_code_troubles(facts),
        ]
        odd += self._find_odd_lengths(facts)
        details = {"odd": [[word, subject] for word, subject, _zh, _en in odd]}
        if not odd:
            return Outcome(
                passed=True,
                message_zh="来源清楚,编号连续。",
                message_en="Sources are known and their numbers unbroken.",
                facts=details,
            )
        return Outcome(
            passed=False,
            message_zh=f"{';'.join(zh for _word, _subject, zh, _en in odd)}。",
            message_en=f"{'; '.join(en for _word, _subject, _zh, en in odd)}.",
            mend_zh="请核对设备领用登记;缺号的文件应当查明去向,找到后接入采集。",
            mend_en="Check who had the recorder; find out where the missing files went.",
            facts=details,
        )

    def _find_unassigned(self, facts: ActionFacts) -> Iterator[tuple[str, str, str, str]]:
        if self.assigned:
            for source in sorted(
                {footage.source for footage in facts.footage if not footage.assigned}
            ):
                zh = f"{source} 当时没有登记领用人"
                yield "unassigned", source, zh, f"nobody is registered to have had {source}"

    def _find_missing_numbers(self, facts: ActionFacts) -> Iterator[tuple[str, str, str, str]]:
        if not self.sequence:
            return
        for before, after in _pair_neighbours(facts):
            lost = int(after.sequence or 0) - int(before.sequence or 0) - 1
            if lost > 0:
                between = f"{before.sequence} 号与 {after.sequence} 号之间"
                zh = f"{before.source} 在{between}缺 {lost} 个文件"
                en = f"{lost} file(s) of {before.source} missing after number {before.sequence}"
                yield "missing-number", before.source, zh, en

    def _find_code_troubles(self, facts: ActionFacts) -> Iterator[tuple[str, str, str, str]]:
        if self.codes:
            for footage in facts.footage:
                for word in footage.troubles:
                    trouble = Trouble(word)
                    yield word, footage.recording, TROUBLE_ZH[trouble], TROUBLE_EN[trouble]

    def _find_odd_lengths(self, facts: ActionFacts) -> Iterator[tuple[str, str, str, str]]:
        if facts.span is None or not facts.footage:
            return
        shown_seconds = sum_span_seconds(
            unite_spans(footage.span for footage in facts.footage if footage.span)
        )
        whole = facts.span.seconds
        if shown_seconds > self.longer * whole:
            yield "longer", facts.action, "录像远长于执法活动", "far more footage than action"
        elif shown_seconds < self.shorter * whole:
            yield "shorter", facts.action, "录像远短于执法活动", "far less footage than action"


def _pair_neighbours(facts: ActionFacts) -> Iterator[tuple[Footage, Footage]]:
    """Yield files of one source that follow one another, around the action, in one docking."""
    numbered = [
        footage
        for footage in (*facts.footage, *facts.nearby)
        if footage.sequence is not None and footage.sequence.isdigit() and footage.span is not None
    ]
    linked = {footage.source for footage in facts.footage}
    numbered = [footage for footage in numbered if footage.source in linked]
    numbered.sort(key=lambda footage: (footage.source, int(footage.sequence or 0)))
    for before, after in pairwise(numbered):
        if before.source == after.source and before.docked_at == after.docked_at:
            yield before, after
