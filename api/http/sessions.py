"""Login, logout and current account."""

from fastapi import APIRouter, Request, Response

from api.http.schemas import Login, Me, Session
from api.http.security import COOKIE, ServiceHere, VisitorHere, origin_of, same_site, token_of
from api.problems import ApiError

router = APIRouter(tags=["sessions"])


@router.post("/sessions", status_code=201)
async def log_in(
    login: Login, service: ServiceHere, request: Request, response: Response
) -> Session:
    """Open a session. Browsers get a cookie; programs send the token as Bearer."""
    # Programs send neither header. A page of another site must not log a browser in under an
    # account of its own choice, to have its owner work in it.
    browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    if browser and not same_site(request):
        raise ApiError("cross-site")
    token, until = await service.logins.log_in(login.username, login.password, origin_of(request))
    set_cookie(response, request, token)
    return Session(token=token, expires_at=until)


@router.delete("/sessions/current", status_code=204)
def log_out(_visitor: VisitorHere, service: ServiceHere, request: Request) -> Response:
    """End this session."""
    service.identity.logout(token_of(request) or "", origin_of(request))
    response = Response(status_code=204)
    # After the session ended at the centre: a cookie that was copied opens nothing either.
    response.delete_cookie(COOKIE)
    return response


@router.get("/me")
def get_visitor(visitor: VisitorHere) -> Me:
    """Return the account of the current session."""
    return Me(
        person=visitor.person.id,
        name=visitor.name,
        username=visitor.username,
        role=visitor.person.role.value,
        township=visitor.person.township,
    )


def set_cookie(response: Response, request: Request, token: str) -> None:
    """Keep the token where no script reads it and no other site sends it."""
    response.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="strict",
        # By the scheme that the trusted proxy saw (`app.create_app`): a Secure cookie need not come
        # back over plain HTTP, which an office on one machine speaks.
        secure=request.url.scheme == "https",
        path="/",
    )
