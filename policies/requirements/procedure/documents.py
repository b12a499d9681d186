"""Documents: what must be on file for an action or a case, and how it must have been served.

兴隆县指导意见 第十二条 (执法文书); 行政强制法 第二十四条 (decision and list delivered on the
spot). On an action they must be its own; on a case, anywhere in it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from policies.facts.facts import ActionFacts, CaseFacts, Document
from policies.facts.terms import DOCUMENT_ZH, DocumentKind
from policies.requirements.outcome import Outcome, Scope


@dataclass(frozen=True, slots=True)
class Documents:
    """Parameters: all of `kinds`, and one of `either`.

    With `served` each must have been served; `before` asks that they are older than the action,
    `on_the_spot_h` that they were served within so many hours of its end.
    """

    scope: ClassVar[Scope] = Scope.ACTION
    kinds: tuple[DocumentKind, ...] = ()
    either: tuple[DocumentKind, ...] = ()
    served: bool = False
    before: bool = False
    on_the_spot_h: float = 0.0

    def check_facts(self, facts: ActionFacts | CaseFacts) -> Outcome:
        """Name every document that is missing, late or not served."""
        wrong = [(kind, self._find_problem(kind, facts)) for kind in self.kinds]
        wrong = [(kind, problem) for kind, problem in wrong if problem]
        kinds = {document.kind for document in facts.documents}
        lacking = bool(self.either) and kinds.isdisjoint(self.either)
        details = {"found": sorted(kinds), "wrong": [[kind, problem] for kind, problem in wrong]}
        if not wrong and not lacking:
            return Outcome(
                passed=True,
                message_zh="文书齐全。",
                message_en="The documents are complete.",
                facts=details,
            )
        zh = [f"{DOCUMENT_ZH[kind]}({_PROBLEM_ZH[problem]})" for kind, problem in wrong]
        en = [f"{kind} ({problem})" for kind, problem in wrong]
        if lacking:
            zh.append("或者".join(DOCUMENT_ZH[kind] for kind in self.either) + "(缺少)")
            en.append(" or ".join(self.either) + " (missing)")
        return Outcome(
            passed=False,
            message_zh=f"文书不齐:{'、'.join(zh)}。",
            message_en=f"Documents are wanting: {', '.join(en)}.",
            mend_zh="请补登文书及送达情况;没有制作的,应当依法补正。",
            mend_en="Enter the documents and how they were served.",
            facts=details,
        )

    def _find_problem(self, kind: DocumentKind, facts: ActionFacts | CaseFacts) -> str:
        """Return what is wrong with the best document of this kind."""
        problems = [
            self._check_document(document, facts)
            for document in facts.documents
            if document.kind is kind
        ]
        if not problems:
            return "missing"
        return "" if "" in problems else problems[-1]

    def _check_document(self, document: Document, facts: ActionFacts | CaseFacts) -> str:
        if isinstance(facts, ActionFacts):
            if self.before and document.at > facts.start:
                return "late"
            if self.on_the_spot_h and facts.end is not None:
                limit = facts.end + timedelta(hours=self.on_the_spot_h)
                if document.served_at is None or document.served_at > limit:
                    return "not-on-the-spot"
        return "not-served" if self.served and document.served_at is None else ""


@dataclass(frozen=True, slots=True)
class CaseDocuments(Documents):
    """`Documents` for a case: checked when the case changes stage."""

    scope: ClassVar[Scope] = Scope.CASE


_PROBLEM_ZH = {
    "missing": "缺少",
    "late": "晚于实施时间",
    "not-on-the-spot": "没有当场交付",
    "not-served": "没有送达",
}
