"""`liuhen serve`, `centre` and `found`: the service with a station, without one, and its making."""

import gc
import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.cli.founding import County, Origin, TownshipName, override_settings, prompt_for
from api.cli.help import Json
from api.cli.outage_log import Outages
from api.cli.ports import bind_port, console_url
from api.cli.terminal import ERR, say_json
from api.cli.termination import WITHIN_S, Ending, end_process, stop_all
from api.jobs.worker import start_jobs
from api.office import founding, system, wiring
from api.office.evidence.export_slots import remove_left_parts
from api.office.printed.key_letter import keep_letter
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.station_parts import StationBusyError
from api.office.wiring import Office
from api.station.threads import BayNews, Publisher, Standby, Worker
from ingest.bays.bay import Bay, FileReport
from ingest.sources.profile_files import OWN, load_profiles

_REQUESTS_S = 5  # for requests under way, where a service may take its time


def serve(
    *,
    host: Annotated[str | None, typer.Option()] = None,
    port: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Run service, console and station until interrupted."""
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    # What fails before the server runs closes port and office again; afterwards `_run` does.
    with ExitStack() as undo:
        sockets, office = _opened(undo, settings, host, port)
        worker = Worker(
            office.build_station(),
            [*office.list_bays(), office.handed_in],
            settings.sweep_s,
            _log_news(),
            office.build_recorders(),
        )
        service = Service.of_office(office)
        publisher = Publisher(service.publish_checkpoint, tell=service.readiness.tell_publishing)
        # The list grows in `start`: jobs begin with the server, and are stopped only if they did.
        parts: list[Callable[..., bool]] = [worker.stop, publisher.stop]

        def start() -> None:
            worker.start()
            publisher.start()
            if settings.jobs:
                parts.append(start_jobs(office))

        server = _server(create_app(service, start), office, parts)
        ERR.print(f"控制台 console: {console_url(settings, host, port)}  (Ctrl-C 停止)")
        if not service.identity.has_accounts():
            ERR.print("还没有帐号,请先运行: liuhen accounts add  (no account yet)")
        undo.pop_all()
    _run(server, sockets, office, parts)


def centre(
    *,
    host: Annotated[str | None, typer.Option()] = None,
    port: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Run the centre; any number of them."""
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    with ExitStack() as undo:
        sockets, office = _opened(undo, settings, host, port)
        # A centre is a station only when somebody hands in; a bad profile is to be told of now.
        load_profiles(settings.home / OWN)
        service = Service.of_office(office)
        publisher = Publisher(service.publish_checkpoint, tell=service.readiness.tell_publishing)
        # A centre becomes a station only when somebody handed a file in, and one of several does.
        standby = Standby(lambda: _make_handin_worker(office), settings.sweep_s)
        parts = [standby.stop, publisher.stop]

        def start() -> None:
            publisher.start()
            standby.start()

        server = _server(create_app(service, start), office, parts, _REQUESTS_S + WITHIN_S)
        ERR.print(f"县中心 centre: {console_url(settings, host, port)}  (Ctrl-C 停止)")
        undo.pop_all()
    _run(server, sockets, office, parts)


def _opened(
    undo: ExitStack, settings: Settings, host: str, port: int
) -> tuple[list[socket.socket], Office]:
    """Take the port, then open the office; `undo` closes both where the service cannot begin."""
    # The port first: a second service that is started by mistake must open nothing.
    sockets = bind_port(host, port)
    for bound_socket in sockets:
        undo.callback(bound_socket.close)
    office = Office.open(settings)
    undo.callback(office.close)
    log_to_stderr(office)
    return sockets, office


def _make_handin_worker(office: Office) -> Worker | None:
    """Return the worker for files handed in by persons, if this centre is to run one."""
    if not office.reception.has_waiting_files():
        return None
    # Another centre of this home is the station: it takes in what was handed in here, too.
    try:
        station = office.build_station(alone=False)
    except StationBusyError:
        return None
    return Worker(station, [office.handed_in], office.settings.sweep_s, _log_news())


def found(
    *,
    recovery: Annotated[Path | None, typer.Option()] = None,
    county: County = None,
    township: TownshipName = None,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """Found the office, or bring it up to date."""
    settings = override_settings(county, township, origin)
    office = founding.found_or_open(settings, recovery, prompt_for(as_json=as_json))
    try:
        keep_letter(office)
    finally:
        office.close()
    ERR.print("就绪 ready")
    if as_json:
        say_json({"ready": True})


class _Server(uvicorn.Server):
    """HTTP server that stops everything beside it when it ends."""

    def __init__(self, config: uvicorn.Config, ending: Ending) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: whoever works beside the server hears it at once."""
        # First: from here on the process ends within a second, whatever uvicorn waits for.
        self._ending.handle_signal(sig)
        super().handle_exit(sig, frame)


def _server(
    app: FastAPI,
    office: Office,
    parts: Sequence[Callable[..., bool]],
    within_s: float = WITHIN_S,
) -> "_Server":
    """Return the server, ready to run; `parts` are told when it is to stop."""
    # Before the first request: what is left now is no export of this process.
    for part in remove_left_parts(office.settings.home):
        logging.getLogger("liuhen").warning(
            "导出被中断,未完成的明文已清除 an interrupted export was removed: %s", part
        )
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again and again
    settings = office.settings
    config = uvicorn.Config(
        app,
        log_config=None,  # as everything else is logged
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # the application knows whom to trust (`trusted_proxies`)
        access_log=False,
        timeout_graceful_shutdown=_REQUESTS_S,
        timeout_keep_alive=75,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )

    def stop_parts() -> None:
        # With no time given they are told and not waited for.
        for part in parts:
            part(0)

    return _Server(config, Ending(stop_parts, within_s=within_s))


def _run(
    server: "_Server",
    sockets: list[socket.socket],
    office: Office,
    parts: Sequence[Callable[..., bool]],
) -> None:
    """Serve until told to stop; `parts` are how to stop what runs beside: seconds in, ended out."""
    server.run(sockets)
    # Closing the catalogue beneath a thread that still writes would be worse than a cut of the
    # power, for which every step is made.
    if server.started and not stop_all(parts):
        end_process(0)  # somebody still works over what would be closed
    office.close()
    if not server.started:
        raise typer.Exit(1)


def _log_news() -> Callable[[Bay, list[FileReport]], None]:
    """Return what logs, for each bay, the reasons that came up and how many files each holds up."""
    news = BayNews()

    def log_results(bay: Bay, file_results: list[FileReport]) -> None:
        for reason, count in Counter(
            file_result.reason for file_result in news.select_unreported(bay, file_results)
        ).items():
            logging.getLogger("liuhen.station").warning("%s: %s (%d)", bay.name, reason, count)

    return log_results


def log_to_stderr(office: Office | None = None) -> None:
    """Log to the error channel, without the noise of libraries and of what lasts.

    The office says when its database and its store are back.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    probes = {} if office is None else wiring.outage_probes(office)
    outages = Outages(system.clock, probes=probes)
    # On the handlers: a filter of a logger does not see what its children log.
    for handler in logging.getLogger().handlers:
        handler.addFilter(outages)
    outages.start()
    for noisy in ("alembic", "asyncio", "fontTools", "watchdog"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
