"""What a verification found: one line for each check, Chinese first, and the verdict."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The verdict of a verification, in one word; `STATUS` has the exit status of each."""

    VERIFIED = "verified"  # every check holds, under keys that the reader knows
    SELF_CONSISTENT = "self-consistent"  # every check holds, under keys that anybody may have made
    NOT_VERIFIED = "not-verified"


ANCHORS = "anchors"  # the check of whose keys these are
STATUS = {Verdict.VERIFIED: 0, Verdict.NOT_VERIFIED: 1, Verdict.SELF_CONSISTENT: 3}
_WORDS = {
    Verdict.VERIFIED: "结论:核验通过({levels})。 VERIFIED.",
    Verdict.SELF_CONSISTENT: (
        "结论:自洽,公钥未知({levels})。请用《公钥公告》核对以上指纹。"
        " SELF-CONSISTENT, KEYS UNKNOWN."
    ),
    Verdict.NOT_VERIFIED: "结论:核验未通过! NOT VERIFIED.",
}


class Remark(str):
    """A remark of a check that is no problem, such as a limit of the check."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked; `problems` are empty when it holds.

    `level` is 1 (signatures, digests, proofs), 2 (chains, presence, states, names, times) or 3
    (verdicts and pages derived anew).
    """

    level: int
    name: str
    zh: str
    en: str
    problems: tuple[str, ...] = ()
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(slots=True)
class Report:
    """All checks of one bundle, in the order they were made."""

    checks: list[Check] = field(default_factory=list)
    keys_known: bool = False  # by another way than the bundle
    keys: list[dict[str, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check holds, and there was at least one; under whatever keys."""
        # `all` of nothing is true: a bundle of which nothing was checked has passed nothing.
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def verdict(self) -> Verdict:
        """The verdict over all checks."""
        if not self.passed:
            return Verdict.NOT_VERIFIED
        return Verdict.VERIFIED if self.keys_known else Verdict.SELF_CONSISTENT

    @property
    def status(self) -> int:
        """The exit status of the verdict."""
        return STATUS[self.verdict]

    @property
    def levels(self) -> list[int]:
        """The levels of which anything was checked."""
        return sorted({check.level for check in self.checks})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "verdict": self.verdict.value,
            "verified": self.verdict is Verdict.VERIFIED,
            "keys": self.keys,
            "levels": self.levels,
            "checks": [
                {
                    "level": check.level,
                    "name": check.name,
                    "passed": check.passed,
                    "problems": list(check.problems),
                    "note": check.note,
                }
                for check in self.checks
            ],
        }

    def format_lines(self) -> list[str]:
        """Return the report as lines for people."""
        lines = []
        for check in self.checks:
            mark = self._choose_mark(check)
            note = f"({check.note})" if check.note else ""
            lines.append(f"{mark} L{check.level} {check.zh} / {check.en}{note}")
            lines += [f"    {problem}" for problem in check.problems[:20]]
            if check.name == ANCHORS:
                lines += [f"    {key['use']} {key['name']}: {key['shown']}" for key in self.keys]
            if len(check.problems) > 20:  # noqa: PLR2004 - a screenful
                lines.append(f"    … {len(check.problems) - 20}")
        levels = "、".join(f"L{level}" for level in self.levels)
        lines.append(_WORDS[self.verdict].format(levels=levels))
        return lines

    def _choose_mark(self, check: Check) -> str:
        if check.name == ANCHORS and check.passed and not self.keys_known:
            return "?"
        return "✓" if check.passed else "✗"
