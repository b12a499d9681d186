"""How commands speak: lines for people, progress bars on a terminal, JSON for programs."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from api.problems import bay_zh
from ingest.bays.bay import FileReport
from ingest.bays.bay import Progress as BayProgress

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)

_OUTCOMES = {
    "accessioned": "[green]已入库 accessioned[/green]",
    "duplicate": "[cyan]已有 duplicate[/cyan]",
    "quarantined": "[red]未采集 quarantined[/red]",
    "waiting": "[yellow]等待 waiting[/yellow]",
    "ignored": "[dim]留在原处 ignored[/dim]",
    "failed": "[red]未能处理 failed[/red]",
}


def say_json(document: Any) -> None:
    """Print one JSON value on one line."""
    # Without markup: a file's name in brackets is no colour.
    OUT.print(json.dumps(document, ensure_ascii=False), markup=False)


def say_done(text: str, *, as_json: bool, **facts: Any) -> None:
    """Say what was done: the facts as one JSON object for programs, else the text."""
    if as_json:
        say_json(facts)
    else:
        OUT.print(text, markup=False)


@contextmanager
def bay_bars() -> Iterator[Callable[[BayProgress], None]]:
    """Show a bar for each bay while the block runs; gives the listener for a station."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[current]}"),
    )
    # On the error channel: what is piped on is results alone.
    with Progress(*columns, console=ERR, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show_progress(progress: BayProgress) -> None:
            if progress.bay not in tasks:
                tasks[progress.bay] = bars.add_task(progress.bay, total=None, current="")
            bars.update(
                tasks[progress.bay],
                description=f"{progress.bay} {bay_zh(progress.state)}",
                total=progress.bytes_total or None,
                completed=progress.bytes_done,
                current=escape((progress.current or "")[-60:]),
            )

        yield show_progress


@contextmanager
def show_byte_bar(label: str, total: int | None = None) -> Iterator[Callable[[str, int], None]]:
    """Show a bar that moves by bytes; gives a callback (what, bytes)."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=ERR, transient=True) as bars:
        task = bars.add_task(label, total=total)
        yield lambda _name, size: bars.update(task, advance=size)


@contextmanager
def show_tally(label: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how many things were looked at; gives a callback (how many more, one by default)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=ERR, transient=True) as bars:
        task = bars.add_task(label, total=total)
        yield lambda count=1: bars.advance(task, count)


def say_result(file_result: FileReport, reason: str) -> None:
    """Print one submission's outcome."""
    line = f"  {_OUTCOMES[file_result.outcome]} {escape(file_result.path)}"
    if file_result.recording:
        line += f" [dim]{file_result.recording}[/dim]"
    if reason:
        line += f" {escape(reason)}"
    OUT.print(line)
