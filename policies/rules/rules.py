"""A rule, the rulebook, and judging by it: pure, and run again years later to the same end.

A case is judged by the rules in force when its action took place. Each finding names its rule,
edition, article and facts, and carries the approved explanation (情况说明) if there is one.
Reading rules from files is `policies/rules/rulebook.py`'s business.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from policies.facts.facts import (
    ActionFacts,
    CaseFacts,
    JudgedSubject,
    ProceedingFacts,
    TownshipFacts,
)
from policies.facts.findings import Basis, Finding, Severity, Verdict
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import (
    Approver,
    Feature,
    FootageClass,
    Manner,
    ProceedingKind,
    WaiverReason,
)
from policies.facts.waivers import Terms, concerned_in, weigh_waivers
from policies.requirements.outcome import Checked, Outcome, Requirement, Scope
from policies.time.wording import COUNTY_TIME

AnyFacts = ActionFacts | CaseFacts | ProceedingFacts | TownshipFacts
SCOPES: dict[type[Any], Scope] = {
    ActionFacts: Scope.ACTION,
    CaseFacts: Scope.CASE,
    ProceedingFacts: Scope.PROCEEDING,
    TownshipFacts: Scope.TOWNSHIP,
}
EVERYWHERE = "all"
# The edition of what requirements mean: raised whenever the same facts may bring another finding
# under the same rulebook. A verdict says by which it was judged; only that one judges it again.
JUDGE_EDITION = 1


@dataclass(frozen=True, slots=True)
class When:
    """When a rule applies; what is empty does not restrict it, what is given must all hold.

    `features` asks for any of them, `without` for none of them. `moves` are the stages that a
    case asks to go to; a rule with moves is silent until one of them is asked for. `footage` is
    for what retention asks (`policies/retention/retention.py`).
    """

    action: tuple[ActionKind, ...] = ()
    manner: tuple[Manner, ...] = ()
    features: tuple[Feature, ...] = ()
    without: tuple[Feature, ...] = ()
    stage: tuple[Stage, ...] = ()
    move: tuple[Stage, ...] = ()
    major: bool | None = None
    proceeding: tuple[ProceedingKind, ...] = ()
    footage: tuple[FootageClass, ...] = ()

    def applies_to(self, facts: AnyFacts, *, major: bool) -> bool:
        """Tell whether the rule applies to these facts."""
        features = set(facts.features)
        return (
            (not self.action or getattr(facts, "kind", None) in self.action)
            and (not self.manner or getattr(facts, "manner", None) in self.manner)
            and (not self.features or bool(features & set(self.features)))
            and not features & set(self.without)
            and (not self.stage or getattr(facts, "stage", None) in self.stage)
            and (not self.move or getattr(facts, "asked", None) in self.move)
            and (self.major is None or self.major is major)
            and (not self.proceeding or getattr(facts, "kind", None) in self.proceeding)
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One duty, with the article it comes from."""

    id: str
    title_zh: str
    title_en: str
    basis: Basis
    when: When
    severity: Severity
    requirement: Requirement
    effective_from: date
    effective_to: date | None
    version: str
    waivable_by: tuple[Approver, ...] = ()
    waivable_for: tuple[WaiverReason, ...] = ()
    until_days: int | None = None

    @property
    def scope(self) -> Scope:
        """What the rule looks at."""
        return self.requirement.scope

    @property
    def waiver_terms(self) -> Terms:
        """On what terms a finding of this rule may be explained away."""
        return Terms(self.waivable_by, self.waivable_for, self.until_days)

    def in_force(self, at: datetime) -> bool:
        """Tell whether the rule holds on that day in the county."""
        return self.holds_on(at.astimezone(COUNTY_TIME).date())

    def holds_on(self, day: date) -> bool:
        """Tell whether the rule holds on a day of the county."""
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


@dataclass(frozen=True, slots=True)
class Edition:
    """One file: who it is for, from when, and what makes a decision major (第九条).

    `file` is its name, `text` all that stands in it: a verdict rests on every byte.
    """

    version: str
    area: str
    since: date
    major: tuple[Feature, ...] = ()
    file: str = ""
    text: str = field(default="", repr=False)
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules that hold in one area (`area`), of all editions that were loaded."""

    rules: tuple[Rule, ...]
    editions: tuple[Edition, ...] = ()
    area: str | None = None

    @property
    def editions_by_file(self) -> dict[str, Edition]:
        """The editions by the names of their files."""
        return {
            edition.file: edition
            for edition in sorted(self.editions, key=lambda edition: edition.file)
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the files as 64 hex digits, as `sha256sum *.yaml | sha256sum` prints."""
        lines = "".join(
            f"{edition.sha256}  {name}\n" for name, edition in self.editions_by_file.items()
        )
        return sha256(lines.encode()).hexdigest()

    @property
    def without_edition(self) -> str | None:
        """The area, where no edition is its own: only the rules of everywhere hold there."""
        own = any(edition.area == self.area for edition in self.editions)
        return None if own else self.area

    def find_rule(self, rule_id: str) -> Rule | None:
        """Return the newest rule of that id."""
        versions = [rule for rule in self.rules if rule.id == rule_id]
        return max(versions, key=lambda rule: rule.effective_from, default=None)

    def judge_facts(self, facts: AnyFacts) -> Verdict:
        """Judge an action by the rules of its day, anything else by those of the asking."""
        scope = SCOPES[type(facts)]
        major = self.is_major(facts, facts.judged_at)
        return Verdict(
            tuple(
                _build_finding(rule, rule.requirement, facts)  # type: ignore[arg-type]
                for rule in self.in_force(facts.judged_at)
                if rule.scope is scope and rule.when.applies_to(facts, major=major)
            )
        )

    def is_major(self, facts: JudgedSubject, at: datetime) -> bool:
        """Tell whether a decision in this case is a major one by the list of that day (第九条)."""
        return self.has_major_feature(facts.features, at)

    def has_major_feature(self, features: Iterable[Feature], at: datetime) -> bool:
        """Tell whether these features make a decision major by the list of that day (第九条)."""
        day = at.astimezone(COUNTY_TIME).date()
        editions = [edition for edition in self.editions if edition.major and edition.since <= day]
        newest = max(editions, key=lambda edition: edition.since, default=None)
        return newest is not None and not set(newest.major).isdisjoint(features)

    def list_changes(self) -> tuple[date, ...]:
        """Return the days on which other rules begin to hold than the day before, in order."""
        days = {rule.effective_from for rule in self.rules}
        days |= {edition.since for edition in self.editions}
        days |= {
            rule.effective_to + timedelta(days=1)
            for rule in self.rules
            if rule.effective_to is not None and rule.effective_to < date.max
        }
        return tuple(sorted(days))

    def in_force(self, at: datetime) -> tuple[Rule, ...]:
        """Return the rules of that day, one of each id: a newer edition replaces an older."""
        newest: dict[str, Rule] = {}
        for rule in self.rules:
            older = newest.get(rule.id)
            if rule.in_force(at) and (older is None or older.effective_from < rule.effective_from):
                newest[rule.id] = rule
        return tuple(newest.values())


def _build_finding(rule: Rule, requirement: Checked, facts: JudgedSubject) -> Finding:
    outcome: Outcome = requirement.check_facts(facts)
    waivers = [waiver for waiver in facts.waivers if waiver.rule == rule.id]
    weighing = weigh_waivers(rule.waiver_terms, waivers, concerned_in(facts), facts.ended_at)
    return Finding(
        rule=rule.id,
        version=rule.version,
        title_zh=rule.title_zh,
        title_en=rule.title_en,
        basis=rule.basis,
        severity=rule.severity,
        passed=outcome.passed,
        message_zh=outcome.message_zh + ("" if outcome.passed else f"依据{rule.basis.zh}。"),
        message_en=outcome.message_en,
        mend_zh=outcome.mend_zh,
        mend_en=outcome.mend_en,
        facts=outcome.facts,
        gaps=outcome.gaps,
        waivable_by=tuple(approver.value for approver in rule.waivable_by),
        subject=facts.subject,
        waived=None if outcome.passed else weighing.waived,
        waiver_refused="" if outcome.passed else weighing.refused,
        pending_waivers=() if outcome.passed else weighing.pending,
    )
