"""`liuhen station [enrol|status|accept-log]`: the docking computer of a township office.

An enrolled home is a station of its own that delivers over HTTPS; a home that was not enrolled is
an embedded office, whose bays are watched without the service.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from api.cli.help import Commands, Json
from api.cli.processes.serve import log_to_stderr
from api.cli.terminal import ERR, OUT, bay_bars, say_json, say_result
from api.cli.termination import Ending, end_process, stop_all
from api.office.settings.settings import Settings
from api.office.station_parts import recorders_of
from api.office.wiring import Office
from api.problems import alarm_zh, reason_zh, result_zh
from api.station import log_acceptance, process
from api.station.kiosk import Screen
from api.station.kiosk_page import serve_kiosk
from api.station.process import StationHome
from api.station.threads import BayNews, Worker, join_threads
from ingest.bays.bay import Bay, FileReport
from ingest.station.delivery.delivery_queue import LOG_ALARMS
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.station")
app = Commands()
_FIRST_S, _LONGEST_S, _ROUND_S, _REPORT_S = 1.0, 120.0, 2.0, 30.0
_BY_NAME = 10  # files of one look
_REASON = 500  # characters


@app.callback(invoke_without_command=True)
def station(context: typer.Context) -> None:
    """Run the station: watch the bays until interrupted."""
    if context.invoked_subcommand is not None:
        return
    settings = Settings()
    if not (settings.bays or settings.landing or settings.cameras):
        ERR.print("没有设置仓位:请在 liuhen.toml 写明 [bays] (no bays are configured)")
        raise typer.Exit(2)
    log_to_stderr()
    if process.is_enrolled(settings.home):
        _run_remote(settings)
    else:
        _run_embedded(settings)


@app.register_command()
def enrol(
    url: Annotated[str, typer.Argument()],
    code: Annotated[str, typer.Argument()],
    *,
    ca: Annotated[Path | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Enrol this station with the centre."""
    settings = Settings()
    reply = process.enrol_station(settings, url, code, ca)
    if as_json:
        say_json({"station": reply["station"]["id"], "name": reply["station"]["name"]})
        return
    OUT.print(f"登记成功 enrolled: {reply['station']['name']} ({reply['station']['id']})")
    OUT.print("现在可以运行: liuhen station")


@app.register_command()
def status(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show bays, spool and alarms of the running station."""
    status_record = process.read_station_state(Settings())
    if as_json:
        say_json(status_record)
        return
    for bay in status_record["bays"]:
        OUT.print(f"{bay['name']}  {bay['state_zh']}  {bay['reason_zh']}", markup=False)
    spool = status_record["spool"]
    OUT.print(
        f"暂存区 spool: {spool['used'] >> 20} / {spool['limit'] >> 20} MB, "
        f"待上传 {spool['waiting']} 份, 最早 {spool['oldest'] or '—'}"
    )
    if (log := status_record["log"]) is not None:
        status_line = (
            "已证明前后一致 proven"
            if log["proven"]
            else "县中心版本较旧,不提供证明 the centre gives no proofs"
        )
        OUT.print(f"监管链日志 log: 见过 {log['size']} 条的日志头, {status_line}", markup=False)
    for alarm in spool["alarms"]:
        OUT.print(f"[red]告警[/red] {alarm_zh(alarm)}")


@app.register_command(name="accept-log")
def accept_log(
    *,
    reason: Annotated[str, typer.Option()],
    as_json: Json = False,
) -> None:
    """Go on after an alarm over the centre's log was cleared up.

    The alarm, both heads and the reason stay here, and the centre's log hears of them.
    """
    reply = log_acceptance.accept_centre_log(Settings(), reason[:_REASON])
    if as_json:
        say_json(reply)
        return
    OUT.print(
        f"本站见过的日志头 {reply['seen']} 条,"
        f"改以县中心现在的日志头 {reply.get('shown', '—')} 条为准。"
        "\nThe station goes on from the head that the centre shows now; the old one is kept.",
        markup=False,
    )


def _run_remote(settings: Settings) -> None:
    stop = threading.Event()
    with bay_bars() as listen, ExitStack() as undo:
        home = StationHome.open(settings, listen)
        undo.callback(home.close)
        recorders = recorders_of(settings, home.station.sandbox, home.journal, home.clock)
        worker = Worker(home.station, home.bays(), settings.sweep_s, _print_news(), recorders)
        screen = Screen(settings, home.journal, home.clock, time.monotonic, home)
        # Apart from the bays: intake goes on for days while the centre is away.
        courier = threading.Thread(
            target=_deliver_until_stopped, args=(home, stop), name="delivery", daemon=True
        )

        def stop_threads() -> None:
            worker.request_stop()
            stop.set()

        ending = Ending(stop_threads)
        # From here on threads use the home: it is closed only when they have ended.
        undo.pop_all()
        worker.start()
        courier.start()
        with serve_kiosk(screen, settings.screen_port, LOG.info):
            ending.wait_for_signal()
        ended = stop_all([worker.stop, lambda seconds: join_threads([courier], seconds)])
    if not ended:
        end_process(0)  # somebody still works over what would be closed
    home.close()


def _deliver_until_stopped(home: StationHome, stop: threading.Event) -> None:
    """Deliver until stopped: at once while it goes well, ever more seldom while it does not."""
    pause, since_report, last = _FIRST_S, _REPORT_S, None
    while not stop.is_set():
        try:
            tally = home.deliver()
            # Once at each change: a link that is down for a week is one line.
            if tally.away != last:
                last = tally.away
                LOG.warning("%s", reason_zh(last) if last else "已恢复上传 delivering again")
            pause = min(_LONGEST_S, pause * 2) if tally.away else _FIRST_S
            since_report += pause
            # An alarm over the log is the station's own refusal: the centre answers, and should
            # hear of it.
            there = tally.away is None or tally.away in LOG_ALARMS
            if since_report >= _REPORT_S and there:
                since_report = 0.0
                home.report()
        except LiuhenError as error:
            LOG.warning("%s: %s", reason_zh(error.code), error)
        except Exception:
            # The edge of the station: delivery must go on whatever happened, and say that it fails.
            LOG.exception("delivery failed")
            home.away = last = "defect"
        # Stations that lost one centre at one moment must not all come back at one moment.
        wait = pause * random.uniform(0.5, 1.0) if pause > _FIRST_S else _ROUND_S  # noqa: S311
        stop.wait(wait)


def _run_embedded(settings: Settings) -> None:
    with bay_bars() as listen, ExitStack() as undo:
        office = Office.open(settings)
        undo.callback(office.close)
        station, recorders = office.build_station(listen), office.build_recorders()
        worker = Worker(
            station,
            [*office.list_bays(), office.handed_in],
            settings.sweep_s,
            _print_news(),
            recorders,
        )
        screen = Screen(settings, office.journal, office.clock, time.monotonic)
        ending = Ending(worker.request_stop)
        undo.pop_all()
        worker.start()
        with serve_kiosk(screen, settings.screen_port, LOG.info):
            ending.wait_for_signal()
        ended = stop_all([worker.stop])
    if not ended:
        end_process(0)  # somebody still works over what would be closed
    office.close()


def _print_news() -> Callable[[Bay, list[FileReport]], None]:
    """Return what prints, for each bay, what came up; of many files the first few by name."""
    news = BayNews()

    def print_results(bay: Bay, file_results: list[FileReport]) -> None:
        news_results = news.select_unreported(bay, file_results)
        for file_result in news_results[:_BY_NAME]:
            say_result(file_result, result_zh(file_result))
        if more := len(news_results[_BY_NAME:]):
            OUT.print(f"  {bay.name}: 另有 {more} 个文件需要处理 and {more} more")

    return print_results
