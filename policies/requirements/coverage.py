"""Coverage: which part of an action qualifying recordings show, and what is missing.

Arithmetic of DESIGN section 5: recordings become spans of true time; segments of one source join
when the break is within the recorder's rollover; then the clock's uncertainty shrinks the ends of
what was joined (one source has one clock); spans without packets of a demanded track do not
count, doubtful ones do not satisfy; the union over sources is cut with the action's interval;
what remains are gaps, each with its cause and the nearest footage.
Source of the duty: 兴隆县指导意见 第八条; of the rollover: GA/T 947 (最大录像间隔).
"""

from dataclasses import dataclass
from itertools import groupby

from policies.facts import ActionFacts, Footage
from policies.findings import Cause, Gap
from policies.intervals import Span, subtract, total, union, within
from policies.requirements.outcome import Outcome
from policies.wording import clock, length_en, length_zh

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
    """Parameters. Seconds throughout; `min_share` is a share of the action's interval."""

    audio: bool = True
    min_share: float = 1.0
    max_gap_s: float = 1.0
    rollover_s: float = 2.0
    assumed_uncertainty_s: float = 2.0
    min_sources: int = 1
    starts_before_s: float = 0.0
    ends_after_s: float = 0.0

    def check(self, facts: ActionFacts) -> Outcome:
        """Tell whether the action is covered; see `covered` for the arithmetic alone."""
        if facts.span is None:
            return Outcome(
                passed=False,
                message_zh="本次执法活动还没有登记结束时间,无法核对录像是否全程。",
                message_en="The action has no end yet, so its coverage cannot be computed.",
                mend_zh="请先登记结束时间。",
                mend_en="Enter when the action ended.",
            )
        result = covered(self, facts)
        long_gaps = tuple(gap for gap in result.gaps if gap.span.seconds > self.max_gap_s)
        fewest = self._sources(facts)
        passed = result.share >= self.min_share - 1e-9 if self.min_share < 1 else not long_gaps
        passed = passed and not long_gaps and fewest >= self.min_sources
        told = {
            "share": round(result.share, 6),
            "covered_s": round(result.covered_s, 3),
            "action_s": round(facts.span.seconds, 3),
            "clock_measured": result.clock_measured,
            "assumed_uncertainty_s": self.assumed_uncertainty_s,
            "sources": fewest,
        }
        if passed:
            return Outcome(
                passed=True,
                message_zh=f"录音录像覆盖全程({length_zh(facts.span.seconds)})。",
                message_en=f"Recordings cover the whole action ({length_en(facts.span.seconds)}).",
                facts=told,
                gaps=result.gaps,
            )
        named = long_gaps or result.gaps
        return Outcome(
            passed=False,
            message_zh=_told_zh(facts.span, result.share, named),
            message_en=_told_en(facts.span, result.share, named),
            mend_zh="请关联能补上缺口的录像(如另一名执法人员的记录仪),或按规定提交情况说明。",
            mend_en="Link footage that fills the gap (another officer's recorder, say), "
            "or hand in a written explanation.",
            facts=told,
            gaps=named,
        )

    def _sources(self, facts: ActionFacts) -> int:
        return len({item.source for item in facts.footage if item.span and item.has_video})


@dataclass(frozen=True, slots=True)
class Covered:
    """The arithmetic's result: share in [0, 1], seconds, gaps in order of time."""

    share: float
    covered_s: float
    gaps: tuple[Gap, ...]
    clock_measured: bool
    per_source: PerSource = ()


def covered(rule: Coverage, facts: ActionFacts) -> Covered:
    """Return coverage of an action that has an end."""
    frame = facts.span
    if frame is None:
        return Covered(0.0, 0.0, (), clock_measured=False)
    good = _by_source(rule, facts.footage)
    spans = within(union(span for _, found in good for span in found), frame)
    gaps = tuple(gap for hole in subtract([frame], spans) for gap in _explained(rule, hole, facts))
    share = total(spans) / frame.seconds
    measured = all(item.uncertainty_s is not None for item in facts.footage)
    return Covered(share, total(spans), gaps, measured, good)


def _by_source(rule: Coverage, footage: tuple[Footage, ...]) -> PerSource:
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
        bad = [span for item in sound for span in _bad(rule, item)]
        found.append((source, subtract(certain, bad)))
    return tuple(found)


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
            gaps += [Gap(part, cause) for part in here]
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
    linked = {item.recording for item in facts.footage}
    best: tuple[float, str] | None = None
    for item in facts.nearby:
        if item.span is None or item.recording in linked:
            continue
        distance = max(
            0.0,
            (item.span.start - gap.span.end).total_seconds(),
            (gap.span.start - item.span.end).total_seconds(),
        )
        if best is None or distance < best[0]:
            best = (distance, item.recording)
    if best is None:
        return gap
    return Gap(gap.span, gap.cause, best[1], best[0])


def _told_zh(frame: Span, share: float, gaps: tuple[Gap, ...]) -> str:
    lines = [
        f"{clock(gap.span.start)} 至 {clock(gap.span.end)}"
        f"(缺 {length_zh(gap.span.seconds)}):{CAUSE_ZH[gap.cause]}{_near_zh(gap)}"
        for gap in gaps
    ]
    head = (
        f"应全程录音录像 {clock(frame.start)} 至 {clock(frame.end)},"
        f"现覆盖 {share * 100:.1f}%,有 {len(gaps)} 处缺口:"
    )
    return head + ";".join(lines) + "。"


def _near_zh(gap: Gap) -> str:
    if gap.nearest is None:
        return ""
    where = "可补上" if not gap.nearest_distance_s else f"相距{length_zh(gap.nearest_distance_s)}"
    return f",最近的未关联录像 {gap.nearest[:8]}({where})"


def _told_en(frame: Span, share: float, gaps: tuple[Gap, ...]) -> str:
    lines = [
        f"{clock(gap.span.start)} to {clock(gap.span.end)} "
        f"({length_en(gap.span.seconds)} missing): {CAUSE_EN[gap.cause]}"
        + (f"; nearest unlinked footage {gap.nearest[:8]}" if gap.nearest else "")
        for gap in gaps
    ]
    return (
        f"To be recorded whole from {clock(frame.start)} to {clock(frame.end)}; "
        f"{share * 100:.1f}% is covered, {len(gaps)} gap(s): " + "; ".join(lines) + "."
    )
