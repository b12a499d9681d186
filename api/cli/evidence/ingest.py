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
from api.office.station_parts import StationBusyError
from api.office.wiring import Office
from api.problems import result_en, result_zh
from ingest.bays.bay import FileReport, Outcome, Progress
from ingest.station.named_path import take_path
from ingest.station.station import Station
from ingest.station.stopping import StoppingError

_ASK_AGAIN_S = 0.5
_SETTLED = frozenset({Outcome.ACCESSIONED, Outcome.DUPLICATE, Outcome.IGNORED})


def ingest(
    path: Annotated[Path, typer.Argument()],
    *,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Ingest a folder or a file, once; the source is left as it is.

    Exit status 0 only when there was something and all of it is accessioned, known or ignored;
    128 and the signal's number when it was told to stop before that was known.
    """
    settings = Settings()
    office = Office.open(settings)
    try:
        file_results = _ingest_in_thread(office, path.absolute(), json=json)
    finally:
        office.close()
    for file_result in file_results:
        if json:
            say_json(file_result.to_json())
        else:
            say_result(file_result, f"{result_zh(file_result)} {result_en(file_result)}".strip())
    # `all` of nothing is true: an empty folder must not read as taken in.
    raise typer.Exit(
        0
        if file_results and all(file_result.outcome in _SETTLED for file_result in file_results)
        else 1
    )


def _ingest_in_thread(office: Office, path: Path, *, json: bool) -> list[FileReport]:
    """Ingest the path in a thread, so that signals are handled while the medium blocks."""
    taking, ingestion = _Taking(office, path), Future[list[FileReport]]()
    ending = Ending(taking.stopping.set, _stopped_by)
    # The main thread waits for one thing alone, a signal or the end of the work: both wake it.
    ingestion.add_done_callback(lambda _future: ending.wake_waiter())
    with nullcontext() if json else bay_bars() as listen:
        if listen is not None:
            taking.listen = listen
        thread = threading.Thread(target=_fulfil, args=(ingestion, taking.run), daemon=True)
        thread.start()
        number = ending.wait_for_signal()
        # After a signal only for a moment: a medium that hangs must not keep the process.
        thread.join(PATIENCE_S if number else None)
    if not number:
        return ingestion.result()
    ERR.print("已停止,未采集完的下次继续 stopped; what is unfinished goes on next time")
    if thread.is_alive():
        end_process(_stopped_by(number))
    raise typer.Exit(_stopped_by(number))


def _stopped_by(number: int) -> int:
    return 128 + number  # as shells tell it


def _fulfil(ingestion: "Future[list[FileReport]]", run: Callable[[], list[FileReport]]) -> None:
    try:
        ingestion.set_result(run())
    except BaseException as error:  # noqa: BLE001 - whoever waits raises it again
        ingestion.set_exception(error)


@dataclass(slots=True)
class _Taking:
    """One path on its way, here or in the process that is this home's station now."""

    office: Office
    path: Path
    listen: Callable[[Progress], None] = lambda _progress: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> list[FileReport]:
        """Ingest the path here, or through the running station. Raises: StoppingError."""
        try:
            return take_path(self._open_station(), self.path)
        except StationBusyError:
            ERR.print("采集站正在运行,已交给它采集 handed over to the running station")
        journal = self.office.journal
        # Written down, not sent: the running station looks into the journal, and so does its
        # successor.
        number = journal.add_request(bytes(self.path))
        try:
            return self._answer_to(number)
        finally:
            # Whatever happened: a request that nobody waits for would be answered at some later
            # start.
            journal.drop_request(number)

    def _answer_to(self, number: int) -> list[FileReport]:
        """Wait for the running station's answer; where it ends before it gave one, take it here."""
        while (answer := self.office.journal.answer_to(number)) is None:
            if self.stopping.wait(_ASK_AGAIN_S):
                raise StoppingError
            # Tried each time: the running station may have ended without an answer, and then this
            # process is the station.
            with suppress(StationBusyError):
                return take_path(self._open_station(), self.path)
        return answer

    def _open_station(self) -> Station:
        station = self.office.build_station(self.listen)
        station.stopping = self.stopping
        return station
