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
    AnyFacts,
    Asking,
    Duty,
    DutyState,
    Obligation,
    Place,
    Window,
    obligations,
    place,
    steady,
)
from policies.facts.facts import TownshipFacts
from policies.rules.rules import Rulebook
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
_OVERDUE, _UNKNOWN, _COMING, _DONE = (
    list(DutyState).index(one)
    for one in (DutyState.OVERDUE, DutyState.UNKNOWN, DutyState.SOON, DutyState.DONE)
)
_STILL = (_OVERDUE, _UNKNOWN, _COMING)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one basis asks for now: `version` is what it was judged from, `window` how long."""

    subject: str
    version: int
    window: Window
    duties: tuple[Obligation, ...]


def standard_of(rulebook: Rulebook) -> str:
    """Return the name of everything that judges, beside the entries: rules, calendar, software."""
    told = (repr(rulebook), published_days(), _software())
    return sha256("\0".join(told).encode()).hexdigest()


def stale(
    session: Session, standard: str, at: datetime, *, after: str = "", limit: int = BATCH
) -> list[str]:
    """Return what is to be judged before a list of that moment is right, in order of subject."""
    basis = DutyBasisRow
    # Each by its index: few are stale, however many cases there ever were.
    why = (
        basis.standard < standard,
        basis.standard > standard,
        basis.first > at,
        basis.until <= at,
    )
    found = union(*(select(basis.subject).where(one, basis.subject > after) for one in why))
    subject = found.subquery().c.subject
    return list(session.scalars(select(subject).order_by(subject).limit(limit)))


def subjects(session: Session, *, after: str = "", limit: int = BATCH) -> list[str]:
    """Return whatever duties are judged of, in order."""
    wanted = select(DutyBasisRow.subject).where(DutyBasisRow.subject > after)
    return list(session.scalars(wanted.order_by(DutyBasisRow.subject).limit(limit)))


def judge(
    session: Session, rulebook: Rulebook, wanted: Sequence[str], at: datetime
) -> list[Judged]:
    """Judge at most `BATCH` subjects at a moment, from one view; nothing is written."""
    rows = select(DutyBasisRow.subject, DutyBasisRow.version)
    versions = {
        row.subject: row.version
        for row in session.execute(rows.where(DutyBasisRow.subject.in_(wanted)))
    }
    asking = Asking(rulebook)
    ids: dict[str, list[str]] = {CASE: [], PROCEEDING: [], TOWNSHIP: []}
    for subject in versions:
        kind, _, key = subject.partition(":")
        ids[kind].append(key)
    found = {
        f"{kind}:{key}": (window, tuple(owed))
        for kind, key, window, owed in (
            *_cases(session, asking, ids[CASE], at),
            *_proceedings(session, asking, ids[PROCEEDING], at),
            *_townships(session, asking, ids[TOWNSHIP], at),
        )
    }
    nothing: tuple[Window, tuple[Obligation, ...]] = Window(EARLIEST, LATEST), ()
    return [
        Judged(subject, versions[subject], *found.get(subject, nothing))
        for subject in sorted(versions)
    ]


def keep(uow: UnitOfWork, standard: str, judged: Sequence[Judged]) -> int:
    """Store what was judged, unless its entries changed since; return how much was stored."""
    session = uow.session
    rows = select(DutyBasisRow.subject, DutyBasisRow.version)
    versions = {
        row.subject: row.version
        for row in session.execute(
            rows.where(DutyBasisRow.subject.in_([one.subject for one in judged]))
        )
    }
    still = [one for one in judged if versions.get(one.subject) == one.version]
    if not still:
        return 0
    names = [one.subject for one in still]
    session.execute(delete(DutyRow).where(DutyRow.basis.in_(names)))
    if owed := [_row(one, duty) for one in still for duty in one.duties]:
        session.execute(insert(DutyRow), owed)
    session.execute(
        update(DutyBasisRow),
        [
            {
                "subject": one.subject,
                "standard": standard,
                "first": one.window.first,
                "until": one.window.until,
            }
            for one in still
        ],
    )
    return len(still)


def stored(session: Session, names: Sequence[str]) -> dict[str, tuple[Obligation, ...]]:
    """Return what is stored of some subjects, be it stale or not."""
    found: dict[str, tuple[Obligation, ...]] = dict.fromkeys(names, ())
    wanted = select(DutyRow).where(DutyRow.basis.in_(names))
    order = (DutyRow.subject, DutyRow.rule, DutyRow.person_id)
    for row in session.scalars(wanted.order_by(*order)):
        found[row.basis] += (_obligation(row),)
    return found


def listed(
    session: Session,
    standard: str,
    at: datetime,
    *,
    township: str | None = None,
    after: Place | None = None,
    limit: int,
    done: bool = False,
    judged: Iterable[Judged] = (),
) -> list[Duty]:
    """Return duties of a township (None: of all) as they stand at a moment, in order.

    `after` is the place of the last of the page before; `judged` what was just judged of all that
    is stale. What is done comes last, if it is asked for.
    """
    new = [
        duty
        for one in judged
        for duty in (owed.stands(at) for owed in one.duties)
        if (township is None or duty.township == township)
        and (done or duty.state is not DutyState.DONE)
        and (after is None or place(duty) > after)
    ]
    old: list[Duty] = []
    for group in (*_STILL, _DONE) if done else _STILL:
        if len(old) < limit and (after is None or group >= after[0]):
            wanted = _counted(_of_group(group, at, after), standard, at, township)
            rows = session.scalars(wanted.limit(limit - len(old)))
            old += [_obligation(row).stands(at) for row in rows]
    return sorted([*old, *new], key=place)[:limit]


def overdue(session: Session, standard: str, at: datetime, judged: Iterable[Judged] = ()) -> int:
    """Return how many duties of all townships are overdue at a moment."""
    wanted = select(func.count()).where(DutyRow.done_at.is_(None), DutyRow.due_at < at)
    new = (owed.stands(at) for one in judged for owed in one.duties)
    count = session.scalar(_counted(wanted, standard, at, None)) or 0
    return count + sum(one.state is DutyState.OVERDUE for one in new)


def _counted(wanted: Select[Any], standard: str, at: datetime, township: str | None) -> Select[Any]:
    """Leave out what is stale, and other townships."""
    if township is not None:
        wanted = wanted.where(DutyRow.township == township)
    basis = DutyBasisRow
    # A value for each row, not an EXISTS: PostgreSQL makes a join of that, reads all and sorts.
    valid = select(and_(basis.standard == standard, basis.first <= at, basis.until > at)).where(
        basis.subject == DutyRow.basis
    )
    return wanted.where(valid.scalar_subquery())


def _of_group(group: int, at: datetime, after: Place | None) -> Select[Any]:
    row = DutyRow
    names = (row.subject, row.rule, row.person_id)
    begins = after is None or after[0] < group
    wanted = select(row).where(
        row.done_at.is_not(None) if group == _DONE else row.done_at.is_(None)
    )
    if group == _UNKNOWN:
        wanted = wanted.where(row.due_at.is_(None))
        if after and not begins:
            wanted = wanted.where(tuple_(*names) > tuple_(*map(literal, after[2:])))
        return wanted.order_by(*names)
    # What is done has no index: it is asked for by hand alone.
    due = func.coalesce(row.due_at, literal(EARLIEST, UtcTime)) if group == _DONE else row.due_at
    if group == _OVERDUE:
        wanted = wanted.where(row.due_at < at)
    elif group == _COMING:
        wanted = wanted.where(row.due_at >= at)
    if after and not begins:
        last = (literal(after[1], UtcTime), *map(literal, after[2:]))
        wanted = wanted.where(tuple_(due, *names) > tuple_(*last))
    return wanted.order_by(due, *names)


Found = Iterator[tuple[str, str, Window, list[Obligation]]]


def _cases(session: Session, asking: Asking, ids: list[str], at: datetime) -> Found:
    rows = session.scalars(select(CaseRow).where(CaseRow.id.in_(ids))).all()
    counted = [row for row in rows if row.closed_at is None or row.closed_at > at - LOOK_BACK]
    for row in rows:
        if row.closed_at is not None and row not in counted:
            yield CASE, row.id, Window(row.closed_at + LOOK_BACK, LATEST), []
    for row, facts in zip(counted, duty_facts.clocked_facts(session, counted, at), strict=True):
        window = steady(asking.rulebook, facts, suspended=row.suspended_at is not None)
        if row.suspended_at is not None:
            window = window.cut(row.suspended_at, LATEST)
        if row.closed_at is not None:
            window = window.cut(EARLIEST, row.closed_at + LOOK_BACK)
        yield CASE, row.id, window, _owed(asking, facts, *facts.actions)


def _proceedings(session: Session, asking: Asking, ids: list[str], at: datetime) -> Found:
    for row in session.scalars(select(ProceedingRow).where(ProceedingRow.id.in_(ids))):
        facts = proceeding_facts(row, at)
        window = steady(asking.rulebook, facts, suspended=False)
        yield PROCEEDING, row.id, window, _owed(asking, facts)


def _townships(session: Session, asking: Asking, names: list[str], at: datetime) -> Found:
    works = select(PersonRow.township).where(PersonRow.township.in_(names)).distinct()
    for facts in township_days(session, sorted(session.scalars(works)), at):
        window = steady(asking.rulebook, facts, suspended=False)
        yield TOWNSHIP, facts.township, window, _owed(asking, facts)


def township_days(session: Session, names: list[str], at: datetime) -> list[TownshipFacts]:
    """Return townships as they are asked about duties: at the beginning of the moment's day."""
    if not names:
        return []
    return register.townships_facts(session, names, start_of_day(county_day(at)))


def _owed(asking: Asking, *asked: AnyFacts) -> list[Obligation]:
    return [owed for facts in asked for owed in obligations(asking.asked(facts), facts)]


def _row(judged: Judged, duty: Obligation) -> dict[str, Any]:
    return {
        "subject": duty.subject,
        "rule": duty.rule,
        "person_id": duty.person or "",
        "basis": judged.subject,
        "township": duty.township,
        "what_zh": duty.what_zh,
        "what_en": duty.what_en,
        "due_at": duty.due_at,
        "done_at": duty.done_at,
        "soon_at": duty.soon_at,
        "persons": list(duty.persons),
    }


def _obligation(row: DutyRow) -> Obligation:
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
def _software() -> str:
    """Return the digest of the code that judges: a new version of it judges everything anew."""
    rooms = Path(policies.__file__).parent, Path(__file__).parent.parent
    read = sha256()
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        read.update(path.name.encode() + b"\0" + path.read_bytes())
    return read.hexdigest()
