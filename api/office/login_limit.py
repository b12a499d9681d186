"""Limit of simultaneous logins: few are checked, some wait, the rest are refused for now.

Checking a password takes 64 MiB and a tenth of a second on purpose (RFC 9106). So the checks have
threads of their own: what a service spends on them is bounded, however many ask, and whoever asks
for anything else waits for none of them.
"""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from api.office.identity import HASHES_AT_ONCE, Identity, Origin
from api.problems import ApiError

MOST_IN_HAND = 128  # waiting or being checked: some seconds' worth
COME_AGAIN_S = 5


class Logins:
    """The queue before `Identity.login`, for one process."""

    def __init__(self, identity: Identity, most: int = MOST_IN_HAND) -> None:
        self._identity = identity
        self._most = most
        self.in_hand = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="login")

    async def log_in(self, username: str, password: str, origin: Origin) -> tuple[str, datetime]:
        """Return a new session token and its end, once it is this login's turn.

        Raises: ApiError(logins-busy): too many wait already, nothing was checked; else as
        `Identity.login`.
        """
        with self._lock:
            # An unbounded queue of slow password hashes would block honest logins for minutes.
            if self.in_hand >= self._most:
                raise ApiError("logins-busy", wait_s=COME_AGAIN_S)
            self.in_hand += 1
        check = self._threads.submit(self._identity.login, username, password, origin)
        check.add_done_callback(
            self._release_slot
        )  # who went away while waiting is not checked at all
        # The event loop goes on meanwhile: other requests wait for no password.
        return await asyncio.wrap_future(check)

    def _release_slot(self, _check: "Future[tuple[str, datetime]]") -> None:
        with self._lock:
            self.in_hand -= 1
