"""Fresh processes that have the program read already: forked from a server that opened nothing.

Reading the program costs a process more than most of what tests have it do. Everything else is as
in a process that was started: memory, locks, threads, signals and exit status of its own.
"""

import multiprocessing
from functools import cache
from multiprocessing.context import ForkServerContext

_READ = (
    "tests.command",
    "tests.faults.destroy_once",
    "tests.faults.dock_once",
    "tests.faults.export_once",
    "tests.faults.hand_in_once",
    "tests.faults.township_once",
    "tests.faults.work_once",
    "tests.faults.writers_once",
    "tests.storage.catalogue.migrate_once",
)


@cache
def context() -> ForkServerContext:
    """Return the one server of this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_READ])
    return context
