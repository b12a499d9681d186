"""The rulebook: policy as data, read once, refused with file and line when it is wrong.

Each YAML file is one rulebook edition: who issued it, from when it holds, and its rules. A rule
names its article, when it applies and exactly one requirement of a closed set; there is no
expression language. A case is judged by the rules in force when its action took place.
Evaluation is pure; only `load` reads files.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from policies.facts import ActionFacts
from policies.findings import Basis, Finding, Severity, Verdict
from policies.requirements.coverage import Coverage
from policies.requirements.officers import Officers
from policies.requirements.retain import Retain
from policies.stages import ActionKind, Stage
from policies.wording import COUNTY_TIME

Requirement = Coverage | Officers | Retain
REQUIREMENTS: dict[str, type[Requirement]] = {
    "coverage": Coverage,
    "officers": Officers,
    "retain": Retain,
}
SHIPPED = Path(__file__).parent / "rulebook"


class RuleError(Exception):
    """The rulebook cannot be used: refuse to start. `code` is stable for the text table."""

    code = "rulebook"

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.facts = {"file": file, "line": line, "problem": problem}


@dataclass(frozen=True, slots=True)
class Rule:
    """One duty, with the article it comes from."""

    id: str
    title_zh: str
    title_en: str
    basis: Basis
    kinds: frozenset[ActionKind]  # empty: every kind
    severity: Severity
    requirement: Requirement
    effective_from: date
    effective_to: date | None
    waivable_by: tuple[str, ...]
    version: str

    def in_force(self, at: datetime) -> bool:
        """Tell whether the rule holds on that day in the county."""
        day = at.astimezone(COUNTY_TIME).date()
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )

    def applies_to(self, facts: ActionFacts) -> bool:
        """Tell whether the rule speaks about actions of this kind."""
        return not self.kinds or facts.kind in self.kinds


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules of all editions that were loaded."""

    rules: tuple[Rule, ...]

    def rule(self, rule_id: str) -> Rule | None:
        """Return the newest rule of that id."""
        found = [rule for rule in self.rules if rule.id == rule_id]
        return max(found, key=lambda rule: rule.effective_from, default=None)

    def evaluate(self, facts: ActionFacts) -> Verdict:
        """Judge one action by the rules in force when it took place."""
        return Verdict(
            tuple(
                _finding(rule, rule.requirement, facts)
                for rule in self.in_force(facts.start)
                if not isinstance(rule.requirement, Retain) and rule.applies_to(facts)
            )
        )

    def in_force(self, at: datetime) -> tuple[Rule, ...]:
        """Return the rules of that day, one of each id: a newer edition replaces an older."""
        newest: dict[str, Rule] = {}
        for rule in self.rules:
            older = newest.get(rule.id)
            if rule.in_force(at) and (older is None or older.effective_from < rule.effective_from):
                newest[rule.id] = rule
        return tuple(newest.values())

    def retention_days(self, at: datetime, kind: ActionKind | None = None) -> tuple[int, str]:
        """Return the longest period in days that applies, and the rule that asks for it."""
        asked = [
            (rule.requirement.lock_days, rule.id)
            for rule in self.in_force(at)
            if isinstance(rule.requirement, Retain) and (not rule.kinds or kind in rule.kinds)
        ]
        return max(asked, default=(0, "none"))


def _finding(rule: Rule, requirement: Coverage | Officers, facts: ActionFacts) -> Finding:
    outcome = requirement.check(facts)
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
        waivable_by=rule.waivable_by,
    )


def explain(rulebook: Rulebook, rule_id: str) -> Mapping[str, Any] | None:
    """Return all that a rule says of itself, as plain values, or None for an unknown id."""
    rule = rulebook.rule(rule_id)
    if rule is None:
        return None
    return {
        "id": rule.id,
        "title": {"zh": rule.title_zh, "en": rule.title_en},
        "basis": {
            "document": rule.basis.document,
            "article": rule.basis.article,
            "quote": rule.basis.quote,
            "confirmed": rule.basis.confirmed,
        },
        "applies_to": sorted(rule.kinds) or ["*"],
        "severity": rule.severity.value,
        "requirement": type(rule.requirement).__name__.lower(),
        "parameters": {
            item.name: getattr(rule.requirement, item.name) for item in fields(rule.requirement)
        },
        "effective": {
            "from": rule.effective_from.isoformat(),
            "to": rule.effective_to.isoformat() if rule.effective_to else None,
        },
        "waivable_by": rule.waivable_by,
        "version": rule.version,
    }


def load(folder: Path = SHIPPED) -> Rulebook:
    """Read every edition in a folder.

    Raises: RuleError with file and line for anything that is not exactly as documented.
    """
    rules: list[Rule] = []
    for path in sorted(folder.glob("*.yaml")):
        rules += _Reader(path).rules()
    if not rules:
        raise RuleError(str(folder), 0, "no rules found")
    seen: set[tuple[str, date]] = set()
    for rule in rules:
        if (rule.id, rule.effective_from) in seen:
            raise RuleError(str(folder), 0, f"rule {rule.id} stands twice for the same day")
        seen.add((rule.id, rule.effective_from))
    return Rulebook(tuple(rules))


class _Reader:
    """Walks one file's YAML nodes, so that every complaint names its line."""

    def __init__(self, path: Path) -> None:
        self._file = path.name
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            raise RuleError(self._file, line, str(error.problem)) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RuleError(self._file, 0, "not YAML in UTF-8") from error
        if node is None:
            raise RuleError(self._file, 1, "empty")
        self._top = self._mapping(node, {"edition", "effective_from", "rules"})

    def rules(self) -> list[Rule]:
        version = self._text(self._top["edition"])
        since = self._date(self._top["effective_from"])
        node = self._top["rules"]
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, "rules must be a list")
        return [self._rule(item, version, since) for item in node.value]

    def _rule(self, node: yaml.Node, version: str, since: date) -> Rule:
        needed = {"id", "title", "basis", "severity", "require"}
        parts = self._mapping(node, needed, {"when", "effective_to", "waivable_by"})
        title = self._mapping(parts["title"], {"zh", "en"})
        basis = self._mapping(parts["basis"], {"document", "article", "quote"}, {"confirmed"})
        kinds: frozenset[ActionKind] = frozenset()
        if "when" in parts:
            when = self._mapping(parts["when"], {"action"})
            kinds = frozenset(
                self._one_of(item, ActionKind) for item in self._items(when["action"])
            )
        return Rule(
            id=self._text(parts["id"]),
            title_zh=self._text(title["zh"]),
            title_en=self._text(title["en"]),
            basis=Basis(
                self._text(basis["document"]),
                self._text(basis["article"]),
                self._text(basis["quote"]),
                self._typed(basis["confirmed"], bool) if "confirmed" in basis else True,
            ),
            kinds=kinds,
            severity=self._one_of(parts["severity"], Severity),
            requirement=self._requirement(parts["require"]),
            effective_from=since,
            effective_to=self._date(parts["effective_to"]) if "effective_to" in parts else None,
            waivable_by=self._text(parts["waivable_by"]) if "waivable_by" in parts else None,
            version=version,
        )

    def _requirement(self, node: yaml.Node) -> Requirement:
        named = self._mapping(node, set(), set(REQUIREMENTS))
        if len(named) != 1:
            raise self._error(node, f"exactly one of: {', '.join(sorted(REQUIREMENTS))}")
        ((name, inner),) = named.items()
        kind = REQUIREMENTS[name]
        types = {item.name: item.type for item in fields(kind)}
        given = self._mapping(inner, set(), set(types))
        return kind(**{key: self._typed(value, types[key]) for key, value in given.items()})

    def _mapping(
        self,
        node: yaml.Node,
        needed: set[str],
        optional: set[str] = frozenset(),  # type: ignore[assignment]
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "a mapping is expected here")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value not in needed | optional:
                raise self._error(key, f"unknown field {str(key.value)[:40]!r}")
            if key.value in found:
                raise self._error(key, f"{key.value!r} stands twice")
            found[key.value] = value
        if missing := needed - set(found):
            raise self._error(node, f"missing: {', '.join(sorted(missing))}")
        return found

    def _items(self, node: yaml.Node) -> list[yaml.Node]:
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def _text(self, node: yaml.Node) -> str:
        value = self._scalar(node)
        if not isinstance(value, str) or not value.strip():
            raise self._error(node, "a text is expected here")
        return value.strip()

    def _date(self, node: yaml.Node) -> date:
        value = self._scalar(node)
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self._error(node, "a date (YYYY-MM-DD) is expected here")
        return value

    def _typed(self, node: yaml.Node, kind: Any) -> Any:
        value = self._scalar(node)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise self._error(node, f"{kind.__name__} is expected here")
        if kind in {int, float} and not (math.isfinite(value) and value >= 0):
            raise self._error(node, "a figure must be finite and not negative")
        return value

    def _one_of(self, node: yaml.Node, kind: Any) -> Any:
        try:
            return kind(self._scalar(node))
        except ValueError as error:
            known = ", ".join(item.value for item in kind)
            raise self._error(node, f"one of: {known}") from error

    def _scalar(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a single value is expected here")
        try:
            return yaml.safe_load(yaml.serialize(node))
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            raise self._error(node, "not a value that YAML knows") from error

    def _error(self, node: yaml.Node, problem: str) -> RuleError:
        return RuleError(self._file, node.start_mark.line + 1, problem)


__all__ = ["Rule", "RuleError", "Rulebook", "Stage", "explain", "load"]
