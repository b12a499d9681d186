"""The end of a process that was told to stop by SIGTERM or SIGINT: within a second.

Whoever works is told at once, and ends at the next block of its file. What does not hear in time (a
medium that does not answer, a network, a database) is left as a cut of the power would leave it:
each step of the work is written down before the next begins, and the next start goes on from there
(tests/faults). So nothing waits for it.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from types import FrameType

LOG = logging.getLogger("liuhen")
WITHIN_S = 0.9
PATIENCE_S = 0.6  # for threads that were told; the rest is for letting go of what is open


class Ending:
    """Termination of this process; handles the signals from its creation, in the main thread."""

    def __init__(
        self,
        tell: Callable[[], None] = lambda: None,
        status: Callable[[int], int] = lambda _number: 0,
        within_s: float = WITHIN_S,
    ) -> None:
        """`tell` tells whoever works, and must not wait; `status` is the exit status by signal."""
        self._tell = tell
        self._status = status
        self._within_s = within_s
        # Of all that threads share, only this may be touched in the middle of anything.
        self._heard: SimpleQueue[int] = SimpleQueue()
        self._end: SimpleQueue[int] = SimpleQueue()
        # Started before a signal can come: a handler runs in the middle of anything, and must make
        # nothing.
        threading.Thread(target=self._force_exit, name="ending", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_signal)

    def handle_signal(self, number: int, _frame: FrameType | None = None) -> None:
        """Handle a signal: ask all threads to stop, and exit the process a second later."""
        # The end first: even if nobody waits for the other, the process ends.
        self._end.put(number)
        self._heard.put(number)

    def wake_waiter(self) -> None:
        """Let `wait` return without a signal: the work is done."""
        self._heard.put(0)

    def wait_for_signal(self) -> int:
        """Wait for a signal and return its number, or 0 when the work is done before one comes."""
        return self._heard.get()

    def _force_exit(self) -> None:
        number = self._end.get()
        began = time.monotonic()
        # In a thread of its own: the main thread may be deep in a library that does not return.
        self._tell()
        time.sleep(max(0.0, self._within_s - (time.monotonic() - began)))
        end_process(self._status(number))


def end_process(status: int) -> None:
    """End the process now, whatever its threads are at."""
    LOG.info("已停止;未完成的,下次启动后继续 stopped; what is unfinished goes on at the next start")
    for channel in (sys.stdout, sys.stderr):
        channel.flush()
    # Not sys.exit: that waits for threads, and one that hangs in a medium never ends.
    os._exit(status)


def stop_all(parts: Iterable[Callable[..., bool]]) -> bool:
    """Stop all that runs; `parts` take seconds, and tell whether they ended. Tell whether all did.

    They share a moment, and were told before: what has not ended then is left as it is.
    """
    until = time.monotonic() + PATIENCE_S
    return all(part(max(0.0, until - time.monotonic())) for part in parts)
