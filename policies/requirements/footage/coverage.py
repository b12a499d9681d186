"""Coverage: which part of an action qualifying recordings show, and what is missing.

The arithmetic (docs/COVERAGE.md): recordings become spans of true time; segments of one source join
when the break is within the recorder's rollover; then the clock's uncertainty shrinks the ends of
what was joined (one source has one clock); spans without packets of a demanded track do not
count, doubtful ones do not satisfy; the union over sources is cut with the action's interval;
what remains are gaps, each with its cause and the nearest footage.
Source of the duty: 兴隆县指导意见 第八条; of the rollover: GA/T 947 (最大录像间隔).
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from policies.facts.facts import ActionFacts, Doubt, Footage, Offsets
from policies.facts.findings import Cause, Gap
from policies.facts.terms import MOMENT_EN, MOMENT_ZH, MomentKind, SourceKind
from policies.requirements.footage.covered import (
    CAUSE_ZH,
    Covered,
    describe_gaps_en,
    describe_gaps_zh,
)
from policies.requirements.outcome import Outcome, Scope
from policies.time.intervals import (
    Runs,
    Span,
    clip_spans,
    intersect_runs,
    merge_runs,
    runs_of,
    shrink_runs,
    spans_of,
    subtract_runs,
    subtract_spans,
    sum_run_seconds,
    sum_span_seconds,
    unite_spans,
)
from policies.time.wording import length_en, length_zh


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

    def compute_frame(self, facts: ActionFacts) -> Span | None:
        """Return the interval that must be shown, once the action has an end."""
        whole = facts.span
        return whole.widen(self.starts_before_s, self.ends_after_s) if whole else None

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Tell whether the action is covered; see `covered` for the arithmetic alone."""
        frame = self.compute_frame(facts)
        if frame is None:
            return Outcome(
                passed=False,
                message_zh="本次执法活动还没有登记结束时间,无法核对录像是否全程。",
                message_en="The action has no end yet, so its coverage cannot be computed.",
                mend_zh="请先登记结束时间。",
                mend_en="Enter when the action ended.",
            )
        coverage = compute_coverage(self, facts)
        sources = len(
            {footage.source for footage in facts.footage if footage.span and footage.has_video}
        )
        details = {
            "share": round(coverage.share, 6),
            "covered_s": round(coverage.covered_s, 3),
            "action_s": round(frame.seconds, 3),
            "clock_measured": coverage.clock_measured,
            "assumed_uncertainty_s": self.assumed_uncertainty_s,
            "sources": sources,
            "officers": len(coverage.officers),
            "contradictory": list(coverage.contradictory),
            "unseen": list(coverage.unseen),
        }
        wanting = self._list_shortfalls(sources, coverage)
        if self._is_whole(coverage, frame) and not wanting:
            return Outcome(
                passed=True,
                message_zh=f"录音录像覆盖全程({length_zh(frame.seconds)})。",
                message_en=f"Recordings cover the whole action ({length_en(frame.seconds)}).",
                facts=details,
                gaps=coverage.gaps,
            )
        return Outcome(
            passed=False,
            message_zh=describe_gaps_zh(frame, coverage)
            + "".join(f"{zh}。" for zh, _en in wanting),
            message_en=" ".join(
                [describe_gaps_en(frame, coverage), *(f"{en}." for _zh, en in wanting)]
            ),
            mend_zh="请关联能补上缺口的录像(如另一名执法人员的记录仪),或按规定提交情况说明。",
            mend_en="Link footage that fills the gap (another officer's recorder, say), "
            "or hand in a written explanation.",
            facts=details,
            gaps=coverage.gaps,
        )

    def _list_shortfalls(self, sources: int, coverage: Covered) -> list[tuple[str, str]]:
        """List the shortfalls besides gaps, in both languages."""
        shortfalls = []
        if sources < self.min_sources:
            shortfalls.append(
                (
                    f"应有至少 {self.min_sources} 台设备同时记录,现有 {sources} 台",
                    f"At least {self.min_sources} sources must record; {sources} did",
                )
            )
        if len(coverage.officers) < self.min_officers:
            shortfalls.append(
                (
                    f"应有至少 {self.min_officers} 名执法人员记录,现有 {len(coverage.officers)} 名",
                    f"{self.min_officers} officers must record; {len(coverage.officers)} did",
                )
            )
        if coverage.unseen:
            shortfalls.append(
                (
                    f"录像没有拍到:{'、'.join(MOMENT_ZH[moment] for moment in coverage.unseen)}",
                    f"Not shown: {', '.join(MOMENT_EN[moment] for moment in coverage.unseen)}",
                )
            )
        if coverage.contradictory:
            shortfalls.append(
                (
                    f"{'、'.join(coverage.contradictory)} 的文件时间互相重叠,请核对时钟和编号",
                    f"Files of {', '.join(coverage.contradictory)} claim the same time",
                )
            )
        return shortfalls

    def _is_whole(self, coverage: Covered, frame: Span) -> bool:
        allowed = max(self.max_gap_s, (1 - self.min_share) * frame.seconds)
        longest = max((hole.seconds for hole in coverage.holes), default=0.0)
        return longest <= self.max_gap_s and sum_span_seconds(coverage.holes) <= allowed + 1e-9


_NOTHING: Runs = ([], [])


def compute_coverage(rule: Coverage, facts: ActionFacts) -> Covered:
    """Return coverage of an action that has an end."""
    frame = rule.compute_frame(facts)
    if frame is None:
        return Covered(0.0, 0.0, (), (), clock_measured=False)
    since = facts.start
    sources = _collect_sources(rule, facts.footage, since.timestamp())
    good = {name: subtract_runs(source.certain, source.bad) for name, source in sources.items()}
    starts = [start for runs in good.values() for start in runs[0]]
    ends = [end for runs in good.values() for end in runs[1]]
    whole = runs_of([frame], since)
    shown_runs = intersect_runs(
        subtract_runs(merge_runs(starts, ends), _find_unfilled(sources)), whole
    )
    holes = tuple(spans_of(subtract_runs(whole, shown_runs), since))
    seconds = sum_run_seconds(shown_runs)
    contradictory = tuple(sorted(name for name, source in sources.items() if source.contradictory))
    return Covered(
        share=min(1.0, seconds / frame.seconds),
        covered_s=seconds,
        holes=holes,
        gaps=tuple(
            gap for hole in holes for gap in _explain_hole(rule, hole, facts, contradictory)
        ),
        clock_measured=all(footage.uncertainty_s is not None for footage in facts.footage),
        per_source=tuple((name, tuple(spans_of(good[name], since))) for name in sorted(good)),
        contradictory=contradictory,
        officers=frozenset(
            officer
            for name, source in sources.items()
            if intersect_runs(good[name], whole)[0]
            for officer in source.officers
        ),
        unseen=_find_unseen_moments(rule, facts, shown_runs),
    )


@dataclass(slots=True)
class _Source:
    """Footage of one source, seconds from the action's start; `unsure`: clock uncertainty."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    bad_starts: list[float] = field(default_factory=list)
    bad_ends: list[float] = field(default_factory=list)
    officers: set[str] = field(default_factory=set)
    unsure: float = 0.0
    contradictory: bool = False
    certain: Runs = _NOTHING
    bad: Runs = _NOTHING

    def compute_runs(self, rule: Coverage) -> None:
        """Join, shrink by the clock's uncertainty, and see whether the clock can be believed."""
        first, last = sorted(self.starts), sorted(self.ends)
        limit = rule.overlap_s
        self.contradictory = any(a < b - limit for a, b in zip(first[1:], last, strict=False))
        if not self.contradictory:
            self.certain = shrink_runs(merge_runs(first, last, rule.rollover_s), self.unsure)
        if self.bad_starts:
            self.bad = merge_runs(self.bad_starts, self.bad_ends)

    def surely_good(self) -> Runs:
        """Return what it shows even if its clock is off by all of its uncertainty."""
        by = self.unsure
        wide = merge_runs([a - by for a in self.bad[0]], [b + by for b in self.bad[1]])
        return subtract_runs(self.certain, wide)


def _collect_sources(
    rule: Coverage, footage: tuple[Footage, ...], zero: float
) -> dict[str, _Source]:
    """Sort footage by source. This loop is what coverage costs: a microsecond a recording."""
    sources: dict[str, _Source] = {}
    audio, kinds, assumed = rule.audio, rule.sources, rule.assumed_uncertainty_s
    for recording in footage:
        if recording.start is None or recording.end is None:
            continue
        start, end = recording.start.timestamp() - zero, recording.end.timestamp() - zero
        if start >= end:
            continue
        source = sources.get(recording.source)
        if source is None:
            source = sources[recording.source] = _Source()
        unsure = assumed if recording.uncertainty_s is None else recording.uncertainty_s
        source.unsure = max(source.unsure, unsure)
        sound = recording.has_audio or not audio
        if not (recording.has_video and sound and (not kinds or recording.source_kind in kinds)):
            continue
        source.starts.append(start)
        source.ends.append(end)
        if recording.officer is not None:
            source.officers.add(recording.officer)
        if (
            recording.missing_video
            or recording.doubtful
            or recording.faulty
            or recording.missing_audio
        ):
            _mark_failures(source, recording, start, end, audio=audio)
    for source in sources.values():
        source.compute_runs(rule)
    return sources


def _mark_failures(
    source: _Source, recording: Footage, start: float, end: float, *, audio: bool
) -> None:
    """Add the failing spans of a recording to its source, cut with the recording's time."""
    spans = [
        *recording.missing_video,
        *_doubt_offsets(recording.doubtful),
        *_doubt_offsets(recording.faulty),
    ]
    spans += recording.missing_audio if audio else ()
    for a, b in spans:
        first, last = max(start + a, start), min(start + b, end)
        if first < last:
            source.bad_starts.append(first)
            source.bad_ends.append(last)


def _find_unfilled(sources: dict[str, _Source]) -> Runs:
    """Return failing spans that no other source fills for sure.

    Where exactly a failure lies is as uncertain as its source's clock: another source fills it
    only if it shows the failure widened by that.
    """
    starts: list[float] = []
    ends: list[float] = []
    for source in sources.values():
        if not source.bad[0]:
            continue
        sure = [other.surely_good() for other in sources.values() if other is not source]
        other_runs = merge_runs([a for r in sure for a in r[0]], [b for r in sure for b in r[1]])
        for a, b in zip(*source.bad, strict=True):
            if subtract_runs(([a - source.unsure], [b + source.unsure]), other_runs)[0]:
                starts.append(a)
                ends.append(b)
    return merge_runs(starts, ends)


def _find_unseen_moments(
    rule: Coverage, facts: ActionFacts, shown_runs: Runs
) -> tuple[MomentKind, ...]:
    """Return which of the moments that footage must show, and that were marked, it does not."""
    if not rule.shows:
        return ()
    since = facts.start
    seconds = [(moment.kind, (moment.at - since).total_seconds()) for moment in facts.moments]
    return tuple(
        kind
        for kind in rule.shows
        if any(marked_kind is kind for marked_kind, _at in seconds)
        and not any(
            marked_kind is kind and any(a <= at < b for a, b in zip(*shown_runs, strict=True))
            for marked_kind, at in seconds
        )
    )


def _doubt_offsets(doubts: tuple[Doubt, ...]) -> tuple[Offsets, ...]:
    return tuple((a, b) for a, b, _ in doubts)


def _explain_hole(
    rule: Coverage, hole: Span, facts: ActionFacts, contradictory: tuple[str, ...]
) -> tuple[Gap, ...]:
    """Split a hole by why it is one: footage that is there but does not qualify, or none."""
    remainder: tuple[Span, ...] = (hole,)
    gaps: list[Gap] = []
    for cause, spans in _collect_faults(rule, facts.footage, contradictory):
        for span in clip_spans(unite_spans(spans), hole):
            here = clip_spans(remainder, span)
            gaps += [_with_nearest(Gap(part, cause), facts) for part in here]
            remainder = subtract_spans(remainder, here)
    gaps += [_with_nearest(Gap(part, Cause.NO_FOOTAGE), facts) for part in remainder]
    return tuple(sorted(gaps, key=lambda gap: gap.span))


def _collect_faults(
    rule: Coverage, footage: tuple[Footage, ...], contradictory: tuple[str, ...]
) -> list[tuple[Cause, list[Span]]]:
    spans_by_cause: dict[Cause, list[Span]] = {cause: [] for cause in CAUSE_ZH}
    for recording in footage:
        if recording.span is None:
            continue
        if rule.sources and recording.source_kind not in rule.sources:
            spans_by_cause[Cause.OTHER_SOURCE].append(recording.span)
            continue
        if recording.source in contradictory:
            spans_by_cause[Cause.CONTRADICTORY].append(recording.span)
        no_video, no_audio = (recording.span,), (recording.span,)
        spans_by_cause[Cause.NO_PICTURE] += (
            recording.convert_offsets(recording.missing_video) if recording.has_video else no_video
        )
        if rule.audio:
            spans_by_cause[Cause.NO_SOUND] += (
                recording.convert_offsets(recording.missing_audio)
                if recording.has_audio
                else no_audio
            )
        spans_by_cause[Cause.FAULTY] += recording.convert_offsets(_doubt_offsets(recording.faulty))
        spans_by_cause[Cause.DOUBTFUL] += recording.convert_offsets(
            _doubt_offsets(recording.doubtful)
        )
        spans_by_cause[Cause.CLOCK].append(recording.span)
    return [(cause, spans_by_cause[cause]) for cause in _ORDER]


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
    linked = {footage.recording for footage in facts.footage}
    best: tuple[float, float, str] | None = None
    for footage in facts.nearby:
        if footage.span is None or footage.recording in linked:
            continue
        overlap = footage.span.intersection(gap.span)
        fills = overlap.seconds if overlap else 0.0
        rank = (-fills, footage.span.distance_to(gap.span), footage.recording)
        if best is None or rank < best:
            best = rank
            gap = replace(
                gap,
                nearest=footage.recording,
                nearest_source=footage.source,
                nearest_span=footage.span,
                nearest_distance_s=rank[1],
                nearest_fills_s=fills,
            )
    return gap
