"""Dispositions: one person proposes, another approves, a job destroys when the time has come."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.retention import presenters as keeping_views
from api.http.retention.schemas import (
    DispositionDetail,
    DispositionOut,
    Justification,
    NewDisposition,
)
from api.http.schemas import Id
from api.http.security import ServiceHere, VisitorHere
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act
from policies.identifiers import SYSTEM, Subject
from storage.catalogue.holds.concerns import InvolvedError
from storage.catalogue.retention import dispositions
from storage.catalogue.retention.dispositions import DispositionError, StillKeptError
from storage.catalogue.retention.tables import DispositionRow

router = APIRouter(tags=["keeping"])


@router.get("/dispositions")
def list_dispositions(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    under_way: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[DispositionOut]:
    """Return the dispositions of your township, newest first; only those `under_way`, or over."""
    service.authorise(visitor, Act.SEE_KEEPING)
    office, now = service.office, service.office.clock()
    with office.catalogue.read() as session:
        rows = dispositions.list_dispositions(
            session,
            township=visitor.person.township,
            under_way=under_way,
            after=read_cursor("dispositions", cursor, str),
            limit=limit + 1,
        )
        return page_of(
            "dispositions",
            rows,
            limit,
            lambda row: (row.id,),
            lambda row: keeping_views.present_disposition(session, office, row, visitor, now),
        )


@router.post("/dispositions", status_code=201)
def propose_disposition(
    new: NewDisposition, service: ServiceHere, visitor: VisitorHere
) -> DispositionDetail:
    """Propose that recordings are destroyed: all of them due, none listed elsewhere."""
    service.authorise(visitor, Act.PROPOSE_DISPOSITION)
    office, act = service.office, Act.PROPOSE_DISPOSITION
    # Each one is asked for: a list may hold recordings of several townships. Named twice, it is
    # one.
    rows = [
        service.authorise_recording(visitor, UUID(recording_id), act)
        for recording_id in dict.fromkeys(new.recordings)
    ]
    # Of one township it is that township's; a mixed one has none, and is the county's alone.
    townships = {row.township for row in rows}
    try:
        with office.catalogue.write() as uow:
            row = dispositions.propose_disposition(
                uow,
                office.rulebook,
                office.disposition_bounds,
                [recording_row.id for recording_row in rows],
                new.reason,
                person_id=visitor.person.id,
                actor=visitor.actor,
                township=townships.pop() if len(townships) == 1 else None,
            )
    # The attempt is an entry, in a transaction of its own: the proposal's has been rolled back.
    except InvolvedError as error:
        service.log_refusal(visitor, act.value, SYSTEM, error.code)
        raise
    except StillKeptError as error:
        subject = Subject.of_recording(error.facts["recording"])
        service.log_refusal(visitor, "recording.propose-disposition", subject, error.code)
        raise
    return _present_by_id(service, visitor, row)


@router.get("/dispositions/{disposition}")
def get_disposition(
    disposition: Id, service: ServiceHere, visitor: VisitorHere
) -> DispositionDetail:
    """Return a disposition with its recordings and how far each is."""
    return _present_by_id(
        service, visitor, of_visitor(service, visitor, disposition, Act.SEE_KEEPING)
    )


@router.post("/dispositions/{disposition}/approve")
def approve_disposition(
    disposition: Id, service: ServiceHere, visitor: VisitorHere
) -> DispositionDetail:
    """Approve what another person proposed; the cooling-off time begins with the last approval."""
    row = of_visitor(service, visitor, disposition, Act.APPROVE_DISPOSITION)
    office = service.office
    # The rows that an approval rests on are compared with entries under the last signed head: it
    # should cover them.
    service.publish_checkpoint()
    try:
        with office.catalogue.write() as uow:
            row = dispositions.approve_disposition(
                uow,
                office.disposition_bounds,
                row.id,
                person_id=visitor.person.id,
                actor=visitor.actor,
            )
    except (DispositionError, InvolvedError) as error:
        subject = Subject.of_disposition(row.id)
        service.log_refusal(visitor, Act.APPROVE_DISPOSITION.value, subject, error.code)
        raise
    return _present_by_id(service, visitor, row)


@router.post("/dispositions/{disposition}/withdraw")
def withdraw_disposition(
    disposition: Id, justification: Justification, service: ServiceHere, visitor: VisitorHere
) -> DispositionDetail:
    """Withdraw a disposition whose destruction has not begun."""
    row = of_visitor(service, visitor, disposition, Act.PROPOSE_DISPOSITION)
    with service.office.catalogue.write() as uow:
        row = dispositions.withdraw_disposition(uow, row.id, justification.why, actor=visitor.actor)
    return _present_by_id(service, visitor, row)


@router.get(
    "/dispositions/{disposition}/certificate",
    responses={200: {"description": "The signed certificate", "content": {"application/json": {}}}},
)
def get_certificate(disposition: Id, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Return the destruction certificate, exactly as the centre signed it."""
    row = of_visitor(service, visitor, disposition, Act.SEE_KEEPING)
    if row.certificate is None:
        raise ApiError("not-found", what="certificate", id=row.id)
    # As text: parsed and written again, its bytes might differ and its signatures no longer hold.
    return Response(row.certificate, media_type="application/json")


def of_visitor(service: Service, visitor: Visitor, disposition: str, act: Act) -> DispositionRow:
    """Return a disposition upon which this person may do this.

    One of several townships is the county's alone. Raises: NotFoundError, ApiError(forbidden).
    """
    with service.office.catalogue.read() as session:
        row = dispositions.get_disposition(session, disposition)
    # An empty name is nobody's township, so that only roles of the whole county pass; None would
    # stand for "touches no township" and let every head in.
    of_several = "" if row.township is None else row.township
    service.authorise(visitor, act, of_several, Subject.of_disposition(row.id))
    return row


def _present_by_id(service: Service, visitor: Visitor, row: DispositionRow) -> DispositionDetail:
    office = service.office
    with office.catalogue.read() as session:
        return keeping_views.disposition_detail(session, office, row, visitor, office.clock())
