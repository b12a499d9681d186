"""What an officer list changes in the register: planned first, then carried out whole or not.

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
class Listed:
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
    """What one line would do: to whom (None: somebody new), and which facts it changes."""

    listed: Listed
    change: Change
    person: str | None
    fields: tuple[str, ...] = ()


def plan(session: Session, listed: Sequence[Listed]) -> list[Planned]:
    """Say what a list would change; changes nothing.

    Raises: ConflictError naming the line where a person cannot be told apart, or a number is
    another person's.
    """
    found = []
    taken: dict[str, int] = {}
    for one in listed:
        row = _known(session, one)
        if row is not None and taken.setdefault(row.id, one.line) != one.line:
            raise ConflictError(problem="two lines are one person", line=one.line)
        _check_numbers(session, one, row)
        if row is None:
            found.append(Planned(one, Change.NEW, None))
            continue
        fields = _differing(session, one, row)
        change = Change.CHANGED if fields else Change.SAME
        found.append(Planned(one, change, row.id, fields))
    return found


def carry_out(uow: UnitOfWork, listed: Sequence[Listed], *, actor: str) -> list[Planned]:
    """Change the register as planned, in this unit of work. Raises: as `plan`."""
    planned = plan(uow.session, listed)
    for one in planned:
        if one.change is not Change.SAME:
            _enter(uow, one, actor)
    return planned


def _known(session: Session, one: Listed) -> PersonRow | None:
    if one.certificate is not None:
        held = session.get(CertificateRow, one.certificate)
        if held is not None:
            return people.person(session, held.person_id)
    if one.recorder_no is not None:
        found = people.officer_by_certificate(session, one.recorder_no)
        if found is not None and found.name == one.name:
            return found
    wanted = select(PersonRow).where(
        PersonRow.name == one.name,
        PersonRow.unit == one.unit,
        PersonRow.township == one.township,
        PersonRow.kind.in_(("officer", "auxiliary")),
    )
    same = list(session.scalars(wanted))
    if one.certificate is not None:
        same = [row for row in same if not register.certificates(session, row.id)]
    if len(same) > 1:
        raise ConflictError(problem="several persons of this name and unit", line=one.line)
    return same[0] if same else None


def _check_numbers(session: Session, one: Listed, row: PersonRow | None) -> None:
    holder = people.officer_by_certificate(session, one.recorder_no) if one.recorder_no else None
    if holder is not None and (row is None or holder.id != row.id):
        raise ConflictError(problem="the recorder number is another person's", line=one.line)
    if row is not None and row.kind == register.AUXILIARY and one.certificate is not None:
        raise ConflictError(problem="an auxiliary gets no certificate", line=one.line)


def _differing(session: Session, one: Listed, row: PersonRow) -> tuple[str, ...]:
    told = {"name": one.name, "kind": one.kind, "unit": one.unit, "township": one.township}
    if one.full_time is not None:
        told["full_time"] = one.full_time  # type: ignore[assignment]
    if one.recorder_no is not None:
        told["certificate_no"] = one.recorder_no
    fields = [name for name, value in told.items() if getattr(row, name) != value]
    if one.certificate is not None:
        held = session.get(CertificateRow, one.certificate)
        if held is None:
            fields.append("certificate")
        elif (held.category, held.unit, held.valid_from, held.valid_to) != _validity(one):
            fields.append("validity")
    return tuple(fields)


def _validity(one: Listed) -> tuple[str, str, str | None, str | None]:
    since = one.valid_from.isoformat() if one.valid_from else None
    until = one.valid_to.isoformat() if one.valid_to else None
    return one.category, one.unit, since, until


def _enter(uow: UnitOfWork, planned: Planned, actor: str) -> None:
    one = planned.listed
    if planned.person is None:
        row = people.add_person(
            uow,
            name=one.name,
            kind=one.kind,
            unit=one.unit,
            township=one.township,
            certificate_no=one.recorder_no,
            full_time=one.full_time,
            actor=actor,
        )
    else:
        row = people.person(uow.session, planned.person)
        _rewrite(uow, row, planned, actor)
    held = uow.session.get(CertificateRow, one.certificate) if one.certificate else None
    if one.certificate is not None and held is None:
        register.certify(
            uow,
            row.id,
            number=one.certificate,
            category=one.category,
            unit=one.unit,
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            actor=actor,
        )
    elif held is not None and "validity" in planned.fields:
        held.category, held.unit, held.valid_from, held.valid_to = _validity(one)
        kind = PremisType.METADATA_MODIFICATION
        uow.record("certificate.change", kind, held, actor=actor, subject=f"person:{row.id}")


def _rewrite(uow: UnitOfWork, row: PersonRow, planned: Planned, actor: str) -> None:
    one = planned.listed
    if set(planned.fields) <= {"certificate", "validity"}:
        return
    row.name, row.kind, row.unit, row.township = one.name, one.kind, one.unit, one.township
    row.full_time = row.full_time if one.full_time is None else one.full_time
    row.certificate_no = one.recorder_no or row.certificate_no
    kind = PremisType.METADATA_MODIFICATION
    uow.record("person.change", kind, row, actor=actor, subject=f"person:{row.id}")
