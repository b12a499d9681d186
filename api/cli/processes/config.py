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
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON。 Print JSON.")] = False,
) -> None:
    """列出全部设置、现值和来源。 Show every setting, its value and where it came from.

    密码只在文件里,这里只有路径。 Secrets stand in files; only their paths are here.
    """
    for setting in list_settings(Settings()):
        if as_json:
            typer.echo(dumps(asdict(setting), ensure_ascii=False))
        else:
            shown_value = "—" if setting.value is None else dumps(setting.value, ensure_ascii=False)
            typer.echo(f"{setting.name} = {shown_value}  ({setting.source})")


@app.register_command(name="reference")
def print_reference() -> None:
    """输出设置说明 docs/SETTINGS.md。 Print the reference of all settings."""
    typer.echo(render_reference(), nl=False)
