"""`liuhen config show|reference`: which settings hold and where each came from; all there are."""

from dataclasses import asdict
from json import dumps
from typing import Annotated

import typer

from api.cli.help import Commands
from api.office.settings.reference import list_settings, render_reference
from api.office.settings.settings import Settings

app = Commands(no_args_is_help=True)


@app.register_command()
def show(
    *,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show every setting, its value and where it came from.

    Secrets stand in files; only their paths are here.
    """
    for setting in list_settings(Settings()):
        if as_json:
            typer.echo(dumps(asdict(setting), ensure_ascii=False))
        else:
            shown_value = "—" if setting.value is None else dumps(setting.value, ensure_ascii=False)
            typer.echo(f"{setting.name} = {shown_value}  ({setting.source})")


@app.register_command(name="reference")
def print_reference() -> None:
    """Print the reference of all settings."""
    typer.echo(render_reference(), nl=False)
