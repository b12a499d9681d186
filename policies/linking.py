"""Proposed links between recordings and actions, by officer and time. A person confirms."""

from dataclasses import dataclass

from policies.facts.facts import ActionFacts, Footage
from policies.time.intervals import Span


@dataclass(frozen=True, slots=True)
class Proposal:
    """A recording, the interval of the action it shows, and why it is proposed."""

    recording: str
    interval: Span
    reason: str


def propose_links(action: ActionFacts, candidates: tuple[Footage, ...]) -> tuple[Proposal, ...]:
    """Return the candidates of the action's officers whose time overlaps it, in order of time.

    An action without an end is matched up to the end of the footage. Footage whose officer or
    start is unknown is never proposed: it is asked about elsewhere.
    """
    officers = {officer.id for officer in action.officers}
    proposals = []
    for footage in candidates:
        if footage.span is None or footage.officer not in officers:
            continue
        # Footage that ended before an open action began gives an empty frame, and no proposal.
        frame = action.span or Span(action.start, max(footage.span.end, action.start))
        interval = footage.span.intersection(frame)
        if interval is not None:
            proposals.append(Proposal(footage.recording, interval, "officer-time"))
    return tuple(sorted(proposals, key=lambda proposal: proposal.interval))
