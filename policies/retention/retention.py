"""Until when a recording is kept, and why: every rule, promise, link and hold that keeps it.

A rule keeps for a period from accession, chosen by the kinds of action that the recording is linked
to and by its class (policies.facts.terms.FootageClass). The longest wins. Rules count as they stood
at accession, at each action and as they stand now: a newer edition lengthens by itself and shortens
nothing. What was promised before is a floor that only a reclassification takes away, after two
persons agreed to it. A hold keeps for as long as it stands, and so does a proposed link that nobody
has decided yet. Source: 公安机关现场执法视音频记录工作规定(参照)第十三条.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from policies.facts.facts import Facts
from policies.facts.findings import Basis
from policies.facts.stages import ActionKind
from policies.facts.terms import FOOTAGE_EN, FOOTAGE_ZH, HOLD_EN, HOLD_ZH, FootageClass, HoldReason
from policies.requirements.retain import Retain
from policies.rules.rules import Rule, Rulebook
from policies.time.wording import day_and_clock

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)  # "kept until then" never ends


class Keeper(StrEnum):
    """What kind of thing keeps a recording."""

    RULE = "rule"
    PROMISE = "promise"
    LOCK = "lock"
    HOLD = "hold"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class LinkFact(Facts):
    """One link of a recording to an action; `decided` is False while it is only proposed."""

    action: str
    kind: ActionKind
    at: datetime
    decided: bool


@dataclass(frozen=True, slots=True)
class HoldFact(Facts):
    """A hold that stands and reaches the recording; `authority` alone may release it."""

    hold: str
    reason: HoldReason
    authority: str
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class KeptFacts(Facts):
    """All that retention asks about one recording.

    `classes` are those given by a person and those that follow from its links. `promised` is what
    the catalogue promised before. `locked` is until when the object store refuses a deletion, and
    `store_held` whether it has a legal hold (None and False where nobody asked it). `reviewed_at`
    is when two persons last reclassified it: rules that were replaced before no longer count.
    """

    recording: str
    accessioned_at: datetime
    classes: tuple[FootageClass, ...] = ()
    links: tuple[LinkFact, ...] = ()
    holds: tuple[HoldFact, ...] = ()
    promised: datetime | None = None
    locked: datetime | None = None
    store_held: bool = False
    reviewed_at: datetime | None = None

    def judged_from(self, at: datetime) -> "KeptFacts":
        """Return the same facts as if older rules had ceased to count at a moment."""
        return replace(self, reviewed_at=at)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a recording; `until` is None while nobody can say (a hold)."""

    keeper: Keeper
    until: datetime | None
    zh: str
    en: str
    rule: str = ""
    version: str = ""
    basis: Basis | None = None
    subject: str = ""

    def keeps(self, at: datetime) -> bool:
        """Tell whether it keeps the recording at a moment; for ever never ends."""
        return self.until is None or self.until >= FOREVER or self.until > at


@dataclass(frozen=True, slots=True)
class Retention:
    """Why a recording is kept: all reasons, what keeps longest first."""

    recording: str
    reasons: tuple[Reason, ...]

    @property
    def asked(self) -> datetime:
        """Until when the rules alone ask to keep it."""
        return _longest(self.reasons, {Keeper.RULE})

    @property
    def until(self) -> datetime:
        """Until when it is kept by rules and promise: what the object lock follows."""
        return _longest(self.reasons, {Keeper.RULE, Keeper.PROMISE})

    def keeping(self, at: datetime) -> tuple[Reason, ...]:
        """Return what keeps it at a moment; empty when it may be destroyed then."""
        return tuple(one for one in self.reasons if one.keeps(at))


def explain(rulebook: Rulebook, facts: KeptFacts, at: datetime) -> Retention:
    """Say what keeps a recording, by the rules known at `at`; whether it does so, `keeping` tells.

    `at` may lie in the future: "what would be destroyed on 1 March, and why?"
    """
    found = [*_rules(rulebook, facts, at)]
    if facts.promised is not None:
        found.append(_dated(Keeper.PROMISE, facts.promised, "此前已确定的保管期限", "as promised"))
    if facts.locked is not None:
        found.append(_dated(Keeper.LOCK, facts.locked, "存储保管锁", "locked in the object store"))
    if facts.store_held and not facts.holds:
        zh, en = "存储端仍有法律保留", "the object store still has a legal hold"
        found.append(Reason(Keeper.LOCK, None, zh, en))
    found += [_held(one) for one in facts.holds]
    found += [_pending(one) for one in facts.links if not one.decided]
    return Retention(facts.recording, tuple(sorted(found, key=_order)))


def retain_until(rulebook: Rulebook, accessioned_at: datetime) -> datetime:
    """Return until when a recording is kept of which nothing more is known yet."""
    return explain(rulebook, KeptFacts("", accessioned_at), accessioned_at).until


def later(at: datetime, days: int) -> datetime:
    """Return a time some days later; what would pass the year 9999 is for ever."""
    try:
        return min(at + timedelta(days=days), FOREVER)
    except OverflowError:
        return FOREVER


def _rules(rulebook: Rulebook, facts: KeptFacts, at: datetime) -> Iterable[Reason]:
    told: dict[tuple[str, str], Reason] = {}
    moments = {facts.accessioned_at, at, *(one.at for one in facts.links)}
    if facts.reviewed_at is not None:
        moments = {max(moment, facts.reviewed_at) for moment in moments}
    for moment in sorted({min(moment, FOREVER) for moment in moments}):
        for rule in rulebook.in_force(moment):
            if isinstance(rule.requirement, Retain) and _speaks(rule, facts):
                told[rule.id, rule.version] = _asked(rule, rule.requirement, facts)
    return told.values()


def _speaks(rule: Rule, facts: KeptFacts) -> bool:
    kinds = {one.kind for one in facts.links}
    return (not rule.when.action or not kinds.isdisjoint(rule.when.action)) and (
        not rule.when.footage or not set(facts.classes).isdisjoint(rule.when.footage)
    )


def _asked(rule: Rule, period: Retain, facts: KeptFacts) -> Reason:
    until = FOREVER if period.permanent else later(facts.accessioned_at, period.days)
    classes = [one for one in rule.when.footage if one in facts.classes]
    why_zh = "".join(f"({FOOTAGE_ZH[one]})" for one in classes)
    why_en = "".join(f" ({FOOTAGE_EN[one]})" for one in classes)
    kinds = [one.action for one in facts.links if one.kind in rule.when.action]
    return Reason(
        Keeper.RULE,
        until,
        f"{rule.title_zh}{why_zh}:{until_zh(until)},依据{rule.basis.zh}",
        f"{rule.title_en}{why_en}: {until_en(until)}",
        rule=rule.id,
        version=rule.version,
        basis=rule.basis,
        subject=f"action:{kinds[0]}" if kinds else "",
    )


def _dated(keeper: Keeper, until: datetime, zh: str, en: str) -> Reason:
    return Reason(keeper, until, f"{zh}:{until_zh(until)}", f"{en}: {until_en(until)}")


def _held(hold: HoldFact) -> Reason:
    placed = day_and_clock(hold.placed_at)
    return Reason(
        Keeper.HOLD,
        None,
        f"冻结({HOLD_ZH[hold.reason]}),{placed} 起,由原机关解除前不得处置",
        f"held ({HOLD_EN[hold.reason]}) since {placed}, until its authority releases it",
        subject=f"hold:{hold.hold}",
    )


def _pending(link: LinkFact) -> Reason:
    return Reason(
        Keeper.PENDING,
        None,
        "有一项拟关联尚未确认或者排除",
        "a proposed link waits for a decision",
        subject=f"action:{link.action}",
    )


def until_zh(until: datetime) -> str:
    """Return `永久保存`, or the day and time in the county."""
    return "永久保存" if until >= FOREVER else f"保存至 {day_and_clock(until)}"


def until_en(until: datetime) -> str:
    """Return `for ever`, or the day and time in the county."""
    return "for ever" if until >= FOREVER else f"until {day_and_clock(until)}"


def _longest(reasons: Iterable[Reason], keepers: set[Keeper]) -> datetime:
    dates = [one.until for one in reasons if one.keeper in keepers and one.until is not None]
    return max(dates, default=datetime.min.replace(tzinfo=UTC))


def _order(reason: Reason) -> tuple[bool, float, str, str]:
    until = -(reason.until.timestamp()) if reason.until is not None else 0.0
    return reason.until is not None, until, reason.keeper, reason.rule
