"""Import of an officer list into the register: planned first, then all or nothing.

Persons are known by their certificate, else by recorder number and name, else by name, unit and
township together; whoever is renamed keeps his id by his certificate. Two persons of one name in
one unit, without a number, cannot be told apart: that is refused. Listing the same again changes
nothing; whoever is not listed stays as he is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.identifiers import PersonId, Subject
from storage.catalogue.people import people, register
from storage.catalogue.people.tables import CertificateRow
from storage.catalogue.tables import PersonRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError


class Change(StrEnum):
    """What a line does to the register."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterLine:
    """One line of a list, parsed."""

    line: int
    name: str
    kind: str
    unit: str
    township: str
    certificate: str | None = None
    category: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    recorder_no: str | None = None
    full_time: bool | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """Planned change of one line: the person (None: a new one), and the fields that change."""

    register_line: RegisterLine
    change: Change
    person: PersonId | None
    fields: tuple[str, ...] = ()


def plan_import(session: Session, lines: Sequence[RegisterLine]) -> list[Planned]:
    """Plan the changes that a list makes to the register; changes nothing.

    Raises: ConflictError naming the line where a person cannot be told apart, or a number is
    another person's.
    """
    planned_lines = []
    line_by_person: dict[str, int] = {}
    for register_line in lines:
        row = _find_person(session, register_line)
        if (
            row is not None
            and line_by_person.setdefault(row.id, register_line.line) != register_line.line
        ):
            raise ConflictError(problem="two lines are one person", line=register_line.line)
        _check_numbers(session, register_line, row)
        if row is None:
            planned_lines.append(Planned(register_line, Change.NEW, None))
            continue
        fields = _list_changed_fields(session, register_line, row)
        change = Change.CHANGED if fields else Change.SAME
        planned_lines.append(Planned(register_line, change, row.id, fields))
    return planned_lines


def carry_out(uow: UnitOfWork, lines: Sequence[RegisterLine], *, actor: str) -> list[Planned]:
    """Change the register as planned, in this unit of work. Raises: as `plan`."""
    planned = plan_import(uow.session, lines)
    for planned_line in planned:
        if planned_line.change is not Change.SAME:
            _enter_line(uow, planned_line, actor)
    return planned


def _find_person(session: Session, register_line: RegisterLine) -> PersonRow | None:
    if register_line.certificate is not None:
        certificate = session.get(CertificateRow, register_line.certificate)
        if certificate is not None:
            return people.get_person(session, certificate.person_id)
    if register_line.recorder_no is not None:
        officer = people.officer_by_certificate(session, register_line.recorder_no)
        if officer is not None and officer.name == register_line.name:
            return officer
    query = select(PersonRow).where(
        PersonRow.name == register_line.name,
        PersonRow.unit == register_line.unit,
        PersonRow.township == register_line.township,
        PersonRow.kind.in_(register.ENFORCING),
    )
    same = list(session.scalars(query))
    if register_line.certificate is not None:
        same = [row for row in same if not register.list_certificates(session, row.id)]
    if len(same) > 1:
        raise ConflictError(
            problem="several persons of this name and unit", line=register_line.line
        )
    return same[0] if same else None


def _check_numbers(session: Session, register_line: RegisterLine, row: PersonRow | None) -> None:
    holder = (
        people.officer_by_certificate(session, register_line.recorder_no)
        if register_line.recorder_no
        else None
    )
    if holder is not None and (row is None or holder.id != row.id):
        raise ConflictError(
            problem="the recorder number is another person's", line=register_line.line
        )
    if row is not None and row.kind == register.AUXILIARY and register_line.certificate is not None:
        raise ConflictError(problem="an auxiliary gets no certificate", line=register_line.line)


def _list_changed_fields(
    session: Session, register_line: RegisterLine, row: PersonRow
) -> tuple[str, ...]:
    line_columns = {
        "name": register_line.name,
        "kind": register_line.kind,
        "unit": register_line.unit,
        "township": register_line.township,
    }
    if register_line.full_time is not None:
        line_columns["full_time"] = register_line.full_time  # type: ignore[assignment]
    if register_line.recorder_no is not None:
        line_columns["certificate_no"] = register_line.recorder_no
    fields = [
        name for name, column_value in line_columns.items() if getattr(row, name) != column_value
    ]
    if register_line.certificate is not None:
        certificate = session.get(CertificateRow, register_line.certificate)
        if certificate is None:
            fields.append("certificate")
        elif (
            certificate.category,
            certificate.unit,
            certificate.valid_from,
            certificate.valid_to,
        ) != _validity_columns(register_line):
            fields.append("validity")
    return tuple(fields)


def _validity_columns(register_line: RegisterLine) -> tuple[str, str, str | None, str | None]:
    since = register_line.valid_from.isoformat() if register_line.valid_from else None
    until = register_line.valid_to.isoformat() if register_line.valid_to else None
    return register_line.category, register_line.unit, since, until


def _enter_line(uow: UnitOfWork, planned: Planned, actor: str) -> None:
    register_line = planned.register_line
    if planned.person is None:
        row = people.add_person(
            uow,
            name=register_line.name,
            kind=register_line.kind,
            unit=register_line.unit,
            township=register_line.township,
            certificate_no=register_line.recorder_no,
            full_time=register_line.full_time,
            actor=actor,
        )
    else:
        row = people.get_person(uow.session, planned.person)
        _rewrite_person(uow, row, planned, actor)
    certificate = (
        uow.session.get(CertificateRow, register_line.certificate)
        if register_line.certificate
        else None
    )
    if register_line.certificate is not None and certificate is None:
        register.record_certificate(
            uow,
            row.id,
            number=register_line.certificate,
            category=register_line.category,
            unit=register_line.unit,
            valid_from=register_line.valid_from,
            valid_to=register_line.valid_to,
            actor=actor,
        )
    elif certificate is not None and "validity" in planned.fields:
        certificate.category, certificate.unit, certificate.valid_from, certificate.valid_to = (
            _validity_columns(register_line)
        )
        kind = PremisType.METADATA_MODIFICATION
        uow.record(
            "certificate.change", kind, certificate, actor=actor, subject=Subject.of_person(row.id)
        )


def _rewrite_person(uow: UnitOfWork, row: PersonRow, planned: Planned, actor: str) -> None:
    register_line = planned.register_line
    if set(planned.fields) <= {"certificate", "validity"}:
        return
    row.name, row.kind, row.unit, row.township = (
        register_line.name,
        register_line.kind,
        register_line.unit,
        register_line.township,
    )
    row.full_time = row.full_time if register_line.full_time is None else register_line.full_time
    row.certificate_no = register_line.recorder_no or row.certificate_no
    kind = PremisType.METADATA_MODIFICATION
    uow.record("person.change", kind, row, actor=actor, subject=Subject.of_person(row.id))
