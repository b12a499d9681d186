"""`liuhen ingest PATH`: dock a folder or a file once, as a bay would, and say what became of it."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import ERR, bay_bars, say_json, say_result
from api.problems import result_en, result_zh
from api.settings import Settings
from api.wiring import Office, StationBusyError
from ingest.bay import Outcome, Progress, Result
from ingest.by_hand import take

_ASK_AGAIN_S = 0.5
_DONE = frozenset({Outcome.ACCESSIONED, Outcome.DUPLICATE, Outcome.IGNORED})


def ingest(
    path: Annotated[Path, typer.Argument(help="要采集的文件夹或文件。 A folder or a file.")],
    *,
    json: Annotated[
        bool, typer.Option("--json", help="每个文件一行 JSON。 A line of JSON for each file.")
    ] = False,
) -> None:
    """采集一个文件夹或文件。 Ingest a folder or a file, once; the source is left as it is.

    Exit status 0 only when there was something and all of it is accessioned, known or ignored.
    """
    settings = Settings()
    office = Office.open(settings)
    try:
        results = _ingest(office, path.absolute(), json=json)
    finally:
        office.close()
    for result in results:
        if json:
            say_json(result.to_json())
        else:
            say_result(result, f"{result_zh(result)} {result_en(result)}".strip())
    raise typer.Exit(0 if results and all(one.outcome in _DONE for one in results) else 1)


def _ingest(office: Office, path: Path, *, json: bool) -> list[Result]:
    if json:
        return _taken(office, path)
    with bay_bars() as listen:
        return _taken(office, path, listen)


def _taken(
    office: Office, path: Path, listen: Callable[[Progress], None] = lambda _progress: None
) -> list[Result]:
    """Take it here, or have the process take it that is this home's station now."""
    try:
        return take(office.station(listen), path)
    except StationBusyError:
        ERR.print("采集站正在运行,已交给它采集 handed over to the running station")
    number = office.journal.add_request(bytes(path))
    try:
        return _answered(office, number, path, listen)
    finally:
        office.journal.drop_request(number)


def _answered(
    office: Office, number: int, path: Path, listen: Callable[[Progress], None]
) -> list[Result]:
    """Wait for the running station's answer; where it ends before it gave one, take it here."""
    while (results := office.journal.answer_to(number)) is None:
        time.sleep(_ASK_AGAIN_S)
        with suppress(StationBusyError):
            return take(office.station(listen), path)
    return results
