"""Coverage: which part of an action qualifying recordings show, and what is missing.

Arithmetic of DESIGN section 5: recordings become spans of true time; segments of one source join
when the break is within the recorder's rollover; then the clock's uncertainty shrinks the ends of
what was joined (one source has one clock); spans without packets of a demanded track do not
count, doubtful ones do not satisfy; the union over sources is cut with the action's interval;
what remains are gaps, each with its cause and the nearest footage.
Source of the duty: 兴隆县指导意见 第八条; of the rollover: GA/T 947 (最大录像间隔).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from policies.facts.facts import ActionFacts, Doubt, Footage, Offsets
from policies.facts.findings import Cause, Gap
from policies.facts.terms import MOMENT_EN, MOMENT_ZH, MomentKind, SourceKind
from policies.requirements.outcome import Outcome, Scope
from policies.time.intervals import (
    Runs,
    Span,
    length,
    merged,
    runs_of,
    shared,
    shrunk,
    spans_of,
    subtract,
    total,
    union,
    within,
    without,
)
from policies.time.wording import interval_en, interval_zh, length_en, length_zh, percent

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
class Coverage:
    """Parameters, seconds throughout.

    The demanded interval is the action's, longer by `starts_before_s` and `ends_after_s`. It is
    covered when no gap, whatever its causes, is longer than `max_gap_s`, and all gaps together
    are no longer than that or than `1 - min_share` of the interval, whichever is more. Only
    `sources` of these kinds count (empty: all); footage of `min_officers` different officers must
    qualify somewhere; moments that `shows` names, where marked, must lie in covered time. Files
    of one source may overlap by `overlap_s`, for recorders keep half a minute from before the
    button; beyond that their times contradict each other and none of them counts.
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
    sources: tuple[SourceKind, ...] = ()
    min_officers: int = 0
    shows: tuple[MomentKind, ...] = ()
    overlap_s: float = 40.0

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
            "officers": len(result.officers),
            "contradictory": list(result.contradictory),
            "unseen": list(result.unseen),
        }
        wanting = self._wanting(sources, result)
        if self._whole(result, frame) and not wanting:
            return Outcome(
                passed=True,
                message_zh=f"录音录像覆盖全程({length_zh(frame.seconds)})。",
                message_en=f"Recordings cover the whole action ({length_en(frame.seconds)}).",
                facts=told,
                gaps=result.gaps,
            )
        return Outcome(
            passed=False,
            message_zh=_told_zh(frame, result) + "".join(f"{zh}。" for zh, _en in wanting),
            message_en=" ".join([_told_en(frame, result), *(f"{en}." for _zh, en in wanting)]),
            mend_zh="请关联能补上缺口的录像(如另一名执法人员的记录仪),或按规定提交情况说明。",
            mend_en="Link footage that fills the gap (another officer's recorder, say), "
            "or hand in a written explanation.",
            facts=told,
            gaps=result.gaps,
        )

    def _wanting(self, sources: int, result: "Covered") -> list[tuple[str, str]]:
        """Say in both languages what is wanting besides gaps."""
        told = []
        if sources < self.min_sources:
            told.append(
                (
                    f"应有至少 {self.min_sources} 台设备同时记录,现有 {sources} 台",
                    f"At least {self.min_sources} sources must record; {sources} did",
                )
            )
        if len(result.officers) < self.min_officers:
            told.append(
                (
                    f"应有至少 {self.min_officers} 名执法人员记录,现有 {len(result.officers)} 名",
                    f"{self.min_officers} officers must record; {len(result.officers)} did",
                )
            )
        if result.unseen:
            told.append(
                (
                    f"录像没有拍到:{'、'.join(MOMENT_ZH[one] for one in result.unseen)}",
                    f"Not shown: {', '.join(MOMENT_EN[one] for one in result.unseen)}",
                )
            )
        if result.contradictory:
            told.append(
                (
                    f"{'、'.join(result.contradictory)} 的文件时间互相重叠,请核对时钟和编号",
                    f"Files of {', '.join(result.contradictory)} claim the same time",
                )
            )
        return told

    def _whole(self, result: "Covered", frame: Span) -> bool:
        allowed = max(self.max_gap_s, (1 - self.min_share) * frame.seconds)
        longest = max((hole.seconds for hole in result.holes), default=0.0)
        return longest <= self.max_gap_s and total(result.holes) <= allowed + 1e-9


_NOTHING: Runs = ([], [])


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


def covered(rule: Coverage, facts: ActionFacts) -> Covered:
    """Return coverage of an action that has an end."""
    frame = rule.frame(facts)
    if frame is None:
        return Covered(0.0, 0.0, (), (), clock_measured=False)
    since = facts.start
    sources = _sources(rule, facts.footage, since.timestamp())
    good = {name: without(one.certain, one.bad) for name, one in sources.items()}
    starts = [start for runs in good.values() for start in runs[0]]
    ends = [end for runs in good.values() for end in runs[1]]
    whole = runs_of([frame], since)
    shown = shared(without(merged(starts, ends), _unfilled(sources)), whole)
    holes = tuple(spans_of(without(whole, shown), since))
    seconds = length(shown)
    contradictory = tuple(sorted(name for name, one in sources.items() if one.contradictory))
    return Covered(
        share=min(1.0, seconds / frame.seconds),
        covered_s=seconds,
        holes=holes,
        gaps=tuple(gap for hole in holes for gap in _explained(rule, hole, facts, contradictory)),
        clock_measured=all(item.uncertainty_s is not None for item in facts.footage),
        per_source=tuple((name, tuple(spans_of(good[name], since))) for name in sorted(good)),
        contradictory=contradictory,
        officers=frozenset(
            officer
            for name, one in sources.items()
            if shared(good[name], whole)[0]
            for officer in one.officers
        ),
        unseen=_unseen(rule, facts, shown),
    )


@dataclass(slots=True)
class _Source:
    """What one source shows, in seconds from the action's start; `unsure` is its clock's."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    bad_starts: list[float] = field(default_factory=list)
    bad_ends: list[float] = field(default_factory=list)
    officers: set[str] = field(default_factory=set)
    unsure: float = 0.0
    contradictory: bool = False
    certain: Runs = _NOTHING
    bad: Runs = _NOTHING

    def finish(self, rule: Coverage) -> None:
        """Join, shrink by the clock's uncertainty, and see whether the clock can be believed."""
        first, last = sorted(self.starts), sorted(self.ends)
        limit = rule.overlap_s
        self.contradictory = any(a < b - limit for a, b in zip(first[1:], last, strict=False))
        if not self.contradictory:
            self.certain = shrunk(merged(first, last, rule.rollover_s), self.unsure)
        if self.bad_starts:
            self.bad = merged(self.bad_starts, self.bad_ends)

    def surely_good(self) -> Runs:
        """Return what it shows even if its clock is off by all of its uncertainty."""
        by = self.unsure
        wide = merged([a - by for a in self.bad[0]], [b + by for b in self.bad[1]])
        return without(self.certain, wide)


def _sources(rule: Coverage, footage: tuple[Footage, ...], zero: float) -> dict[str, _Source]:
    """Sort footage by source. This loop is what coverage costs: a microsecond a recording."""
    found: dict[str, _Source] = {}
    audio, kinds, assumed = rule.audio, rule.sources, rule.assumed_uncertainty_s
    for item in footage:
        if item.start is None or item.end is None:
            continue
        start, end = item.start.timestamp() - zero, item.end.timestamp() - zero
        if start >= end:
            continue
        one = found.get(item.source)
        if one is None:
            one = found[item.source] = _Source()
        unsure = assumed if item.uncertainty_s is None else item.uncertainty_s
        one.unsure = max(one.unsure, unsure)
        sound = item.has_audio or not audio
        if not (item.has_video and sound and (not kinds or item.source_kind in kinds)):
            continue
        one.starts.append(start)
        one.ends.append(end)
        if item.officer is not None:
            one.officers.add(item.officer)
        if item.missing_video or item.doubtful or item.faulty or item.missing_audio:
            _failing(one, item, start, end, audio=audio)
    for one in found.values():
        one.finish(rule)
    return found


def _failing(one: _Source, item: Footage, start: float, end: float, *, audio: bool) -> None:
    """Enter where a recording fails, cut with the recording's own time."""
    spans = [*item.missing_video, *_offsets(item.doubtful), *_offsets(item.faulty)]
    spans += item.missing_audio if audio else ()
    for a, b in spans:
        first, last = max(start + a, start), min(start + b, end)
        if first < last:
            one.bad_starts.append(first)
            one.bad_ends.append(last)


def _unfilled(sources: dict[str, _Source]) -> Runs:
    """Return failing spans that no other source fills for sure.

    Where exactly a failure lies is as uncertain as its source's clock: another source fills it
    only if it shows the failure widened by that.
    """
    starts: list[float] = []
    ends: list[float] = []
    for one in sources.values():
        if not one.bad[0]:
            continue
        sure = [other.surely_good() for other in sources.values() if other is not one]
        others = merged([a for r in sure for a in r[0]], [b for r in sure for b in r[1]])
        for a, b in zip(*one.bad, strict=True):
            if without(([a - one.unsure], [b + one.unsure]), others)[0]:
                starts.append(a)
                ends.append(b)
    return merged(starts, ends)


def _unseen(rule: Coverage, facts: ActionFacts, shown: Runs) -> tuple[MomentKind, ...]:
    """Return which of the moments that footage must show, and that were marked, it does not."""
    if not rule.shows:
        return ()
    since = facts.start
    seconds = [(one.kind, (one.at - since).total_seconds()) for one in facts.moments]
    return tuple(
        kind
        for kind in rule.shows
        if any(one is kind for one, _at in seconds)
        and not any(
            one is kind and any(a <= at < b for a, b in zip(*shown, strict=True))
            for one, at in seconds
        )
    )


def _offsets(doubts: tuple[Doubt, ...]) -> tuple[Offsets, ...]:
    return tuple((a, b) for a, b, _ in doubts)


def _explained(
    rule: Coverage, hole: Span, facts: ActionFacts, contradictory: tuple[str, ...]
) -> tuple[Gap, ...]:
    """Split a hole by why it is one: footage that is there but does not qualify, or none."""
    left: tuple[Span, ...] = (hole,)
    gaps: list[Gap] = []
    for cause, spans in _faults(rule, facts.footage, contradictory):
        for span in within(union(spans), hole):
            here = within(left, span)
            gaps += [_with_nearest(Gap(part, cause), facts) for part in here]
            left = subtract(left, here)
    gaps += [_with_nearest(Gap(part, Cause.NO_FOOTAGE), facts) for part in left]
    return tuple(sorted(gaps, key=lambda gap: gap.span))


def _faults(
    rule: Coverage, footage: tuple[Footage, ...], contradictory: tuple[str, ...]
) -> list[tuple[Cause, list[Span]]]:
    found: dict[Cause, list[Span]] = {cause: [] for cause in CAUSE_ZH}
    for item in footage:
        if item.span is None:
            continue
        if rule.sources and item.source_kind not in rule.sources:
            found[Cause.OTHER_SOURCE].append(item.span)
            continue
        if item.source in contradictory:
            found[Cause.CONTRADICTORY].append(item.span)
        no_video, no_audio = (item.span,), (item.span,)
        found[Cause.NO_PICTURE] += item.moments(item.missing_video) if item.has_video else no_video
        if rule.audio:
            found[Cause.NO_SOUND] += (
                item.moments(item.missing_audio) if item.has_audio else no_audio
            )
        found[Cause.FAULTY] += item.moments(_offsets(item.faulty))
        found[Cause.DOUBTFUL] += item.moments(_offsets(item.doubtful))
        found[Cause.CLOCK].append(item.span)
    return [(cause, found[cause]) for cause in _ORDER]


_ORDER = (
    Cause.NO_PICTURE,
    Cause.NO_SOUND,
    Cause.FAULTY,
    Cause.DOUBTFUL,
    Cause.CONTRADICTORY,
    Cause.CLOCK,
    Cause.OTHER_SOURCE,
)


def _with_nearest(gap: Gap, facts: ActionFacts) -> Gap:
    """Name the unlinked recording that fills most of the gap, or else lies closest to it."""
    linked = {item.recording for item in facts.footage}
    best: tuple[float, float, str] | None = None
    for item in facts.nearby:
        if item.span is None or item.recording in linked:
            continue
        both = item.span.cut(gap.span)
        fills = both.seconds if both else 0.0
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
