"""NotAtNightOrHoliday: no forced execution at night or on legal holidays, except when urgent.

Source: 行政强制法 第四十三条. The hours of night are usage (22 to 6), not text. The law says
法定节假日, which ordinary weekends are not: they are forbidden only where a rule says `weekends`.
A weekend day within an announced holiday is part of it; one worked in exchange (调休上班) is not.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from policies.facts.facts import ActionFacts
from policies.facts.terms import Feature
from policies.requirements.outcome import Outcome, Scope
from policies.time.calendar import (
    MEND_EN,
    MEND_ZH,
    NIGHT_FROM,
    NIGHT_TO,
    Day,
    days_of,
    holiday_names,
    kind_of_day,
    nights,
    unpublished_en,
    unpublished_zh,
)
from policies.time.intervals import Span
from policies.time.wording import interval_en, interval_zh

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class NotAtNightOrHoliday:
    """Parameters: hours of night in county time; whether urgency excuses; weekends as holidays."""

    scope: ClassVar[Scope] = Scope.ACTION
    night_from: int = NIGHT_FROM
    night_to: int = NIGHT_TO
    except_urgent: bool = True
    weekends: bool = False

    def __post_init__(self) -> None:
        """Refuse hours that no clock shows."""
        if not {self.night_from, self.night_to} <= set(range(24)):
            raise ValueError("hours of night are 0 to 23")

    def check(self, facts: ActionFacts) -> Outcome:
        """Look at every second and every day of the action; without an end, at its start."""
        if facts.end is not None and facts.end < facts.start:
            return Outcome(
                passed=False,
                message_zh="结束时间早于开始时间,无法判断是否在夜间或者法定节假日实施。",
                message_en="The action ends before it starts: night and holiday cannot be judged.",
                mend_zh="请更正开始时间或者结束时间。",
                mend_en="Correct the start or the end.",
            )
        seen = _Seen.of(self, facts.span or Span(facts.start, facts.start + _INSTANT))
        if not seen.zh and not seen.unknown:
            open_zh = "" if facts.end else "(尚未登记结束时间,按开始时间判断)"
            open_en = "" if facts.end else " (no end yet: judged by the start)"
            return Outcome(
                passed=True,
                message_zh=f"没有在夜间或者法定节假日实施{open_zh}。",
                message_en=f"Not at night nor on a legal holiday{open_en}.",
                facts=seen.told,
            )
        if self.except_urgent and Feature.URGENT in facts.features:
            return self._urgent(seen)
        return self._refused(seen)

    def _urgent(self, seen: "_Seen") -> Outcome:
        why_zh = "、".join(seen.zh) or unpublished_zh(seen.unknown[0])
        why_en = ", ".join(seen.en) or unpublished_en(seen.unknown[0])
        return Outcome(
            passed=True,
            message_zh=f"登记为情况紧急,不受夜间和法定节假日限制:{why_zh}。",
            message_en=f"Registered as urgent, which excuses: {why_en}.",
            facts={**seen.told, "exempt": Feature.URGENT.value},
        )

    def _refused(self, seen: "_Seen") -> Outcome:
        zh, en = [*seen.zh], [*seen.en]
        mend_zh = "请改在工作日白天实施;" if seen.zh else ""
        mend_en = "Act by day on a working day" if seen.zh else ""
        if seen.zh:
            mend_zh += "确属情况紧急的,登记紧急情形和理由。"
            mend_en += "; if it was urgent, register that with the reason."
        if seen.unknown:
            zh.append(f"{unpublished_zh(seen.unknown[0])},无法判断是否为法定节假日")
            en.append(f"{unpublished_en(seen.unknown[0])}: legal holidays cannot be judged")
            mend_zh += MEND_ZH
            mend_en = f"{mend_en} {MEND_EN}".strip()
        return Outcome(
            passed=False,
            message_zh=f"行政强制执行不得在夜间或者法定节假日实施:{';'.join(zh)}。"
            if seen.zh
            else f"{zh[0]}。",
            message_en=f"Not allowed at night or on legal holidays: {'; '.join(en)}."
            if seen.zh
            else f"{en[0]}.",
            mend_zh=mend_zh,
            mend_en=mend_en,
            facts=seen.told,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Which parts lie at night, which days are holidays, which nobody knows."""

    zh: tuple[str, ...]
    en: tuple[str, ...]
    unknown: tuple[date, ...]
    told: dict[str, object]

    @classmethod
    def of(cls, rule: NotAtNightOrHoliday, span: Span) -> "_Seen":
        dark = nights(span, rule.night_from, rule.night_to)
        free = {Day.HOLIDAY, Day.WEEKEND} if rule.weekends else {Day.HOLIDAY}
        kinds = {day: kind_of_day(day) for day in days_of(span)}
        resting = [day for day, kind in kinds.items() if kind in free]
        names = [(day, holiday_names(day) or ("周末", "weekend")) for day in resting]
        unknown = tuple(day for day, kind in kinds.items() if kind is None)
        return cls(
            zh=(
                *(f"夜间 {interval_zh(part)}" for part in dark),
                *(f"{day} {zh}" for day, (zh, _) in names),
            ),
            en=(
                *(f"night, {interval_en(part)}" for part in dark),
                *(f"{day} {en}" for day, (_, en) in names),
            ),
            unknown=unknown,
            told={
                "night": [[part.start, part.end] for part in dark],
                "holidays": [day.isoformat() for day in resting],
                "unknown_days": [day.isoformat() for day in unknown],
            },
        )
