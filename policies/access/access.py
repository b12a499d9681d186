"""Access control: every act is denied unless a grant here allows it.

Operators run a station and see no footage; officers see their own township; its head decides and
approves explanations; reviewers see the county, review and check, and change no evidence; head and
reviewers hold, answer complaints, reclassify, and propose or approve what is released or destroyed,
each by two of them; administrators keep accounts, stations and jobs, of the whole county, and see
no footage (三员分离: whoever rules the system does not read the evidence). Whom a matter concerns
does not decide upon it, whatever he is granted here (`policies/access/concern.py`).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from policies.identifiers import PersonId


class Role(StrEnum):
    """What an account is for."""

    OPERATOR = "operator"
    OFFICER = "officer"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    HEAD = "head"


class Act(StrEnum):
    """What can be asked for; also the word in the custody log."""

    SEE_BAYS = "bay.see"
    SEE_STATIONS = "station.see"
    KEEP_STATIONS = "station.keep"
    SEE_JOBS = "job.see"
    KEEP_JOBS = "job.keep"
    LIST_RECORDINGS = "recording.list"
    PLAY = "recording.play"
    COPY = "recording.copy"
    ANSWER = "recording.answer"
    SEE_CASE = "case.see"
    KEEP_CASE = "case.keep"
    LINK = "exhibit.link"
    CLOSE = "action.close"
    EXPORT = "bundle.export"
    VERIFY = "custody.verify"
    KEEP_ACCOUNTS = "account.keep"
    REVIEW = "case.review"
    DECIDE = "case.decide"
    EXPLAIN = "waiver.hand-in"
    APPROVE = "waiver.settle"
    SETTLE_DOUBT = "doubt.settle"
    KEEP_PROCEEDING = "proceeding.keep"
    ANSWER_PROCEEDING = "proceeding.answer"
    SEE_DUTIES = "duty.see"
    SEE_REGISTER = "register.see"
    KEEP_REGISTER = "register.keep"
    DRAW = "check.draw"
    CHECK = "check.enter"
    HAND_IN = "submission.hand-in"
    EVALUATE = "evaluation.see"
    SEE_KEEPING = "keeping.see"
    PLACE_HOLD = "hold.place"
    RELEASE_HOLD = "hold.release"
    CLASSIFY = "class.give"
    RECLASSIFY = "reclassification.decide"
    PROPOSE_DISPOSITION = "disposition.propose"
    APPROVE_DISPOSITION = "disposition.approve"


@dataclass(frozen=True, slots=True)
class Person:
    """The person who acts. `township` is None for county-wide people.

    `actor` is how the log names him, where a face let him in (custody/acting.py).
    """

    id: PersonId
    role: Role
    township: str | None
    actor: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and the reason, in a stable word."""

    allowed: bool
    reason: str


_COUNTY = frozenset({Role.REVIEWER, Role.ADMIN})
# What is kept and what ends is for who answers for the evidence, never for who runs the system.
_KEEPERS = frozenset(
    {
        Act.SEE_KEEPING,
        Act.ANSWER_PROCEEDING,
        Act.PLACE_HOLD,
        Act.RELEASE_HOLD,
        Act.CLASSIFY,
        Act.RECLASSIFY,
        Act.PROPOSE_DISPOSITION,
        Act.APPROVE_DISPOSITION,
    }
)
_GRANTS: dict[Role, frozenset[Act]] = {
    Role.OPERATOR: frozenset({Act.SEE_BAYS, Act.SEE_STATIONS, Act.LIST_RECORDINGS, Act.ANSWER}),
    Role.OFFICER: frozenset(
        {
            Act.SEE_BAYS,
            Act.LIST_RECORDINGS,
            Act.HAND_IN,
            Act.PLAY,
            Act.COPY,
            Act.ANSWER,
            Act.SEE_CASE,
            Act.KEEP_CASE,
            Act.LINK,
            Act.CLOSE,
            Act.EXPORT,
            Act.EXPLAIN,
            Act.SETTLE_DOUBT,
            Act.KEEP_PROCEEDING,
            Act.SEE_DUTIES,
            Act.SEE_REGISTER,
            Act.CHECK,
            Act.EVALUATE,
            Act.SEE_KEEPING,
            Act.CLASSIFY,
        }
    ),
    Role.HEAD: _KEEPERS
    | frozenset(
        {
            Act.SEE_BAYS,
            Act.LIST_RECORDINGS,
            Act.PLAY,
            Act.SEE_CASE,
            Act.DECIDE,
            Act.APPROVE,
            Act.KEEP_PROCEEDING,
            Act.SEE_DUTIES,
            Act.SEE_REGISTER,
            Act.EVALUATE,
        }
    ),
    Role.REVIEWER: _KEEPERS
    | frozenset(
        {
            Act.LIST_RECORDINGS,
            Act.PLAY,
            Act.SEE_CASE,
            Act.EXPORT,
            Act.VERIFY,
            Act.SEE_BAYS,
            Act.SEE_STATIONS,
            Act.REVIEW,
            Act.APPROVE,
            Act.SETTLE_DOUBT,
            Act.KEEP_PROCEEDING,
            Act.SEE_DUTIES,
            Act.SEE_REGISTER,
            Act.DRAW,
            Act.CHECK,
            Act.EVALUATE,
        }
    ),
    Role.ADMIN: frozenset(
        {
            Act.SEE_BAYS,
            Act.SEE_STATIONS,
            Act.KEEP_STATIONS,
            Act.SEE_JOBS,
            Act.KEEP_JOBS,
            Act.KEEP_ACCOUNTS,
            Act.VERIFY,
            Act.SEE_REGISTER,
            Act.KEEP_REGISTER,
        }
    ),
}


def decide_access(person: Person, act: Act, township: str | None = None) -> Decision:
    """Decide one act upon something of a township (None: nothing of a township is touched)."""
    # The role first: who may not do such a thing anywhere learns nothing of whose township it is.
    if act not in _GRANTS[person.role]:
        return Decision(allowed=False, reason="role")
    if township is None or person.role in _COUNTY:
        return Decision(allowed=True, reason="granted")
    # An officer without a township belongs to none, and must not pass for one of the whole county.
    if person.township is None or person.township != township:
        return Decision(allowed=False, reason="township")
    return Decision(allowed=True, reason="granted")
