"""The county's stations, for persons: see how they are, give out codes, revoke.

What stations themselves ask is `routes.py`.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from api.http.schemas import RequestModel, Text
from api.http.security import ServiceHere, VisitorHere
from api.http.stations import presenters as station_views
from api.http.stations.presenters import StationOut
from api.office import enrolment as station_door
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act
from policies.identifiers import StationId, Subject
from storage.catalogue.people import people
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.enrolment import CODE_LASTS
from storage.errors import NotFoundError

router = APIRouter(tags=["stations"])


StationPath = Annotated[StationId, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]


class NewCode(RequestModel):
    """A station that is to have a code; name and township are for one that is new."""

    id: StationId = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    name: Text | None = None
    township: Text | None = None


class CodeOut(BaseModel):
    """A one-time code; nobody can ask for it a second time."""

    station: str
    code: str
    until: datetime


class Revocation(RequestModel):
    """Why a station may deliver no more."""

    why: Text


@router.get("/stations")
def list_stations(service: ServiceHere, visitor: VisitorHere) -> list[StationOut]:
    """Return the stations of your township, or of the county, those with alarms first."""
    service.authorise(visitor, Act.SEE_STATIONS)
    with service.office.catalogue.read() as session:
        return station_views.present_stations(session, service.office, visitor.person.township)


@router.post("/stations", status_code=201)
def offer_enrolment(new: NewCode, service: ServiceHere, visitor: VisitorHere) -> CodeOut:
    """Give a station a one-time code: a new station, or one that gets a new key."""
    office = service.office
    is_known = _authorise_station(service, visitor, new.id, new.township)
    # The centre's own station signs with a key of the ring; a code for it would make two of them.
    if any(key.name == new.id for key in office.ring.stations):
        raise ApiError("station-own", station=new.id)
    if not is_known and (new.name is None or new.township is None):
        raise ApiError("invalid", problem="name, township")
    code = station_door.offer_enrolment(
        office, new.id, name=new.name, township=new.township, actor=visitor.actor
    )
    return CodeOut(station=new.id, code=str(code), until=office.clock() + CODE_LASTS)


@router.post("/stations/{station}/revoke")
def revoke_station(
    station: StationPath, revocation: Revocation, service: ServiceHere, visitor: VisitorHere
) -> StationOut:
    """End every enrolment of a station at once; what it signed before stays valid."""
    office = service.office
    _authorise_station(service, visitor, station, None)
    with office.catalogue.write() as uow:
        # In one transaction: a station that enrols just now is either revoked too, or comes after.
        row = people.get_station(uow.session, station)
        if not enrolment.revoke_enrolments(uow, station, revocation.why, actor=visitor.actor):
            raise ApiError("station-unenrolled", station=station)
    with office.catalogue.read() as session:
        return station_views.present_station(session, office, row)


def _authorise_station(
    service: Service, visitor: Visitor, station: StationId, township: str | None
) -> bool:
    """Authorise keeping a station, in its own township if it is known; tell whether it is."""
    with service.office.catalogue.read() as session:
        # A station that is known keeps its township, whatever the request says; only a new one has
        # the one that is asked for.
        try:
            township = people.get_station(session, station).township
            is_known = True
        except NotFoundError:
            is_known = False
    service.authorise(visitor, Act.KEEP_STATIONS, township, Subject.of_station(station))
    return is_known
