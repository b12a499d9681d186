"""The station's bays, live."""

from fastapi import APIRouter

from api import views
from api.gate import ServiceHere, VisitorHere
from api.schemas import BayOut
from policies.access import Act

router = APIRouter(tags=["bays"])


@router.get("/bays")
def bays(service: ServiceHere, visitor: VisitorHere) -> list[BayOut]:
    """Return every bay as the station last saw it."""
    service.authorise(visitor, Act.SEE_BAYS)
    return views.bays(service.office)
