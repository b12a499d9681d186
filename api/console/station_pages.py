"""The county's stations on a page: how each is, and for administrators codes and revocations."""

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from api.console.rendering import render
from api.http.security import ServiceHere, VisitorHere
from api.http.stations.administration_routes import list_stations as listed_stations
from storage.catalogue.people import people

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/stations")
def stations_page(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show every station; a script keeps the page live."""
    rows = listed_stations(service, visitor)
    with service.office.catalogue.read() as session:
        townships = people.list_townships(session)
    return render(
        "stations.html",
        visitor,
        stations=rows,
        townships=townships,
        wrong=sum(bool(row.alarms) for row in rows),
        now=service.office.clock(),
    )
