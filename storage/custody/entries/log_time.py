"""Time in one log: no entry is older than the one before it, except where a person said why.

An entry `log.clock` is that person's: a clock had run ahead, and the log goes on by the right time
from there. Entries of version 1 were made before this rule. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from storage.custody.entries.subjects import CLOCK

ACT = "log.clock"
SKEW = timedelta(seconds=2)  # what two clocks of one office may differ by


class TimeWalk:
    """Where a walk along entries stands in time: give it each of them, in their order."""

    def __init__(self) -> None:
        """Begin before the first."""
        self._last, self._bound = "", False

    def add(self, entry: Mapping[str, Any]) -> str | None:
        """Take a parsed entry; return the time of the one before it, if it is older than that."""
        last, at = self._last, str(entry["at"])
        # One of version 1 after the first of version 2 is held to the rule, too.
        self._bound = self._bound or entry["v"] != 1
        self._last = at
        # Act and subject: an entry that bears the act alone stands in no chain that a bundle
        # carries.
        excused = (entry["act"], entry["subject"]) == (ACT, CLOCK)
        # Texts compare as times do: the log has one spelling of a time, of fixed length, in UTC.
        return last if self._bound and at < last and not excused else None


def running_back(entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, str]]:
    """Yield each entry, by number, that is older than the one before it, with that one's time.

    Give parsed entries in the order of their numbers: all of a log, or some.
    """
    walk = TimeWalk()
    for index, entry in entries:
        if (last := walk.add(entry)) is not None:
            yield index, last
