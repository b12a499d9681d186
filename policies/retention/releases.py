"""Releasing a hold (解除冻结): two persons, neither of whom it concerns; and who answers.

One proposes with a reason, another approves; only then the hold ends. For a hold placed by hand
the first speaks for the authority that placed it, and so does the second; where a township placed
it, the second may be the county's reviewer as well, for a township often has one head only. For a
complaint, reconsideration or lawsuit both are a head of its township or a reviewer, as is who
answers it. Where every head of the township is concerned, reviewers stand in for them. Officers do
neither. Sources: 兴隆县指导意见 第十五, 十六条; the second person is ours. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from policies.access.access import Act, Person, decide_access
from policies.access.concern import Matter, tie_of
from policies.identifiers import PersonId
from policies.retention.holds import COUNTY, is_proceeding, of_person, township_of


class ReleaseState(StrEnum):
    """Where a proposal to release stands; VOID: what it was about changed meanwhile."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    VOID = "void"


RELEASE_MOVES: dict[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.PROPOSED: frozenset(ReleaseState) - {ReleaseState.PROPOSED},
    ReleaseState.APPROVED: frozenset(),
    ReleaseState.REJECTED: frozenset(),
    ReleaseState.WITHDRAWN: frozenset(),
    ReleaseState.VOID: frozenset(),
}
RELEASE_ZH = {
    ReleaseState.PROPOSED: "待审批",
    ReleaseState.APPROVED: "已解除",
    ReleaseState.REJECTED: "未同意",
    ReleaseState.WITHDRAWN: "已撤回",
    ReleaseState.VOID: "已失效",
}


@dataclass(frozen=True, slots=True)
class HoldContext:
    """Facts for a decision about a hold, or about a proceeding with its holds.

    `authority` placed it, as `policies/retention/holds.py` names it; `township` is whose proceeding
    it is, None for a hold placed by hand. `heads` are the persons who can act as head of the
    township now; `is_answered` is False while a proceeding waits for its answer.
    """

    authority: str
    township: str | None
    matter: Matter
    heads: frozenset[PersonId] = frozenset()
    is_answered: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal to release. `changed`: what it would release is not what it was about."""

    state: ReleaseState
    proposer: PersonId
    changed: bool = False


class ReleaseRefusal(StrEnum):
    """Why a step is refused: stable words for the text table."""

    CONCERNED = "concerned"
    AUTHORITY = "authority"
    SAME_PERSON = "same-person"
    NOT_PROPOSER = "not-proposer"
    STATE = "state"
    VOID = "void"
    UNANSWERED = "unanswered"


class EligibleRole(StrEnum):
    """Roles that may act instead: stable words, for sentences."""

    HEAD = "head"
    HEAD_OR_REVIEWER = "head-or-reviewer"
    REVIEWER = "reviewer"


WHO_ZH = {
    EligibleRole.HEAD: "本乡镇行政负责人",
    EligibleRole.HEAD_OR_REVIEWER: "本乡镇行政负责人或者县审核人员",
    EligibleRole.REVIEWER: "县审核人员",
}
WHO_EN = {
    EligibleRole.HEAD: "a head of the township",
    EligibleRole.HEAD_OR_REVIEWER: "a head of the township, or a reviewer of the county",
    EligibleRole.REVIEWER: "a reviewer of the county",
}


def may_answer(person: Person, context: HoldContext) -> ReleaseRefusal | None:
    """Tell why this person cannot answer a proceeding; None when he can."""
    return _find_refusal(person, context, Act.ANSWER_PROCEEDING, second=False)


def may_propose(person: Person, context: HoldContext) -> ReleaseRefusal | None:
    """Tell why this person cannot propose a release; None when he can."""
    barred = _find_refusal(person, context, Act.RELEASE_HOLD, second=False)
    return ReleaseRefusal.UNANSWERED if barred is None and not context.is_answered else barred


def may_decide(person: Person, context: HoldContext, proposal: Proposal) -> ReleaseRefusal | None:
    """Tell why this person cannot approve or reject a proposed release; None when he can.

    One whose proposer turned out to be concerned is void, as is one about what has changed.
    """
    if ReleaseState.APPROVED not in RELEASE_MOVES[proposal.state]:
        return ReleaseRefusal.STATE
    # Whom it concerns, or whose it is not, hears that first; the rest is for who could decide.
    barred = _find_refusal(person, context, Act.RELEASE_HOLD, second=True)
    if barred is not None:
        return barred
    if person.id == proposal.proposer:
        return ReleaseRefusal.SAME_PERSON
    return ReleaseRefusal.VOID if is_void(context, proposal) else None


def may_withdraw(person: Person, proposal: Proposal) -> ReleaseRefusal | None:
    """Tell why this person cannot withdraw a proposal; None when he can: it is his, and open."""
    if ReleaseState.WITHDRAWN not in RELEASE_MOVES[proposal.state]:
        return ReleaseRefusal.STATE
    return None if person.id == proposal.proposer else ReleaseRefusal.NOT_PROPOSER


def is_void(context: HoldContext, proposal: Proposal) -> bool:
    """Tell whether an open proposal can be approved by nobody any more."""
    return proposal.changed or tie_of(context.matter, proposal.proposer) is not None


def who_may(context: HoldContext, *, second: bool) -> EligibleRole:
    """Return who may act upon a hold, as far as it does not concern them."""
    # A township without any head counts as one whose heads are all concerned: else its holds would
    # never end.
    if context.authority == COUNTY or not _free_heads(context):
        return EligibleRole.REVIEWER
    reviewer_allowed = second or is_proceeding(context.authority)
    return EligibleRole.HEAD_OR_REVIEWER if reviewer_allowed else EligibleRole.HEAD


def _find_refusal(
    person: Person, context: HoldContext, act: Act, *, second: bool
) -> ReleaseRefusal | None:
    # Before roles and authority: recusal (第十六条) bars even who would otherwise be the right
    # one, and the refusal should say so.
    if tie_of(context.matter, person.id) is not None:
        return ReleaseRefusal.CONCERNED
    # A hold placed by hand has no township here; whose it is, is compared with its authority below.
    granted = decide_access(person, act, context.township).allowed
    return (
        None
        if granted and _speaks_for_authority(person, context, second=second)
        else ReleaseRefusal.AUTHORITY
    )


def _speaks_for_authority(person: Person, context: HoldContext, *, second: bool) -> bool:
    own = of_person(person)
    # Reviewers are kept from one thing: the first step upon a hold that a township placed itself.
    if own == COUNTY:
        return who_may(context, second=second) is not EligibleRole.HEAD
    if is_proceeding(context.authority):
        return own is not None and township_of(own) == context.township
    return own == context.authority


def _free_heads(context: HoldContext) -> bool:
    return any(tie_of(context.matter, head) is None for head in context.heads)
