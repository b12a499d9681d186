"""`liuhen ingest PATH`: dock a folder or a file once, as a bay would, and say what became of it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from api.cli.terminal import ERR, bay_bars, say_json, say_result
from api.cli.termination import PATIENCE_S, Ending, end_process
from api.office.settings.settings import Settings
from api.office.wiring import Office, StationBusyError
from api.problems import result_en, result_zh
from ingest.bays.bay import Outcome, Progress, Result
from ingest.station.named_path import take
from ingest.station.station import Station, StoppingError

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

    Exit status 0 only when there was something and all of it is accessioned, known or ignored;
    128 and the signal's number when it was told to stop before that was known.
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
    """Have a thread take it, so that a signal is heard whatever the medium does meanwhile."""
    taking, done = _Taking(office, path), Future[list[Result]]()
    ending = Ending(taking.stopping.set, _stopped_by)
    done.add_done_callback(lambda _done: ending.wake())
    with nullcontext() if json else bay_bars() as listen:
        if listen is not None:
            taking.listen = listen
        thread = threading.Thread(target=_settle, args=(done, taking.run), daemon=True)
        thread.start()
        number = ending.wait()
        thread.join(PATIENCE_S if number else None)
    if not number:
        return done.result()
    ERR.print("已停止,未采集完的下次继续 stopped; what is unfinished goes on next time")
    if thread.is_alive():
        end_process(_stopped_by(number))
    raise typer.Exit(_stopped_by(number))


def _stopped_by(number: int) -> int:
    return 128 + number  # as shells tell it


def _settle(done: "Future[list[Result]]", run: Callable[[], list[Result]]) -> None:
    try:
        done.set_result(run())
    except BaseException as error:  # noqa: BLE001 - whoever waits raises it again
        done.set_exception(error)


@dataclass(slots=True)
class _Taking:
    """One path on its way, here or in the process that is this home's station now."""

    office: Office
    path: Path
    listen: Callable[[Progress], None] = lambda _progress: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> list[Result]:
        """Take it here, or have the running station take it. Raises: StoppingError."""
        try:
            return take(self._station(), self.path)
        except StationBusyError:
            ERR.print("采集站正在运行,已交给它采集 handed over to the running station")
        journal = self.office.journal
        number = journal.add_request(bytes(self.path))
        try:
            return self._answer_to(number)
        finally:
            journal.drop_request(number)

    def _answer_to(self, number: int) -> list[Result]:
        """Wait for the running station's answer; where it ends before it gave one, take it here."""
        while (results := self.office.journal.answer_to(number)) is None:
            if self.stopping.wait(_ASK_AGAIN_S):
                raise StoppingError
            with suppress(StationBusyError):
                return take(self._station(), self.path)
        return results

    def _station(self) -> Station:
        station = self.office.station(self.listen)
        station.stopping = self.stopping
        return station
