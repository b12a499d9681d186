"""Holds by hand: placed and released for the township or the county; the store is told by a job."""

from fastapi import APIRouter

from api import keeping_views
from api.gate import ServiceHere, VisitorHere
from api.identity import Visitor
from api.keeping_schemas import Given, HoldOut, NewHold
from api.problems import ApiError
from api.schemas import Id
from api.service import Service
from policies import holds as policy
from policies.access import Act
from storage.catalogue import cases, holds, jobs, recordings
from storage.catalogue.unit_of_work import UnitOfWork
from storage.catalogue.way_tables import HoldRow

router = APIRouter(tags=["keeping"])


@router.get("/holds")
def standing(service: ServiceHere, visitor: VisitorHere) -> list[HoldOut]:
    """Return the holds that stand in your township, newest first; those of the whole county too."""
    service.authorise(visitor, Act.SEE_KEEPING)
    township = visitor.person.township
    with service.office.catalogue.read() as session:
        found = [keeping_views.hold(session, row, visitor) for row in holds.standing(session)]
    return [one for one in found if township is None or one.township in {None, township}]


@router.post("/holds", status_code=201)
def place(new: NewHold, service: ServiceHere, visitor: VisitorHere) -> HoldOut:
    """Place a hold in the name of your authority; what it reaches is held from now on."""
    township, subject = _place(service, visitor, new)
    service.authorise(visitor, Act.PLACE_HOLD, township, subject)
    authority = policy.of_person(visitor.person)
    if authority is None:
        raise ApiError("forbidden", act=Act.PLACE_HOLD.value, reason="authority")
    with service.office.catalogue.write() as uow:
        row = holds.place(
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
        tell_store(uow, row, visitor)
    with service.office.catalogue.read() as session:
        return keeping_views.hold(session, row, visitor)


@router.post("/holds/{hold}/release")
def release(hold: Id, given: Given, service: ServiceHere, visitor: VisitorHere) -> HoldOut:
    """Release a hold in the name of the authority that placed it; the others stay."""
    with service.office.catalogue.read() as session:
        row = holds.hold(session, hold)
        township, authority = keeping_views.township_of(session, row), holds.authority_of(row)
    service.authorise(visitor, Act.PLACE_HOLD, township, f"hold:{row.id}")
    own = policy.of_person(visitor.person)
    if not policy.may_release(authority, own):
        service.refused(visitor, "hold.release", f"hold:{row.id}", "authority")
        raise ApiError("hold-authority", authority=policy.authority_zh(authority), hold=row.id)
    with service.office.catalogue.write() as uow:
        row = holds.release(uow, row.id, given.why, authority=own, actor=visitor.actor)
        tell_store(uow, row, visitor)
    with service.office.catalogue.read() as session:
        return keeping_views.hold(session, row, visitor)


def tell_store(uow: UnitOfWork, hold: HoldRow, visitor: Visitor) -> None:
    """Have the object store told of a hold that was placed or released."""
    slot = "placed" if hold.released_at is None else "released"
    jobs.ask(uow, "hold", f"hold:{hold.id}", actor=visitor.actor, slot=slot)


def _place(service: Service, visitor: Visitor, new: NewHold) -> tuple[str | None, str]:
    """Return whose township a new hold lies in (None: the whole county), and on what.

    Raises: NotFoundError, ApiError(invalid) when it lies on nothing or on several things.
    """
    given = [new.recording, new.action, new.case, new.party]
    if sum(one is not None for one in given) != 1:
        raise ApiError("invalid", problem="请只填一项:录像、执法活动、案件或者当事人")
    with service.office.catalogue.read() as session:
        if new.recording is not None:
            row = recordings.by_id(session, new.recording)
            return row.township, recordings.subject_of(row.id)
        case_id = new.case
        if new.action is not None:
            case_id = cases.action(session, new.action).case_id
        if case_id is not None:
            subject = f"action:{new.action}" if new.action else f"case:{case_id}"
            return cases.case(session, case_id).township, subject
    return new.township or visitor.person.township, "system"
