"""`liuhen duties`: what is due, by whom, until when."""

import sys
from typing import Annotated

import typer

from api.cli.terminal import OUT, say_json
from api.office.reports.duty_list import due
from api.office.settings.settings import Settings
from api.office.wiring import Office
from policies.duties import STATE_ZH, feed
from policies.facts.facts_json import plain
from policies.time.wording import day_and_clock


def duties(
    township: Annotated[
        str | None, typer.Option(help="乡镇,默认全部。 Township; all by default.")
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="包括已完成的。 Those that are done, too.")
    ] = False,
    calendar: Annotated[
        bool, typer.Option("--ics", help="输出日历(RFC 5545)。 Print a calendar.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="输出 JSON。 Print JSON.")] = False,
) -> None:
    """列出到期事项。 List what is due, the most pressing first."""
    office = Office.open(Settings())
    try:
        now = office.clock()
        shown = list(due(office, now, township=township, done=everything))
    finally:
        office.close()
    if calendar:
        sys.stdout.buffer.write(feed(shown, now).encode())  # lines end in CR LF (RFC 5545)
    elif json:
        for one in shown:
            say_json({name: plain(getattr(one, name)) for name in _FIELDS})
    else:
        for one in shown:
            until = day_and_clock(one.due_at) if one.due_at else "期限不明"
            who = f" {one.person}" if one.person else ""
            told = f"{STATE_ZH[one.state]}  {until}  {one.township}{who}  {one.what_zh}  {one.rule}"
            OUT.print(told, markup=False)


_FIELDS = (
    "subject",
    "township",
    "person",
    "what_zh",
    "what_en",
    "rule",
    "due_at",
    "done_at",
    "state",
)
