"""Processor time, cores and shares of the processes that a measurement started."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_GROUPS = Path("/sys/fs/cgroup/cpu")
_PERIOD_US = 20_000  # short: a process that used its share up waits so long at most
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


def can_limit() -> bool:
    """Tell whether this system lets us give processes a share of a core (cgroups(7))."""
    return _GROUPS.is_dir() and os.access(_GROUPS, os.W_OK)


@contextmanager
def limited(pids: Iterable[int], share: float) -> Iterator[None]:
    """Give each process, with all of its threads, this share of one core until the block ends.

    By the bandwidth control of the kernel's scheduler (sched-bwc; cgroups of version 1).
    """
    with ExitStack() as groups:
        for pid in pids:
            group = _GROUPS / f"liuhen-bench-{pid}"
            group.mkdir()
            groups.callback(group.rmdir)
            groups.callback(_move, pid, _GROUPS)
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US), encoding="ascii")
            (group / "cpu.cfs_quota_us").write_text(str(int(_PERIOD_US * share)), encoding="ascii")
            _move(pid, group)
        yield


def _move(pid: int, group: Path) -> None:
    with suppress(ProcessLookupError):
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")


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
