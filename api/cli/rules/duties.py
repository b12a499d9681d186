"""`liuhen duties`: what is due, by whom, until when."""

import sys
from typing import Annotated

import typer

from api.cli.terminal import OUT, say_json
from api.office.reports.duty_calendar import format_calendar
from api.office.reports.duty_list import iterate_duties
from api.office.settings.settings import Settings
from api.office.wiring import Office
from policies.duties import STATE_ZH
from policies.facts.facts_json import to_plain
from policies.time.wording import day_and_clock


def duties(
    township: Annotated[str | None, typer.Option()] = None,
    *,
    everything: Annotated[bool, typer.Option("--all")] = False,
    calendar: Annotated[bool, typer.Option("--ics")] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List what is due, the most pressing first."""
    office = Office.open(Settings())
    try:
        now = office.clock()
        duty_items = list(iterate_duties(office, now, township=township, include_done=everything))
    finally:
        office.close()
    if calendar:
        sys.stdout.buffer.write(
            format_calendar(duty_items, now).encode()
        )  # lines end in CR LF (RFC 5545)
    elif json:
        for duty in duty_items:
            say_json({name: to_plain(getattr(duty, name)) for name in _FIELDS})
    else:
        for duty in duty_items:
            until = day_and_clock(duty.due_at) if duty.due_at else "期限不明"
            person = f" {duty.person}" if duty.person else ""
            state = STATE_ZH[duty.state]
            line = f"{state}  {until}  {duty.township}{person}  {duty.what_zh}  {duty.rule}"
            OUT.print(line, markup=False)


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
