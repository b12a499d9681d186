"""Processor time and cores of the processes that a measurement started."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_NAME, _PARENT, _USED = 1, 3, slice(13, 17)  # fields of proc(5), stat; children that ended count


def descendants() -> dict[int, str]:
    """Return the name of each living process below this one, by its id."""
    found = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = _stat(int(folder.name))
            parents[int(folder.name)] = int(stat[_PARENT])
            found[int(folder.name)] = stat[_NAME]
    return {pid: name for pid, name in found.items() if _below(pid, parents)}


def used_s(pid: int) -> float:
    """Return the processor seconds of a process and of its children that ended."""
    return sum(map(int, _stat(pid)[_USED])) / _TICK


def pin(pids: Iterable[int], cores: Iterable[int]) -> None:
    """Keep processes, with every thread that they have or begin, on these cores."""
    wanted = set(cores)
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), wanted)


def _below(pid: int, parents: dict[int, int]) -> bool:
    while (pid := parents.get(pid, 0)) > 1:
        if pid == os.getpid():
            return True
    return False


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    head, _, rest = text.rpartition(")")
    before, _, name = head.partition("(")
    return [before.strip(), name, *rest.split()]
