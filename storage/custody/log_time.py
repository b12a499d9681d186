"""Time in one log: no entry is older than the one before it, except where a person said why.

An entry `log.clock` is that person's: a clock had run ahead, and the log goes on by the right time
from there. Entries of version 1 were made before this rule. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

ACT = "log.clock"
SKEW = timedelta(seconds=2)  # what two clocks of one office may differ by


def running_back(entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, str]]:
    """Yield each entry, by number, that is older than the one before it, with that one's time.

    Give parsed entries in the order of their numbers: all of a log, or some.
    """
    last = ""
    for index, entry in entries:
        at = str(entry["at"])
        if at < last and entry["v"] != 1 and entry["act"] != ACT:
            yield index, last
        last = at
