"""What each test costs in processor time, its children's included; `make test` prints the dearest.

Wall time says how busy the machine was; processor time says what a test takes from the others.
A fixture of a module or session is counted to the test that asked for it first, and a child when
it was waited for.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

DEAREST = 15
BUDGET_S = 10.0  # of one test; above it a line says so, and nothing fails


class Costs:
    """Writes the processor time of each phase into its report, and the sum at the end."""

    def __init__(self) -> None:
        self._before = _spent()
        self._of: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        now = _spent()
        report.cpu_s = now - self._before
        self._before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._of[report.nodeid] += getattr(report, "cpu_s", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not terminalreporter.config.getoption("--costs"):
            return
        write = terminalreporter.write_line
        dearest = sorted(self._of.items(), key=lambda one: -one[1])
        terminalreporter.write_sep("=", f"{DEAREST} dearest tests, in seconds of the processor")
        for test, cost in dearest[:DEAREST]:
            over = f"  over the budget of {BUDGET_S:.0f} s" if cost > BUDGET_S else ""
            write(f"{cost:8.1f}  {test}{over}", yellow=bool(over))
        by_file: dict[str, float] = defaultdict(float)
        for test, cost in dearest:
            by_file[test.partition("::")[0]] += cost
        terminalreporter.write_sep("=", f"{DEAREST} dearest files of {sum(by_file.values()):.0f} s")
        for file, cost in sorted(by_file.items(), key=lambda one: -one[1])[:DEAREST]:
            write(f"{cost:8.1f}  {file}")


def _spent() -> float:
    times = os.times()
    ours = times.user + times.system + times.children_user + times.children_system
    return ours + _spent_by(forkserver._forkserver._forkserver_pid)


def _spent_by(server: int | None) -> float:
    """Return what the server of fresh processes spent with its children: nobody waits for it."""
    if server is None:
        return 0.0
    try:
        facts = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, facts[11:15])) / os.sysconf("SC_CLK_TCK")
