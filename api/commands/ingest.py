"""`liuhen ingest PATH`: dock a folder or a file once, as a bay would, and say what became of it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import bay_bars, say_json, say_result
from api.problems import reason_en, reason_zh
from api.settings import Settings
from api.wiring import Office
from ingest.bay import Bay, Outcome, Result
from ingest.clear import Clearing
from ingest.settle import Patience
from ingest.station import Station
from storage.errors import SubmissionError

_LOOKS = 3
_BAY = "by-hand"  # never a name of a folder or file: bays stand in the log


def ingest(
    path: Annotated[Path, typer.Argument(help="要采集的文件夹或文件 A folder or a file.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="每个文件一行 JSON")] = False,
) -> None:
    """采集一个文件夹或文件。 Ingest a folder or a file, once; the source is left as it is."""
    settings = Settings()
    office = Office.open(settings)
    try:
        results = _ingest(office, path, json=json)
    finally:
        office.close()
    for result in results:
        if json:
            say_json(result.to_json())
        else:
            say_result(result, f"{reason_zh(result.reason)} {reason_en(result.reason)}".strip())
    taken = {Outcome.ACCESSIONED, Outcome.DUPLICATE, Outcome.IGNORED}
    raise typer.Exit(0 if all(result.outcome in taken for result in results) else 1)


def _ingest(office: Office, path: Path, *, json: bool) -> list[Result]:
    if path.is_dir():
        bay = Bay(_BAY, path.resolve())
    elif path.is_file() and not path.is_symlink():
        bay = Bay(_BAY, path.resolve().parent, landing=True, only=os.fsencode(path.name))
    else:
        raise SubmissionError(reason="gone")
    return _sweep(office, bay, json=json)


def _sweep(office: Office, bay: Bay, *, json: bool) -> list[Result]:
    patience = Patience(0.0, office.settings.growing_s)
    keep = Clearing()  # who ingests by hand clears by hand
    if json:
        return _until_settled(office.station(patience=patience, clearing=keep), bay)
    with bay_bars() as listen:
        return _until_settled(office.station(listen, patience=patience, clearing=keep), bay)


def _until_settled(station: Station, bay: Bay) -> list[Result]:
    """Sweep until nothing waits any more, or nothing changes."""
    results: list[Result] = []
    for _ in range(_LOOKS):
        results = station.sweep(bay)
        if all(result.outcome is not Outcome.WAITING for result in results):
            break
    return results
