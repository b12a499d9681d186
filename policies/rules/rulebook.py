"""The rulebook's files: policy as data, read once, refused with file and line when it is wrong.

Each YAML file is one edition: for which area, from when it holds, what makes a decision major,
and its rules. A rule names its article, when it applies and exactly one requirement of a closed
set; there is no expression language. Editions of several areas may lie side by side; those of
`all` hold everywhere. Only `load` reads files; judging is `policies/rules/rules.py`.
"""

import hashlib
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from policies.facts.facts_json import to_plain
from policies.facts.findings import Basis, Severity
from policies.facts.terms import Approver, Feature, WaiverReason
from policies.requirements.deadlines.answer_within import AnswerWithin
from policies.requirements.deadlines.decide_within import DecideWithin
from policies.requirements.deadlines.disclose_within import DiscloseWithin
from policies.requirements.deadlines.hold_within import HoldWithin
from policies.requirements.deadlines.upload_within import UploadWithin
from policies.requirements.footage.coverage import Coverage
from policies.requirements.footage.moments import Moments
from policies.requirements.footage.premises import Premises
from policies.requirements.footage.sources import Sources
from policies.requirements.outcome import Requirement, Scope
from policies.requirements.persons.certificates import Certificates
from policies.requirements.persons.officers import Officers
from policies.requirements.persons.separate_persons import SeparatePersons
from policies.requirements.persons.signed_by_head import SignedByHead
from policies.requirements.persons.staffing import Staffing
from policies.requirements.persons.training import Training
from policies.requirements.procedure.documents import CaseDocuments, Documents
from policies.requirements.procedure.not_at_night_or_holiday import NotAtNightOrHoliday
from policies.requirements.procedure.review_before import ReviewBefore
from policies.requirements.retain import Retain
from policies.rules.rules import EVERYWHERE, Edition, Rule, Rulebook, When

REQUIREMENTS: dict[str, type[Requirement]] = {
    "answer_within": AnswerWithin,
    "case_documents": CaseDocuments,
    "certificates": Certificates,
    "coverage": Coverage,
    "decide_within": DecideWithin,
    "disclose_within": DiscloseWithin,
    "documents": Documents,
    "hold_within": HoldWithin,
    "moments": Moments,
    "not_at_night_or_holiday": NotAtNightOrHoliday,
    "officers": Officers,
    "premises": Premises,
    "retain": Retain,
    "review_before": ReviewBefore,
    "separate_persons": SeparatePersons,
    "signed_by_head": SignedByHead,
    "sources": Sources,
    "staffing": Staffing,
    "training": Training,
    "upload_within": UploadWithin,
}
_NAMES = {kind: name for name, kind in REQUIREMENTS.items()}
SHIPPED = Path(__file__).parent.parent / "rulebook"
# Which of `when` a requirement's scope can see at all; the rest would never hold.
_SEES = {
    Scope.ACTION: {"action", "manner", "stage", "features", "without"},
    Scope.CASE: {"stage", "features", "without", "move", "major"},
    Scope.PROCEEDING: {"proceeding"},
    Scope.TOWNSHIP: set(),
    Scope.KEEP: {"action", "footage"},
}


class RuleError(Exception):
    """The rulebook cannot be used: refuse to start. `code` is stable for the text table."""

    code = "rulebook"

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.facts = {"file": file, "line": line, "problem": problem}


class RetentionRuleError(RuleError):
    """No rule says how long ordinary footage is kept: nothing may be taken in or destroyed."""

    code = "rulebook-retention"

    def __init__(self, file: str) -> None:
        super().__init__(file, 0, "no rule without `when` requires retain on every day")


def explain_rule(rulebook: Rulebook, rule_id: str) -> Mapping[str, Any] | None:
    """Describe a rule as plain values; None for an unknown id."""
    rule = rulebook.find_rule(rule_id)
    if rule is None:
        return None
    when = {entry.name: getattr(rule.when, entry.name) for entry in fields(rule.when)}
    return {
        "id": rule.id,
        "title": {"zh": rule.title_zh, "en": rule.title_en},
        "basis": {
            "document": rule.basis.document,
            "article": rule.basis.article,
            "quote": rule.basis.quote,
            "confirmed": rule.basis.confirmed,
        },
        "scope": rule.scope.value,
        "when": {
            name: to_plain(condition)
            for name, condition in when.items()
            if condition not in {(), None}
        },
        "severity": rule.severity.value,
        "requirement": next(
            name for name, k in REQUIREMENTS.items() if type(rule.requirement) is k
        ),
        "parameters": {
            parameter.name: to_plain(getattr(rule.requirement, parameter.name))
            for parameter in fields(rule.requirement)  # type: ignore[arg-type]
        },
        "effective": {
            "from": rule.effective_from.isoformat(),
            "to": rule.effective_to.isoformat() if rule.effective_to else None,
        },
        "waivable_by": [approver.value for approver in rule.waivable_by],
        "waivable_for": [reason.value for reason in rule.waivable_for],
        "until_days": rule.until_days,
        "version": rule.version,
    }


def article_number(article: str) -> int:
    """Return the number of `第四十二条`, with or without `附件 ` before it; 0 where it is none."""
    match = _ARTICLE.fullmatch(article)
    if match is None:
        return 0
    number = 0
    digit = 0
    for char in match[1]:
        if char in _UNITS:
            number += (digit or 1) * _UNITS[char]
            digit = 0
        else:
            digit = _DIGITS.index(char)
    return number + digit


_DIGITS = "〇一二三四五六七八九"
_UNITS = {"十": 10, "百": 100}
_ARTICLE = re.compile(r"(?:附件 )?第([〇一二三四五六七八九十百]+)条")


def load_rulebook(folder: Path = SHIPPED, area: str | None = None) -> Rulebook:
    """Read the whole rulebook that an office works by; see `read_rulebook`.

    Raises: RuleError, as there; RetentionRuleError where footage might be kept for no time at all.
    """
    rulebook = read_rulebook(folder, area)
    # A folder is the whole rulebook: without the national file no rule may say how long anything is
    # kept, and footage that no rule keeps would be due for destruction the moment it came in.
    if not _keeps_ordinary_footage(rulebook):
        raise RetentionRuleError(str(folder))
    return rulebook


def _keeps_ordinary_footage(rulebook: Rulebook) -> bool:
    """Tell whether a retain rule without conditions holds, from its first day on without a gap."""
    ordinary = [
        rule
        for rule in rulebook.rules
        if isinstance(rule.requirement, Retain) and rule.when == When()
    ]
    first_day = min((rule.effective_from for rule in ordinary), default=None)
    # What is in force changes on these days alone.
    return first_day is not None and all(
        any(rule.holds_on(day) for rule in ordinary)
        for day in rulebook.list_changes()
        if day >= first_day
    )


def read_rulebook(folder: Path = SHIPPED, area: str | None = None) -> Rulebook:
    """Read every edition in a folder (or one file) and return the rules of one area and of `all`.

    It may be one part of a rulebook, or what a bundle brought: nobody works by it yet.

    An area without an edition of its own is judged by those of `all` (`Rulebook.without_edition`).
    Without `area` there must be one area only, beside `all`.
    Raises: RuleError with file and line for anything that is not exactly as documented.
    """
    rules: list[Rule] = []
    editions: list[Edition] = []
    owners: dict[str, str] = {}
    files = [folder] if folder.is_file() else sorted(folder.glob("*.yaml"))
    read = [_Reader(path) for path in files]
    national = any(reader.edition.area == EVERYWHERE for reader in read)
    areas = {reader.edition.area for reader in read} - {EVERYWHERE}
    if area is None and len(areas) > 1:
        raise RuleError(str(folder), 0, f"several areas, name one: {', '.join(sorted(areas))}")
    if area is not None and areas and area not in areas and not national:
        raise RuleError(str(folder), 0, f"no edition for {area}")
    for reader in read:
        if area is None or reader.edition.area in {area, EVERYWHERE}:
            editions.append(reader.edition)
            rules += reader.rules
            for rule in reader.rules:
                if owners.setdefault(rule.id, reader.edition.area) != reader.edition.area:
                    raise RuleError(reader.file, 0, f"rule {rule.id} is another area's")
    if not rules:
        raise RuleError(str(folder), 0, "no rules found")
    rule_dates: set[tuple[str, date]] = set()
    for rule in rules:
        if (rule.id, rule.effective_from) in rule_dates:
            raise RuleError(str(folder), 0, f"rule {rule.id} stands twice for the same day")
        rule_dates.add((rule.id, rule.effective_from))
    return Rulebook(tuple(rules), tuple(editions), area)


def areas_in(folder: Path) -> set[str]:
    """Return the areas of the editions in a folder. Raises: RuleError."""
    return {_Reader(path).edition.area for path in sorted(folder.glob("*.yaml"))}


class _Reader:
    """Walks one file's YAML nodes, so that every complaint names its line."""

    def __init__(self, path: Path) -> None:
        self.file = path.name
        try:
            content = path.read_bytes()
            text = content.decode()
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            raise RuleError(self.file, line, str(error.problem)) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RuleError(self.file, 0, "not YAML in UTF-8") from error
        if node is None:
            raise RuleError(self.file, 1, "empty")
        needed = {"edition", "area", "effective_from", "rules"}
        top = self._read_mapping(node, needed | {"documents"}, {"major_decisions"})
        self._documents = self._read_documents(top["documents"])
        self.edition = Edition(
            version=self._read_text(top["edition"]),
            area=self._read_text(top["area"]),
            since=self._read_date(top["effective_from"]),
            major=self._read_several(top, "major_decisions", Feature),
            file=self.file,
            text=text,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        rules_node = top["rules"]
        if not isinstance(rules_node, yaml.SequenceNode):
            raise self._build_error(rules_node, "rules must be a list")
        self.rules = [self._read_rule(rule_node) for rule_node in rules_node.value]

    def _read_rule(self, node: yaml.Node) -> Rule:
        needed = {"id", "title", "basis", "severity", "require"}
        dates, waiving = (
            {"effective_from", "effective_to"},
            {"waivable_by", "waivable_for", "until"},
        )
        parts = self._read_mapping(node, needed, {"when"} | dates | waiving)
        title = self._read_mapping(parts["title"], {"zh", "en"})
        since = (
            self._read_date(parts["effective_from"])
            if "effective_from" in parts
            else self.edition.since
        )
        if since < self.edition.since:
            raise self._build_error(parts["effective_from"], "a rule begins before its edition")
        until = self._read_date(parts["effective_to"]) if "effective_to" in parts else None
        if until is not None and until < since:
            raise self._build_error(parts["effective_to"], "the rule ends before it begins")
        requirement = self._read_requirement(parts["require"])
        return Rule(
            id=self._read_text(parts["id"]),
            title_zh=self._read_text(title["zh"]),
            title_en=self._read_text(title["en"]),
            basis=self._read_basis(parts["basis"]),
            when=self._read_when(parts.get("when"), requirement.scope),
            severity=self._one_of(parts["severity"], Severity),
            requirement=requirement,
            effective_from=since,
            effective_to=until,
            version=self.edition.version,
            **self._read_waivers(parts),
        )

    def _read_basis(self, node: yaml.Node) -> Basis:
        basis = self._read_mapping(node, {"document", "article", "quote"}, {"confirmed"})
        document, article = self._read_text(basis["document"]), self._read_text(basis["article"])
        if document not in self._documents:
            raise self._build_error(basis["document"], f"{document!r} is not among the documents")
        last, number = self._documents[document], article_number(article)
        if not 1 <= number <= last:
            raise self._build_error(
                basis["article"], f"{document} has {last} articles, not {article!r}"
            )
        return Basis(
            document,
            article,
            self._read_text(basis["quote"]),
            self._read_typed(basis["confirmed"], bool) if "confirmed" in basis else True,
        )

    def _read_documents(self, node: yaml.Node) -> dict[str, int]:
        """Read the documents that rules may cite, each with the number of its last article."""
        if not isinstance(node, yaml.MappingNode):
            raise self._build_error(node, "a mapping is expected here")
        return {
            self._read_text(key): self._read_typed(number_node, int)
            for key, number_node in node.value
        }

    def _read_waivers(self, parts: Mapping[str, yaml.Node]) -> dict[str, Any]:
        days = None
        if "until" in parts:
            days = self._read_typed(self._read_mapping(parts["until"], {"days"})["days"], int)
        if "waivable_by" not in parts and ("until" in parts or "waivable_for" in parts):
            raise self._build_error(
                parts.get("until") or parts["waivable_for"], "nobody may waive this"
            )
        return {
            "waivable_by": self._read_several(parts, "waivable_by", Approver),
            "waivable_for": self._read_several(parts, "waivable_for", WaiverReason),
            "until_days": days,
        }

    def _read_when(self, node: yaml.Node | None, scope: Scope) -> When:
        if node is None:
            return When()
        types_of = typing.get_type_hints(When)
        conditions = self._read_mapping(node, set(), set(types_of))
        for name in conditions:
            if name not in _SEES[scope]:
                raise self._build_error(
                    conditions[name], f"{name!r} says nothing about a {scope.value}"
                )
        return When(
            **{
                name: self._read_value(condition, types_of[name])
                for name, condition in conditions.items()
            }
        )

    def _read_requirement(self, node: yaml.Node) -> Requirement:
        named = self._read_mapping(node, set(), set(REQUIREMENTS))
        if len(named) != 1:
            raise self._build_error(node, f"exactly one of: {', '.join(sorted(REQUIREMENTS))}")
        ((name, inner),) = named.items()
        kind = REQUIREMENTS[name]
        hints = typing.get_type_hints(kind)
        parameters = {parameter.name for parameter in fields(kind)}  # type: ignore[arg-type]
        parameter_nodes = self._read_mapping(inner, set(), parameters)
        values = {
            key: self._read_value(parameter_node, hints[key])
            for key, parameter_node in parameter_nodes.items()
        }
        try:
            return kind(**values)
        except ValueError as error:
            raise self._build_error(inner, str(error)) from error

    def _read_several(self, parts: Mapping[str, yaml.Node], name: str, kind: type[Enum]) -> Any:
        return self._read_value(parts[name], tuple[kind, ...]) if name in parts else ()  # type: ignore[valid-type]

    def _read_value(self, node: yaml.Node, kind: Any) -> Any:
        """Read one parameter by the type of its field."""
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin is types.UnionType:
            (kind,) = [option for option in inner if option is not types.NoneType]
            return self._read_value(node, kind)
        if origin is tuple:
            return tuple(self._read_value(element, inner[0]) for element in self._list_items(node))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            if not isinstance(node, yaml.MappingNode):
                raise self._build_error(node, "a mapping is expected here")
            pairs = [
                (self._read_text(key), self._read_value(element, inner[1]))
                for key, element in node.value
            ]
            if len(dict(pairs)) != len(pairs):
                raise self._build_error(node, "a name stands twice")
            return dict(pairs)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self._one_of(node, kind)
        return self._read_typed(node, kind)

    def _read_mapping(
        self,
        node: yaml.Node,
        needed: set[str],
        optional: set[str] = frozenset(),  # type: ignore[assignment]
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._build_error(node, "a mapping is expected here")
        nodes: dict[str, yaml.Node] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value not in needed | optional:
                raise self._build_error(key, f"unknown field {str(key.value)[:40]!r}")
            if key.value in nodes:
                raise self._build_error(key, f"{key.value!r} stands twice")
            nodes[key.value] = child
        if missing_names := needed - set(nodes):
            raise self._build_error(node, f"missing: {', '.join(sorted(missing_names))}")
        return nodes

    def _list_items(self, node: yaml.Node) -> list[yaml.Node]:
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def _read_text(self, node: yaml.Node) -> str:
        scalar = self._read_scalar(node)
        if not isinstance(scalar, str) or not scalar.strip():
            raise self._build_error(node, "a text is expected here")
        return scalar.strip()

    def _read_date(self, node: yaml.Node) -> date:
        scalar = self._read_scalar(node)
        if not isinstance(scalar, date) or isinstance(scalar, datetime):
            raise self._build_error(node, "a date (YYYY-MM-DD) is expected here")
        return scalar

    def _read_typed(self, node: yaml.Node, kind: Any) -> Any:
        scalar = self._read_scalar(node)
        if kind is float and isinstance(scalar, int) and not isinstance(scalar, bool):
            scalar = float(scalar)
        if type(scalar) is not kind:
            raise self._build_error(node, f"{kind.__name__} is expected here")
        if kind in {int, float} and not (math.isfinite(scalar) and scalar >= 0):
            raise self._build_error(node, "a figure must be finite and not negative")
        return scalar

    def _one_of(self, node: yaml.Node, kind: Any) -> Any:
        try:
            return kind(self._read_scalar(node))
        except ValueError as error:
            choices = ", ".join(choice.value for choice in kind)
            raise self._build_error(node, f"one of: {choices}") from error

    def _read_scalar(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._build_error(node, "a single value is expected here")
        try:
            return SafeConstructor().construct_document(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            raise self._build_error(node, "not a value that YAML knows") from error

    def _build_error(self, node: yaml.Node, problem: str) -> RuleError:
        return RuleError(self.file, node.start_mark.line + 1, problem)


__all__ = [
    "SHIPPED",
    "RetentionRuleError",
    "Rule",
    "RuleError",
    "Rulebook",
    "areas_in",
    "explain_rule",
    "load_rulebook",
    "read_rulebook",
]
