"""The county's stations, for persons: see how they are, give out codes, revoke.

What stations themselves ask is `stations.py`.
"""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api import station_door, station_views
from api.gate import ServiceHere, VisitorHere
from api.problems import ApiError
from api.schemas import Text
from api.service import Service
from api.station_views import StationOut
from policies.access import Act
from storage.catalogue import enrolment, people
from storage.catalogue.enrolment import CODE_LASTS
from storage.errors import NotFoundError

router = APIRouter(tags=["stations"])


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCode(_In):
    """A station that is to have a code; name and township are for one that is new."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    name: Text | None = None
    township: Text | None = None


class CodeOut(BaseModel):
    """A one-time code; nobody can ask for it a second time."""

    station: str
    code: str
    until: datetime


class Revocation(_In):
    """Why a station may deliver no more."""

    why: Text


@router.get("/stations")
def stations(service: ServiceHere, visitor: VisitorHere) -> list[StationOut]:
    """Return the stations of your township, or of the county, those with alarms first."""
    service.authorise(visitor, Act.SEE_STATIONS)
    with service.office.catalogue.read() as session:
        return station_views.stations(session, service.office, visitor.person.township)


@router.post("/stations", status_code=201)
def offer(new: NewCode, service: ServiceHere, visitor: VisitorHere) -> CodeOut:
    """Give a station a one-time code: a new station, or one that gets a new key."""
    office = service.office
    service.authorise(visitor, Act.KEEP_STATIONS, new.township, f"station:{new.id}")
    name, township = _place(service, new)
    code = station_door.offer(office, new.id, name=name, township=township, actor=visitor.actor)
    return CodeOut(station=new.id, code=str(code), until=office.clock() + CODE_LASTS)


@router.post("/stations/{station}/revoke")
def revoke(
    station: str, given: Revocation, service: ServiceHere, visitor: VisitorHere
) -> StationOut:
    """End every enrolment of a station at once; what it signed before stays valid."""
    office = service.office
    service.authorise(visitor, Act.KEEP_STATIONS, subject=f"station:{station[:64]}")
    with office.catalogue.write() as uow:
        row = people.station(uow.session, station)
        if not enrolment.revoke(uow, station, given.why, actor=visitor.actor):
            raise ApiError("station-unenrolled", station=station)
    with office.catalogue.read() as session:
        return station_views.station(session, office, row)


def _place(service: Service, new: NewCode) -> tuple[str, str]:
    """Return the station's name and township. Raises: ApiError (station-own, station-other)."""
    office = service.office
    if any(key.name == new.id for key in office.ring.stations):
        raise ApiError("station-own", station=new.id)
    with office.catalogue.read() as session:
        try:
            row = people.station(session, new.id)
        except NotFoundError:
            if new.name is None or new.township is None:
                raise ApiError("invalid", problem="name, township") from None
            return new.name, new.township
    if (new.name or row.name, new.township or row.township) != (row.name, row.township):
        raise ApiError("station-other", station=row.id, name=row.name, township=row.township)
    return row.name, row.township
