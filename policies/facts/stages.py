"""The way of a case: its stages, its side ways, and what may follow what (兴隆县指导意见 第十条).

The nine stages follow one another; side ways leave them. A way that ends (移送, 不予立案) leads
nowhere; one that interrupts (中止, 复议, 诉讼) leads back to the stage that it left; flexible
enforcement (柔性执法, 第十一条) leads to closing.
"""

from enum import StrEnum


class Stage(StrEnum):
    """办案环节: the nine of 第十条 in their order, then the side ways."""

    REGISTRATION = "registration"
    ACCEPTANCE = "acceptance"
    FILING = "filing"
    INVESTIGATION = "investigation"
    REVIEW = "review"
    DECISION = "decision"
    SERVICE = "service"
    EXECUTION = "execution"
    CLOSING = "closing"
    NON_FILING = "non-filing"
    TRANSFER = "transfer"
    FLEXIBLE = "flexible"
    SUSPENSION = "suspension"
    RECONSIDERATION = "reconsideration"
    LITIGATION = "litigation"


STAGE_ZH = {
    Stage.REGISTRATION: "登记",
    Stage.ACCEPTANCE: "受理",
    Stage.FILING: "立案",
    Stage.INVESTIGATION: "调查取证",
    Stage.REVIEW: "审查",
    Stage.DECISION: "决定",
    Stage.SERVICE: "送达",
    Stage.EXECUTION: "执行",
    Stage.CLOSING: "结案",
    Stage.NON_FILING: "不予立案",
    Stage.TRANSFER: "移送",
    Stage.FLEXIBLE: "柔性执法",
    Stage.SUSPENSION: "中止",
    Stage.RECONSIDERATION: "行政复议",
    Stage.LITIGATION: "行政诉讼",
}

# The nine stand first in `Stage`, and in their order.
MAIN = tuple(Stage)[:9]
ENDS = frozenset({Stage.CLOSING, Stage.NON_FILING, Stage.TRANSFER})
RETURNING = frozenset({Stage.SUSPENSION, Stage.RECONSIDERATION, Stage.LITIGATION})
_APPEALS = frozenset({Stage.RECONSIDERATION, Stage.LITIGATION})

MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.REGISTRATION: frozenset({Stage.ACCEPTANCE, Stage.TRANSFER, Stage.CLOSING}),
    Stage.ACCEPTANCE: frozenset(
        {Stage.FILING, Stage.NON_FILING, Stage.FLEXIBLE, Stage.TRANSFER, Stage.CLOSING}
    ),
    Stage.FILING: frozenset({Stage.INVESTIGATION, Stage.SUSPENSION, Stage.TRANSFER}),
    Stage.INVESTIGATION: frozenset(
        {Stage.REVIEW, Stage.FLEXIBLE, Stage.SUSPENSION, Stage.TRANSFER, Stage.CLOSING}
    ),
    Stage.REVIEW: frozenset(
        {Stage.DECISION, Stage.INVESTIGATION, Stage.FLEXIBLE, Stage.SUSPENSION, Stage.TRANSFER}
    ),
    Stage.DECISION: frozenset({Stage.SERVICE}),
    Stage.SERVICE: frozenset({Stage.EXECUTION, Stage.CLOSING}) | _APPEALS,
    Stage.EXECUTION: frozenset({Stage.CLOSING, Stage.SUSPENSION}) | _APPEALS,
    # A case can be appealed after it was closed; nothing else opens it again.
    Stage.CLOSING: _APPEALS,
    Stage.NON_FILING: frozenset(),
    Stage.TRANSFER: frozenset(),
    Stage.FLEXIBLE: frozenset({Stage.CLOSING, Stage.FILING}),
    # Those that interrupt also lead back: see `next_stages`.
    Stage.SUSPENSION: frozenset(),
    Stage.RECONSIDERATION: frozenset({Stage.LITIGATION, Stage.INVESTIGATION}),
    Stage.LITIGATION: frozenset({Stage.INVESTIGATION}),
}


def next_stages(stage: Stage, returns_to: Stage | None = None) -> frozenset[Stage]:
    """Return where a case may go; `returns_to` is the stage that an interruption left.

    A decision that is revoked on appeal sends the case back to 调查取证.
    """
    back = {returns_to} if stage in RETURNING and returns_to is not None else set()
    return MOVES[stage] | back


class ActionKind(StrEnum):
    """执法活动: one thing done at one place and time within a stage."""

    INSPECTION = "inspection"
    SEIZURE = "seizure"
    DEMOLITION = "demolition"
    INTERVIEW = "interview"
    HEARING = "hearing"
    SERVICE = "service"
    OTHER = "other"


ACTION_ZH = {
    ActionKind.INSPECTION: "现场检查",
    ActionKind.SEIZURE: "查封扣押",
    ActionKind.DEMOLITION: "强制拆除",
    ActionKind.INTERVIEW: "询问",
    ActionKind.HEARING: "听证",
    ActionKind.SERVICE: "送达",
    ActionKind.OTHER: "其他",
}
