"""Random checks (双随机): recordings and inspectors drawn from a published seed, and their results.

A draw keeps everything that it takes to repeat it; `repeats` does. Whoever took part in what a
recording shows is never drawn to inspect it. Source: 兴隆县指导意见 第十条; the drawing itself is
`policies/access/random_selection.py`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from policies.access.access import Role
from policies.access.random_selection import draw_ids, pair_inspectors
from policies.identifiers import PersonId, Subject
from storage.catalogue.cases.tables import CheckRow, DrawRow
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.holds import concerns
from storage.catalogue.people.people import get_person, list_persons
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings.recordings import by_id
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError

PER_RECORDING = 2


def draw_recordings(
    uow: UnitOfWork,
    *,
    seed: str,
    purpose: str,
    count: int,
    inspectors: Sequence[PersonId],
    actor: str,
    township: str | None = None,
) -> DrawRow:
    """Draw recordings of a township (None: all) and two inspectors for each.

    `inspectors` are persons. Raises: NotFoundError; ConflictError when a draw for this purpose was
    made (nobody draws until he likes it), or seed, purpose or count cannot be.
    """
    if uow.session.scalar(select(DrawRow).where(DrawRow.purpose == purpose)) is not None:
        raise ConflictError(problem="a draw for this purpose was made", purpose=purpose)
    query = select(RecordingRow.id)
    if township is not None:
        query = query.where(RecordingRow.township == township)
    population = sorted(uow.session.scalars(query))
    people = [get_person(uow.session, person_id).id for person_id in inspectors]
    try:
        chosen = draw_ids(seed, population, count, purpose)
        excluded = {
            recording_id: list_involved_persons(uow.session, recording_id)
            for recording_id in chosen
        }
        paired = pair_inspectors(seed, people, chosen, PER_RECORDING, excluded, purpose=purpose)
    except ValueError as error:
        raise ConflictError(problem=str(error)) from error
    row = DrawRow(
        id=uow.new_id(),
        purpose=purpose,
        seed=seed,
        population=population,
        count=count,
        drawn=[[recording_id, list(paired.assigned[recording_id])] for recording_id in chosen],
        at=uow.at,
        drawn_by=actor,
    )
    uow.session.add(row)
    kind = PremisType.POLICY_ASSIGNMENT
    uow.record("check.draw", kind, row, actor=actor, subject=Subject.of_draw(row.id))
    return row


def is_reproducible(row: DrawRow) -> bool:
    """Tell whether the same draw has the same result: anyone can do this with SHA-256 alone."""
    chosen = draw_ids(row.seed, row.population, row.count, row.purpose)
    return list(chosen) == [recording_id for recording_id, _inspectors in row.drawn]


def record_check(
    uow: UnitOfWork,
    draw_id: str,
    recording_id: str,
    person_id: PersonId,
    *,
    good: bool,
    note: str,
    actor: str,
) -> CheckRow:
    """Enter what a drawn inspector found.

    Raises: NotFoundError; ConflictError (not drawn); InvolvedError when the recording came to
    concern him since he was drawn: it was linked, or somebody said whose it is.
    """
    inspectors_by_recording: dict[str, list[str]] = dict(the_draw(uow.session, draw_id).drawn)
    if person_id not in inspectors_by_recording.get(by_id(uow.session, recording_id).id, ()):
        raise ConflictError(problem="not drawn to inspect this", recording=recording_id)
    concerns.check_uninvolved(concerns.of_recordings(uow.session, [recording_id]), person_id)
    query = select(CheckRow).where(
        CheckRow.draw_id == draw_id, CheckRow.recording_id == recording_id
    )
    row = uow.session.scalar(query)
    if row is not None:
        raise ConflictError(problem="inspected already", recording=recording_id)
    row = CheckRow(
        id=uow.new_id(),
        draw_id=draw_id,
        recording_id=recording_id,
        person_id=person_id,
        good=good,
        note=note,
        at=uow.at,
    )
    uow.session.add(row)
    uow.record(
        "check.enter", PremisType.VALIDATION, row, actor=actor, subject=Subject.of_draw(draw_id)
    )
    return row


def the_draw(session: Session, draw_id: str) -> DrawRow:
    """Return one draw. Raises: NotFoundError."""
    return load_row(session, DrawRow, draw_id)


def list_draws(session: Session, *, after: Place = (), limit: int | None = None) -> list[DrawRow]:
    """Return draws, newest first (time, id)."""
    keys = (DrawRow.at, DrawRow.id)
    return list(session.scalars(page_by_keys(select(DrawRow), keys, after, limit, newest=True)))


def checks_of(session: Session, recording_ids: Sequence[str]) -> list[CheckRow]:
    """Return what was found in some recordings."""
    query = select(CheckRow).where(CheckRow.recording_id.in_(list(recording_ids)))
    return list(session.scalars(query.order_by(CheckRow.at, CheckRow.id)))


def count_checks(
    session: Session, township: str, since: datetime, until: datetime
) -> tuple[int, int]:
    """Return how many checks there are of what a township recorded in a span, and how many good."""
    row = RecordingRow
    query = (
        select(func.count(), func.count().filter(CheckRow.good))
        .join(row, row.id == CheckRow.recording_id)
        .where(row.township == township, row.start_at >= since, row.start_at < until)
    )
    checked, good = session.execute(query.select_from(CheckRow)).one()
    return int(checked), int(good)


def list_involved_persons(session: Session, recording_id: str) -> frozenset[str]:
    """Return who must not inspect a recording: who made it, who took part in what it shows."""
    row = by_id(session, recording_id)
    person_ids = {row.officer_id} if row.officer_id else set()
    for link in case_queries.exhibits_of(session, row.id):
        person_ids |= {
            officer.id for officer in case_queries.list_officers(session, link.action_id)
        }
    return frozenset(person_ids)


def possible_inspectors(session: Session) -> list[PersonId]:
    """Return the officers of the county, by id."""
    return sorted(row.id for row in list_persons(session, kinds=[Role.OFFICER.value]))
