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
    name: Annotated[
        str, typer.Option(help="工作进程名称,固定且互不相同。 A stable name of its own.")
    ] = "worker-1",
) -> None:
    """运行后台作业;可同时运行多个,名称各不相同。 Do background jobs; any number of these."""
    office = Office.open(Settings())
    try:
        log_to_stderr(office)
        workers = Workers(office, name)
        # Before `run`, which may watch another holder of the name for a minute first.
        Ending(workers.stop)
        workers.run(lambda: ERR.print(f"后台作业 worker {name}: 已就绪 ready"))
    finally:
        office.close()
