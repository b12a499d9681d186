"""The officer register, sources, random checks and the year's figures."""

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.register.schemas import (
    CertificateOut,
    DrawOut,
    FigureOut,
    HeldOut,
    NewAssignment,
    NewCheck,
    NewDraw,
    NewEnd,
    NewList,
    NewSource,
    NewTraining,
    OfficerOut,
    PlannedOut,
)
from api.http.schemas import Id, PersonIdInput
from api.http.security import ServiceHere, VisitorHere
from api.office.reports.annual_evaluation import evaluate_township
from api.office.reports.register_csv import read_register
from policies.access.access import Act
from policies.identifiers import Subject
from policies.time.wording import COUNTY_TIME
from storage.catalogue.cases.tables import DrawRow
from storage.catalogue.oversight import random_checks
from storage.catalogue.people import people, register
from storage.catalogue.people.register_import import carry_out, plan_import
from storage.catalogue.people.tables import CertificateRow
from storage.catalogue.tables import PersonRow, SourceRow
from storage.catalogue.unit_of_work import View

router = APIRouter(tags=["register"])


@router.get("/register/officers")
def list_register_officers(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[OfficerOut]:
    """Return who is in the register of your township, by name, and who is certified today."""
    service.authorise(visitor, Act.SEE_REGISTER)
    now = service.office.clock()
    with service.office.catalogue.read() as session:
        rows = people.list_persons(
            session,
            township=visitor.person.township,
            kinds=register.ENFORCING,
            after=read_cursor("register", cursor, str, str),
            limit=limit + 1,
        )
        show = partial(_present_officer, session, now)
        return page_of("register", rows, limit, lambda row: (row.name, row.id), show)


@router.post("/register/import")
def import_list(new: NewList, service: ServiceHere, visitor: VisitorHere) -> list[PlannedOut]:
    """Import a list, whole or not at all; with `dry_run` say what it would change."""
    service.authorise(visitor, Act.KEEP_REGISTER)
    entries = read_register(new.csv.encode())
    # Planned by the same code that carries it out, so that what was shown is what is done.
    if new.dry_run:
        with service.office.catalogue.read() as session:
            planned = plan_import(session, entries)
    else:
        with service.office.catalogue.write() as uow:
            planned = carry_out(uow, entries, actor=visitor.actor)
    return [
        PlannedOut(
            line=planned_change.register_line.line,
            name=planned_change.register_line.name,
            change=planned_change.change.value,
            person=planned_change.person,
            fields=list(planned_change.fields),
        )
        for planned_change in planned
    ]


@router.post("/register/certificates/{number}/end")
def end_certificate(
    number: str, new: NewEnd, service: ServiceHere, visitor: VisitorHere
) -> CertificateOut:
    """Enter that a certificate was surrendered or revoked."""
    service.authorise(visitor, Act.KEEP_REGISTER)
    with service.office.catalogue.write() as uow:
        row = register.end_certificate(uow, number, on=new.on, why=new.why, actor=visitor.actor)
    return _present_certificate(row)


@router.post("/register/officers/{person}/trainings", status_code=201)
def record_training(
    person: PersonIdInput, new: NewTraining, service: ServiceHere, visitor: VisitorHere
) -> NewTraining:
    """Enter a training."""
    service.authorise(visitor, Act.KEEP_REGISTER)
    with service.office.catalogue.write() as uow:
        register.record_training(
            uow,
            person,
            day=new.day,
            hours=new.hours,
            title=new.title,
            special=new.special,
            actor=visitor.actor,
        )
    return new


@router.get("/register/sources")
def list_sources(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[HeldOut]:
    """Return the registered sources of your township, by label, and who had them."""
    service.authorise(visitor, Act.SEE_REGISTER)
    with service.office.catalogue.read() as session:
        rows = people.list_sources(
            session,
            township=visitor.person.township,
            after=read_cursor("sources", cursor, str, str),
            limit=limit + 1,
        )
        show = partial(_present_assignments, session)
        return page_of("sources", rows, limit, lambda row: (row.label, row.serial), show)


@router.post("/register/sources", status_code=201)
def add_source(new: NewSource, service: ServiceHere, visitor: VisitorHere) -> HeldOut:
    """Register a source; one serial is one source."""
    service.authorise(visitor, Act.KEEP_REGISTER)
    with service.office.catalogue.write() as uow:
        row = people.add_source(
            uow,
            serial=new.serial,
            kind=new.kind.value,
            family=new.family,
            label=new.label,
            township=new.township,
            actor=visitor.actor,
        )
    with service.office.catalogue.read() as session:
        return _present_assignments(session, row)


@router.post("/register/sources/{serial}/assignment")
def assign_source(
    serial: str, new: NewAssignment, service: ServiceHere, visitor: VisitorHere
) -> list[HeldOut]:
    """Enter who has a source from now, or from a moment, on."""
    service.authorise(visitor, Act.KEEP_REGISTER)
    with service.office.catalogue.write() as uow:
        register.assign_source(uow, serial, new.person, since=new.since, actor=visitor.actor)
    with service.office.catalogue.read() as session:
        row = people.find_source(session, serial)
        return [_present_assignments(session, row)] if row else []


@router.get("/draws")
def list_draws(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[DrawOut]:
    """Return the draws, newest first, each repeated on the spot."""
    service.authorise(visitor, Act.CHECK)
    after = read_cursor("draws", cursor, datetime, str)
    with service.office.catalogue.read() as session:
        rows = random_checks.list_draws(session, after=after, limit=limit + 1)
    return page_of("draws", rows, limit, lambda row: (row.at, row.id), _present_draw)


@router.post("/draws", status_code=201)
def draw_sample(new: NewDraw, service: ServiceHere, visitor: VisitorHere) -> DrawOut:
    """Draw recordings and inspectors from a published seed, once for each purpose."""
    service.authorise(visitor, Act.DRAW, new.township)
    with service.office.catalogue.write() as uow:
        row = random_checks.draw_recordings(
            uow,
            seed=new.seed,
            purpose=new.purpose,
            count=new.count,
            inspectors=random_checks.possible_inspectors(uow.session),
            township=new.township,
            actor=visitor.actor,
        )
    return _present_draw(row)


@router.post("/draws/{draw}/checks", status_code=201)
def record_check(draw: Id, new: NewCheck, service: ServiceHere, visitor: VisitorHere) -> NewCheck:
    """Enter what you found in a recording that you were drawn to inspect."""
    service.authorise(visitor, Act.CHECK)
    with (
        service.logging_refusal(visitor, Act.CHECK.value, Subject.of_draw(draw)),
        service.office.catalogue.write() as uow,
    ):
        random_checks.record_check(
            uow,
            draw,
            new.recording,
            visitor.person.id,
            good=new.good,
            note=new.note,
            actor=visitor.actor,
        )
    return new


@router.get("/evaluation")
def evaluate_year(
    service: ServiceHere,
    visitor: VisitorHere,
    township: Annotated[str | None, Query(max_length=200)] = None,
    year: Annotated[int | None, Query(ge=2000, le=9999)] = None,
) -> list[FigureOut]:
    """Return the figures of a township's year; no money is in any of them."""
    office = service.office
    # A township that is named must still be one's own, unless one is of the county.
    of = township or visitor.person.township or office.settings.township
    service.authorise(visitor, Act.EVALUATE, of)
    now = office.clock()
    with office.catalogue.read() as session:
        # A year is the county's: on 1 January its first hours lie in the old year of UTC.
        when = year or now.astimezone(COUNTY_TIME).year
        year_figures = evaluate_township(session, office.rulebook, of, when, now)
    return [
        FigureOut(
            key=figure.key,
            value=figure.quantity,
            of=figure.of,
            share=figure.share,
            zh=figure.zh,
            en=figure.en,
            article=figure.article,
        )
        for figure in year_figures.figures
    ]


def _present_officer(session: View, now: datetime, row: PersonRow) -> OfficerOut:
    today = register.judge_qualification(session, row, now)
    return OfficerOut(
        id=row.id,
        name=row.name,
        kind=row.kind,
        unit=row.unit,
        township=row.township,
        certified=today.certified,
        why=today.why,
        certificates=[
            _present_certificate(certificate_row)
            for certificate_row in register.list_certificates(session, row.id)
        ],
    )


def _present_certificate(row: CertificateRow) -> CertificateOut:
    return CertificateOut(
        number=row.number,
        category=row.category,
        unit=row.unit,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        ended_on=row.ended_on,
        ended_why=row.ended_why,
    )


def _present_assignments(session: View, row: SourceRow) -> HeldOut:
    assignments = [
        {
            "person": assignment.person_id,
            "name": people.get_person(session, assignment.person_id).name,
            "from_at": assignment.from_at,
            "to_at": assignment.to_at,
        }
        for assignment in register.list_assignments(session, row.serial)
    ]
    return HeldOut(
        serial=row.serial, kind=row.kind, label=row.label, township=row.township, held=assignments
    )


def _present_draw(row: DrawRow) -> DrawOut:
    return DrawOut(
        id=row.id,
        purpose=row.purpose,
        seed=row.seed,
        count=row.count,
        population=list(row.population),
        drawn=list(row.drawn),
        at=row.at,
        # Computed at each look: a draw that was edited in the database no longer repeats.
        repeats=random_checks.is_reproducible(row),
    )
