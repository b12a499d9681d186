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

from policies.access.access import Act, Person, decide
from policies.access.concern import Matter, tie_of
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
class Held:
    """What a decision about a hold, or about a proceeding with its holds, looks at.

    `authority` placed it, as `policies/retention/holds.py` names it; `township` is whose proceeding
    it is, None for a hold placed by hand. `heads` are the persons who can act as head of the
    township now; `answered` is False while a proceeding waits for its answer.
    """

    authority: str
    township: str | None
    matter: Matter
    heads: frozenset[str] = frozenset()
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal to release. `changed`: what it would release is not what it was about."""

    state: ReleaseState
    proposer: str
    changed: bool = False


class No(StrEnum):
    """Why a step is refused: stable words for the text table."""

    CONCERNED = "concerned"
    AUTHORITY = "authority"
    SAME_PERSON = "same-person"
    NOT_PROPOSER = "not-proposer"
    STATE = "state"
    VOID = "void"
    UNANSWERED = "unanswered"


class Who(StrEnum):
    """Who may act instead: stable words, for sentences."""

    HEAD = "head"
    HEAD_OR_REVIEWER = "head-or-reviewer"
    REVIEWER = "reviewer"


WHO_ZH = {
    Who.HEAD: "本乡镇行政负责人",
    Who.HEAD_OR_REVIEWER: "本乡镇行政负责人或者县审核人员",
    Who.REVIEWER: "县审核人员",
}
WHO_EN = {
    Who.HEAD: "a head of the township",
    Who.HEAD_OR_REVIEWER: "a head of the township, or a reviewer of the county",
    Who.REVIEWER: "a reviewer of the county",
}


def may_answer(person: Person, held: Held) -> No | None:
    """Tell why this person cannot answer a proceeding; None when he can."""
    return _barred(person, held, Act.ANSWER_PROCEEDING, second=False)


def may_propose(person: Person, held: Held) -> No | None:
    """Tell why this person cannot propose a release; None when he can."""
    barred = _barred(person, held, Act.RELEASE_HOLD, second=False)
    return No.UNANSWERED if barred is None and not held.answered else barred


def may_decide(person: Person, held: Held, proposal: Proposal) -> No | None:
    """Tell why this person cannot approve or reject a proposed release; None when he can.

    One whose proposer turned out to be concerned is void, as is one about what has changed.
    """
    if ReleaseState.APPROVED not in RELEASE_MOVES[proposal.state]:
        return No.STATE
    barred = _barred(person, held, Act.RELEASE_HOLD, second=True)
    if barred is not None:
        return barred
    if person.id == proposal.proposer:
        return No.SAME_PERSON
    return No.VOID if is_void(held, proposal) else None


def may_withdraw(person: Person, proposal: Proposal) -> No | None:
    """Tell why this person cannot withdraw a proposal; None when he can: it is his, and open."""
    if ReleaseState.WITHDRAWN not in RELEASE_MOVES[proposal.state]:
        return No.STATE
    return None if person.id == proposal.proposer else No.NOT_PROPOSER


def is_void(held: Held, proposal: Proposal) -> bool:
    """Tell whether an open proposal can be approved by nobody any more."""
    return proposal.changed or tie_of(held.matter, proposal.proposer) is not None


def who_may(held: Held, *, second: bool) -> Who:
    """Return who may act upon a hold, as far as it does not concern them."""
    if held.authority == COUNTY or not _free_heads(held):
        return Who.REVIEWER
    both = second or is_proceeding(held.authority)
    return Who.HEAD_OR_REVIEWER if both else Who.HEAD


def _barred(person: Person, held: Held, act: Act, *, second: bool) -> No | None:
    if tie_of(held.matter, person.id) is not None:
        return No.CONCERNED
    granted = decide(person, act, held.township).allowed
    return None if granted and _speaks(person, held, second=second) else No.AUTHORITY


def _speaks(person: Person, held: Held, *, second: bool) -> bool:
    own = of_person(person)
    if own == COUNTY:
        return who_may(held, second=second) is not Who.HEAD
    if is_proceeding(held.authority):
        return own is not None and township_of(own) == held.township
    return own == held.authority


def _free_heads(held: Held) -> bool:
    return any(tie_of(held.matter, head) is None for head in held.heads)
