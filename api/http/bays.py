"""The station's bays, live, and the code that sets recorders' clocks."""

from fastapi import APIRouter

from api.http import presenters as views
from api.http.case_file.scene_codes import scene_code
from api.http.case_file.schemas import SceneCodeOut
from api.http.schemas import BayOut
from api.http.security import ServiceHere, VisitorHere
from policies.access.access import Act
from policies.identifiers import ActionId
from policies.scene_code import Kind

router = APIRouter(tags=["bays"])


@router.get("/bays")
def list_bays(service: ServiceHere, visitor: VisitorHere) -> list[BayOut]:
    """Return every bay as the station last saw it."""
    service.authorise(visitor, Act.SEE_BAYS)
    return views.present_bays(service.office)


@router.get("/scene-code")
def time_code(service: ServiceHere, visitor: VisitorHere) -> SceneCodeOut:
    """Return a code of this second that names no action: filmed at a station, it sets clocks."""
    service.authorise(visitor, Act.SEE_BAYS)
    return scene_code(service.office, ActionId("clock"), Kind.TIME)
