"""Why recordings are kept, what is due on a day, classes, and keeping for less."""

from datetime import MAXYEAR, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime

from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.retention import presenters as keeping_views
from api.http.retention.schemas import (
    Decided,
    DueOut,
    NewClass,
    NewReclassification,
    ReclassificationOut,
    RetentionOut,
)
from api.http.schemas import Id
from api.http.security import ServiceHere, VisitorHere
from api.problems import ApiError
from policies.access.access import Act
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs
from storage.catalogue.retention import classification

router = APIRouter(tags=["keeping"])


def _of_our_time(at: datetime) -> datetime:
    """Refuse what no zone can tell: the first and the last days of the calendar."""
    if not 1 < at.year < MAXYEAR:
        raise ValueError(at.year)
    return at


Moment = Annotated[AwareDatetime, AfterValidator(_of_our_time)]


@router.get("/retention/due")
def list_due_recordings(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    at: Moment | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> DueOut:
    """Return what could be destroyed at a moment (now), and what is kept beyond its promise."""
    service.authorise(visitor, Act.SEE_KEEPING)
    office, township = service.office, visitor.person.township
    with office.catalogue.read() as session:
        return keeping_views.present_due(
            session, office, at or office.clock(), township=township, cursor=cursor, limit=limit
        )


@router.get("/recordings/{recording}/retention")
def get_retention(
    recording: UUID, service: ServiceHere, visitor: VisitorHere, at: Moment | None = None
) -> RetentionOut:
    """Return why a recording is kept at a moment (now), with its classes and holds."""
    row = service.authorise_recording(visitor, recording, Act.SEE_KEEPING)
    office = service.office
    with office.catalogue.read() as session:
        return keeping_views.present_retention(session, office, row, visitor, at or office.clock())


@router.post("/recordings/{recording}/classes", status_code=201)
def classify_recording(
    recording: UUID, new: NewClass, service: ServiceHere, visitor: VisitorHere
) -> RetentionOut:
    """Put a recording into a class; it is kept longer at once, and the objects' locks follow."""
    row = service.authorise_recording(visitor, recording, Act.CLASSIFY)
    # A major case is so by its decision; given by hand, the class would outlive that.
    if new.kind not in classification.BY_HAND:
        raise ApiError("invalid", problem="这一类别由案件和文书关联得出,不能手工归入")
    office = service.office
    with office.catalogue.write() as uow:
        classification.assign_class(
            uow,
            office.rulebook,
            row.id,
            new.kind,
            new.reason,
            person_id=visitor.person.id,
            actor=visitor.actor,
        )
        # In the transaction that promises: the store's locks follow even if the process dies now.
        jobs.request_job(uow, "lock", Subject.of_recording(row.id), actor=visitor.actor)
    return get_retention(recording, service, visitor)


@router.post("/recordings/{recording}/reclassifications", status_code=201)
def propose_reclassification(
    recording: UUID, new: NewReclassification, service: ServiceHere, visitor: VisitorHere
) -> ReclassificationOut:
    """Propose that a recording is kept for less; another person decides."""
    row = service.authorise_recording(visitor, recording, Act.RECLASSIFY)
    subject = Subject.of_recording(row.id)
    with (
        service.logging_refusal(visitor, "reclassification.propose", subject),
        service.office.catalogue.write() as uow,
    ):
        proposal = classification.propose_reclassification(
            uow,
            row.id,
            new.taking,
            new.reason,
            person_id=visitor.person.id,
            actor=visitor.actor,
        )
    with service.office.catalogue.read() as session:
        return keeping_views.present_reclassification(session, proposal, visitor)


@router.get("/reclassifications")
def list_reclassifications(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[ReclassificationOut]:
    """Return the reclassifications of your township that wait for a decision, newest first."""
    service.authorise(visitor, Act.SEE_KEEPING)
    with service.office.catalogue.read() as session:
        rows = classification.list_reclassifications(
            session,
            waiting=True,
            township=visitor.person.township,
            after=read_cursor("reclassifications", cursor, str),
            limit=limit + 1,
        )
        return page_of(
            "reclassifications",
            rows,
            limit,
            lambda row: (row.id,),
            lambda row: keeping_views.present_reclassification(session, row, visitor),
        )


@router.post("/reclassifications/{reclassification}/decision")
def decide_reclassification(
    reclassification: Id, decision: Decided, service: ServiceHere, visitor: VisitorHere
) -> ReclassificationOut:
    """Approve or refuse a reclassification that another person proposed."""
    office = service.office
    with office.catalogue.read() as session:
        reclassification_row = classification.get_reclassification(session, reclassification)
    row = service.authorise_recording(
        visitor, UUID(reclassification_row.recording_id), Act.RECLASSIFY
    )
    subject = Subject.of_recording(row.id)
    # Persons, not accounts: a second login of the proposer is the proposer.
    if visitor.person.id == reclassification_row.proposed_by:
        service.log_refusal(visitor, Act.RECLASSIFY.value, subject, "same-person")
        raise ApiError("another-person", reclassification=reclassification_row.id)
    with (
        service.logging_refusal(visitor, Act.RECLASSIFY.value, subject),
        office.catalogue.write() as uow,
    ):
        decided = classification.decide_reclassification(
            uow,
            office.rulebook,
            reclassification_row.id,
            approve=decision.approved,
            person_id=visitor.person.id,
            actor=visitor.actor,
        )
    with office.catalogue.read() as session:
        return keeping_views.present_reclassification(session, decided, visitor)
