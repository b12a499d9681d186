"""情况说明: when an approved explanation lets a case go on in spite of a finding.

The reason must be one that the rule admits, handed in within the rule's days, and approved by one
whom the rule names and whom the matter does not concern. The finding stays for ever, with it.
Source of the reasons: municipal AV rules (四平、重庆万州): technical causes, weather, force
majeure, urgency, secrets; explained in writing to the head afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from policies.facts.facts import ActionFacts, CaseFacts, Waiver
from policies.facts.findings import Waived
from policies.facts.terms import Approver, WaiverReason
from policies.identifiers import PersonId


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of a waiver: approvers, accepted reasons (empty: any), days to hand it in."""

    by: tuple[Approver, ...] = ()
    reasons: tuple[WaiverReason, ...] = ()
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Weighing:
    """Outcome of weighing: the waiver that counts, or the last refusal; pending waivers."""

    waived: Waived | None = None
    refused: str = ""
    pending: tuple[str, ...] = ()


def weigh_waivers(
    terms: Terms, waivers: Iterable[Waiver], concerned: frozenset[PersonId], ended: datetime | None
) -> Weighing:
    """Weigh the explanations of one finding."""
    refused = ""
    pending: list[str] = []
    # One that counts is enough, whatever became of the others: a refused explanation may be
    # followed by a better one.
    for waiver in waivers:
        problem = find_objection(terms, waiver, concerned, ended)
        if problem:
            refused = problem
        elif waiver.approved_by is None or waiver.approved_at is None:
            pending.append(waiver.id)
        else:
            counts = Waived(
                waiver.id, waiver.reason.value, waiver.by, waiver.approved_by, waiver.approved_at
            )
            return Weighing(counts)
    return Weighing(None, refused, tuple(pending))


def find_objection(
    terms: Terms, waiver: Waiver, concerned: frozenset[PersonId], ended: datetime | None
) -> str:
    """Return why an explanation cannot count, as a stable word, or an empty text.

    not-waivable, reason, too-late, refused, approver, concerned.
    """
    late = terms.days is not None and ended and waiver.at > ended + timedelta(days=terms.days)
    approved = waiver.approved_by is not None
    # The first that holds is what is told. Before anybody decided, the last two cannot hold: an
    # explanation that waits is pending, not wrong.
    checks = (
        ("not-waivable", not terms.by),
        ("reason", bool(terms.reasons) and waiver.reason not in terms.reasons),
        ("too-late", late),
        ("refused", waiver.refused),
        # The capacity in which it was approved is stored with it: a role that changes later
        # neither spoils nor makes an approval.
        ("approver", approved and waiver.approver not in {approver.value for approver in terms.by}),
        # Who wrote an explanation is barred from approving it even where the matter does not
        # concern him.
        ("concerned", approved and waiver.approved_by in concerned | {waiver.by}),
    )
    return next((word for word, holds in checks if holds), "")


OBJECTION_ZH = {
    "not-waivable": "该项规定不适用情况说明",
    "reason": "该项规定不接受这一理由",
    "too-late": "超过了提交期限",
    "refused": "未获批准",
    "approver": "批准人不是规定的人员",
    "concerned": "批准人与本事项有关,应当回避",
}


def concerned_in(facts: Any) -> frozenset[PersonId]:
    """Return whom a matter concerns: who took part in it, or handles the case."""
    if isinstance(facts, ActionFacts):
        return frozenset(officer.id for officer in facts.officers)
    if isinstance(facts, CaseFacts):
        took_part = (concerned_in(action) for action in facts.actions)
        return frozenset(facts.handlers).union(*took_part)
    return frozenset()
