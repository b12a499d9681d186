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
from policies.time.wording import format_percent


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Counts of one rule in a year: evaluations, failures, approved waivers."""

    rule: str
    severity: Severity
    evaluations: int
    failed: int
    waived: int = 0


@dataclass(frozen=True, slots=True)
class Ratio:
    """A count and the total that it is part of."""

    count: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class TownshipYear:
    """Counts of one township and calendar year.

    `covered` holds for each action that must be recorded the share of it that footage shows.
    `reviewed` counts recordings drawn for quality review, and of them those found good.
    Raises: ValueError for counts that cannot be.
    """

    township: str
    year: int
    actions: Mapping[ActionKind, int] = field(default_factory=dict)
    covered: tuple[float, ...] = ()
    uploaded_in_time: Ratio = Ratio()
    linked: Ratio = Ratio()
    disclosed_in_time: Ratio = Ratio()
    decided_in_time: Ratio = Ratio()
    answered_in_time: Ratio = Ratio()
    trained: Ratio = Ratio()
    certified: Ratio = Ratio()
    reviewed: Ratio = Ratio()
    waivers_approved: Ratio = Ratio()
    full_time: int = 0
    full_time_required: int = 0
    rules: tuple[RuleCount, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no count can be: nothing is judged from impossible figures."""
        shares = [share for share in self._field_values() if isinstance(share, Ratio)]
        whole = [*self.actions.values(), self.full_time, self.full_time_required]
        parts = [(share.count, share.of) for share in shares]
        parts += [(tally.failed, tally.evaluations) for tally in self.rules]
        # Only what failed can be explained: more waivers than failures would hide some.
        parts += [(tally.waived, tally.failed) for tally in self.rules]
        if any(count < 0 for count in whole) or any(not 0 <= a <= b for a, b in parts):
            raise ValueError("counts are not negative, and no part is more than its whole")
        if not all(math.isfinite(share) and 0 <= share <= 1 for share in self.covered):
            raise ValueError("a covered share lies between 0 and 1")
        if len({tally.rule for tally in self.rules}) != len(self.rules):
            raise ValueError("a rule is counted once")

    def _field_values(self) -> Iterable[object]:
        return (getattr(self, entry.name) for entry in fields(self))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `quantity` of `of`; `share` is None where there was nothing to count."""

    key: str
    quantity: float
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

    def find_figure(self, key: str) -> Figure | None:
        """Return one figure by its key."""
        return next((figure for figure in self.figures if figure.key == key), None)


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


def evaluate_year(counts: TownshipYear) -> Evaluation:
    """Compute every figure of a township's year; an empty total says so."""
    return Evaluation(
        counts.township,
        counts.year,
        (
            *_build_action_figures(counts),
            *_build_coverage_figures(counts),
            *(
                _build_figure(key, (share.count, share.of), zh, en, article)
                for key, zh, en, article in _SHARES
                for share in [getattr(counts, key)]
            ),
            _build_staffing_figure(counts),
            *_build_rule_figures(counts),
        ),
    )


def _build_action_figures(counts: TownshipYear) -> Iterable[Figure]:
    whole = sum(counts.actions.values())
    for kind in ActionKind:
        count = counts.actions.get(kind, 0)
        # A kind that did not occur has no figure: a share of 0 % would read as something left
        # undone.
        if count:
            share = count / whole
            zh = f"{ACTION_ZH[kind]}:{count} 次,占 {format_percent(share)}"
            en = f"{kind.value}: {count} of {whole} actions"
            yield Figure(f"actions.{kind.value}", count, whole, share, zh, en, "第八条")


def _build_coverage_figures(counts: TownshipYear) -> Iterable[Figure]:
    covered, of = counts.covered, len(counts.covered)
    # fsum: the mean does not depend on the order in which the actions were read.
    ratio = (math.fsum(covered), of)
    yield _build_figure(
        "covered_share", ratio, "全程录音录像平均覆盖", "mean coverage of actions", "第八条"
    )
    # Beside the mean, which hides it: one action without any footage among a hundred leaves 99 %.
    full = sum(1 for share in covered if share >= 1)
    yield _build_figure(
        "covered_whole", (full, of), "全程无缺口的活动", "actions without a gap", "第八条"
    )


def _build_staffing_figure(counts: TownshipYear) -> Figure:
    have, need = counts.full_time, counts.full_time_required
    zh = f"专职执法人员:{have} 名,应不少于 {need} 名"
    en = f"full-time officers: {have}; {need} are required"
    # More officers than required make up for nothing else, so that the share ends at one.
    return Figure("staffing", have, need, min(1.0, have / need) if need else None, zh, en, "第六条")


def _build_rule_figures(counts: TownshipYear) -> Iterable[Figure]:
    for tally in sorted(
        counts.rules, key=lambda tally: (list(Severity).index(tally.severity), tally.rule)
    ):
        met = tally.evaluations - tally.failed
        zh = f"规则 {tally.rule}:{tally.evaluations} 次中未满足 {tally.failed} 次"
        en = f"rule {tally.rule}: not met {tally.failed} of {tally.evaluations} times"
        if tally.waived:
            zh += f",其中 {tally.waived} 次情况说明获批"
            en += f", {tally.waived} of them explained"
        yield Figure(
            key=f"rule.{tally.rule}",
            quantity=met,
            of=tally.evaluations,
            share=met / tally.evaluations if tally.evaluations else None,
            zh=zh,
            en=en,
            article="第十七条",
            rule=tally.rule,
            severity=tally.severity,
        )


def _build_figure(key: str, ratio: tuple[float, int], zh: str, en: str, article: str) -> Figure:
    quantity, of = ratio
    if not of:
        return Figure(key, quantity, of, None, f"{zh}:本年没有", f"{en}: none this year", article)
    share = min(1.0, quantity / of)
    # A sum of shares is no count: only its mean says something.
    fraction = f"{quantity}/{of}" if isinstance(quantity, int) else ""
    zh_count, en_count = (f"{fraction},", f"{fraction}, ") if fraction else ("", "")
    return Figure(
        key,
        quantity,
        of,
        share,
        f"{zh}:{zh_count}{format_percent(share)}",
        f"{en}: {en_count}{format_percent(share)}",
        article,
    )
