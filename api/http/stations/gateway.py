"""The station that asks, known by the token in its request's Authorization header (RFC 6750)."""

from typing import Annotated

from fastapi import Depends, Request

from api.http.security import ServiceHere
from api.office.enrolment import open_gateway
from ingest.centre.station_gateway import StationGateway
from storage.errors import EnrolmentError


def gateway_of(request: Request, service: ServiceHere) -> StationGateway:
    """Return the gateway of the station that asks. Raises: EnrolmentError (token, revoked, …)."""
    # No cookie is looked at: a station is no browser, and a browser must not speak as one.
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise EnrolmentError("token")
    return open_gateway(service.office, secret.strip())


GatewayHere = Annotated[StationGateway, Depends(gateway_of)]
