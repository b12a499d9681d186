"""`liuhen serve` and `liuhen station`: the service with console and station; the station alone."""

import logging
import signal
import threading
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.commands.terminal import ERR, bay_bars, say_result
from api.problems import reason_zh
from api.service import Service
from api.settings import Settings
from api.wiring import open_or_found
from api.worker import Publisher, Worker
from ingest.bay import Bay, Outcome, Result


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="监听地址")] = None,
    port: Annotated[int | None, typer.Option(help="端口")] = None,
) -> None:
    """运行服务、控制台和采集站。 Run service, console and station until interrupted."""
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    office = open_or_found(settings)
    _logging()
    worker = Worker(office.station(), office.bays(), settings.sweep_s, _log_results)
    service = Service.over(office)
    publisher = Publisher(service.checkpoint)

    def start() -> None:
        worker.start()
        publisher.start()

    def stop() -> None:
        worker.stop()
        publisher.stop()

    app = create_app(service, start, stop)
    ERR.print(f"控制台 console: http://{host}:{port}/  (Ctrl-C 停止)")
    if not service.identity.anyone():
        ERR.print("还没有帐号,请先运行: liuhen accounts add  (no account yet)")
    try:
        uvicorn.run(
            app,
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    finally:
        office.close()


def station() -> None:
    """只运行采集站。 Run the station alone: watch the bays until interrupted."""
    settings = Settings()
    office = open_or_found(settings)
    _logging()
    if not office.bays():
        ERR.print("没有设置仓位:请在 liuhen.toml 写明 [bays] (no bays are configured)")
        office.close()
        raise typer.Exit(2)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bay_bars() as listen:
        worker = Worker(office.station(listen), office.bays(), settings.sweep_s, _print_results)
        worker.start()
        stop.wait()
        worker.stop()
    office.close()


def _print_results(_bay: Bay, results: list[Result]) -> None:
    for result in results:
        if result.outcome is Outcome.QUARANTINED:
            say_result(result, reason_zh(result.reason))


def _log_results(bay: Bay, results: list[Result]) -> None:
    for result in results:
        if result.outcome is Outcome.QUARANTINED:
            logging.getLogger("liuhen.station").warning("%s: %s", bay.name, result.reason)


def _logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("alembic", "watchdog", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
