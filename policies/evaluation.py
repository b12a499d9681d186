"""Evaluation: how a township's year is judged, from counts alone (评议考核).

Every figure says what was counted, of how many, and by which article. What was fined or taken is
no part of any figure: there is no field to enter it, and a test keeps it so (指导意见 第二十一条).
Gathering the counts is the catalogue's business; ranking townships is nobody's.
Source: 兴隆县指导意见 第十七条 (定性与定量), with the articles that each figure names.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from policies.facts.findings import Severity
from policies.facts.stages import ACTION_ZH, ActionKind
from policies.time.wording import percent


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often one rule was asked in the year, was not met, and was explained away."""

    rule: str
    severity: Severity
    asked: int
    failed: int
    waived: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    value: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class TownshipYear:
    """What was counted in one township and calendar year.

    `covered` holds for each action that must be recorded the share of it that footage shows.
    `reviewed` counts recordings drawn for quality review, and of them those found good.
    Raises: ValueError for counts that cannot be.
    """

    township: str
    year: int
    actions: Mapping[ActionKind, int] = field(default_factory=dict)
    covered: tuple[float, ...] = ()
    uploaded_in_time: Share = Share()
    linked: Share = Share()
    disclosed_in_time: Share = Share()
    decided_in_time: Share = Share()
    answered_in_time: Share = Share()
    trained: Share = Share()
    certified: Share = Share()
    reviewed: Share = Share()
    waivers_approved: Share = Share()
    full_time: int = 0
    full_time_required: int = 0
    rules: tuple[RuleCount, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no count can be: nothing is judged from impossible figures."""
        shares = [one for one in self._values() if isinstance(one, Share)]
        whole = [*self.actions.values(), self.full_time, self.full_time_required]
        parts = [(one.value, one.of) for one in shares]
        parts += [(one.failed, one.asked) for one in self.rules]
        parts += [(one.waived, one.failed) for one in self.rules]
        if any(count < 0 for count in whole) or any(not 0 <= a <= b for a, b in parts):
            raise ValueError("counts are not negative, and no part is more than its whole")
        if not all(math.isfinite(one) and 0 <= one <= 1 for one in self.covered):
            raise ValueError("a covered share lies between 0 and 1")
        if len({one.rule for one in self.rules}) != len(self.rules):
            raise ValueError("a rule is counted once")

    def _values(self) -> Iterable[object]:
        return (getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `value` of `of`; `share` is None where there was nothing to count."""

    key: str
    value: float
    of: float
    share: float | None
    zh: str
    en: str
    article: str
    rule: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one township and year, in a fixed order."""

    township: str
    year: int
    figures: tuple[Figure, ...]

    def figure(self, key: str) -> Figure | None:
        """Return one figure by its key."""
        return next((one for one in self.figures if one.key == key), None)


# Field of TownshipYear, Chinese, English, article: one figure each.
_SHARES = (
    ("uploaded_in_time", "录像按时入库", "recordings uploaded in time", "第八条"),
    ("linked", "录像已关联案件", "recordings linked to a case", "第十二条"),
    ("disclosed_in_time", "决定按时公开", "decisions disclosed in time", "第七条"),
    ("decided_in_time", "案件按期决定", "cases decided in time", "第十条"),
    ("answered_in_time", "投诉和复议应诉按时答复", "complaints answered in time", "第十六条"),
    ("trained", "执法人员培训达标", "officers trained", "第五条"),
    ("certified", "执法证件有效", "officers with a valid certificate", "第二条"),
    ("reviewed", "抽查录像合格", "drawn recordings found good", "第十条"),
    ("waivers_approved", "情况说明获批", "explanations approved", "第八条"),
)


def evaluate(counted: TownshipYear) -> Evaluation:
    """Return every figure of a township's year; what was not counted is told as such."""
    return Evaluation(
        counted.township,
        counted.year,
        (
            *_actions(counted),
            *_coverage(counted),
            *(
                _figure(key, (share.value, share.of), zh, en, article)
                for key, zh, en, article in _SHARES
                for share in [getattr(counted, key)]
            ),
            _staffing(counted),
            *_rules(counted),
        ),
    )


def _actions(counted: TownshipYear) -> Iterable[Figure]:
    whole = sum(counted.actions.values())
    for kind in ActionKind:
        count = counted.actions.get(kind, 0)
        if count:
            share = count / whole
            zh = f"{ACTION_ZH[kind]}:{count} 次,占 {percent(share)}"
            en = f"{kind.value}: {count} of {whole} actions"
            yield Figure(f"actions.{kind.value}", count, whole, share, zh, en, "第八条")


def _coverage(counted: TownshipYear) -> Iterable[Figure]:
    covered, of = counted.covered, len(counted.covered)
    # fsum: the mean does not depend on the order in which the actions were read.
    told = (math.fsum(covered), of)
    yield _figure(
        "covered_share", told, "全程录音录像平均覆盖", "mean coverage of actions", "第八条"
    )
    full = sum(1 for one in covered if one >= 1)
    yield _figure(
        "covered_whole", (full, of), "全程无缺口的活动", "actions without a gap", "第八条"
    )


def _staffing(counted: TownshipYear) -> Figure:
    have, need = counted.full_time, counted.full_time_required
    zh = f"专职执法人员:{have} 名,应不少于 {need} 名"
    en = f"full-time officers: {have}; {need} are required"
    return Figure("staffing", have, need, min(1.0, have / need) if need else None, zh, en, "第六条")


def _rules(counted: TownshipYear) -> Iterable[Figure]:
    for one in sorted(
        counted.rules, key=lambda one: (list(Severity).index(one.severity), one.rule)
    ):
        met = one.asked - one.failed
        zh = f"规则 {one.rule}:{one.asked} 次中未满足 {one.failed} 次"
        en = f"rule {one.rule}: not met {one.failed} of {one.asked} times"
        if one.waived:
            zh += f",其中 {one.waived} 次情况说明获批"
            en += f", {one.waived} of them explained"
        yield Figure(
            key=f"rule.{one.rule}",
            value=met,
            of=one.asked,
            share=met / one.asked if one.asked else None,
            zh=zh,
            en=en,
            article="第十七条",
            rule=one.rule,
            severity=one.severity,
        )


def _figure(key: str, told: tuple[float, int], zh: str, en: str, article: str) -> Figure:
    value, of = told
    if not of:
        return Figure(key, value, of, None, f"{zh}:本年没有", f"{en}: none this year", article)
    share = min(1.0, value / of)
    # A sum of shares is no count: only its mean says something.
    counted = f"{value}/{of}" if isinstance(value, int) else ""
    zh_count, en_count = (f"{counted},", f"{counted}, ") if counted else ("", "")
    return Figure(
        key,
        value,
        of,
        share,
        f"{zh}:{zh_count}{percent(share)}",
        f"{en}: {en_count}{percent(share)}",
        article,
    )
