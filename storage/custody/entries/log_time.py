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


def running_back(entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, str]]:
    """Yield each entry, by number, that is older than the one before it, with that one's time.

    Give parsed entries in the order of their numbers: all of a log, or some.
    """
    last, bound = "", False
    for index, entry in entries:
        at = str(entry["at"])
        bound = bound or entry["v"] != 1  # one of version 1 after that is held to the rule, too
        if bound and at < last and (entry["act"], entry["subject"]) != (ACT, CLOCK):
            yield index, last
        last = at
