"""The page of the screen at the dock, and the service that shows it on this machine alone."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from api.console.rendering import HERE, render
from api.http.security import App, Guard, Message, Receive, Send
from api.station.kiosk import Screen

LOG = logging.getLogger("liuhen.screen")
LOOPBACK = "127.0.0.1"
_NAMES = {LOOPBACK, "localhost"}


class OnlyHere:
    """Answers what is asked of this machine by its own name, with GET or HEAD; else nothing.

    A site whose name is made to mean 127.0.0.1 (DNS rebinding) asks under that site's name.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass one request through, or turn it away. There are no WebSockets here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        # Any other type, a WebSocket above all, gets no answer: it would not be bound by CORS.
        elif scope["type"] == "http":
            await (_refuse_request(scope) or self._app)(scope, receive, send)


def _refuse_request(scope: Message) -> App | None:
    # Two Host headers could be read one way here and another way behind.
    hosts = [host for name, host in scope["headers"] if name == b"host"]
    if len(hosts) != 1 or not _is_own_host(hosts[0].decode("latin-1")):
        return PlainTextResponse("本页只在采集站本机显示。\n", 421)
    if scope["method"] not in {"GET", "HEAD"}:
        return PlainTextResponse("本页只供查看。\n", 405, {"allow": "GET, HEAD"})
    return None


def _is_own_host(host: str) -> bool:
    try:
        # "@": what stands before it is user information, and the name behind it another's to
        # choose.
        return urlsplit(f"//{host}").hostname in _NAMES and "@" not in host
    except ValueError:
        return False


def screen_app(screen: Screen) -> FastAPI:
    """Build the application of one screen."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/", response_class=HTMLResponse)
    def show_page() -> Response:
        return render("screen.html", None, seen=screen.read_state())

    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    # Added last, `Guard` stands outside: what is turned away has the security headers too.
    app.add_middleware(OnlyHere)
    app.add_middleware(Guard)
    return app


@contextmanager
def serve_kiosk(
    screen: Screen, port: int | None, say: Callable[[str], None]
) -> Iterator[int | None]:
    """Show the screen while the block runs, if a port is given; gives the port.

    A port that another program has is no reason not to take in evidence: it is said, and that is
    all. Port 0 is any free one.
    """
    if port is None:
        yield None
        return
    try:
        # Bound here, not by the server's thread: a port that is taken is told at once, and 0 is
        # known.
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        LOG.warning("仓位大屏无法打开端口 %s: %s (no screen)", port, error.strerror)
        yield None
        return
    bound_port = int(listening.getsockname()[1])
    server = uvicorn.Server(
        uvicorn.Config(
            screen_app(screen),
            log_config=None,
            log_level="warning",
            server_header=False,
            access_log=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="screen", daemon=True)
    thread.start()
    say(f"仓位大屏 screen: http://{LOOPBACK}:{bound_port}/")
    try:
        yield bound_port
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
