"""`liuhen serve`, `centre` and `found`: the service with a station, without one, and its making."""

import gc
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from api import wiring
from api.app import create_app
from api.commands.founding import County, Origin, TownshipName, asking, given
from api.commands.help import Json
from api.commands.terminal import ERR, say_json
from api.listening import bind_port
from api.reconcile import start_jobs
from api.service import Service
from api.settings import Settings
from api.wiring import Office, StationBusyError
from api.worker import Publisher, Standby, Worker
from ingest.bay import Bay, Result, needs_person


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="监听地址。 Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="端口。 Port.")] = None,
) -> None:
    """运行服务、控制台和采集站。 Run service, console and station until interrupted."""
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    sockets = bind_port(host, port)
    office = Office.open(settings)
    log_to_stderr()
    worker = Worker(
        office.station(),
        [*office.bays(), office.handed_in],
        settings.sweep_s,
        _log_results,
        office.recorders(),
    )
    service = Service.over(office)
    publisher = Publisher(service.checkpoint, tell=service.readiness.tell_publishing)
    ends: list[Callable[[], None]] = []

    def start() -> None:
        worker.start()
        publisher.start()
        if settings.jobs:
            ends.append(start_jobs(office))

    def stop() -> None:
        for end in ends:
            end()
        worker.stop()
        publisher.stop()

    app = create_app(service, start, stop)
    ERR.print(f"控制台 console: http://{host}:{port}/  (Ctrl-C 停止)")
    if not service.identity.anyone():
        ERR.print("还没有帐号,请先运行: liuhen accounts add  (no account yet)")
    try:
        _run(app, sockets, settings)
    finally:
        office.close()


def centre(
    *,
    host: Annotated[str | None, typer.Option(help="监听地址。 Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="端口。 Port.")] = None,
) -> None:
    """运行县中心:服务和控制台,不带仓位;可同时运行多个。 Run the centre; any number of them."""
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    sockets = bind_port(host, port)
    office = Office.open(settings)
    log_to_stderr()
    service = Service.over(office)
    publisher = Publisher(service.checkpoint, tell=service.readiness.tell_publishing)
    standby = Standby(lambda: _shift(office), settings.sweep_s)

    def start() -> None:
        publisher.start()
        standby.start()

    def stop() -> None:
        standby.stop()
        publisher.stop()

    app = create_app(service, start, stop)
    ERR.print(f"县中心 centre: http://{host}:{port}/  (Ctrl-C 停止)")
    try:
        _run(app, sockets, settings)
    finally:
        office.close()


def _shift(office: Office) -> Worker | None:
    """Return the worker that takes in what persons handed in, if this centre is to be it."""
    if not office.reception.waiting():
        return None
    try:
        station = office.station(alone=False)
    except StationBusyError:
        return None
    return Worker(station, [office.handed_in], office.settings.sweep_s, _log_results)


def found(
    *,
    recovery: Annotated[
        Path | None, typer.Option(help="恢复密钥写到哪里(如 U 盘)。 Where the recovery key goes.")
    ] = None,
    county: County = None,
    township: TownshipName = None,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """建立或升级:密钥、数据表、对象桶、日志头。 Found the office, or bring it up to date."""
    settings = given(county, township, origin)
    wiring.found_or_open(settings, recovery, asking(as_json=as_json)).close()
    ERR.print("就绪 ready")
    if as_json:
        say_json({"ready": True})


def _run(app: FastAPI, sockets: list[socket.socket], settings: Settings) -> None:
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again and again
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # it was asked to stop, and has stopped
        server.run(sockets)
    if not server.started:
        raise typer.Exit(1)


def _log_results(bay: Bay, results: list[Result]) -> None:
    for result in results:
        if needs_person(result):
            logging.getLogger("liuhen.station").warning("%s: %s", bay.name, result.reason)


def log_to_stderr() -> None:
    """Log to the error channel, without the noise of libraries."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("alembic", "watchdog", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
