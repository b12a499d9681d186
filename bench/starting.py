"""How much processor time a command takes before it does anything: help, a look at the rules."""

import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.result import Result, within

ROUNDS = 5
LIMITS = {("--help",): 0.25, ("rules", "check"): 0.5}  # CPU-seconds


def measure(folder: Path) -> Iterator[Result]:
    """Run each command in processes of its own; medians of user and system time."""
    for arguments, limit in LIMITS.items():
        spent = [_cpu_seconds(arguments, folder) for _ in range(ROUNDS)]
        note = f"CPU-seconds, median of {ROUNDS}; {min(spent):.2f} to {max(spent):.2f}"
        yield within(f"liuhen {' '.join(arguments)}", statistics.median(spent), limit, "s", note)


def _cpu_seconds(arguments: tuple[str, ...], folder: Path) -> float:
    before = _spent_by_children()
    command = [sys.executable, "-m", "api.cli.main", *arguments]
    environment = {"LIUHEN_HOME": str(folder / "none"), "PYTHONUTF8": "1"}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return _spent_by_children() - before


def _spent_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
