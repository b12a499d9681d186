"""Retention of a recording: its end, and every rule, promise, link and hold behind it.

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
from policies.identifiers import ActionId, HoldId, Subject
from policies.requirements.retain import Retain
from policies.rules.rulebook import RetentionRuleError
from policies.rules.rules import Rule, Rulebook
from policies.time.wording import day_and_clock

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)  # "kept until then" never ends


class KeeperKind(StrEnum):
    """Kind of reason that keeps a recording."""

    RULE = "rule"
    PROMISE = "promise"
    LOCK = "lock"
    HOLD = "hold"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class LinkFact(Facts):
    """One link of a recording to an action; `decided` is False while it is only proposed."""

    action: ActionId
    kind: ActionKind
    at: datetime
    decided: bool


@dataclass(frozen=True, slots=True)
class HoldFact(Facts):
    """A hold that stands and reaches the recording; `authority` alone may release it."""

    hold: HoldId
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
    """A reason to keep a recording; `until` is None while its end is open (a hold)."""

    keeper: KeeperKind
    until: datetime | None
    zh: str
    en: str
    rule: str = ""
    version: str = ""
    basis: Basis | None = None
    subject: str = ""

    def keeps_at(self, at: datetime) -> bool:
        """Tell whether it keeps the recording at a moment; for ever never ends."""
        return self.until is None or self.until >= FOREVER or self.until > at


@dataclass(frozen=True, slots=True)
class Retention:
    """Why a recording is kept: all reasons, what keeps longest first."""

    recording: str
    reasons: tuple[Reason, ...]

    @property
    def required_until(self) -> datetime:
        """End of retention by the rules alone."""
        return _find_longest(self.reasons, {KeeperKind.RULE})

    @property
    def until(self) -> datetime:
        """End of retention by rules and promise; the object lock follows it."""
        return _find_longest(self.reasons, {KeeperKind.RULE, KeeperKind.PROMISE})

    def reasons_at(self, at: datetime) -> tuple[Reason, ...]:
        """Return what keeps it at a moment; empty when it may be destroyed then."""
        return tuple(reason for reason in self.reasons if reason.keeps_at(at))


def judge_retention(rulebook: Rulebook, facts: KeptFacts, at: datetime) -> Retention:
    """Explain the retention of a recording by the rules known at `at`.

    `at` may lie in the future: "what would be destroyed on 1 March, and why?"
    Raises: RetentionRuleError: no rule says how long, and a guess might destroy it.
    """
    reasons = [*_list_rule_reasons(rulebook, facts, at)]
    if not reasons:
        raise RetentionRuleError("、".join(rulebook.editions_by_file))
    if facts.promised is not None:
        reasons.append(
            _build_dated_reason(
                KeeperKind.PROMISE, facts.promised, "此前已确定的保管期限", "as promised"
            )
        )
    if facts.locked is not None:
        reasons.append(
            _build_dated_reason(
                KeeperKind.LOCK, facts.locked, "存储保管锁", "locked in the object store"
            )
        )
    # A hold in the store without one in the catalogue: its release has not reached the store yet,
    # or somebody removed the row. Nobody is to find out by destroying it.
    if facts.store_held and not facts.holds:
        zh, en = "存储端仍有法律保留", "the object store still has a legal hold"
        reasons.append(Reason(KeeperKind.LOCK, None, zh, en))
    reasons += [_build_hold_reason(hold) for hold in facts.holds]
    # Confirming a link may mean for ever; to destroy before somebody decided would decide it.
    reasons += [_build_link_reason(link) for link in facts.links if not link.decided]
    return Retention(facts.recording, tuple(sorted(reasons, key=_order_key)))


def retain_until(rulebook: Rulebook, accessioned_at: datetime) -> datetime:
    """Return until when a recording is kept of which nothing more is known yet.

    Raises: RetentionRuleError.
    """
    return judge_retention(rulebook, KeptFacts("", accessioned_at), accessioned_at).until


def add_days(at: datetime, days: int) -> datetime:
    """Return a time some days later; what would pass the year 9999 is for ever."""
    try:
        return min(at + timedelta(days=days), FOREVER)
    except OverflowError:
        return FOREVER


def _list_rule_reasons(rulebook: Rulebook, facts: KeptFacts, at: datetime) -> Iterable[Reason]:
    reasons: dict[tuple[str, str], Reason] = {}
    # Not only the rules of today: a newer edition would shorten what was owed under the older one.
    moments = {facts.accessioned_at, at, *(link.at for link in facts.links)}
    if facts.reviewed_at is not None:
        moments = {max(moment, facts.reviewed_at) for moment in moments}
    # The same rule is in force at several of these moments, and is one reason.
    for moment in sorted({min(moment, FOREVER) for moment in moments}):
        for rule in rulebook.in_force(moment):
            if isinstance(rule.requirement, Retain) and _applies_to(rule, facts):
                reasons[rule.id, rule.version] = _build_rule_reason(rule, rule.requirement, facts)
    return reasons.values()


def _applies_to(rule: Rule, facts: KeptFacts) -> bool:
    kinds = {link.kind for link in facts.links}
    return (not rule.when.action or not kinds.isdisjoint(rule.when.action)) and (
        not rule.when.footage or not set(facts.classes).isdisjoint(rule.when.footage)
    )


def _build_rule_reason(rule: Rule, period: Retain, facts: KeptFacts) -> Reason:
    until = FOREVER if period.permanent else add_days(facts.accessioned_at, period.days)
    classes = [
        footage_class for footage_class in rule.when.footage if footage_class in facts.classes
    ]
    why_zh = "".join(f"({FOOTAGE_ZH[footage_class]})" for footage_class in classes)
    why_en = "".join(f" ({FOOTAGE_EN[footage_class]})" for footage_class in classes)
    kinds = [link.action for link in facts.links if link.kind in rule.when.action]
    return Reason(
        KeeperKind.RULE,
        until,
        f"{rule.title_zh}{why_zh}:{until_zh(until)},依据{rule.basis.zh}",
        f"{rule.title_en}{why_en}: {until_en(until)}",
        rule=rule.id,
        version=rule.version,
        basis=rule.basis,
        subject=Subject.of_action(kinds[0]) if kinds else "",
    )


def _build_dated_reason(keeper: KeeperKind, until: datetime, zh: str, en: str) -> Reason:
    return Reason(keeper, until, f"{zh}:{until_zh(until)}", f"{en}: {until_en(until)}")


def _build_hold_reason(hold: HoldFact) -> Reason:
    placed = day_and_clock(hold.placed_at)
    return Reason(
        KeeperKind.HOLD,
        None,
        f"冻结({HOLD_ZH[hold.reason]}),{placed} 起,由原机关解除前不得处置",
        f"held ({HOLD_EN[hold.reason]}) since {placed}, until its authority releases it",
        subject=Subject.of_hold(hold.hold),
    )


def _build_link_reason(link: LinkFact) -> Reason:
    return Reason(
        KeeperKind.PENDING,
        None,
        "有一项拟关联尚未确认或者排除",
        "a proposed link waits for a decision",
        subject=Subject.of_action(link.action),
    )


def until_zh(until: datetime) -> str:
    """Return `永久保存`, or the day and time in the county."""
    return "永久保存" if until >= FOREVER else f"保存至 {day_and_clock(until)}"


def until_en(until: datetime) -> str:
    """Return `for ever`, or the day and time in the county."""
    return "for ever" if until >= FOREVER else f"until {day_and_clock(until)}"


def _find_longest(reasons: Iterable[Reason], keepers: set[KeeperKind]) -> datetime:
    # Never of nothing: `judge_retention` refuses where no rule gives a date.
    return max(
        reason.until for reason in reasons if reason.keeper in keepers and reason.until is not None
    )


def _order_key(reason: Reason) -> tuple[bool, float, str, str]:
    # Reasons without an end come first (False sorts before True), then what keeps longest.
    until = -(reason.until.timestamp()) if reason.until is not None else 0.0
    return reason.until is not None, until, reason.keeper, reason.rule
