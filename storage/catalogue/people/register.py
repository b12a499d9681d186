"""The officer register: certificates, assignments of sources, and trainings.

Source of the duties: 兴隆县指导意见 第二至五条. Each change is an entry in the log, upon the
person. Reading files from outside is `api/cli/register/officers.py`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.access.access import Role
from policies.facts.facts import TownshipFacts, Trained
from policies.facts.states import CertificateEnding
from policies.identifiers import PersonId, Subject
from policies.time.wording import COUNTY_TIME
from storage.catalogue.engine.rows import load_row
from storage.catalogue.people import people
from storage.catalogue.people.tables import AssignmentRow, CertificateRow, TrainingRow
from storage.catalogue.tables import PersonRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError, NotFoundError

AUXILIARY = "auxiliary"
ENFORCING = (Role.OFFICER.value, AUXILIARY)  # the kinds of persons that take part in actions
_CHANGE = PremisType.METADATA_MODIFICATION


@dataclass(frozen=True, slots=True)
class Qualification:
    """Whether somebody may enforce on a day; `why` is a stable word where he may not.

    no-certificate, not-yet-valid, expired, surrendered, revoked, auxiliary.
    """

    certified: bool
    why: str = ""


def record_certificate(
    uow: UnitOfWork,
    person_id: PersonId,
    *,
    number: str,
    category: str,
    unit: str,
    actor: str,
    valid_from: date | None = None,
    valid_to: date | None = None,
) -> CertificateRow:
    """Enter a certificate (执法证) of an officer.

    Raises: NotFoundError; ConflictError for an auxiliary (第二条 forbids it), a number that is
    taken, or an end before the beginning.
    """
    holder = people.get_person(uow.session, person_id)
    if holder.kind == AUXILIARY:
        raise ConflictError(problem="auxiliaries get no certificate", person=person_id)
    if uow.session.get(CertificateRow, number) is not None:
        raise ConflictError(problem="certificate number is taken", number=number)
    if valid_from and valid_to and valid_to < valid_from:
        raise ConflictError(problem="the certificate ends before it begins", number=number)
    row = CertificateRow(
        number=number,
        person_id=holder.id,
        category=category,
        unit=unit,
        valid_from=valid_from.isoformat() if valid_from else None,
        valid_to=valid_to.isoformat() if valid_to else None,
        ended_on=None,
        ended_why=None,
    )
    uow.session.add(row)
    uow.record("certificate.add", _CHANGE, row, actor=actor, subject=Subject.of_person(holder.id))
    return row


def end_certificate(
    uow: UnitOfWork, number: str, *, on: date, why: str, actor: str
) -> CertificateRow:
    """Enter that a certificate was surrendered or revoked (第四条); it counts no more that day.

    Raises: NotFoundError, ConflictError (ended already, unknown reason).
    """
    row = load_row(uow.session, CertificateRow, number)
    if row.ended_on is not None:
        raise ConflictError(problem="the certificate has ended already", number=number)
    if why not in set(CertificateEnding):
        raise ConflictError(problem=f"one of: {', '.join(CertificateEnding)}", found=why)
    row.ended_on, row.ended_why = on.isoformat(), why
    uow.record(
        "certificate.end", _CHANGE, row, actor=actor, subject=Subject.of_person(row.person_id)
    )
    return row


def find_certificate(session: Session, number: str) -> CertificateRow | None:
    """Return the certificate of this number, if there is one."""
    return session.get(CertificateRow, number)


def list_certificates(session: Session, person_id: PersonId) -> list[CertificateRow]:
    """Return every certificate that a person held, oldest first."""
    query = select(CertificateRow).where(CertificateRow.person_id == person_id)
    return list(session.scalars(query.order_by(CertificateRow.valid_from, CertificateRow.number)))


def judge_qualification(session: Session, person: PersonRow, at: datetime) -> Qualification:
    """Tell whether somebody was certified on the county's day of that moment."""
    if person.kind == AUXILIARY:
        return Qualification(certified=False, why=AUXILIARY)
    return qualified_by(list_certificates(session, person.id), at.astimezone(COUNTY_TIME).date())


def qualified_by(certificate_rows: list[CertificateRow], day: date) -> Qualification:
    """Judge certificates on a day: one valid is enough; else why the newest is not."""
    judgement = Qualification(certified=False, why="no-certificate")
    for row in certificate_rows:
        why = _invalidity_reason(row, day.isoformat())
        if why is None:
            return Qualification(certified=True)
        judgement = Qualification(certified=False, why=why)
    return judgement


def _invalidity_reason(row: CertificateRow, day: str) -> str | None:
    """Say why a certificate is not good on a day; ISO days compare as text."""
    if row.ended_on is not None and row.ended_on <= day:
        return row.ended_why or CertificateEnding.REVOKED.value
    if row.valid_from is not None and day < row.valid_from:
        return "not-yet-valid"
    return "expired" if row.valid_to is not None and row.valid_to < day else None


def assign_source(
    uow: UnitOfWork,
    serial: str,
    person_id: PersonId | None,
    *,
    actor: str,
    since: datetime | None = None,
) -> AssignmentRow | None:
    """Give a source to a person from now (or `since`), or to nobody; the earlier holder ends.

    Raises: NotFoundError; ConflictError when `since` lies before the present holder began.
    """
    row = people.find_source(uow.session, serial)
    if row is None:
        raise NotFoundError(what="source", id=serial)
    at = since or uow.at
    changed: list[AssignmentRow] = []
    for assignment in list_assignments(uow.session, serial):
        if assignment.to_at is None:
            if at < assignment.from_at:
                raise ConflictError(problem="assigned later already", serial=serial)
            assignment.to_at = at
            changed.append(assignment)
    new_assignment = None
    if person_id is not None:
        new_assignment = AssignmentRow(
            id=uow.new_id(),
            source_serial=serial,
            person_id=people.get_person(uow.session, person_id).id,
            from_at=at,
            to_at=None,
        )
        uow.session.add(new_assignment)
        changed.append(new_assignment)
    uow.record("source.assign", _CHANGE, *changed, actor=actor, subject=Subject.of_source(row.id))
    return new_assignment


def list_assignments(session: Session, serial: str) -> list[AssignmentRow]:
    """Return who had a source when, in order."""
    query = select(AssignmentRow).where(AssignmentRow.source_serial == serial)
    return list(session.scalars(query.order_by(AssignmentRow.from_at, AssignmentRow.id)))


def find_holder(session: Session, serial: str, at: datetime) -> PersonId | None:
    """Return the id of the person who had a source at that moment."""
    for assignment in list_assignments(session, serial):
        if assignment.from_at <= at and (assignment.to_at is None or at < assignment.to_at):
            return assignment.person_id
    return None


def attribute_footage(
    session: Session, officer_no: str | None, source_serial: str, at: datetime | None
) -> PersonId | None:
    """Return whose footage it is, where that is registered: never guessed.

    The number on the footage, if it is somebody's, else, without a number, the person who had the
    source when the footage began.
    """
    if officer_no is not None:
        officer = people.officer_by_certificate(session, officer_no)
        return officer.id if officer else None
    return find_holder(session, source_serial, at) if at is not None else None


def record_training(
    uow: UnitOfWork,
    person_id: PersonId,
    *,
    day: date,
    hours: float,
    title: str,
    actor: str,
    special: bool = False,
) -> TrainingRow:
    """Enter a training (第五条). Raises: NotFoundError, ConflictError (no hours)."""
    if not 0 < hours <= 24:  # noqa: PLR2004 - hours of one day
        raise ConflictError(problem="hours of one day", found=hours)
    row = TrainingRow(
        id=uow.new_id(),
        person_id=people.get_person(uow.session, person_id).id,
        day=day.isoformat(),
        hours=float(hours),
        special=special,
        title=title,
    )
    uow.session.add(row)
    uow.record("training.add", _CHANGE, row, actor=actor, subject=Subject.of_person(person_id))
    return row


def list_trainings(session: Session, person_id: PersonId, year: int) -> list[TrainingRow]:
    """Return a person's trainings of one year."""
    query = select(TrainingRow).where(
        TrainingRow.person_id == person_id, TrainingRow.day.startswith(f"{year:04}-")
    )
    return list(session.scalars(query.order_by(TrainingRow.day, TrainingRow.id)))


def township_facts(session: Session, township: str, at: datetime) -> TownshipFacts:
    """Return who enforces in a township, and how they were trained in this county year."""
    return townships_facts(session, [township], at)[0]


def townships_facts(
    session: Session, townships: Sequence[str], at: datetime
) -> list[TownshipFacts]:
    """Return the same of several townships, in their order, by three questions in all."""
    year = at.astimezone(COUNTY_TIME).year
    working = select(PersonRow).where(PersonRow.township.in_(townships))
    working = working.where(PersonRow.kind == Role.OFFICER.value).order_by(
        PersonRow.name, PersonRow.id
    )
    officers: dict[str, list[PersonRow]] = {name: [] for name in townships}
    for officer in session.scalars(working):
        officers[officer.township].append(officer)
    ids = working.with_only_columns(PersonRow.id).order_by(None)
    attended: dict[str, list[TrainingRow]] = {}
    sessions_of_year = select(TrainingRow).where(
        TrainingRow.person_id.in_(ids), TrainingRow.day.startswith(f"{year:04}-")
    )
    for training in session.scalars(sessions_of_year.order_by(TrainingRow.day, TrainingRow.id)):
        attended.setdefault(training.person_id, []).append(training)
    certificate_rows: dict[str, list[CertificateRow]] = {}
    for row in session.scalars(select(CertificateRow).where(CertificateRow.person_id.in_(ids))):
        certificate_rows.setdefault(row.person_id, []).append(row)
    return [
        TownshipFacts(
            name,
            at,
            sum(1 for officer in officers[name] if officer.full_time),
            tuple(
                _training_facts(
                    officer, attended.get(officer.id, []), certificate_rows.get(officer.id, [])
                )
                for officer in officers[name]
            ),
        )
        for name in townships
    ]


def _training_facts(
    person: PersonRow, attended: list[TrainingRow], certificate_rows: list[CertificateRow]
) -> Trained:
    return Trained(
        id=person.id,
        name=person.name,
        hours=sum(row.hours for row in attended if not row.special),
        special=sum(1 for row in attended if row.special),
        certificate_until=_find_last_valid_day(certificate_rows),
    )


def _find_last_valid_day(certificate_rows: list[CertificateRow]) -> date | None:
    """Return the last day of the last certificate that has not ended; None where none is told."""
    days = [row.valid_to for row in certificate_rows if row.valid_to and row.ended_on is None]
    return date.fromisoformat(max(days)) if days else None
