"""The station's bays, live, and the code that sets recorders' clocks."""

from fastapi import APIRouter

from api import views
from api.gate import ServiceHere, VisitorHere
from api.scene_codes import scene_code
from api.schemas import BayOut
from api.way_schemas import SceneCodeOut
from policies.access import Act
from policies.scene_code import Kind

router = APIRouter(tags=["bays"])


@router.get("/bays")
def bays(service: ServiceHere, visitor: VisitorHere) -> list[BayOut]:
    """Return every bay as the station last saw it."""
    service.authorise(visitor, Act.SEE_BAYS)
    return views.bays(service.office)


@router.get("/scene-code")
def time_code(service: ServiceHere, visitor: VisitorHere) -> SceneCodeOut:
    """Return a code of this second that names no action: filmed at a station, it sets clocks."""
    service.authorise(visitor, Act.SEE_BAYS)
    return scene_code(service.office, "clock", Kind.TIME)
