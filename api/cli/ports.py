"""Ports to serve on, taken before anything else is opened: a busy one is told at once.

Nobody is heard before the server is ready: it is the server that begins to listen.
"""

import errno
import socket
from contextlib import suppress

from api.office.settings.settings import Settings
from api.problems import ApiError


def bind_port(host: str, port: int) -> list[socket.socket]:
    """Return bound sockets for every address of a host; port 0 is any free one.

    Raises: ApiError(port-busy).
    """
    sockets: list[socket.socket] = []
    try:
        # All of them: `localhost` is 127.0.0.1 and ::1, and a browser may try either.
        addresses = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _type, _protocol, _name, address in dict.fromkeys(addresses):
            with suppress(_NoSuchFamilyError):
                sockets.append(_bind_socket(family, address))
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, "no address")
    except OSError as error:
        # One address that is taken means that another program answers there: half a service would
        # be found by some.
        for listener in sockets:
            listener.close()
        problem = error.strerror or str(error)
        raise ApiError("port-busy", host=host, port=port, problem=problem) from error
    return sockets


class _NoSuchFamilyError(Exception):
    """The machine does not speak IPv6."""


def _bind_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            raise _NoSuchFamilyError from error
        raise
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Else :: takes the IPv4 port as well, and binding that one would fail.
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def console_url(settings: Settings, host: str, port: int) -> str:
    """Return the address at which a browser finds the console of a service on this host and port.

    A proxy before it may have another; this is the service's own.
    """
    scheme = "https" if settings.tls_certificate is not None else "http"
    # An IPv6 address stands in brackets (RFC 3986, 3.2.2): else its last part is taken for a port.
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
