"""Asks for county, township and log origin before an office is founded, where somebody can answer.

Without a terminal they must be given: by settings, or by the command's options.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from api.office.founding import Ask, refuse_unasked
from api.office.settings.settings import Settings
from api.office.system import entropy
from policies.rules.rulebook_template import is_area_name
from storage.custody.origin import is_new_origin, propose_origin

County = Annotated[str | None, typer.Option()]
TownshipName = Annotated[str | None, typer.Option()]
Origin = Annotated[str | None, typer.Option()]


def override_settings(county: str | None, township: str | None, origin: str | None) -> Settings:
    """Return the settings, overridden by the command's options."""
    options = {"county": county, "township": township, "log_origin": origin}
    update = {name: option for name, option in options.items() if option is not None}
    return Settings().model_copy(update=update)


def prompt_for(*, as_json: bool) -> Ask:
    """Return a prompt for the terminal; without a terminal, the prompt raises an error."""
    # Both: a question on a channel that nobody sees would wait for ever.
    there = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    return ask_person if there else refuse_unasked


def ask_person(settings: Settings) -> Settings:
    """Ask for what is not set, again until the answer can be used."""
    return settings.model_copy(
        update={
            "county": settings.county
            or _prompt("所属县(区),如 青龙满族自治县\ncounty", is_area_name, None),
            "township": settings.township
            or _prompt("所属乡镇,如 青龙镇\ntownship", is_area_name, None),
            "log_origin": settings.log_origin
            or _prompt(
                "监管链日志的名称:本单位独有,如 sfj.qinglong.example/custody,建立后公布\n"
                "public name of the custody log, the office's alone",
                is_new_origin,
                propose_origin(entropy(6)),
            ),
        }
    )


def _prompt(question: str, fits: Callable[[str], bool], proposal: str | None) -> str:
    while True:
        answer = str(typer.prompt(question, default=proposal, err=True)).strip()
        if fits(answer):
            return answer
        typer.echo("不能使用这个答案,请重新输入。 That cannot be used; answer again.", err=True)
