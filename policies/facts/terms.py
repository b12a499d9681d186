"""The closed word lists that facts and rules share, each with its Chinese.

A rule file may name only these; a word that is missing here cannot be asked for.
"""

from enum import StrEnum


class MomentKind(StrEnum):
    """必要时刻: what must be seen to happen during an action (行政强制法 第十八条 and others)."""

    ARRIVAL = "arrival"
    ANNOUNCED = "announced"
    IDENTITY = "identity"
    REASONS = "reasons"
    RIGHTS = "rights"
    STATEMENT = "statement"
    INVENTORY = "counted"
    WITNESS = "witness"
    NO_WITNESS = "no-witness"
    DELIVERY = "handed"
    SIGNED = "signed"


MOMENT_ZH = {
    MomentKind.ARRIVAL: "到达现场",
    MomentKind.ANNOUNCED: "告知录音录像",
    MomentKind.IDENTITY: "亮证表明身份",
    MomentKind.REASONS: "告知理由和依据",
    MomentKind.RIGHTS: "告知权利和救济途径",
    MomentKind.STATEMENT: "听取陈述和申辩",
    MomentKind.INVENTORY: "当场清点",
    MomentKind.WITNESS: "见证人到场",
    MomentKind.NO_WITNESS: "说明无见证人的原因",
    MomentKind.DELIVERY: "当场交付文书",
    MomentKind.SIGNED: "签名或者盖章",
}
MOMENT_EN = {
    MomentKind.ARRIVAL: "arrival at the scene",
    MomentKind.ANNOUNCED: "recording announced",
    MomentKind.IDENTITY: "certificates shown",
    MomentKind.REASONS: "reasons and grounds told",
    MomentKind.RIGHTS: "rights and remedies told",
    MomentKind.STATEMENT: "statement and defence heard",
    MomentKind.INVENTORY: "goods counted on the spot",
    MomentKind.WITNESS: "witness present",
    MomentKind.NO_WITNESS: "reason told why there is no witness",
    MomentKind.DELIVERY: "documents handed over",
    MomentKind.SIGNED: "signed",
}


class DocumentKind(StrEnum):
    """执法文书, as far as rules ask for them (第十二条)."""

    FILING_FORM = "filing-form"
    SITE_RECORD = "site-record"
    INTERVIEW_RECORD = "interview-record"
    HEARING_RECORD = "hearing-record"
    SEIZURE_APPROVAL = "seizure-approval"
    SEIZURE_DECISION = "seizure-decision"
    SEIZURE_LIST = "seizure-list"
    DEMOLITION_NOTICE = "demolition-notice"
    PRESSING_NOTICE = "pressing-notice"
    EXECUTION_DECISION = "execution-decision"
    ADVANCE_NOTICE = "advance-notice"
    REVIEW_OPINION = "review-opinion"
    DECISION = "decision"
    DISCRETION = "discretion"
    SERVICE_RECEIPT = "service-receipt"
    CLOSING_REPORT = "closing-report"
    TRANSFER_LETTER = "transfer-letter"
    SEIZURE_EXTENSION = "seizure-extension"
    SEIZURE_RELEASE = "seizure-release"
    SUSPENSION_DECISION = "suspension-decision"
    NON_FILING_NOTICE = "non-filing-notice"
    FLEXIBLE_RECORD = "flexible-record"


DOCUMENT_ZH = {
    DocumentKind.FILING_FORM: "立案审批表",
    DocumentKind.SITE_RECORD: "现场笔录",
    DocumentKind.INTERVIEW_RECORD: "询问笔录",
    DocumentKind.HEARING_RECORD: "听证笔录",
    DocumentKind.SEIZURE_APPROVAL: "查封扣押审批表",
    DocumentKind.SEIZURE_DECISION: "查封扣押决定书",
    DocumentKind.SEIZURE_LIST: "查封扣押清单",
    DocumentKind.DEMOLITION_NOTICE: "限期拆除公告",
    DocumentKind.PRESSING_NOTICE: "催告书",
    DocumentKind.EXECUTION_DECISION: "强制执行决定书",
    DocumentKind.ADVANCE_NOTICE: "事先告知书",
    DocumentKind.REVIEW_OPINION: "法制审核意见书",
    DocumentKind.DECISION: "行政执法决定书",
    DocumentKind.DISCRETION: "裁量权适用说明",
    DocumentKind.SERVICE_RECEIPT: "送达回证",
    DocumentKind.CLOSING_REPORT: "结案报告",
    DocumentKind.TRANSFER_LETTER: "案件移送函",
    DocumentKind.SEIZURE_EXTENSION: "延长查封扣押期限决定书",
    DocumentKind.SEIZURE_RELEASE: "解除查封扣押决定书",
    DocumentKind.SUSPENSION_DECISION: "中止决定书",
    DocumentKind.NON_FILING_NOTICE: "不予立案告知书",
    DocumentKind.FLEXIBLE_RECORD: "柔性执法记录",
}


class Manner(StrEnum):
    """送达方式."""

    DIRECT = "direct"
    LEFT_IN_PLACE = "left"
    MAIL = "mail"
    ENTRUSTED = "entrusted"
    ELECTRONIC = "electronic"
    ANNOUNCEMENT = "announcement"


MANNER_ZH = {
    Manner.DIRECT: "直接送达",
    Manner.LEFT_IN_PLACE: "留置送达",
    Manner.MAIL: "邮寄送达",
    Manner.ENTRUSTED: "委托送达",
    Manner.ELECTRONIC: "电子送达",
    Manner.ANNOUNCEMENT: "公告送达",
}


class Feature(StrEnum):
    """Features of a case; an edition lists those that make a decision major (第九条)."""

    PUBLIC_INTEREST = "public-interest"
    SOCIAL_RISK = "social-risk"
    MAJOR_RIGHTS = "major-rights"
    AFTER_HEARING = "after-hearing"
    COMPLEX = "complex"
    PENALTY = "penalty"
    COERCIVE = "coercive"
    URGENT = "urgent"
    SECRET = "secret"  # noqa: S105 - a word of the law, not a password


FEATURE_ZH = {
    Feature.PUBLIC_INTEREST: "涉及重大公共利益",
    Feature.SOCIAL_RISK: "可能造成重大社会影响或者引发社会风险",
    Feature.MAJOR_RIGHTS: "直接关系当事人或者第三人重大权益",
    Feature.AFTER_HEARING: "经过听证程序",
    Feature.COMPLEX: "案件疑难复杂、涉及多个法律关系",
    Feature.PENALTY: "行政处罚",
    Feature.COERCIVE: "行政强制",
    Feature.URGENT: "情况紧急",
    Feature.SECRET: "依法不公开",
}


class Part(StrEnum):
    """办、审、定: who does what in a case (第十条)."""

    HANDLES = "handles"
    REVIEWS = "reviews"
    DECIDES = "decides"


PART_ZH = {Part.HANDLES: "承办", Part.REVIEWS: "审核", Part.DECIDES: "审批决定"}


class Approver(StrEnum):
    """Approvers that a rule may name for a 情况说明."""

    HEAD = "head"
    COUNTY = "county"


APPROVER_ZH = {Approver.HEAD: "乡镇人民政府行政负责人", Approver.COUNTY: "县司法行政部门"}
APPROVER_EN = {
    Approver.HEAD: "the head of the township government",
    Approver.COUNTY: "the county justice bureau",
}


class WaiverReason(StrEnum):
    """Why something that must be recorded was not (four municipal AV rules name these)."""

    EQUIPMENT = "equipment"
    BATTERY_STORAGE = "battery-storage"
    WEATHER = "weather"
    FORCE_MAJEURE = "force-majeure"
    URGENT = "urgent"
    SECRET = "secret"  # noqa: S105 - a word of the law, not a password
    OBSTRUCTION = "obstruction"


WAIVER_ZH = {
    WaiverReason.EQUIPMENT: "设备故障",
    WaiverReason.BATTERY_STORAGE: "电量或者存储不足",
    WaiverReason.WEATHER: "天气原因",
    WaiverReason.FORCE_MAJEURE: "不可抗力",
    WaiverReason.URGENT: "情况紧急",
    WaiverReason.SECRET: "涉及国家秘密、商业秘密或者个人隐私",
    WaiverReason.OBSTRUCTION: "他人阻挠",
}


class SourceKind(StrEnum):
    """Kind of device that made a recording."""

    RECORDER = "recorder"
    TERMINAL = "terminal"
    ROOM_CAMERA = "room-camera"
    UNKNOWN = "unknown"


SOURCE_ZH = {
    SourceKind.RECORDER: "执法记录仪",
    SourceKind.TERMINAL: "手持执法终端",
    SourceKind.ROOM_CAMERA: "询问室/听证室摄像",
    SourceKind.UNKNOWN: "其他设备",
}


class ProceedingKind(StrEnum):
    """Kinds of proceeding against an act or an omission (第十六, 十八条)."""

    COMPLAINT = "complaint"
    RECONSIDERATION = "reconsideration"
    LITIGATION = "litigation"


PROCEEDING_ZH = {
    ProceedingKind.COMPLAINT: "投诉举报",
    ProceedingKind.RECONSIDERATION: "行政复议",
    ProceedingKind.LITIGATION: "行政诉讼",
}


class FootageClass(StrEnum):
    """资料类别: what makes a recording more than ordinary footage (公通字〔2016〕14号).

    EVIDENCE, OBJECTION, MAJOR and DOCUMENT follow from what a recording is linked to; a person may
    put it into any of them.
    """

    EVIDENCE = "evidence"
    OBJECTION = "objection"
    OBSTRUCTION = "obstruction"
    INCIDENT = "incident"
    MAJOR = "major"
    DOCUMENT = "document"


FOOTAGE_ZH = {
    FootageClass.EVIDENCE: "作为案件证据使用",
    FootageClass.OBJECTION: "当事人有异议或者投诉",
    FootageClass.OBSTRUCTION: "阻碍执法",
    FootageClass.INCIDENT: "突发事件、群体性事件",
    FootageClass.MAJOR: "重大疑难复杂案件",
    FootageClass.DOCUMENT: "执法文书",
}
FOOTAGE_EN = {
    FootageClass.EVIDENCE: "serves as evidence",
    FootageClass.OBJECTION: "objected to or complained of",
    FootageClass.OBSTRUCTION: "officers were obstructed",
    FootageClass.INCIDENT: "sudden or mass incident",
    FootageClass.MAJOR: "major, difficult or complex case",
    FootageClass.DOCUMENT: "document of a case",
}


class HoldReason(StrEnum):
    """Why something is held regardless of its period (冻结)."""

    COMPLAINT = "complaint"
    RECONSIDERATION = "reconsideration"
    LITIGATION = "litigation"
    INVESTIGATION = "investigation"
    OTHER = "other"


HOLD_ZH = {
    HoldReason.COMPLAINT: "投诉举报",
    HoldReason.RECONSIDERATION: "行政复议",
    HoldReason.LITIGATION: "行政诉讼",
    HoldReason.INVESTIGATION: "调查",
    HoldReason.OTHER: "其他",
}
HOLD_EN = {
    HoldReason.COMPLAINT: "complaint",
    HoldReason.RECONSIDERATION: "reconsideration",
    HoldReason.LITIGATION: "litigation",
    HoldReason.INVESTIGATION: "investigation",
    HoldReason.OTHER: "other",
}
