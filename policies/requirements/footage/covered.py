"""What an action's coverage came to (`coverage.py` computes it), and how its gaps are described."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policies.facts.findings import Cause, Gap
from policies.facts.terms import MomentKind
from policies.time.intervals import Span
from policies.time.wording import format_percent, interval_en, interval_zh, length_en, length_zh

PerSource = tuple[tuple[str, tuple[Span, ...]], ...]

CAUSE_ZH = {
    Cause.NO_FOOTAGE: "没有录像",
    Cause.NO_PICTURE: "没有画面",
    Cause.NO_SOUND: "没有声音",
    Cause.DOUBTFUL: "画面或声音存疑,尚未经人确认",
    Cause.FAULTY: "画面或声音有故障,已经人确认",
    Cause.CLOCK: "记录仪时钟未校准,时间不能确定",
    Cause.CONTRADICTORY: "同一设备的文件时间互相重叠,不能采信",
    Cause.OTHER_SOURCE: "不是规定种类的设备所录",
}
CAUSE_EN = {
    Cause.NO_FOOTAGE: "no footage",
    Cause.NO_PICTURE: "no picture",
    Cause.NO_SOUND: "no sound",
    Cause.DOUBTFUL: "doubtful picture or sound, not yet confirmed by a person",
    Cause.FAULTY: "faulty picture or sound, confirmed by a person",
    Cause.CLOCK: "the recorder's clock was not measured",
    Cause.CONTRADICTORY: "files of one source claim the same time",
    Cause.OTHER_SOURCE: "recorded by another kind of source",
}


@dataclass(frozen=True, slots=True)
class Covered:
    """The arithmetic's result: share in [0, 1], seconds, and what is missing in order of time.

    `holes` are what no footage shows, whole; `gaps` are the same time, split by cause.
    `contradictory` are sources whose files claim the same time; `officers` those whose footage
    qualifies somewhere in the interval; `unseen` are moments that it does not show.
    """

    share: float
    covered_s: float
    holes: tuple[Span, ...]
    gaps: tuple[Gap, ...]
    clock_measured: bool
    per_source: PerSource = ()
    contradictory: tuple[str, ...] = ()
    officers: frozenset[str] = frozenset()
    unseen: tuple[MomentKind, ...] = ()


def describe_gaps_zh(frame: Span, coverage: Covered) -> str:
    """Describe every hole in the frame, its causes and the nearest footage; empty without holes."""
    if not coverage.holes:
        return ""
    lines = [
        f"{interval_zh(hole, frame.start)}(缺 {length_zh(hole.seconds)}):"
        f"{'、'.join(_name_causes(coverage, hole, CAUSE_ZH, length_zh))}"
        f"{_near_zh(_find_nearest(coverage, hole), frame)}"
        for hole in coverage.holes
    ]
    head = (
        f"应全程录音录像 {interval_zh(frame)},"
        f"现覆盖 {format_percent(coverage.share)},有 {len(lines)} 处缺口:"
    )
    return head + ";".join(lines) + "。"


def _name_causes(
    coverage: Covered, hole: Span, words: Mapping[Cause, str], length: Callable[[float], str]
) -> list[str]:
    """Return why the hole is one; with how much of it each cause makes, where there are several."""
    parts: dict[Cause, float] = {}
    for gap in coverage.gaps:
        if gap.span.intersection(hole):
            parts[gap.cause] = parts.get(gap.cause, 0.0) + gap.span.seconds
    if len(parts) == 1:
        return [words[cause] for cause in parts]
    ordered = sorted(parts, key=lambda cause: -parts[cause])
    return [f"{words[cause]} {length(parts[cause])}" for cause in ordered]


def _find_nearest(coverage: Covered, hole: Span) -> Gap | None:
    """Return the part of the hole that unlinked footage would fill best, if any would be near."""
    inside = [gap for gap in coverage.gaps if gap.span.intersection(hole) and gap.nearest_span]
    return max(
        inside, key=lambda gap: (gap.nearest_fills_s, -(gap.nearest_distance_s or 0)), default=None
    )


def _near_zh(gap: Gap | None, frame: Span) -> str:
    if gap is None or gap.nearest_span is None:
        return ""
    where = (
        f"可补 {length_zh(gap.nearest_fills_s)}"
        if gap.nearest_fills_s
        else f"相距 {length_zh(gap.nearest_distance_s or 0.0)}"
    )
    interval = interval_zh(gap.nearest_span, frame.start)
    return f",最近的未关联录像:{gap.nearest_source} {interval}({where})"


def describe_gaps_en(frame: Span, coverage: Covered) -> str:
    """Describe the same in English."""
    if not coverage.holes:
        return ""
    lines = [
        f"{interval_en(hole, frame.start)} ({length_en(hole.seconds)} missing): "
        f"{', '.join(_name_causes(coverage, hole, CAUSE_EN, length_en))}"
        f"{_near_en(_find_nearest(coverage, hole), frame)}"
        for hole in coverage.holes
    ]
    return (
        f"To be recorded whole from {interval_en(frame)}; "
        f"{format_percent(coverage.share)} is covered, {len(lines)} gap(s): "
        + "; ".join(lines)
        + "."
    )


def _near_en(gap: Gap | None, frame: Span) -> str:
    if gap is None or gap.nearest_span is None:
        return ""
    interval = interval_en(gap.nearest_span, frame.start)
    return f"; nearest unlinked footage: {gap.nearest_source}, {interval}"
