"""Full-process quality: what in a recording is missing or doubtful, as findings with a place.

Structure and packets are facts. Black, covered, frozen or damaged pictures and silence are doubts:
a lens is dark at night too, and a person confirms or dismisses them with a reason. What the time
was too short to look at is told, and is no doubt. Pure: it reads what `probe` saw
(docs/INSPECTION.md).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ingest.media.probe import MediaFacts
from storage.recording import MediaKind

_APART_S = 1.0

# Kind of finding: how it is told to people, in Chinese and in English.
WORDS = {
    "unplayable": ("文件无法播放", "the file cannot be played"),
    "truncated": ("文件不完整,结尾缺失", "the file is cut off"),
    "no-sound-track": ("没有声音轨", "no sound track"),
    "no-picture-track": ("没有画面轨", "no picture track"),
    "no-picture": ("此处没有画面数据", "no picture data here"),
    "no-sound": ("此处没有声音数据", "no sound data here"),
    "shorter-than-declared": ("实际时长短于文件所称时长", "shorter than the file declares"),
    "frame-rate-collapse": ("此处帧率骤降", "the frame rate collapsed here"),
    "clock-jump": ("录制中设备时钟倒退", "the clock ran backwards while recording"),
    "undecodable": ("部分画面或声音无法解码", "some pictures or sound cannot be decoded"),
    "not-inspected": ("此处起未作画面或声音检查", "not looked at or listened to from here"),
    "black": ("画面全黑", "the picture is black"),
    "covered": ("镜头疑似被遮挡", "the lens seems to be covered"),
    "frozen": ("画面疑似静止不动", "the picture seems to stand still"),
    "damaged": ("画面损坏,不能辨认", "the picture is damaged"),
    "silent": ("声音过轻,近于无声", "nearly silent"),
    "muted": ("完全无声,疑似关闭或损坏话筒", "all zero: microphone off or broken"),
}


class Weight(StrEnum):
    """Whether a machine may conclude from it."""

    FACT = "fact"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One finding; seconds from the start of the file, None where it has no place."""

    kind: str
    weight: Weight
    start_s: float | None = None
    end_s: float | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def inspect_media(facts: MediaFacts) -> tuple[Inspection, ...]:
    """Return what is wrong with this recording: structure, packets, pictures, sound."""
    # Photos and documents have neither packets in time nor anything to doubt.
    if facts.kind not in {MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.UNKNOWN}:
        return ()
    findings = []
    if not facts.playable:
        findings.append(Inspection("unplayable", Weight.FACT, detail=facts.unplayable_reason or ""))
    if facts.truncated:
        findings.append(
            Inspection("truncated", Weight.FACT, detail=f"{facts.missing_bytes} bytes missing")
        )
    # Of a file that nothing can play, missing tracks would be a guess.
    if facts.kind is MediaKind.VIDEO and facts.playable:
        if not facts.has_audio:
            findings.append(Inspection("no-sound-track", Weight.FACT))
        if not facts.has_video:
            findings.append(Inspection("no-picture-track", Weight.FACT))
    findings += [Inspection("no-picture", Weight.FACT, a, b) for a, b in facts.missing_video]
    findings += [Inspection("no-sound", Weight.FACT, a, b) for a, b in facts.missing_audio]
    declared, true = facts.declared_s, facts.duration_s
    if declared is not None and true is not None and declared - true > _APART_S:
        findings.append(
            Inspection(
                "shorter-than-declared", Weight.FACT, true, declared, f"{declared - true:.3f} s"
            )
        )
    findings += _find_timing_faults(facts)
    if facts.playable:
        findings += _find_doubts(facts)
        findings += _find_uninspected(facts)
        findings += _find_damage(facts)
    return tuple(findings)


def _find_timing_faults(facts: MediaFacts) -> Iterator[Inspection]:
    """Yield where the frame rate fell, and where a clock within the file ran backwards."""
    for start, end in facts.slow:
        yield Inspection("frame-rate-collapse", Weight.FACT, start, end)
    for start, end in facts.jumps:
        detail = f"{end - start:.3f} s backwards"
        yield Inspection("clock-jump", Weight.FACT, start, end, detail)


def _find_doubts(facts: MediaFacts) -> Iterator[Inspection]:
    for inspection in (facts.pictures, facts.sounds):
        if inspection is not None:
            detail = f"looked every {inspection.resolution_s:.1f} s"
            for kind, start, end in inspection.spans:
                yield Inspection(kind, Weight.DOUBT, start, end, detail)


def _find_uninspected(facts: MediaFacts) -> Iterator[Inspection]:
    """Yield uninspected spans: all if a decoder died, else the rest when time was up."""
    for part, inspection, present in (
        ("pictures", facts.pictures, facts.has_video),
        ("sounds", facts.sounds, facts.has_audio),
    ):
        # A missing track is a finding of its own, and not one that went without a look.
        if present and not (inspection and inspection.complete):
            upto = inspection.upto_s if inspection else 0.0
            yield Inspection("not-inspected", Weight.FACT, upto, facts.duration_s, part)


def _find_damage(facts: MediaFacts) -> Iterator[Inspection]:
    """Yield how much no decoder could read, be it long enough for a doubt or not."""
    for part, inspection in (("pictures", facts.pictures), ("sounds", facts.sounds)):
        if inspection is not None and inspection.damaged:
            yield Inspection("undecodable", Weight.FACT, detail=f"{inspection.damaged} {part}")
