"""Coverage: which part of an action qualifying recordings show, and what is missing.

Arithmetic of DESIGN section 5: recordings become spans of true time; segments of one source join
when the break is within the recorder's rollover; then the clock's uncertainty shrinks the ends of
what was joined (one source has one clock); spans without packets of a demanded track do not
count, doubtful ones do not satisfy; the union over sources is cut with the action's interval;
what remains are gaps, each with its cause and the nearest footage.
Source of the duty: 兴隆县指导意见 第八条; of the rollover: GA/T 947 (最大录像间隔).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar

from policies.facts import ActionFacts, Footage
from policies.findings import Cause, Gap
from policies.intervals import Span, subtract, total, union, within
from policies.requirements.outcome import Outcome, Scope
from policies.wording import interval_en, interval_zh, length_en, length_zh, percent

PerSource = tuple[tuple[str, tuple[Span, ...]], ...]

CAUSE_ZH = {
    Cause.NO_FOOTAGE: "没有录像",
    Cause.NO_PICTURE: "没有画面",
    Cause.NO_SOUND: "没有声音",
    Cause.DOUBTFUL: "画面或声音存疑,尚未经人确认",
    Cause.CLOCK: "记录仪时钟未校准,时间不能确定",
}
CAUSE_EN = {
    Cause.NO_FOOTAGE: "no footage",
    Cause.NO_PICTURE: "no picture",
    Cause.NO_SOUND: "no sound",
    Cause.DOUBTFUL: "doubtful picture or sound, not yet confirmed by a person",
    Cause.CLOCK: "the recorder's clock was not measured",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Parameters, seconds throughout.

    The demanded interval is the action's, longer by `starts_before_s` and `ends_after_s`. It is
    covered when no gap, whatever its causes, is longer than `max_gap_s`, and all gaps together
    are no longer than that or than `1 - min_share` of the interval, whichever is more.
    """

    scope: ClassVar[Scope] = Scope.ACTION
    audio: bool = True
    min_share: float = 1.0
    max_gap_s: float = 1.0
    rollover_s: float = 2.0
    assumed_uncertainty_s: float = 2.0
    min_sources: int = 1
    starts_before_s: float = 0.0
    ends_after_s: float = 0.0

    def frame(self, facts: ActionFacts) -> Span | None:
        """Return the interval that must be shown, once the action has an end."""
        whole = facts.span
        return whole.widened(self.starts_before_s, self.ends_after_s) if whole else None

    def check(self, facts: ActionFacts) -> Outcome:
        """Tell whether the action is covered; see `covered` for the arithmetic alone."""
        frame = self.frame(facts)
        if frame is None:
            return Outcome(
                passed=False,
                message_zh="本次执法活动还没有登记结束时间,无法核对录像是否全程。",
                message_en="The action has no end yet, so its coverage cannot be computed.",
                mend_zh="请先登记结束时间。",
                mend_en="Enter when the action ended.",
            )
        result = covered(self, facts)
        sources = len({item.source for item in facts.footage if item.span and item.has_video})
        told = {
            "share": round(result.share, 6),
            "covered_s": round(result.covered_s, 3),
            "action_s": round(frame.seconds, 3),
            "clock_measured": result.clock_measured,
            "assumed_uncertainty_s": self.assumed_uncertainty_s,
            "sources": sources,
        }
        if self._whole(result, frame) and sources >= self.min_sources:
            return Outcome(
                passed=True,
                message_zh=f"录音录像覆盖全程({length_zh(frame.seconds)})。",
                message_en=f"Recordings cover the whole action ({length_en(frame.seconds)}).",
                facts=told,
                gaps=result.gaps,
            )
        few = sources < self.min_sources
        return Outcome(
            passed=False,
            message_zh=_told_zh(frame, result) + (self._few_zh(sources) if few else ""),
            message_en=_told_en(frame, result) + (self._few_en(sources) if few else ""),
            mend_zh="请关联能补上缺口的录像(如另一名执法人员的记录仪),或按规定提交情况说明。",
            mend_en="Link footage that fills the gap (another officer's recorder, say), "
            "or hand in a written explanation.",
            facts=told,
            gaps=result.gaps,
        )

    def _whole(self, result: "Covered", frame: Span) -> bool:
        allowed = max(self.max_gap_s, (1 - self.min_share) * frame.seconds)
        longest = max((hole.seconds for hole in result.holes), default=0.0)
        return longest <= self.max_gap_s and total(result.holes) <= allowed + 1e-9

    def _few_zh(self, sources: int) -> str:
        return f"应有至少 {self.min_sources} 台设备同时记录,现有 {sources} 台。"

    def _few_en(self, sources: int) -> str:
        return f" At least {self.min_sources} sources must record; {sources} did."


@dataclass(frozen=True, slots=True)
class Covered:
    """The arithmetic's result: share in [0, 1], seconds, and what is missing in order of time.

    `holes` are what no footage shows, whole; `gaps` are the same time, split by cause.
    """

    share: float
    covered_s: float
    holes: tuple[Span, ...]
    gaps: tuple[Gap, ...]
    clock_measured: bool
    per_source: PerSource = ()


def covered(rule: Coverage, facts: ActionFacts) -> Covered:
    """Return coverage of an action that has an end."""
    frame = rule.frame(facts)
    if frame is None:
        return Covered(0.0, 0.0, (), (), clock_measured=False)
    sources = _by_source(rule, facts.footage)
    shown = subtract(
        (span for one in sources for span in one.good), (bad for bad in _unfilled(sources))
    )
    spans = within(shown, frame)
    holes = subtract([frame], spans)
    return Covered(
        share=total(spans) / frame.seconds,
        covered_s=total(spans),
        holes=holes,
        gaps=tuple(gap for hole in holes for gap in _explained(rule, hole, facts)),
        clock_measured=all(item.uncertainty_s is not None for item in facts.footage),
        per_source=tuple((one.source, one.good) for one in sources),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """What one source surely shows, and where within that it fails; `unsure` is its clock's."""

    source: str
    certain: tuple[Span, ...]
    bad: tuple[Span, ...]
    unsure: float

    @property
    def good(self) -> tuple[Span, ...]:
        return subtract(self.certain, self.bad)

    @property
    def surely_good(self) -> tuple[Span, ...]:
        """What it shows even if its clock is off by all of its uncertainty."""
        return subtract(self.certain, (b.widened(self.unsure, self.unsure) for b in self.bad))


def _by_source(rule: Coverage, footage: tuple[Footage, ...]) -> list[_Source]:
    ordered = sorted((item for item in footage if item.span), key=lambda item: item.source)
    found = []
    for source, group in groupby(ordered, key=lambda item: item.source):
        items = list(group)
        sound = [i for i in items if i.has_video and (i.has_audio or not rule.audio)]
        runs = union((i.span for i in sound if i.span), within=rule.rollover_s)
        unsure = max(
            rule.assumed_uncertainty_s if item.uncertainty_s is None else item.uncertainty_s
            for item in items
        )
        certain = tuple(inner for run in runs if (inner := run.shrunk(unsure)))
        bad = union(span for item in sound for span in _bad(rule, item))
        found.append(_Source(source, certain, bad, unsure))
    return found


def _unfilled(sources: list[_Source]) -> Iterator[Span]:
    """Yield failing spans that no other source fills for sure.

    Where exactly a failure lies is as uncertain as its source's clock: another source fills it
    only if it shows the failure widened by that.
    """
    for one in sources:
        others = [span for other in sources if other is not one for span in other.surely_good]
        for bad in one.bad:
            if subtract([bad.widened(one.unsure, one.unsure)], others):
                yield bad


def _bad(rule: Coverage, item: Footage) -> tuple[Span, ...]:
    bad = item.moments(item.missing_video) + item.moments(_offsets(item))
    return bad + item.moments(item.missing_audio) if rule.audio else bad


def _offsets(item: Footage) -> tuple[tuple[float, float], ...]:
    return tuple((a, b) for a, b, _ in item.doubtful)


def _explained(rule: Coverage, hole: Span, facts: ActionFacts) -> tuple[Gap, ...]:
    """Split a hole by why it is one: footage that is there but does not qualify, or none."""
    left: tuple[Span, ...] = (hole,)
    gaps: list[Gap] = []
    for cause, spans in _faults(rule, facts.footage):
        for span in within(union(spans), hole):
            here = within(left, span)
            gaps += [_with_nearest(Gap(part, cause), facts) for part in here]
            left = subtract(left, here)
    gaps += [_with_nearest(Gap(part, Cause.NO_FOOTAGE), facts) for part in left]
    return tuple(sorted(gaps, key=lambda gap: gap.span))


def _faults(rule: Coverage, footage: tuple[Footage, ...]) -> list[tuple[Cause, list[Span]]]:
    no_picture: list[Span] = []
    no_sound: list[Span] = []
    doubtful: list[Span] = []
    clock_only: list[Span] = []
    for item in footage:
        if item.span is None:
            continue
        no_picture += item.moments(item.missing_video) if item.has_video else (item.span,)
        if rule.audio:
            no_sound += item.moments(item.missing_audio) if item.has_audio else (item.span,)
        doubtful += item.moments(_offsets(item))
        clock_only.append(item.span)
    return [
        (Cause.NO_PICTURE, no_picture),
        (Cause.NO_SOUND, no_sound),
        (Cause.DOUBTFUL, doubtful),
        (Cause.CLOCK, clock_only),
    ]


def _with_nearest(gap: Gap, facts: ActionFacts) -> Gap:
    """Name the unlinked recording that fills most of the gap, or else lies closest to it."""
    linked = {item.recording for item in facts.footage}
    best: tuple[float, float, str] | None = None
    for item in facts.nearby:
        if item.span is None or item.recording in linked:
            continue
        fills = shared.seconds if (shared := item.span.cut(gap.span)) else 0.0
        rank = (-fills, item.span.distance(gap.span), item.recording)
        if best is None or rank < best:
            best = rank
            gap = replace(
                gap,
                nearest=item.recording,
                nearest_source=item.source,
                nearest_span=item.span,
                nearest_distance_s=rank[1],
                nearest_fills_s=fills,
            )
    return gap


def _told_zh(frame: Span, result: Covered) -> str:
    if not result.holes:
        return ""
    lines = [
        f"{interval_zh(hole, frame.start)}(缺 {length_zh(hole.seconds)}):"
        f"{'、'.join(_causes(result, hole, CAUSE_ZH, length_zh))}"
        f"{_near_zh(_nearest(result, hole), frame)}"
        for hole in result.holes
    ]
    head = (
        f"应全程录音录像 {interval_zh(frame)},"
        f"现覆盖 {percent(result.share)},有 {len(lines)} 处缺口:"
    )
    return head + ";".join(lines) + "。"


def _causes(
    result: Covered, hole: Span, words: Mapping[Cause, str], length: Callable[[float], str]
) -> list[str]:
    """Return why the hole is one; with how much of it each cause makes, where there are several."""
    parts: dict[Cause, float] = {}
    for gap in result.gaps:
        if gap.span.cut(hole):
            parts[gap.cause] = parts.get(gap.cause, 0.0) + gap.span.seconds
    if len(parts) == 1:
        return [words[cause] for cause in parts]
    ordered = sorted(parts, key=lambda cause: -parts[cause])
    return [f"{words[cause]} {length(parts[cause])}" for cause in ordered]


def _nearest(result: Covered, hole: Span) -> Gap | None:
    """Return the part of the hole that unlinked footage would fill best, if any would be near."""
    inside = [gap for gap in result.gaps if gap.span.cut(hole) and gap.nearest_span]
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
    shown = interval_zh(gap.nearest_span, frame.start)
    return f",最近的未关联录像:{gap.nearest_source} {shown}({where})"


def _told_en(frame: Span, result: Covered) -> str:
    if not result.holes:
        return ""
    lines = [
        f"{interval_en(hole, frame.start)} ({length_en(hole.seconds)} missing): "
        f"{', '.join(_causes(result, hole, CAUSE_EN, length_en))}"
        f"{_near_en(_nearest(result, hole), frame)}"
        for hole in result.holes
    ]
    return (
        f"To be recorded whole from {interval_en(frame)}; "
        f"{percent(result.share)} is covered, {len(lines)} gap(s): " + "; ".join(lines) + "."
    )


def _near_en(gap: Gap | None, frame: Span) -> str:
    if gap is None or gap.nearest_span is None:
        return ""
    shown = interval_en(gap.nearest_span, frame.start)
    return f"; nearest unlinked footage: {gap.nearest_source}, {shown}"
