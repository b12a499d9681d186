"""Group commit: one thread carries out the waiting calls of all threads in one batch.

A call that finds nobody at work does all that waits, itself included, in one go; the others wait,
and find theirs done. So a transaction, a signature or a sync that serves one serves many, and
nobody waits for others to come.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from storage.errors import CatalogueBusyError, CatalogueUnavailableError, VaultError

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_MOST = 64  # items at once: nobody waits long for those who came later
_COMMON = (CatalogueBusyError, CatalogueUnavailableError, VaultError)


class Together(Generic[Request, Answer]):
    """Calls of `act`, which gets several items and returns an answer for each, in their order."""

    def __init__(self, act: Callable[[Sequence[Request]], Sequence[Answer]]) -> None:
        self._act = act
        self._gate = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[tuple[Request, Future[Answer]]] = []

    def __call__(self, request: Request) -> Answer:
        """Return the item's answer. Raises: what `act` raises for it."""
        mine: Future[Answer] = Future()
        with self._gate:
            self._waiting.append((request, mine))
        with self._turn:
            # Whoever had the turn before may have served this call already, or more than `_MOST`
            # calls stand before it.
            while not mine.done():
                with self._gate:
                    some, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                self._serve_batch(some)
        return mine.result()

    def _serve_batch(self, some: Sequence[tuple[Request, Future[Answer]]]) -> None:
        """Act for all; where that fails and one of them may be the cause, for each by itself."""
        try:
            answers = self._act([request for request, _ in some])
            pairs = list(zip(some, answers, strict=True))
        # Even an interrupt must end the others' calls: they wait for their answer without a limit.
        except BaseException as error:  # noqa: BLE001 - each caller raises it again
            # The batch was undone as a whole, so each may be tried alone. A store or database that
            # fails all of them is not asked once more for each.
            if len(some) > 1 and isinstance(error, Exception) and not isinstance(error, _COMMON):
                for call in some:
                    self._serve_batch([call])
                return
            for _, waiting in some:
                waiting.set_exception(error)
        else:
            for (_, waiting), answer in pairs:
                waiting.set_result(answer)
