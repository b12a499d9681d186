"""Other clocks: time servers (NTP, RFC 5905), the object store's and the database server's.

Asked before anything is destroyed; what the answers mean is `policies/time/trusted_time.py`'s to
say. Answers are kept for half a minute by the monotonic clock, unless ours was set meanwhile.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock

import ntplib

from policies.time.trusted_time import ClockAnswer
from storage.catalogue.unit_of_work import Catalogue
from storage.errors import LiuhenError
from storage.vault.objects import ObjectStore

LOG = logging.getLogger("liuhen.time")
_KEPT_S = 30.0
_STEP = timedelta(seconds=2)
_TIMEOUT_S = 3.0
_PORT = 123


class TrustedTime:
    """Asks every other clock that this office knows; safe for several threads."""

    def __init__(
        self,
        servers: Sequence[str],
        objects: ObjectStore,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Take the sources; nothing is asked yet. `servers` are `host` or `host:port`."""
        self._servers = [_parse_address(server) for server in servers]
        self._objects = objects
        self._catalogue = catalogue
        self._clock = clock
        self._monotonic = monotonic
        self._lock = Lock()
        self._told: tuple[ClockAnswer, ...] = ()
        self._asked: tuple[datetime, float] | None = None

    def __call__(self) -> tuple[ClockAnswer, ...]:
        """Return the readings of the other clocks; unreachable ones are left out."""
        # Held while asking: several destructions that begin at once ask the clocks once.
        with self._lock:
            if self._is_stale():
                self._told = tuple(self._ask_clocks())
                # Both clocks at once: from here on they must advance together.
                self._asked = self._clock(), self._monotonic()
            return self._told

    def _is_stale(self) -> bool:
        if self._asked is None or not self._told:
            return True
        since, ticks = self._asked
        # Cached readings age by monotonic time: setting our clock neither keeps nor fakes them.
        passed = self._monotonic() - ticks
        expected = since + timedelta(seconds=passed)
        return passed > _KEPT_S or abs(self._clock() - expected) > _STEP

    def _ask_clocks(self) -> list[ClockAnswer]:
        clocks: list[tuple[str, Callable[[], datetime | None]]] = [
            ("object-store", self._objects.now),
            ("database", self._catalogue.server_now),
        ]
        for host, port in self._servers:
            clocks.append((f"ntp:{host}:{port}", partial(_ask_time_server, host, port)))
        readings = []
        for source, ask in clocks:
            try:
                theirs = ask()
            # One that does not answer is left out; that nobody answers is a doubt by itself
            # (`ClockDoubt.NOBODY`).
            except (LiuhenError, ntplib.NTPException, OSError) as error:
                LOG.warning("%s does not tell the time: %s", source, error)
                continue
            if theirs is not None:
                # Our time on its arrival: a slow answer makes us look ahead, which stops and never
                # hastens.
                readings.append(ClockAnswer(source, self._clock(), theirs))
        return readings


def _ask_time_server(host: str, port: int) -> datetime:
    """Return a time server's time now. Raises: NTPException, OSError."""
    answer = ntplib.NTPClient().request(host, version=4, port=port, timeout=_TIMEOUT_S)
    if not 0 < answer.stratum < 16:  # noqa: PLR2004 - RFC 5905 figure 11: 0 and 16 are no time
        raise ntplib.NTPException("not synchronised")
    return datetime.fromtimestamp(answer.tx_time, UTC)


def _parse_address(server: str) -> tuple[str, int]:
    host, _, port = server.partition(":")
    return host, int(port or _PORT)
