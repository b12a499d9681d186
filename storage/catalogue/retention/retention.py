"""Retention facts of recordings, gathered from the rows for the retention policy to judge.

`due` finds what the catalogue promised to keep no longer than a date, at the cost of what it
finds. Classes follow from links: a confirmed link makes evidence, a proceeding's hold an
objection, a major case's footage is a major case's.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from policies.facts.stages import ActionKind
from policies.facts.states import ActionStatus, ExhibitState
from policies.facts.terms import FootageClass, HoldReason
from policies.identifiers import ActionId
from policies.retention.retention import HoldFact, KeptFacts, LinkFact, Retention, judge_retention
from policies.rules.rules import Rulebook
from storage.catalogue.cases.tables import DocumentRow, HoldRow
from storage.catalogue.holds import holds
from storage.catalogue.holds.holds import Linked
from storage.catalogue.reading import case_queries
from storage.catalogue.reading.rule_facts import case_features
from storage.catalogue.retention.tables import ClassRow, ReclassificationRow
from storage.catalogue.tables import ActionRow, CaseRow, ExhibitRow, RecordingRow
from storage.errors import NotFoundError

PAGE = 200


def kept_facts(
    session: Session,
    rulebook: Rulebook,
    recordings: Sequence[str],
    at: datetime,
    *,
    assuming: ActionId | None = None,
) -> dict[str, KeptFacts]:
    """Return the facts of some recordings, by id, in a fixed number of queries.

    `assuming` is an action to which they are about to be linked. `locked` is left open: only the
    object store can tell. Raises: NotFoundError.
    """
    query = select(RecordingRow).where(RecordingRow.id.in_(recordings))
    rows = {row.id: row for row in session.scalars(query)}
    if unknown_ids := set(recordings) - rows.keys():
        raise NotFoundError(what="recording", id=min(unknown_ids))
    hold_links = holds.find_links(session, recordings)
    links = _list_links(session, recordings)
    if assuming is not None:
        _assume_link(session, assuming, hold_links, links)
    reaching = holds.list_holds_by_recording(session, hold_links)
    assigned_classes = _list_assigned_classes(session, recordings)
    papers = _list_document_recordings(session, recordings)
    major = _list_major_cases(session, rulebook, hold_links, at)
    unfounded = _list_unfounded_times(session, recordings)
    return {
        recording_id: KeptFacts(
            recording=recording_id,
            accessioned_at=rows[recording_id].accessioned_at,
            classes=_footage_classes(
                assigned_classes.get(recording_id, set()),
                links.get(recording_id, ()),
                document=recording_id in papers,
                major=not major.isdisjoint(hold_links[recording_id].cases),
                objected=_has_objection(reaching[recording_id], unfounded.get(recording_id)),
            ),
            links=tuple(links.get(recording_id, ())),
            holds=tuple(
                _to_hold_fact(row) for row in reaching[recording_id] if row.released_at is None
            ),
            promised=rows[recording_id].retain_until,
            reviewed_at=rows[recording_id].reviewed_at,
        )
        for recording_id in recordings
    }


def explain_retention(
    session: Session,
    rulebook: Rulebook,
    recordings: Sequence[str],
    at: datetime,
    *,
    assuming: ActionId | None = None,
) -> dict[str, Retention]:
    """Say what keeps each of some recordings, as the catalogue knows it; see `kept_facts`."""
    facts = kept_facts(session, rulebook, recordings, at, assuming=assuming)
    return {
        recording_id: judge_retention(rulebook, facts[recording_id], at)
        for recording_id in recordings
    }


def list_due_recordings(
    session: Session,
    at: datetime,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = PAGE,
    township: str | None = None,
) -> list[RecordingRow]:
    """Return recordings that were promised to be kept no longer than `at`, in order of promise.

    `after` is the promise and id of the last one seen. Whether nothing else keeps them,
    `explained` tells. The cost is that of the rows found, not of all that is stored.
    """
    row = RecordingRow
    query = select(row).where(row.destroyed_at.is_(None), row.retain_until <= at)
    if after is not None:
        query = query.where(tuple_(row.retain_until, row.id) > after)
    if township is not None:
        query = query.where(row.township == township)
    return list(session.scalars(query.order_by(row.retain_until, row.id).limit(limit)))


def kept_now(session: Session) -> Iterator[RecordingRow]:
    """Yield every recording that was not destroyed, by id, a few at a time."""
    query = select(RecordingRow).where(RecordingRow.destroyed_at.is_(None))
    yield from session.scalars(query.order_by(RecordingRow.id).execution_options(yield_per=PAGE))


def list_archivable(session: Session, before: datetime, limit: int) -> list[RecordingRow]:
    """Return what was accessioned before then and is not archived yet, oldest first."""
    row = RecordingRow
    query = select(row).where(
        row.destroyed_at.is_(None), row.archived_at.is_(None), row.accessioned_at < before
    )
    return list(session.scalars(query.order_by(row.accessioned_at, row.id).limit(limit)))


def _list_links(session: Session, recordings: Sequence[str]) -> dict[str, list[LinkFact]]:
    """Return links by recording; a proposal of a closed action can be decided by nobody."""
    query = (
        select(ExhibitRow, ActionRow)
        .join(ActionRow, ActionRow.id == ExhibitRow.action_id)
        .where(ExhibitRow.recording_id.in_(recordings), ExhibitRow.state != ExhibitState.REJECTED)
        .order_by(ExhibitRow.id)
    )
    links: dict[str, list[LinkFact]] = {}
    for exhibit, action in session.execute(query):
        decided = exhibit.state == ExhibitState.CONFIRMED
        if decided or action.status == ActionStatus.OPEN:
            link = LinkFact(action.id, ActionKind(action.kind), action.start_at, decided)
            links.setdefault(exhibit.recording_id, []).append(link)
    return links


def _assume_link(
    session: Session,
    action_id: ActionId,
    hold_links: dict[str, Linked],
    links: dict[str, list[LinkFact]],
) -> None:
    """Take all of them as linked to an action. Raises: NotFoundError."""
    action = case_queries.get_action(session, action_id)
    case = case_queries.get_case(session, action.case_id)
    link = LinkFact(action.id, ActionKind(action.kind), action.start_at, decided=True)
    for recording, linked in hold_links.items():
        linked.actions.add(action.id)
        linked.cases.add(case.id)
        linked.parties.add((case.party, case.township))
        other_links = [
            link_fact for link_fact in links.get(recording, []) if link_fact.action != action.id
        ]
        links[recording] = [*other_links, link]


def _list_assigned_classes(
    session: Session, recordings: Sequence[str]
) -> dict[str, set[FootageClass]]:
    query = select(ClassRow).where(
        ClassRow.recording_id.in_(recordings), ClassRow.taken_at.is_(None)
    )
    classes: dict[str, set[FootageClass]] = {}
    for row in session.scalars(query):
        classes.setdefault(row.recording_id, set()).add(FootageClass(row.kind))
    return classes


def _list_document_recordings(session: Session, recordings: Sequence[str]) -> set[str]:
    query = select(DocumentRow.recording_id).where(DocumentRow.recording_id.in_(recordings))
    return {recording_id for recording_id in session.scalars(query) if recording_id is not None}


def _list_major_cases(
    session: Session, rulebook: Rulebook, hold_links: dict[str, Linked], at: datetime
) -> set[str]:
    """Return those of the linked cases whose decision is a major one (第九条)."""
    ids = sorted({case for linked in hold_links.values() for case in linked.cases})
    if not ids:
        return set()
    actions: dict[str, list[ActionRow]] = {}
    for row in session.scalars(select(ActionRow).where(ActionRow.case_id.in_(ids))):
        actions.setdefault(row.case_id, []).append(row)
    return {
        case.id
        for case in session.scalars(select(CaseRow).where(CaseRow.id.in_(ids)))
        if rulebook.has_major_feature(case_features(case, actions.get(case.id, [])), at)
    }


def _list_unfounded_times(session: Session, recordings: Sequence[str]) -> dict[str, datetime]:
    """Return when two persons last took the class of an objection away from a recording."""
    row = ReclassificationRow
    query = select(row).where(row.recording_id.in_(recordings), row.approved.is_(True))
    times: dict[str, datetime] = {}
    for reclassification in session.scalars(query):
        if (
            FootageClass.OBJECTION in reclassification.taking
            and reclassification.decided_at is not None
        ):
            latest = times.get(reclassification.recording_id, reclassification.decided_at)
            times[reclassification.recording_id] = max(reclassification.decided_at, latest)
    return times


def _has_objection(reaching: Iterable[HoldRow], unfounded: datetime | None) -> bool:
    return any(
        row.proceeding_id is not None
        and (row.released_at is None or unfounded is None or row.placed_at > unfounded)
        for row in reaching
    )


def _footage_classes(
    assigned_classes: set[FootageClass],
    links: Iterable[LinkFact],
    *,
    document: bool,
    major: bool,
    objected: bool,
) -> tuple[FootageClass, ...]:
    classes = set(assigned_classes)
    if document or any(link.decided for link in links):
        classes.add(FootageClass.EVIDENCE)
    if document:
        classes.add(FootageClass.DOCUMENT)
    if major:
        classes.add(FootageClass.MAJOR)
    if objected:
        classes.add(FootageClass.OBJECTION)
    return tuple(footage_class for footage_class in FootageClass if footage_class in classes)


def _to_hold_fact(row: HoldRow) -> HoldFact:
    return HoldFact(row.id, HoldReason(row.reason), holds.authority_of(row), row.placed_at)
