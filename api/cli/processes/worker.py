"""`liuhen worker`: do jobs, and nothing else, until told to stop. Start as many as are needed."""

from typing import Annotated

import typer

from api.cli.processes.serve import log_to_stderr
from api.cli.terminal import ERR
from api.cli.termination import Ending
from api.jobs.worker import Workers
from api.office.settings.settings import Settings
from api.office.wiring import Office


def worker(
    *,
    name: Annotated[str, typer.Option()] = "worker-1",
) -> None:
    """Do background jobs; any number of these."""
    office = Office.open(Settings())
    try:
        log_to_stderr(office)
        workers = Workers(office, name)
        # Before `run`, which may watch another holder of the name for a minute first.
        Ending(workers.stop)
        workers.run(lambda: ERR.print(f"后台作业 worker {name}: 已就绪 ready"))
    finally:
        office.close()
