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
    find_nights,
    holiday_names,
    kind_of_day,
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

    def check_facts(self, facts: ActionFacts) -> Outcome:
        """Look at every second and every day of the action; without an end, at its start."""
        if facts.end is not None and facts.end < facts.start:
            return Outcome(
                passed=False,
                message_zh="结束时间早于开始时间,无法判断是否在夜间或者法定节假日实施。",
                message_en="The action ends before it starts: night and holiday cannot be judged.",
                mend_zh="请更正开始时间或者结束时间。",
                mend_en="Correct the start or the end.",
            )
        rest_times = _RestTimes.collect(
            self, facts.span or Span(facts.start, facts.start + _INSTANT)
        )
        if not rest_times.zh and not rest_times.unknown:
            open_zh = "" if facts.end else "(尚未登记结束时间,按开始时间判断)"
            open_en = "" if facts.end else " (no end yet: judged by the start)"
            return Outcome(
                passed=True,
                message_zh=f"没有在夜间或者法定节假日实施{open_zh}。",
                message_en=f"Not at night nor on a legal holiday{open_en}.",
                facts=rest_times.details,
            )
        if self.except_urgent and Feature.URGENT in facts.features:
            return self._excuse_urgency(rest_times)
        return self._refuse_action(rest_times)

    def _excuse_urgency(self, rest_times: "_RestTimes") -> Outcome:
        why_zh = "、".join(rest_times.zh) or unpublished_zh(rest_times.unknown[0])
        why_en = ", ".join(rest_times.en) or unpublished_en(rest_times.unknown[0])
        return Outcome(
            passed=True,
            message_zh=f"登记为情况紧急,不受夜间和法定节假日限制:{why_zh}。",
            message_en=f"Registered as urgent, which excuses: {why_en}.",
            facts={**rest_times.details, "exempt": Feature.URGENT.value},
        )

    def _refuse_action(self, rest_times: "_RestTimes") -> Outcome:
        zh, en = [*rest_times.zh], [*rest_times.en]
        mend_zh = "请改在工作日白天实施;" if rest_times.zh else ""
        mend_en = "Act by day on a working day" if rest_times.zh else ""
        if rest_times.zh:
            mend_zh += "确属情况紧急的,登记紧急情形和理由。"
            mend_en += "; if it was urgent, register that with the reason."
        if rest_times.unknown:
            zh.append(f"{unpublished_zh(rest_times.unknown[0])},无法判断是否为法定节假日")
            en.append(f"{unpublished_en(rest_times.unknown[0])}: legal holidays cannot be judged")
            mend_zh += MEND_ZH
            mend_en = f"{mend_en} {MEND_EN}".strip()
        return Outcome(
            passed=False,
            message_zh=f"行政强制执行不得在夜间或者法定节假日实施:{';'.join(zh)}。"
            if rest_times.zh
            else f"{zh[0]}。",
            message_en=f"Not allowed at night or on legal holidays: {'; '.join(en)}."
            if rest_times.zh
            else f"{en[0]}.",
            mend_zh=mend_zh,
            mend_en=mend_en,
            facts=rest_times.details,
        )


@dataclass(frozen=True, slots=True)
class _RestTimes:
    """Night parts, holidays and unpublished days of an action."""

    zh: tuple[str, ...]
    en: tuple[str, ...]
    unknown: tuple[date, ...]
    details: dict[str, object]

    @classmethod
    def collect(cls, rule: NotAtNightOrHoliday, span: Span) -> "_RestTimes":
        dark = find_nights(span, rule.night_from, rule.night_to)
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
            details={
                "night": [[part.start, part.end] for part in dark],
                "holidays": [day.isoformat() for day in resting],
                "unknown_days": [day.isoformat() for day in unknown],
            },
        )
