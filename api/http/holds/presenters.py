"""Presenters of holds and proposed releases, with the steps open to this person.

What the storage will refuse is said beforehand, in its own words: by the same policy, from the
same facts. Holds of one proceeding are looked at together, once.
"""

from dataclasses import dataclass, field

from api.http.retention.schemas import HoldOut, ReleaseOut
from api.office.identity import Visitor
from api.problems import describe_error
from policies.facts.terms import HOLD_ZH, PROCEEDING_ZH, HoldReason, ProceedingKind
from policies.identifiers import HoldId, PersonId, Subject, split_subject
from policies.retention import holds as authorities
from policies.retention import releases as policy
from policies.retention.releases import RELEASE_ZH, ReleaseRefusal, ReleaseState
from storage.catalogue.cases import cases
from storage.catalogue.cases.tables import HoldRow, ReleaseRow
from storage.catalogue.holds import holds, proceedings, releases
from storage.catalogue.holds.releases import Covered
from storage.catalogue.people import people
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import View
from storage.errors import ConflictError


@dataclass(slots=True)
class Look:
    """One person's view of holds; caches the catalogue's answers."""

    session: View
    visitor: Visitor
    _covered: dict[str, Covered] = field(default_factory=dict)
    _waiting: dict[str, ReleaseRow | None] = field(default_factory=dict)

    def release_scope(self, row: HoldRow) -> Covered:
        """Return the scope of a release: everything that ends together with a hold."""
        # A proceeding's holds end together, and concern the same persons: one answer serves all of
        # them.
        key = row.proceeding_id or row.id
        if key not in self._covered:
            self._covered[key] = releases.covered_with(self.session, row)
        return self._covered[key]

    def pending_release(self, row: HoldRow) -> ReleaseRow | None:
        """Return the proposal that would end a hold and can be approved still."""
        key = row.proceeding_id or row.id
        if key not in self._waiting:
            proposed = releases.waiting_for(self.session, row)
            # A proposal that nobody can approve any more is not shown as pending: a new one may be
            # made.
            if proposed is not None:
                covered = self.release_scope(row)
                proposal = releases.gather_proposal(self.session, proposed, covered)
                proposed = None if policy.is_void(covered.hold_facts, proposal) else proposed
            self._waiting[key] = proposed
        return self._waiting[key]


def present_hold(look: Look, row: HoldRow) -> HoldOut:
    """Return one hold, and whether this person may propose its release, or why not."""
    session = look.session
    authority = holds.authority_of(row)
    on, on_zh = _lies_on(session, row)
    waiting, no, refusal = None, None, None
    if row.released_at is None:
        waiting, hold_facts = look.pending_release(row), look.release_scope(row).hold_facts
        no = policy.may_propose(look.visitor.person, hold_facts)
        refusal = _explain_refusal(look, no, hold_facts, second=False)
    return HoldOut(
        id=row.id,
        reason=HoldReason(row.reason),
        zh=HOLD_ZH[HoldReason(row.reason)],
        authority=authority,
        authority_zh=authorities.authority_zh(authority),
        on=on,
        on_zh=on_zh,
        township=township_of(session, row),
        proceeding=row.proceeding_id,
        placed_at=row.placed_at,
        placed_by=actor_name(session, row.placed_by),
        released_at=row.released_at,
        note=row.note,
        release=waiting.id if waiting is not None else None,
        yours=row.released_at is None and no is None,
        refusal=refusal.code if refusal is not None else None,
        refusal_zh=_refusal_sentence(refusal),
    )


def present_release(look: Look, row: ReleaseRow) -> ReleaseOut:
    """Return one proposed release, and what this person may do about it, or why not."""
    session, person = look.session, look.visitor.person
    covered = releases.covered_by(session, row)
    proposal = releases.gather_proposal(session, row, covered)
    state = ReleaseState(row.state)
    # By the same policy as the act itself, so that a button and the answer to pressing it agree.
    no = policy.may_decide(person, covered.hold_facts, proposal)
    refusal = _explain_refusal(look, no, covered.hold_facts, second=True)
    on, on_zh = _is_about(session, row)
    rejectable = no is None or no is ReleaseRefusal.VOID
    return ReleaseOut(
        id=row.id,
        hold=row.hold_id,
        proceeding=row.proceeding_id,
        on=on,
        on_zh=on_zh,
        township=township_of_release(session, row),
        holds=len(covered.rows),
        reason=row.reason,
        state=state,
        state_zh=RELEASE_ZH[state],
        proposed_by=people.get_person(session, row.proposed_by).name,
        proposed_at=row.proposed_at,
        decided_by=people.get_person(session, row.decided_by).name if row.decided_by else None,
        decided_at=row.decided_at,
        decided_why=row.decided_why,
        may_approve=no is None,
        may_reject=rejectable,
        may_withdraw=policy.may_withdraw(person, proposal) is None,
        refusal=refusal.code if refusal is not None else None,
        refusal_zh=_refusal_sentence(refusal),
    )


def township_of(session: View, row: HoldRow) -> str | None:
    """Return whose footage a hold lies on; None for a party of the whole county."""
    if row.recording_id is not None:
        return recordings.by_id(session, row.recording_id).township
    case_id = row.case_id
    if row.action_id is not None:
        case_id = cases.get_action(session, row.action_id).case_id
    return cases.get_case(session, case_id).township if case_id is not None else row.township


def township_of_release(session: View, row: ReleaseRow) -> str | None:
    """Return whose hold or proceeding a release is about; None for the whole county's."""
    if row.proceeding_id is not None:
        return proceedings.get_proceeding(session, row.proceeding_id).township
    return township_of(session, holds.get_hold(session, row.hold_id or HoldId("")))


def actor_name(session: View, actor: str) -> str:
    """Return how a screen names who acted, as the log names him."""
    kind, person = split_subject(actor)
    return people.get_person(session, PersonId(person)).name if kind == "person" else actor


def _explain_refusal(
    look: Look, no: ReleaseRefusal | None, hold_facts: policy.HoldContext, *, second: bool
) -> ConflictError | None:
    if no is None:
        return None
    return releases.build_refusal(no, look.visitor.person, hold_facts, second=second)


def _refusal_sentence(refusal: ConflictError | None) -> str | None:
    if refusal is None:
        return None
    sentences = describe_error(refusal)
    return sentences.zh + sentences.next_zh


def _is_about(session: View, row: ReleaseRow) -> tuple[str, str]:
    if row.proceeding_id is None:
        return _lies_on(session, holds.get_hold(session, row.hold_id or HoldId("")))
    brought = proceedings.get_proceeding(session, row.proceeding_id)
    kind_zh = PROCEEDING_ZH[ProceedingKind(brought.kind)]
    return Subject.of_proceeding(brought.id), f"{kind_zh} {brought.number}"


def _lies_on(session: View, row: HoldRow) -> tuple[str, str]:
    """Return what a hold lies on: as the log names it, and in words."""
    if row.recording_id is not None:
        return Subject.of_recording(row.recording_id), recordings.by_id(
            session, row.recording_id
        ).name
    if row.action_id is not None:
        action = cases.get_action(session, row.action_id)
        number = cases.get_case(session, action.case_id).number
        return Subject.of_action(action.id), f"{number} {action.place}"
    if row.case_id is not None:
        case = cases.get_case(session, row.case_id)
        return Subject.of_case(case.id), f"{case.number} {case.title}"
    return Subject.of_kind("party", row.party or ""), str(row.party)
