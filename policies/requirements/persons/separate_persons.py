"""SeparatePersons: who handles, who reviews and who decides are three persons (第十条 办、审、定).

行政处罚法 第五十八条 says the same of review. Persons, not accounts.
"""

from dataclasses import dataclass
from typing import ClassVar

from policies.facts.facts import CaseFacts
from policies.facts.terms import PART_ZH, Part
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class SeparatePersons:
    """Parameter: which parts must be taken by somebody already; whoever has two fails."""

    scope: ClassVar[Scope] = Scope.CASE
    taken: tuple[Part, ...] = ()

    def check_facts(self, facts: CaseFacts) -> Outcome:
        """Name who has two parts, and which parts nobody has."""
        parts = {
            Part.HANDLES: frozenset(facts.handlers),
            Part.REVIEWS: frozenset(facts.reviewers) | {review.by for review in facts.reviews},
            Part.DECIDES: frozenset(facts.deciders)
            | ({facts.decision.by} if facts.decision else frozenset()),
        }
        twice = sorted(
            {
                person
                for part in Part
                for other in Part
                if part < other
                for person in parts[part] & parts[other]
            }
        )
        empty = [part for part in self.taken if not parts[part]]
        details = {"twice": twice, "empty": list(empty)}
        if not twice and not empty:
            return Outcome(
                passed=True,
                message_zh="办、审、定由不同人员承担。",
                message_en="Handling, reviewing and deciding are with different persons.",
                facts=details,
            )
        zh, en = [], []
        if twice:
            zh.append(f"有 {len(twice)} 人在办、审、定中兼任两项以上")
            en.append(f"{len(twice)} person(s) took two of handling, reviewing, deciding")
        if empty:
            zh.append(f"尚未确定{'、'.join(PART_ZH[part] for part in empty)}人员")
            en.append(f"nobody {', '.join(empty)} yet")
        return Outcome(
            passed=False,
            message_zh=f"{';'.join(zh)}。",
            message_en=f"{'; '.join(en)}.",
            mend_zh="请由其他人员承担其中一项。",
            mend_en="Let somebody else take one of the parts.",
            facts=details,
        )
