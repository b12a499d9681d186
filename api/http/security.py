"""Security of the HTTP service: authentication, cross-site checks, error responses.

Written as plain ASGI where it wraps streams: a response that plays evidence is never buffered.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.office.identity import Origin, Visitor
from api.office.service import Service
from api.problems import ApiError, describe_error, problem_body
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.http")
COOKIE = "liuhen_session"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # Answers are about persons and cases: unless its route says otherwise, nothing is kept on the
    # way or in a browser that the next person uses.
    (b"cache-control", b"no-store"),
)
RETRY_AFTER_S = "10"
_PASSING = {503, 507}  # statuses of what passes without the caller's doing
_AGENT = 120  # characters of a client's program that are kept
_LIMIT = 1 << 20  # bytes of a request's body
# Payloads go here, bounded by what was announced.
_UPLOADS = ("/api/v1/uploads", "/api/v1/submissions/")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def service_of(request: Request) -> Service:
    """Return the running service."""
    service: Service = request.app.state.service
    return service


def token_of(request: Request) -> str | None:
    """Return the session token that came with the request, if any."""
    # The header wins: a program that names a token means it, whatever cookie came along.
    return _bearer_token(request) or request.cookies.get(COOKIE)


def _bearer_token(request: Request) -> str | None:
    """Return the token of the Authorization header (RFC 6750); None for any other scheme."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def visitor_of(request: Request) -> Visitor:
    """Return the authenticated visitor. Raises: ApiError(unauthenticated | cross-site)."""
    # Only a cookie comes along by itself when another site's page sends a request (CSRF); for a
    # token in a header a browser asks leave first (CORS), and gets none. Another scheme (Basic, of
    # a proxy before us) comes by itself too, and the token is then the cookie's all the same.
    with_cookie = _bearer_token(request) is None
    if request.method not in _SAFE and with_cookie and not same_site(request):
        raise ApiError("cross-site")
    return known_visitor(request)


def known_visitor(request: Request) -> Visitor:
    """Return who holds the request's token, whatever site it came from; for what acts on nothing.

    Raises: ApiError(unauthenticated).
    """
    return service_of(request).identity.authenticate_token(token_of(request), origin_of(request))


def origin_of(request: Request) -> Origin:
    """Return where a request comes from: by a trusted proxy's word, if it came through one.

    The server has put that in the connection's place already (`app.create_app`). What is no
    address there is nobody's: `unknown`.
    """
    # Both are an outsider's words and go into the log: printable, and bounded.
    agent = "".join(c for c in request.headers.get("user-agent", "") if c.isprintable())
    host = request.client.host if request.client is not None else ""
    return Origin(_parse_address(host), agent[:_AGENT])


def _parse_address(untrusted_host: str) -> str:
    try:
        # A zone (fe80::1%eth0) says something of this machine's interfaces, not of the client.
        address = ip_address(untrusted_host.partition("%")[0])
    except ValueError:
        return "unknown"
    # A server of both families sees ::ffff:10.0.0.1 for 10.0.0.1: one client is one address.
    return str(getattr(address, "ipv4_mapped", None) or address)


def same_site(request: Request) -> bool:
    """Tell whether a browser says that our own page sent this; silence is no yes."""
    # Fetch metadata first: a page cannot set it, nor leave it out. Older browsers send Origin
    # alone.
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    try:
        place = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:  # `http://[` is no page's origin
        return False
    return bool(place) and place == request.headers.get("host")


ServiceHere = Annotated[Service, Depends(service_of)]
VisitorHere = Annotated[Visitor, Depends(visitor_of)]


def _asked_by_program(request: Request) -> bool:
    """Tell whether problem+json is the answer to read; the proxy decides alike (haproxy.cfg)."""
    accept = request.headers.get("accept", "").lower()
    for_programs = request.url.path.startswith(("/api/", "/healthz", "/readyz"))
    return for_programs or ("json" in accept and "text/html" not in accept)


def retry_headers(error: LiuhenError) -> dict[str, str]:
    """Return when to ask again, as a header (RFC 9110 10.2.3), where that may help by itself."""
    return {"Retry-After": RETRY_AFTER_S} if describe_error(error).status in _PASSING else {}


def error_response(error: LiuhenError, request: Request) -> Response:
    """Return an error as problem+json, or as a page where a page was asked for."""
    page = getattr(request.app.state, "error_page", None)
    if page is not None and not _asked_by_program(request):
        response: Response = page(error, request)
        response.headers.update(retry_headers(error))
        return response
    headers = retry_headers(error)
    # So a player learns the size and can ask again.
    if error.code == "range":
        headers["Content-Range"] = f"bytes */{error.facts['size']}"
    if error.code == "unauthenticated":
        headers["WWW-Authenticate"] = "Bearer"
    # A tus client goes on from where the centre stands, even when it was refused.
    if "offset" in error.facts:
        headers |= {"Upload-Offset": str(error.facts["offset"]), "Tus-Resumable": "1.0.0"}
    if error.code in {"too-many-logins", "logins-busy"}:
        headers["Retry-After"] = str(error.facts["wait_s"])
    body = problem_body(error, request.url.path)
    return JSONResponse(body, body["status"], headers, "application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Make every error leave as problem+json; what is not ours is logged, not told."""

    @app.exception_handler(LiuhenError)
    def _handle_liuhen_error(request: Request, error: LiuhenError) -> Response:
        if describe_error(error).status >= 500:  # noqa: PLR2004 - server errors
            LOG.error("%s %s: %s", request.method, request.url.path, error)
        return error_response(error, request)

    @app.exception_handler(RequestValidationError)
    def _handle_invalid_request(request: Request, error: RequestValidationError) -> Response:
        # The fields' names, not their values: a password that is too long must not come back in an
        # error.
        named = {
            ".".join(str(part) for part in problem_entry["loc"][1:])
            for problem_entry in error.errors()
        }
        return error_response(ApiError("invalid", problem="、".join(sorted(named))[:300]), request)

    @app.exception_handler(HTTPException)
    def _handle_http_error(request: Request, error: HTTPException) -> Response:
        # The framework's own refusals get a code of ours, so that every error has a next step.
        code = {404: "not-found", 405: "no-such-method"}.get(error.status_code, "invalid")
        return error_response(ApiError(code, problem=str(error.detail)[:300]), request)

    @app.exception_handler(Exception)
    def _handle_defect(request: Request, error: Exception) -> Response:
        LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        response = error_response(ApiError("internal"), request)
        # Starlette sends this answer from outside of all middleware, so `Guard` never sees it.
        response.raw_headers.extend(_list_missing_headers(response.raw_headers))
        return response


def _list_missing_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the security headers that an answer does not set itself."""
    present = {name.lower() for name, _ in headers}
    return [(name, header) for name, header in _HEADERS if name not in present]


class Guard:
    """Adds the security headers to every response and bounds every request's body."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received_size = 0

        async def receive_bounded() -> Message:
            nonlocal received_size
            message = await receive()
            # Counted as it comes in: Content-Length is a claim, and chunked bodies have none.
            received_size += len(message.get("body", b""))
            if received_size > _LIMIT and not scope["path"].startswith(_UPLOADS):
                raise HTTPException(413, "body too large")
            return message

        async def send_guarded(message: Message) -> None:
            # Headers alone are touched: the body passes piece by piece, and an hour of film is
            # never held.
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                message["headers"] = [*headers, *_list_missing_headers(headers)]
            await send(message)

        await self._app(scope, receive_bounded, send_guarded)
