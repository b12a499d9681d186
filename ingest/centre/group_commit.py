"""Group commit: what many threads want done one after the other, one of them does for all.

A call that finds nobody at work does all that waits, itself included, in one go; the others wait,
and find theirs done. So a transaction, a signature or a sync that serves one serves many, and
nobody waits for others to come.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from storage.errors import CatalogueBusyError, CatalogueUnavailableError, VaultError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_MOST = 64  # items at once: nobody waits long for those who came later
_COMMON = (CatalogueBusyError, CatalogueUnavailableError, VaultError)


class Together(Generic[Item, Answer]):
    """Calls of `act`, which gets several items and returns an answer for each, in their order."""

    def __init__(self, act: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._act = act
        self._gate = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[tuple[Item, Future[Answer]]] = []

    def __call__(self, item: Item) -> Answer:
        """Return the item's answer. Raises: what `act` raises for it."""
        mine: Future[Answer] = Future()
        with self._gate:
            self._waiting.append((item, mine))
        with self._turn:
            while not mine.done():
                with self._gate:
                    some, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                self._serve(some)
        return mine.result()

    def _serve(self, some: Sequence[tuple[Item, Future[Answer]]]) -> None:
        """Act for all; where that fails and one of them may be the cause, for each by itself."""
        try:
            answers = self._act([item for item, _ in some])
            answered = list(zip(some, answers, strict=True))
        except BaseException as error:  # noqa: BLE001 - each caller raises it again
            if len(some) > 1 and isinstance(error, Exception) and not isinstance(error, _COMMON):
                for one in some:
                    self._serve([one])
                return
            for _, waiting in some:
                waiting.set_exception(error)
        else:
            for (_, waiting), answer in answered:
                waiting.set_result(answer)
