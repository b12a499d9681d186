"""What a verification found: one line for each check, Chinese first, and the verdict."""

from dataclasses import dataclass, field
from typing import Any


class Remark(str):
    """What a check tells without finding anything wrong: what it could not look at."""

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

    @property
    def passed(self) -> bool:
        """Whether every check holds, and there was at least one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def levels(self) -> list[int]:
        """The levels of which anything was checked."""
        return sorted({check.level for check in self.checks})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "verified": self.passed,
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

    def lines(self) -> list[str]:
        """Return the report as lines for people."""
        told = []
        for check in self.checks:
            mark = "✓" if check.passed else "✗"
            note = f"({check.note})" if check.note else ""
            told.append(f"{mark} L{check.level} {check.zh} / {check.en}{note}")
            told += [f"    {problem}" for problem in check.problems[:20]]
            if len(check.problems) > 20:  # noqa: PLR2004 - a screenful
                told.append(f"    … {len(check.problems) - 20}")
        levels = "、".join(f"L{level}" for level in self.levels)
        told.append(
            f"结论:核验通过({levels})。 VERIFIED."
            if self.passed
            else "结论:核验未通过! NOT VERIFIED."
        )
        return told
