"""`liuhen`: the command line. Each command is one function in `api/commands/`; errors end here.

Exit status: 0 done, 1 a finding or a failed verification or an error, 2 wrong usage.
"""

import importlib
import json
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from api.commands.terminal import ERR
from api.problems import problem, words
from policies.rulebook import RuleError
from storage.errors import LiuhenError

# A command by its name: the module of `api/commands/` that has a function of that name …
_COMMANDS = {
    "demo": "demo",
    "serve": "serve",
    "centre": "serve",
    "found": "serve",
    "worker": "worker",
    "migrate": "migrate",
    "ingest": "ingest",
    "verify": "verify",
    "bundle": "bundle",
    "doctor": "doctor",
    "duties": "duties",
    "evaluate": "checks",
}
# … and a group of commands: its module, the name in it, what it is for.
_GROUPS = {
    "station": ("station", "app", "采集站 The station of this machine."),
    "stations": ("stations", "app", "各采集站的登记 Enrolled stations."),
    "accounts": ("accounts", "app", "帐号 Accounts."),
    "checks": ("checks", "app", "双随机抽查 Random checks."),
    "officers": ("officers", "app", "人员名册 The officer register."),
    "recorders": ("recorders", "app", "设备 Recorders, terminals, room cameras."),
    "cameras": ("cameras", "app", "房间摄像机 The room cameras recorded here."),
    "rules": ("rules", "app", "规则库 The rulebook."),
    "retention": ("retention", "app", "保管期限和销毁证明 How long, and why."),
    "hold": ("retention", "holds_app", "冻结 Holds."),
    "keys": ("keys", "app", "密钥 Keys."),
    "jobs": ("jobs", "app", "后台作业 Background jobs."),
    "archive": ("archive", "app", "归档 The archive behind the store."),
    "log": ("log", "app", "监管链日志 The custody log."),
}


class _Lazily(TyperGroup):
    """Imports the module of a command when it is asked for: each needs few of all the others."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        names: Any = dict.fromkeys([*_COMMANDS, *_GROUPS])  # what a slip may have meant
        self.commands = names

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every name, in the order of the help."""
        del ctx
        return [*_COMMANDS, *_GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command or group of this name, if there is one."""
        part = typer.Typer(add_completion=False)
        part.callback()(_liuhen)
        if cmd_name in _COMMANDS:
            part.command(cmd_name)(getattr(_module(_COMMANDS[cmd_name]), cmd_name))
        elif cmd_name in _GROUPS:
            module, name, purpose = _GROUPS[cmd_name]
            part.add_typer(getattr(_module(module), name), name=cmd_name, help=purpose)
        else:
            return None
        whole = typer.main.get_group(part)
        return whole.get_command(ctx, cmd_name)


def _module(name: str) -> Any:
    return importlib.import_module(f"api.commands.{name}")


def _liuhen() -> None:
    """留痕:基层执法音像留痕服务。 Liuhen: body-camera evidence for township law enforcement."""


app = typer.Typer(
    name="liuhen",
    cls=_Lazily,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.callback()(_liuhen)


def main() -> None:
    """Run one command; our own errors are told in both languages, on the error channel."""
    try:
        app()
    except (LiuhenError, RuleError) as error:
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps(problem(error), ensure_ascii=False) + "\n")
        else:
            told = words(error)
            ERR.print(f"[red]错误[/red] {told.zh} {told.next_zh}", highlight=False)
            ERR.print(f"error ({error.code}): {told.en} {told.next_en}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
