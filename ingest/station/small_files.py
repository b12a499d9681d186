"""Small files of one card, a few under way at once: they share transactions, signatures and syncs.

A file begins only after all before it have begun, and not while one of its size is under way: two
that may be the same bytes come one after the other, so that the second is known by the first's
receipt, and of two copies the better-named one becomes the recording. A file that is not small is
alone on its way: memory and the medium are for it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from ingest.bays.bay import FileReport
from ingest.bays.submission import Submission

AT_ONCE = 4
SMALL = 4 << 20  # bytes: what is larger keeps a core and the disk busy by itself

Take = Callable[[Submission], FileReport]


def take_each(
    pending: list[Submission],
    reports: list[FileReport],
    *,
    find_settled: Callable[[Submission], FileReport | None],
    take: Take,
    at_once: int = AT_ONCE,
) -> None:
    """Take all that is pending, and append their results in the same order.

    `known` gives the result of what need not be taken, at once. What `take` raises ends it, when
    the others under way have ended. However it ends, `pending` are then those without a result.
    """
    files = list(pending)
    reports_by_number: dict[int, FileReport] = {}
    try:
        with _Lanes(files, reports_by_number, take, at_once).open() as lanes:
            for number, submission in enumerate(files):
                if (report := find_settled(submission)) is not None:
                    reports_by_number[number] = report
                else:
                    lanes.begin_file(number)
    finally:
        reports += [reports_by_number[number] for number in sorted(reports_by_number)]
        pending[:] = [file for number, file in enumerate(files) if number not in reports_by_number]


class _Lanes:
    """Threads that each have one small file of a card on its way."""

    def __init__(
        self,
        files: Sequence[Submission],
        reports_by_number: dict[int, FileReport],
        take: Take,
        at_once: int,
    ) -> None:
        self._files = files
        self._taken = reports_by_number
        self._take = take
        self._at_once = at_once
        self._under_way: dict[Future[FileReport], int] = {}
        self._pool = ThreadPoolExecutor(at_once)  # no thread before the first file

    @contextmanager
    def open(self) -> Iterator["_Lanes"]:
        """Wait at the end for what is under way, whatever ends the block, and keep its results."""
        try:
            yield self
            self._wait_until(lambda: not self._under_way)
        finally:
            self._pool.shutdown()
            for ended, number in self._under_way.items():
                if ended.exception() is None:
                    self._taken[number] = ended.result()

    def begin_file(self, number: int) -> None:
        """Begin with a file as soon as it may be under way beside the others, or wait for its end.

        Raises: what taking one of them raises.
        """
        size = self._files[number].size
        if self._at_once == 1 or size > SMALL:
            self._wait_until(lambda: not self._under_way)
            self._taken[number] = self._take(self._files[number])
            return
        self._wait_until(lambda: len(self._under_way) < self._at_once and self._no_other_of(size))
        self._under_way[self._pool.submit(self._take, self._files[number])] = number

    def _no_other_of(self, size: int) -> bool:
        return all(self._files[number].size != size for number in self._under_way.values())

    def _wait_until(self, met: Callable[[], bool]) -> None:
        while not met():
            ended, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in sorted(ended, key=self._under_way.__getitem__):
                self._taken[self._under_way[future]] = future.result()
                del self._under_way[future]
