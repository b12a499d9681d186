"""Recusal (回避): nobody decides a matter in which he took part himself.

A matter is a complaint, a reconsideration, a lawsuit, or what a hold lies on. The facts name
persons, never accounts: another login of the same person changes nothing. Source: 兴隆县指导意见
第十六条 (投诉举报由专门机构或者专门人员登记、答复、核实和处理), 行政处罚法 第四十三条 (回避). Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from policies.identifiers import PersonId


class Tie(StrEnum):
    """How a matter concerns a person: stable words for logs and the text table."""

    TOOK_PART = "took-part"
    HANDLES = "handles"
    REVIEWED = "reviewed"
    DECIDED = "decided"
    OPENED = "opened"
    RECORDED = "recorded"
    HANDED_IN = "handed-in"


TIE_ZH = {
    Tie.TOOK_PART: "参加了所涉执法活动",
    Tie.HANDLES: "承办该案件",
    Tie.REVIEWED: "审核过该案件",
    Tie.DECIDED: "审批决定过该案件",
    Tie.OPENED: "登记了该案件",
    Tie.RECORDED: "拍摄了所涉录音录像",
    Tie.HANDED_IN: "提交了所涉录音录像",
}
TIE_EN = {
    Tie.TOOK_PART: "took part in the action",
    Tie.HANDLES: "handles the case",
    Tie.REVIEWED: "reviewed the case",
    Tie.DECIDED: "decided the case",
    Tie.OPENED: "opened the case",
    Tie.RECORDED: "recorded the footage",
    Tie.HANDED_IN: "handed the footage in",
}


@dataclass(frozen=True, slots=True)
class Matter:
    """The persons who took part in a matter to be decided, by their part; by id.

    `officers` took part in an action, leading, present or auxiliary; `recorders` made the footage,
    or had its source when it was made; `submitters` handed it in.
    """

    officers: frozenset[PersonId] = frozenset()
    handlers: frozenset[PersonId] = frozenset()
    reviewers: frozenset[PersonId] = frozenset()
    deciders: frozenset[PersonId] = frozenset()
    openers: frozenset[PersonId] = frozenset()
    recorders: frozenset[PersonId] = frozenset()
    submitters: frozenset[PersonId] = frozenset()

    def __or__(self, other: "Matter") -> "Matter":
        """Return both matters as one."""
        return Matter(
            officers=self.officers | other.officers,
            handlers=self.handlers | other.handlers,
            reviewers=self.reviewers | other.reviewers,
            deciders=self.deciders | other.deciders,
            openers=self.openers | other.openers,
            recorders=self.recorders | other.recorders,
            submitters=self.submitters | other.submitters,
        )


def tie_of(matter: Matter, person: PersonId) -> Tie | None:
    """Return how a matter concerns a person; None when it does not."""
    parts = (
        (Tie.TOOK_PART, matter.officers),
        (Tie.HANDLES, matter.handlers),
        (Tie.REVIEWED, matter.reviewers),
        (Tie.DECIDED, matter.deciders),
        (Tie.RECORDED, matter.recorders),
        (Tie.HANDED_IN, matter.submitters),
        (Tie.OPENED, matter.openers),
    )
    return next((tie for tie, persons in parts if person in persons), None)
