"""Which recordings probably show an action: by officer and overlapping time. A person confirms."""

from dataclasses import dataclass

from policies.facts.facts import ActionFacts, Footage
from policies.time.intervals import Span


@dataclass(frozen=True, slots=True)
class Proposal:
    """A recording, the interval of the action it shows, and why it is proposed."""

    recording: str
    shown: Span
    reason: str


def propose(action: ActionFacts, candidates: tuple[Footage, ...]) -> tuple[Proposal, ...]:
    """Return the candidates of the action's officers whose time overlaps it, in order of time.

    An action without an end is matched up to the end of the footage. Footage whose officer or
    start is unknown is never proposed: it is asked about elsewhere.
    """
    officers = {officer.id for officer in action.officers}
    found = []
    for item in candidates:
        if item.span is None or item.officer not in officers:
            continue
        frame = action.span or Span(action.start, max(item.span.end, action.start))
        shown = item.span.cut(frame)
        if shown is not None:
            found.append(Proposal(item.recording, shown, "officer-time"))
    return tuple(sorted(found, key=lambda proposal: proposal.shown))
