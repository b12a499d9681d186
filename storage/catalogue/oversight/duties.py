"""Stored duties: judged once, and again when their entries, the rules or the time call for it.

A stored duty counts only while its basis (`duty_basis.py`) says so: judged by this very standard,
since the last change of its entries, and asked for within the time for which that holds. Whatever
else there is, `stale` names; it is judged anew before anything is answered.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Select, and_, delete, func, insert, literal, select, tuple_, union, update
from sqlalchemy.orm import Session

import policies
from policies.duties import (
    EARLIEST,
    LATEST,
    Asking,
    Duty,
    DutyState,
    Obligation,
    Place,
    Window,
    derive_obligations,
    find_steady_window,
    rank_duty,
)
from policies.facts.facts import TownshipFacts
from policies.identifiers import Subject, split_subject
from policies.rules.rules import AnyFacts, Rulebook
from policies.time.calendar import county_day, published_days, start_of_day
from storage.catalogue.cases.tables import ProceedingRow
from storage.catalogue.duty_basis import CASE, PROCEEDING, TOWNSHIP
from storage.catalogue.engine.columns import UtcTime
from storage.catalogue.oversight import duty_facts
from storage.catalogue.oversight.tables import DutyBasisRow, DutyRow
from storage.catalogue.people import register
from storage.catalogue.reading.rule_facts import proceeding_facts
from storage.catalogue.tables import CaseRow, PersonRow
from storage.catalogue.unit_of_work import UnitOfWork

LOOK_BACK = timedelta(days=366)  # closed cases count so long: decisions are to be disclosed
BATCH = 500

# The groups of the list, in its order (policies.duties.place), as the table knows them.
_OVERDUE, _UNKNOWN, _COMING, _DONE_GROUP = (
    list(DutyState).index(state)
    for state in (DutyState.OVERDUE, DutyState.UNKNOWN, DutyState.SOON, DutyState.COMPLETED)
)
_STILL = (_OVERDUE, _UNKNOWN, _COMING)


@dataclass(frozen=True, slots=True)
class DutyJudgement:
    """Duties of one basis: `version` is the one judged, `window` how long they hold."""

    subject: str
    version: int
    window: Window
    duties: tuple[Obligation, ...]


def standard_of(rulebook: Rulebook) -> str:
    """Return the name of everything that judges, beside the entries: rules, calendar, software."""
    parts = (repr(rulebook), published_days(), _digest_software())
    return sha256("\0".join(parts).encode()).hexdigest()


def list_stale_subjects(
    session: Session, standard: str, at: datetime, *, after: str = "", limit: int = BATCH
) -> list[str]:
    """Return the subjects to judge anew before a list at a moment, in order."""
    basis = DutyBasisRow
    # Each by its index: few are stale, however many cases there ever were.
    why = (
        basis.standard < standard,
        basis.standard > standard,
        basis.first > at,
        basis.until <= at,
    )
    query = union(
        *(select(basis.subject).where(condition, basis.subject > after) for condition in why)
    )
    subject = query.subquery().c.subject
    return list(session.scalars(select(subject).order_by(subject).limit(limit)))


def list_subjects(session: Session, *, after: str = "", limit: int = BATCH) -> list[str]:
    """Return whatever duties are judged of, in order."""
    query = select(DutyBasisRow.subject).where(DutyBasisRow.subject > after)
    return list(session.scalars(query.order_by(DutyBasisRow.subject).limit(limit)))


def judge_duties(
    session: Session, rulebook: Rulebook, names: Sequence[str], at: datetime
) -> list[DutyJudgement]:
    """Judge at most `BATCH` subjects at a moment, from one view; nothing is written."""
    rows = select(DutyBasisRow.subject, DutyBasisRow.version)
    versions = {
        row.subject: row.version
        for row in session.execute(rows.where(DutyBasisRow.subject.in_(names)))
    }
    asking = Asking(rulebook)
    ids: dict[str, list[str]] = {CASE: [], PROCEEDING: [], TOWNSHIP: []}
    for subject in versions:
        kind, key = split_subject(subject)
        ids[kind].append(key)
    duties_by_subject = {
        Subject.of_kind(kind, key): (window, tuple(owed))
        for kind, key, window, owed in (
            *_judge_cases(session, asking, ids[CASE], at),
            *_judge_proceedings(session, asking, ids[PROCEEDING], at),
            *_judge_townships(session, asking, ids[TOWNSHIP], at),
        )
    }
    nothing: tuple[Window, tuple[Obligation, ...]] = Window(EARLIEST, LATEST), ()
    return [
        DutyJudgement(subject, versions[subject], *duties_by_subject.get(subject, nothing))
        for subject in sorted(versions)
    ]


def store_judgements(uow: UnitOfWork, standard: str, judgements: Sequence[DutyJudgement]) -> int:
    """Store what was judged, unless its entries changed since; return how much was stored."""
    session = uow.session
    rows = select(DutyBasisRow.subject, DutyBasisRow.version)
    versions = {
        row.subject: row.version
        for row in session.execute(
            rows.where(DutyBasisRow.subject.in_([judgement.subject for judgement in judgements]))
        )
    }
    still = [
        judgement
        for judgement in judgements
        if versions.get(judgement.subject) == judgement.version
    ]
    if not still:
        return 0
    names = [judgement.subject for judgement in still]
    session.execute(delete(DutyRow).where(DutyRow.basis.in_(names)))
    if owed := [_row_values(judgement, duty) for judgement in still for duty in judgement.duties]:
        session.execute(insert(DutyRow), owed)
    session.execute(
        update(DutyBasisRow),
        [
            {
                "subject": judgement.subject,
                "standard": standard,
                "first": judgement.window.first,
                "until": judgement.window.until,
            }
            for judgement in still
        ],
    )
    return len(still)


def list_stored_duties(session: Session, names: Sequence[str]) -> dict[str, tuple[Obligation, ...]]:
    """Return what is stored of some subjects, be it stale or not."""
    duties: dict[str, tuple[Obligation, ...]] = dict.fromkeys(names, ())
    query = select(DutyRow).where(DutyRow.basis.in_(names))
    order = (DutyRow.subject, DutyRow.rule, DutyRow.person_id)
    for row in session.scalars(query.order_by(*order)):
        duties[row.basis] += (_to_obligation(row),)
    return duties


def list_duties(
    session: Session,
    standard: str,
    at: datetime,
    *,
    township: str | None = None,
    after: Place | None = None,
    limit: int,
    include_done: bool = False,
    judgements: Iterable[DutyJudgement] = (),
) -> list[Duty]:
    """Return duties of a township (None: of all) as they stand at a moment, in order.

    `after` is the place of the last of the page before; `judged` what was just judged of all that
    is stale. What is done comes last, if it is asked for.
    """
    new = [
        duty
        for judgement in judgements
        for duty in (owed.duty_at(at) for owed in judgement.duties)
        if (township is None or duty.township == township)
        and (include_done or duty.state is not DutyState.COMPLETED)
        and (after is None or rank_duty(duty) > after)
    ]
    old: list[Duty] = []
    for group in (*_STILL, _DONE_GROUP) if include_done else _STILL:
        if len(old) < limit and (after is None or group >= after[0]):
            query = _exclude_stale(_of_group(group, at, after), standard, at, township)
            rows = session.scalars(query.limit(limit - len(old)))
            old += [_to_obligation(row).duty_at(at) for row in rows]
    return sorted([*old, *new], key=rank_duty)[:limit]


def count_overdue(
    session: Session, standard: str, at: datetime, judgements: Iterable[DutyJudgement] = ()
) -> int:
    """Return how many duties of all townships are overdue at a moment."""
    query = select(func.count()).where(DutyRow.done_at.is_(None), DutyRow.due_at < at)
    new = (owed.duty_at(at) for judgement in judgements for owed in judgement.duties)
    count = session.scalar(_exclude_stale(query, standard, at, None)) or 0
    return count + sum(duty.state is DutyState.OVERDUE for duty in new)


def _exclude_stale(
    query: Select[Any], standard: str, at: datetime, township: str | None
) -> Select[Any]:
    """Leave out what is stale, and other townships."""
    if township is not None:
        query = query.where(DutyRow.township == township)
    basis = DutyBasisRow
    # A value for each row, not an EXISTS: PostgreSQL makes a join of that, reads all and sorts.
    valid = select(and_(basis.standard == standard, basis.first <= at, basis.until > at)).where(
        basis.subject == DutyRow.basis
    )
    return query.where(valid.scalar_subquery())


def _of_group(group: int, at: datetime, after: Place | None) -> Select[Any]:
    row = DutyRow
    names = (row.subject, row.rule, row.person_id)
    begins = after is None or after[0] < group
    query = select(row).where(
        row.done_at.is_not(None) if group == _DONE_GROUP else row.done_at.is_(None)
    )
    if group == _UNKNOWN:
        query = query.where(row.due_at.is_(None))
        if after and not begins:
            query = query.where(tuple_(*names) > tuple_(*map(literal, after[2:])))
        return query.order_by(*names)
    # What is done has no index: it is asked for by hand alone.
    due_column = (
        func.coalesce(row.due_at, literal(EARLIEST, UtcTime))
        if group == _DONE_GROUP
        else row.due_at
    )
    if group == _OVERDUE:
        query = query.where(row.due_at < at)
    elif group == _COMING:
        query = query.where(row.due_at >= at)
    if after and not begins:
        last = (literal(after[1], UtcTime), *map(literal, after[2:]))
        query = query.where(tuple_(due_column, *names) > tuple_(*last))
    return query.order_by(due_column, *names)


JudgedSubjects = Iterator[tuple[str, str, Window, list[Obligation]]]


def _judge_cases(session: Session, asking: Asking, ids: list[str], at: datetime) -> JudgedSubjects:
    rows = session.scalars(select(CaseRow).where(CaseRow.id.in_(ids))).all()
    recent_rows = [row for row in rows if row.closed_at is None or row.closed_at > at - LOOK_BACK]
    for row in rows:
        if row.closed_at is not None and row not in recent_rows:
            yield CASE, row.id, Window(row.closed_at + LOOK_BACK, LATEST), []
    for row, facts in zip(
        recent_rows, duty_facts.clocked_facts(session, recent_rows, at), strict=True
    ):
        window = find_steady_window(asking.rulebook, facts, suspended=row.suspended_at is not None)
        if row.suspended_at is not None:
            window = window.narrow_to(row.suspended_at, LATEST)
        if row.closed_at is not None:
            window = window.narrow_to(EARLIEST, row.closed_at + LOOK_BACK)
        yield CASE, row.id, window, _list_obligations(asking, facts, *facts.actions)


def _judge_proceedings(
    session: Session, asking: Asking, ids: list[str], at: datetime
) -> JudgedSubjects:
    for row in session.scalars(select(ProceedingRow).where(ProceedingRow.id.in_(ids))):
        facts = proceeding_facts(row, at)
        window = find_steady_window(asking.rulebook, facts, suspended=False)
        yield PROCEEDING, row.id, window, _list_obligations(asking, facts)


def _judge_townships(
    session: Session, asking: Asking, names: list[str], at: datetime
) -> JudgedSubjects:
    works = select(PersonRow.township).where(PersonRow.township.in_(names)).distinct()
    for facts in township_days(session, sorted(session.scalars(works)), at):
        window = find_steady_window(asking.rulebook, facts, suspended=False)
        yield TOWNSHIP, facts.township, window, _list_obligations(asking, facts)


def township_days(session: Session, names: list[str], at: datetime) -> list[TownshipFacts]:
    """Return townships as they are asked about duties: at the beginning of the moment's day."""
    if not names:
        return []
    return register.townships_facts(session, names, start_of_day(county_day(at)))


def _list_obligations(asking: Asking, *subject_facts: AnyFacts) -> list[Obligation]:
    return [
        owed
        for facts in subject_facts
        for owed in derive_obligations(asking.find_clocked_rules(facts), facts)
    ]


def _row_values(judgement: DutyJudgement, duty: Obligation) -> dict[str, Any]:
    return {
        "subject": duty.subject,
        "rule": duty.rule,
        "person_id": duty.person or "",
        "basis": judgement.subject,
        "township": duty.township,
        "what_zh": duty.what_zh,
        "what_en": duty.what_en,
        "due_at": duty.due_at,
        "done_at": duty.done_at,
        "soon_at": duty.soon_at,
        "persons": list(duty.persons),
    }


def _to_obligation(row: DutyRow) -> Obligation:
    return Obligation(
        subject=row.subject,
        township=row.township,
        person=row.person_id or None,
        what_zh=row.what_zh,
        what_en=row.what_en,
        rule=row.rule,
        due_at=row.due_at,
        done_at=row.done_at,
        soon_at=row.soon_at,
        persons=tuple(row.persons),
    )


@cache
def _digest_software() -> str:
    """Return the digest of the code that judges: a new version of it judges everything anew."""
    rooms = Path(policies.__file__).parent, Path(__file__).parent.parent
    read = sha256()
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        read.update(path.name.encode() + b"\0" + path.read_bytes())
    return read.hexdigest()
