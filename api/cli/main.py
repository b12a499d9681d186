"""`liuhen`: the command line. Each command is one function in `api/cli/`; errors end here.

Exit status: 0 done, 1 a finding or a failed verification or an error, 2 wrong usage or settings.
A command's module is imported when the command is asked for; what help says of each is a text in
`api/texts/commands.toml`.
"""

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from api.cli.help import BilingualGroup, Commands

# A command by its name: the module of `api/cli/` that has a function of that name …
COMMANDS = {
    "demo": "processes.demo",
    "serve": "processes.serve",
    "centre": "processes.serve",
    "found": "processes.serve",
    "worker": "processes.worker",
    "migrate": "processes.migrate",
    "ingest": "evidence.ingest",
    "verify": "evidence.verify",
    "bundle": "evidence.bundle",
    "doctor": "processes.doctor",
    "duties": "rules.duties",
    "evaluate": "rules.checks",
}
# … and a group of commands: its module, and the name in it.
GROUPS = {
    "station": ("processes.station", "app"),
    "stations": ("register.stations", "app"),
    "accounts": ("register.accounts", "app"),
    "checks": ("rules.checks", "app"),
    "officers": ("register.officers", "app"),
    "recorders": ("register.recorders", "app"),
    "cameras": ("register.cameras", "app"),
    "rules": ("rules.rules", "app"),
    "retention": ("evidence.retention", "app"),
    "hold": ("evidence.retention", "holds_app"),
    "keys": ("evidence.keys", "app"),
    "jobs": ("processes.jobs", "app"),
    "archive": ("evidence.archive", "app"),
    "log": ("evidence.log", "app"),
    "config": ("processes.config", "app"),
}


class _Lazily(BilingualGroup):
    """Imports the module of a command when it is called: each needs few of all the others."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        commands: dict[str, Any] = {name: TyperCommand(name) for name in (*COMMANDS, *GROUPS)}
        self.commands = commands  # what help lists, and what a slip may have meant

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command's name, the command itself, imported now, and what is left to read."""
        # By the table first: a slip is answered without importing any command.
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _import_command(command.name or ""), rest


def _import_command(name: str) -> Any:
    part = Commands()
    # typer makes a group, and not a lone command, only of a part that has a callback.
    part.callback()(_liuhen)
    if name in COMMANDS:
        part.register_command(name)(getattr(_import_module(COMMANDS[name]), name))
    else:
        module, app_name = GROUPS[name]
        part.add_typer(getattr(_import_module(module), app_name), name=name)
    return typer.main.get_group(part).commands[name]


def _import_module(name: str) -> Any:
    return importlib.import_module(f"api.cli.{name}")


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if requested:
        from importlib.metadata import version  # noqa: PLC0415 - nothing else needs it

        typer.echo(f"liuhen {version('liuhen')}")
        raise typer.Exit


def _liuhen(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Liuhen: body-camera evidence for township law enforcement."""
    del show_version  # the callback has printed it


app = Commands(name="liuhen", cls=_Lazily, no_args_is_help=True)
app.callback()(_liuhen)


def main() -> None:
    """Run one command; our own errors are told in both languages, on the error channel."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # the edge: a defect of ours is not hidden
        # Imported here: a command that succeeds need not load the tables of texts.
        status: int | None = _import_module("errors").report_error(
            error, as_json="--json" in sys.argv
        )
        if status is None:
            raise
        sys.exit(status)


if __name__ == "__main__":
    main()
