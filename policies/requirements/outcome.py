"""Requirements and their outcomes; the rulebook adds rule and article to make a finding.

A requirement is a frozen dataclass of figures with a `scope`; `check` is a pure function from
the facts of that scope to an outcome. One that has a clock also says when its duty falls `due`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from policies.facts.findings import Gap


class Scope(StrEnum):
    """Subject of a requirement; KEEP is for retention periods and gives no finding."""

    ACTION = "action"
    CASE = "case"
    TOWNSHIP = "township"
    PROCEEDING = "proceeding"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a check: met or not, a message in both languages, and the remedy."""

    passed: bool
    message_zh: str
    message_en: str
    mend_zh: str = ""
    mend_en: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last moment to fulfil a duty, and the time of fulfilment, if any.

    `at` is None where nobody can tell yet (a year whose calendar is not published).
    """

    at: datetime | None
    done_at: datetime | None = None


class Requirement(Protocol):
    """A requirement of the closed set; its fields are the parameters of rule files."""

    scope: ClassVar[Scope]


class Checked(Requirement, Protocol):
    """A requirement that gives findings."""

    def check_facts(self, facts: Any) -> Outcome:
        """Judge the facts of this scope."""
