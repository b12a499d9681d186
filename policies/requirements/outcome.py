"""What a requirement answers; the rulebook adds rule, article and severity to make a finding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.findings import Gap


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the duty is met, told in both languages, with what would mend it."""

    passed: bool
    message_zh: str
    message_en: str
    mend_zh: str = ""
    mend_en: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
