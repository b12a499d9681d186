"""Export one case in a process that kills itself at a named point."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.office.evidence import export as exporting
from api.office.service import Service
from api.office.wiring import Office
from tests.office import Desk, settings_for


def export(
    folder: Path, persons: dict[str, str], case: str, target: Path, point: str, at: int
) -> None:
    """Export to `target`; die before the call number `at` of `point`, from the login on."""
    office = Office.open(settings_for(folder))
    desk = Desk(office, Service.of_office(office), persons)
    visitor = desk.visitor("zhang")
    if point == "original":
        exporting._open_original = _original_until(at)  # type: ignore[assignment]
    else:
        setattr(os, point, _dying_at(at, getattr(os, point)))
    exporting.export_bundle(desk.service, visitor, case, target, zipped=target.suffix == ".zip")
    office.close()


def _dying_at(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
    calls = 0

    def count_call(*given: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **options)

    return count_call


def _original_until(offset: int) -> Callable[..., Any]:
    """Die when so many bytes of an original went into the bundle."""

    def open_original(service: Service, visitor: Any, row: Any) -> Callable[[], Any]:
        reader = service.open_plaintext(visitor, row, "bundle")

        def read() -> Any:
            yield from reader.read(0, offset)
            os.kill(os.getpid(), signal.SIGKILL)

        return read

    return open_original
