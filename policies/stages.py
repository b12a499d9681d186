"""The stages of a case and what may follow what (兴隆县指导意见 第十条)."""

from enum import StrEnum


class Stage(StrEnum):
    """办案环节, in the order of 第十条."""

    REGISTRATION = "registration"  # 登记
    ACCEPTANCE = "acceptance"  # 受理
    FILING = "filing"  # 立案
    INVESTIGATION = "investigation"  # 调查取证
    REVIEW = "review"  # 审查
    DECISION = "decision"  # 决定
    SERVICE = "service"  # 送达
    EXECUTION = "execution"  # 执行
    CLOSING = "closing"  # 结案


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
}

MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.REGISTRATION: frozenset({Stage.ACCEPTANCE, Stage.CLOSING}),
    Stage.ACCEPTANCE: frozenset({Stage.FILING, Stage.CLOSING}),
    Stage.FILING: frozenset({Stage.INVESTIGATION}),
    Stage.INVESTIGATION: frozenset({Stage.REVIEW, Stage.CLOSING}),
    Stage.REVIEW: frozenset({Stage.DECISION, Stage.INVESTIGATION}),
    Stage.DECISION: frozenset({Stage.SERVICE}),
    Stage.SERVICE: frozenset({Stage.EXECUTION, Stage.CLOSING}),
    Stage.EXECUTION: frozenset({Stage.CLOSING}),
    Stage.CLOSING: frozenset(),
}


class ActionKind(StrEnum):
    """执法活动: one thing done at one place and time within a stage."""

    INSPECTION = "inspection"  # 现场检查
    SEIZURE = "seizure"  # 查封扣押
    DEMOLITION = "demolition"  # 强制拆除
    INTERVIEW = "interview"  # 询问
    HEARING = "hearing"  # 听证
    SERVICE = "service"  # 送达
    OTHER = "other"  # 其他


ACTION_ZH = {
    ActionKind.INSPECTION: "现场检查",
    ActionKind.SEIZURE: "查封扣押",
    ActionKind.DEMOLITION: "强制拆除",
    ActionKind.INTERVIEW: "询问",
    ActionKind.HEARING: "听证",
    ActionKind.SERVICE: "送达",
    ActionKind.OTHER: "其他",
}
