"""Holds by hand: placed for the township or the county; their release proposed; the store is told.

What becomes of a proposed release is `release_routes.py`'s business.
"""

from datetime import datetime
from functools import partial

from fastapi import APIRouter

from api.http.holds import presenters as release_views
from api.http.holds.presenters import Look
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.retention.schemas import HoldOut, Justification, NewHold, ReleaseOut
from api.http.schemas import HoldIdInput
from api.http.security import ServiceHere, VisitorHere
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act
from policies.identifiers import SYSTEM, Subject
from policies.retention import holds as policy
from storage.catalogue.cases import cases
from storage.catalogue.cases.tables import HoldRow
from storage.catalogue.holds import holds, releases
from storage.catalogue.holds.releases import STORE_JOB
from storage.catalogue.jobs import jobs
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import UnitOfWork

router = APIRouter(tags=["keeping"])


@router.get("/holds")
def list_holds(
    service: ServiceHere, visitor: VisitorHere, *, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[HoldOut]:
    """Return the holds that stand in your township, newest first; those of the whole county too."""
    service.authorise(visitor, Act.SEE_KEEPING)
    own, after = visitor.person.township, read_cursor("holds", cursor, datetime, str)
    with service.office.catalogue.read() as session:
        rows = holds.list_active_holds(session, township=own, after=after, limit=limit + 1)
        show = partial(release_views.present_hold, Look(session, visitor))
        return page_of("holds", rows, limit, lambda row: (row.placed_at, row.id), show)


@router.post("/holds", status_code=201)
def place_hold(new: NewHold, service: ServiceHere, visitor: VisitorHere) -> HoldOut:
    """Place a hold in the name of your authority; what it reaches is held from now on."""
    township, subject = _locate_subject(service, visitor, new)
    service.authorise(visitor, Act.PLACE_HOLD, township, subject)
    # In whose name it is placed follows from who places it: only that authority can propose its
    # release.
    authority = policy.of_person(visitor.person)
    if authority is None:
        raise ApiError("forbidden", act=Act.PLACE_HOLD.value, reason="authority")
    with service.office.catalogue.write() as uow:
        row = holds.place_hold(
            uow,
            holds.NewHold(
                reason=new.reason,
                authority=authority,
                recording_id=new.recording,
                action_id=new.action,
                case_id=new.case,
                party=new.party,
                township=township,
                note=new.note,
            ),
            actor=visitor.actor,
        )
        # In the transaction of the hold: no hold without its job, even if the process dies right
        # after.
        tell_store(uow, row, visitor)
    with service.office.catalogue.read() as session:
        return release_views.present_hold(Look(session, visitor), row)


@router.post("/holds/{hold}/release", status_code=201)
def propose_release(
    hold: HoldIdInput, justification: Justification, service: ServiceHere, visitor: VisitorHere
) -> ReleaseOut:
    """Propose that a hold placed by hand ends; it stays until another person approves."""
    with service.office.catalogue.read() as session:
        row = holds.get_hold(session, hold)
        township = release_views.township_of(session, row)
    subject = Subject.of_hold(row.id)
    # Seeing it is enough to get here; whether this person may propose is the policy's to say, and
    # its refusal says who may.
    service.authorise(visitor, Act.SEE_KEEPING, township, subject)
    with (
        service.logging_refusal(visitor, "hold.release.propose", subject),
        service.office.catalogue.write() as uow,
    ):
        proposed = releases.propose_for_hold(uow, row.id, justification.why, by=visitor.person)
    with service.office.catalogue.read() as session:
        return release_views.present_release(Look(session, visitor), proposed)


def tell_store(uow: UnitOfWork, hold: HoldRow, visitor: Visitor) -> None:
    """Have the object store told of a hold that was placed."""
    # The slot makes it one job however often it is asked for.
    jobs.request_job(uow, STORE_JOB, Subject.of_hold(hold.id), actor=visitor.actor, slot="placed")


def _locate_subject(service: Service, visitor: Visitor, new: NewHold) -> tuple[str | None, Subject]:
    """Return whose township a new hold lies in (None: the whole county), and on what.

    Raises: NotFoundError, ApiError(invalid) when it lies on nothing or on several things.
    """
    subjects = [new.recording, new.action, new.case, new.party]
    if sum(target is not None for target in subjects) != 1:
        raise ApiError("invalid", problem="请只填一项:录像、执法活动、案件或者当事人")
    with service.office.catalogue.read() as session:
        if new.recording is not None:
            row = recordings.by_id(session, new.recording)
            return row.township, Subject.of_recording(row.id)
        case_id = new.case
        if new.action is not None:
            case_id = cases.get_action(session, new.action).case_id
        if case_id is not None:
            subject = Subject.of_action(new.action) if new.action else Subject.of_case(case_id)
            return cases.get_case(session, case_id).township, subject
    # A party is a name and has no township: only roles of the whole county may leave it out.
    return new.township or visitor.person.township, SYSTEM
