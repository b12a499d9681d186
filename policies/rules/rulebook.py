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

from policies.facts.facts_json import plain
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


def explain(rulebook: Rulebook, rule_id: str) -> Mapping[str, Any] | None:
    """Return all that a rule says of itself, as plain values, or None for an unknown id."""
    rule = rulebook.rule(rule_id)
    if rule is None:
        return None
    when = {item.name: getattr(rule.when, item.name) for item in fields(rule.when)}
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
        "when": {name: plain(value) for name, value in when.items() if value not in {(), None}},
        "severity": rule.severity.value,
        "requirement": next(
            name for name, k in REQUIREMENTS.items() if type(rule.requirement) is k
        ),
        "parameters": {
            item.name: plain(getattr(rule.requirement, item.name))
            for item in fields(rule.requirement)  # type: ignore[arg-type]
        },
        "effective": {
            "from": rule.effective_from.isoformat(),
            "to": rule.effective_to.isoformat() if rule.effective_to else None,
        },
        "waivable_by": [one.value for one in rule.waivable_by],
        "waivable_for": [one.value for one in rule.waivable_for],
        "until_days": rule.until_days,
        "version": rule.version,
    }


def article_number(article: str) -> int:
    """Return the number of `第四十二条`, with or without `附件 ` before it; 0 where it is none."""
    found = _ARTICLE.fullmatch(article)
    if found is None:
        return 0
    number = 0
    digit = 0
    for char in found[1]:
        if char in _UNITS:
            number += (digit or 1) * _UNITS[char]
            digit = 0
        else:
            digit = _DIGITS.index(char)
    return number + digit


_DIGITS = "〇一二三四五六七八九"
_UNITS = {"十": 10, "百": 100}
_ARTICLE = re.compile(r"(?:附件 )?第([〇一二三四五六七八九十百]+)条")


def load(folder: Path = SHIPPED, area: str | None = None) -> Rulebook:
    """Read every edition in a folder (or one file) and return the rules of one area and of `all`.

    An area without an edition of its own is judged by those of `all` (`Rulebook.without_edition`).
    Without `area` there must be one area only, beside `all`.
    Raises: RuleError with file and line for anything that is not exactly as documented.
    """
    rules: list[Rule] = []
    editions: list[Edition] = []
    owners: dict[str, str] = {}
    files = [folder] if folder.is_file() else sorted(folder.glob("*.yaml"))
    read = [_Reader(path) for path in files]
    national = any(one.edition.area == EVERYWHERE for one in read)
    areas = {one.edition.area for one in read} - {EVERYWHERE}
    if area is None and len(areas) > 1:
        raise RuleError(str(folder), 0, f"several areas, name one: {', '.join(sorted(areas))}")
    if area is not None and areas and area not in areas and not national:
        raise RuleError(str(folder), 0, f"no edition for {area}")
    for one in read:
        if area is None or one.edition.area in {area, EVERYWHERE}:
            editions.append(one.edition)
            rules += one.rules
            for rule in one.rules:
                if owners.setdefault(rule.id, one.edition.area) != one.edition.area:
                    raise RuleError(one.file, 0, f"rule {rule.id} is another area's")
    if not rules:
        raise RuleError(str(folder), 0, "no rules found")
    seen: set[tuple[str, date]] = set()
    for rule in rules:
        if (rule.id, rule.effective_from) in seen:
            raise RuleError(str(folder), 0, f"rule {rule.id} stands twice for the same day")
        seen.add((rule.id, rule.effective_from))
    return Rulebook(tuple(rules), tuple(editions), area)


def areas_in(folder: Path) -> set[str]:
    """Return the areas of the editions in a folder. Raises: RuleError."""
    return {_Reader(path).edition.area for path in sorted(folder.glob("*.yaml"))}


class _Reader:
    """Walks one file's YAML nodes, so that every complaint names its line."""

    def __init__(self, path: Path) -> None:
        self.file = path.name
        try:
            data = path.read_bytes()
            text = data.decode()
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            raise RuleError(self.file, line, str(error.problem)) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RuleError(self.file, 0, "not YAML in UTF-8") from error
        if node is None:
            raise RuleError(self.file, 1, "empty")
        needed = {"edition", "area", "effective_from", "rules"}
        top = self._mapping(node, needed | {"documents"}, {"major_decisions"})
        self._documents = self._cited(top["documents"])
        self.edition = Edition(
            version=self._text(top["edition"]),
            area=self._text(top["area"]),
            since=self._date(top["effective_from"]),
            major=self._several(top, "major_decisions", Feature),
            file=self.file,
            text=text,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        listed = top["rules"]
        if not isinstance(listed, yaml.SequenceNode):
            raise self._error(listed, "rules must be a list")
        self.rules = [self._rule(item) for item in listed.value]

    def _rule(self, node: yaml.Node) -> Rule:
        needed = {"id", "title", "basis", "severity", "require"}
        dates, waiving = (
            {"effective_from", "effective_to"},
            {"waivable_by", "waivable_for", "until"},
        )
        parts = self._mapping(node, needed, {"when"} | dates | waiving)
        title = self._mapping(parts["title"], {"zh", "en"})
        since = (
            self._date(parts["effective_from"]) if "effective_from" in parts else self.edition.since
        )
        if since < self.edition.since:
            raise self._error(parts["effective_from"], "a rule begins before its edition")
        until = self._date(parts["effective_to"]) if "effective_to" in parts else None
        if until is not None and until < since:
            raise self._error(parts["effective_to"], "the rule ends before it begins")
        requirement = self._requirement(parts["require"])
        return Rule(
            id=self._text(parts["id"]),
            title_zh=self._text(title["zh"]),
            title_en=self._text(title["en"]),
            basis=self._basis(parts["basis"]),
            when=self._when(parts.get("when"), requirement.scope),
            severity=self._one_of(parts["severity"], Severity),
            requirement=requirement,
            effective_from=since,
            effective_to=until,
            version=self.edition.version,
            **self._waivers(parts),
        )

    def _basis(self, node: yaml.Node) -> Basis:
        basis = self._mapping(node, {"document", "article", "quote"}, {"confirmed"})
        document, article = self._text(basis["document"]), self._text(basis["article"])
        if document not in self._documents:
            raise self._error(basis["document"], f"{document!r} is not among the documents")
        last, number = self._documents[document], article_number(article)
        if not 1 <= number <= last:
            raise self._error(basis["article"], f"{document} has {last} articles, not {article!r}")
        return Basis(
            document,
            article,
            self._text(basis["quote"]),
            self._typed(basis["confirmed"], bool) if "confirmed" in basis else True,
        )

    def _cited(self, node: yaml.Node) -> dict[str, int]:
        """Read the documents that rules may cite, each with the number of its last article."""
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "a mapping is expected here")
        return {self._text(key): self._typed(value, int) for key, value in node.value}

    def _waivers(self, parts: Mapping[str, yaml.Node]) -> dict[str, Any]:
        days = None
        if "until" in parts:
            days = self._typed(self._mapping(parts["until"], {"days"})["days"], int)
        if "waivable_by" not in parts and ("until" in parts or "waivable_for" in parts):
            raise self._error(parts.get("until") or parts["waivable_for"], "nobody may waive this")
        return {
            "waivable_by": self._several(parts, "waivable_by", Approver),
            "waivable_for": self._several(parts, "waivable_for", WaiverReason),
            "until_days": days,
        }

    def _when(self, node: yaml.Node | None, scope: Scope) -> When:
        if node is None:
            return When()
        types_of = typing.get_type_hints(When)
        given = self._mapping(node, set(), set(types_of))
        for name in given:
            if name not in _SEES[scope]:
                raise self._error(given[name], f"{name!r} says nothing about a {scope.value}")
        return When(**{name: self._value(value, types_of[name]) for name, value in given.items()})

    def _requirement(self, node: yaml.Node) -> Requirement:
        named = self._mapping(node, set(), set(REQUIREMENTS))
        if len(named) != 1:
            raise self._error(node, f"exactly one of: {', '.join(sorted(REQUIREMENTS))}")
        ((name, inner),) = named.items()
        kind = REQUIREMENTS[name]
        hints = typing.get_type_hints(kind)
        known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
        given = self._mapping(inner, set(), known)
        values = {key: self._value(value, hints[key]) for key, value in given.items()}
        try:
            return kind(**values)
        except ValueError as error:
            raise self._error(inner, str(error)) from error

    def _several(self, parts: Mapping[str, yaml.Node], name: str, kind: type[Enum]) -> Any:
        return self._value(parts[name], tuple[kind, ...]) if name in parts else ()  # type: ignore[valid-type]

    def _value(self, node: yaml.Node, kind: Any) -> Any:
        """Read one parameter by the type of its field."""
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin is types.UnionType:
            (kind,) = [one for one in inner if one is not types.NoneType]
            return self._value(node, kind)
        if origin is tuple:
            return tuple(self._value(item, inner[0]) for item in self._items(node))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            if not isinstance(node, yaml.MappingNode):
                raise self._error(node, "a mapping is expected here")
            pairs = [(self._text(key), self._value(item, inner[1])) for key, item in node.value]
            if len(dict(pairs)) != len(pairs):
                raise self._error(node, "a name stands twice")
            return dict(pairs)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self._one_of(node, kind)
        return self._typed(node, kind)

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
            return SafeConstructor().construct_document(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            raise self._error(node, "not a value that YAML knows") from error

    def _error(self, node: yaml.Node, problem: str) -> RuleError:
        return RuleError(self.file, node.start_mark.line + 1, problem)


__all__ = ["SHIPPED", "Rule", "RuleError", "Rulebook", "areas_in", "explain", "load"]
