"""Reasons to keep a recording, gathered from the rows for the policy of that name; none is judged.

`due` finds what the catalogue promised to keep no longer than a date, at the cost of what it
finds. Classes follow from links: a confirmed link makes evidence, a proceeding's hold an
objection, a major case's footage is a major case's.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from policies.facts.stages import ActionKind
from policies.facts.terms import FootageClass, HoldReason
from policies.retention.retention import HoldFact, KeptFacts, LinkFact, Retention, explain
from policies.rules.rules import Rulebook
from storage.catalogue.cases.tables import DocumentRow, HoldRow
from storage.catalogue.holds import holds
from storage.catalogue.holds.holds import Linked
from storage.catalogue.reading import case_queries
from storage.catalogue.reading.case_queries import CONFIRMED, REJECTED
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
    assuming: str | None = None,
) -> dict[str, KeptFacts]:
    """Return the facts of some recordings, by id, in a fixed number of queries.

    `assuming` is an action to which they are about to be linked. `locked` is left open: only the
    object store can tell. Raises: NotFoundError.
    """
    wanted = select(RecordingRow).where(RecordingRow.id.in_(recordings))
    rows = {row.id: row for row in session.scalars(wanted)}
    if missing := set(recordings) - rows.keys():
        raise NotFoundError(what="recording", id=min(missing))
    told = holds.linked(session, recordings)
    links = _links(session, recordings)
    if assuming is not None:
        _assume(session, assuming, told, links)
    reaching = holds.reaching(session, told)
    given = _given(session, recordings)
    papers = _papers(session, recordings)
    major = _major(session, rulebook, told, at)
    unfounded = _unfounded(session, recordings)
    return {
        one: KeptFacts(
            recording=one,
            accessioned_at=rows[one].accessioned_at,
            classes=_classes(
                given.get(one, set()),
                links.get(one, ()),
                document=one in papers,
                major=not major.isdisjoint(told[one].cases),
                objected=_objected(reaching[one], unfounded.get(one)),
            ),
            links=tuple(links.get(one, ())),
            holds=tuple(_hold(row) for row in reaching[one] if row.released_at is None),
            promised=rows[one].retain_until,
            reviewed_at=rows[one].reviewed_at,
        )
        for one in recordings
    }


def explained(
    session: Session,
    rulebook: Rulebook,
    recordings: Sequence[str],
    at: datetime,
    *,
    assuming: str | None = None,
) -> dict[str, Retention]:
    """Say what keeps each of some recordings, as the catalogue knows it; see `kept_facts`."""
    facts = kept_facts(session, rulebook, recordings, at, assuming=assuming)
    return {one: explain(rulebook, facts[one], at) for one in recordings}


def due(
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
    wanted = select(row).where(row.destroyed_at.is_(None), row.retain_until <= at)
    if after is not None:
        wanted = wanted.where(tuple_(row.retain_until, row.id) > after)
    if township is not None:
        wanted = wanted.where(row.township == township)
    return list(session.scalars(wanted.order_by(row.retain_until, row.id).limit(limit)))


def kept_now(session: Session) -> Iterator[RecordingRow]:
    """Yield every recording that was not destroyed, by id, a few at a time."""
    wanted = select(RecordingRow).where(RecordingRow.destroyed_at.is_(None))
    yield from session.scalars(wanted.order_by(RecordingRow.id).execution_options(yield_per=PAGE))


def archivable(session: Session, before: datetime, limit: int) -> list[RecordingRow]:
    """Return what was accessioned before then and is not archived yet, oldest first."""
    row = RecordingRow
    wanted = select(row).where(
        row.destroyed_at.is_(None), row.archived_at.is_(None), row.accessioned_at < before
    )
    return list(session.scalars(wanted.order_by(row.accessioned_at, row.id).limit(limit)))


def _links(session: Session, recordings: Sequence[str]) -> dict[str, list[LinkFact]]:
    """Return links by recording; a proposal of a closed action can be decided by nobody."""
    wanted = (
        select(ExhibitRow, ActionRow)
        .join(ActionRow, ActionRow.id == ExhibitRow.action_id)
        .where(ExhibitRow.recording_id.in_(recordings), ExhibitRow.state != REJECTED)
        .order_by(ExhibitRow.id)
    )
    found: dict[str, list[LinkFact]] = {}
    for exhibit, action in session.execute(wanted):
        decided = exhibit.state == CONFIRMED
        if decided or action.status == "open":
            link = LinkFact(action.id, ActionKind(action.kind), action.start_at, decided)
            found.setdefault(exhibit.recording_id, []).append(link)
    return found


def _assume(
    session: Session, action_id: str, told: dict[str, Linked], links: dict[str, list[LinkFact]]
) -> None:
    """Take all of them as linked to an action. Raises: NotFoundError."""
    action = case_queries.action(session, action_id)
    case = case_queries.case(session, action.case_id)
    link = LinkFact(action.id, ActionKind(action.kind), action.start_at, decided=True)
    for recording, linked in told.items():
        linked.actions.add(action.id)
        linked.cases.add(case.id)
        linked.parties.add((case.party, case.township))
        others = [one for one in links.get(recording, []) if one.action != action.id]
        links[recording] = [*others, link]


def _given(session: Session, recordings: Sequence[str]) -> dict[str, set[FootageClass]]:
    wanted = select(ClassRow).where(
        ClassRow.recording_id.in_(recordings), ClassRow.taken_at.is_(None)
    )
    found: dict[str, set[FootageClass]] = {}
    for row in session.scalars(wanted):
        found.setdefault(row.recording_id, set()).add(FootageClass(row.kind))
    return found


def _papers(session: Session, recordings: Sequence[str]) -> set[str]:
    wanted = select(DocumentRow.recording_id).where(DocumentRow.recording_id.in_(recordings))
    return {one for one in session.scalars(wanted) if one is not None}


def _major(session: Session, rulebook: Rulebook, told: dict[str, Linked], at: datetime) -> set[str]:
    """Return those of the linked cases whose decision is a major one (第九条)."""
    ids = sorted({case for linked in told.values() for case in linked.cases})
    if not ids:
        return set()
    actions: dict[str, list[ActionRow]] = {}
    for row in session.scalars(select(ActionRow).where(ActionRow.case_id.in_(ids))):
        actions.setdefault(row.case_id, []).append(row)
    return {
        case.id
        for case in session.scalars(select(CaseRow).where(CaseRow.id.in_(ids)))
        if rulebook.major(case_features(case, actions.get(case.id, [])), at)
    }


def _unfounded(session: Session, recordings: Sequence[str]) -> dict[str, datetime]:
    """Return when two persons last took the class of an objection away from a recording."""
    row = ReclassificationRow
    wanted = select(row).where(row.recording_id.in_(recordings), row.approved.is_(True))
    found: dict[str, datetime] = {}
    for one in session.scalars(wanted):
        if FootageClass.OBJECTION in one.taking and one.decided_at is not None:
            known = found.get(one.recording_id, one.decided_at)
            found[one.recording_id] = max(one.decided_at, known)
    return found


def _objected(reaching: Iterable[HoldRow], unfounded: datetime | None) -> bool:
    return any(
        row.proceeding_id is not None
        and (row.released_at is None or unfounded is None or row.placed_at > unfounded)
        for row in reaching
    )


def _classes(
    given: set[FootageClass],
    links: Iterable[LinkFact],
    *,
    document: bool,
    major: bool,
    objected: bool,
) -> tuple[FootageClass, ...]:
    found = set(given)
    if document or any(one.decided for one in links):
        found.add(FootageClass.EVIDENCE)
    if document:
        found.add(FootageClass.DOCUMENT)
    if major:
        found.add(FootageClass.MAJOR)
    if objected:
        found.add(FootageClass.OBJECTION)
    return tuple(one for one in FootageClass if one in found)


def _hold(row: HoldRow) -> HoldFact:
    return HoldFact(row.id, HoldReason(row.reason), holds.authority_of(row), row.placed_at)
