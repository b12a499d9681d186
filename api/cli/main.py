"""`liuhen`: the command line. Each command is one function in `api/cli/`; errors end here.

Exit status: 0 done, 1 a finding or a failed verification or an error, 2 wrong usage or settings.
A command's module is imported when the command is asked for; the help of all is the table here.
"""

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from api.cli.help import BilingualGroup, Commands

# A command by its name: the module of `api/cli/` that has a function of that name, and the
# first paragraph of its docstring (a test compares them) …
COMMANDS = {
    "demo": (
        "processes.demo",
        "用样例录像演示全流程。 Run the whole main job on sample footage.",
    ),
    "serve": (
        "processes.serve",
        "运行服务、控制台和采集站。 Run service, console and station until interrupted.",
    ),
    "centre": (
        "processes.serve",
        "运行县中心:服务和控制台,不带仓位;可同时运行多个。 Run the centre; any number of them.",
    ),
    "found": (
        "processes.serve",
        "建立或升级:密钥、数据表、对象桶、日志头。 Found the office, or bring it up to date.",
    ),
    "worker": (
        "processes.worker",
        "运行后台作业;可同时运行多个,名称各不相同。 Do background jobs; any number of these.",
    ),
    "migrate": (
        "processes.migrate",
        "把单机单位迁到县服务器:对象、日志、目录和密钥。 Move an embedded office to this server.",
    ),
    "ingest": (
        "evidence.ingest",
        "采集一个文件夹或文件。 Ingest a folder or a file, once; the source is left as it is.",
    ),
    "verify": (
        "evidence.verify",
        "核验证据包,或全部内容。 Verify a bundle offline, or everything that is kept here.",
    ),
    "bundle": (
        "evidence.bundle",
        "导出证据包。 Export a case as a bundle that verifies offline.",
    ),
    "doctor": (
        "processes.doctor",
        "检查本机是否具备运行条件。 Check this machine; say what each lack costs.",
    ),
    "duties": (
        "rules.duties",
        "列出到期事项。 List what is due, the most pressing first.",
    ),
    "evaluate": (
        "rules.checks",
        "执法评议考核数据(不含任何罚没数额)。 A year's figures, never with any money in them.",
    ),
}
# … and a group of commands: its module, the name in it, what it is for.
GROUPS = {
    "station": ("processes.station", "app", "采集站 The station of this machine."),
    "stations": ("register.stations", "app", "各采集站的登记 Enrolled stations."),
    "accounts": ("register.accounts", "app", "帐号 Accounts."),
    "checks": ("rules.checks", "app", "双随机抽查 Random checks."),
    "officers": ("register.officers", "app", "人员名册 The officer register."),
    "recorders": ("register.recorders", "app", "设备 Recorders, terminals, room cameras."),
    "cameras": ("register.cameras", "app", "房间摄像机 The room cameras recorded here."),
    "rules": ("rules.rules", "app", "规则库 The rulebook."),
    "retention": ("evidence.retention", "app", "保管期限和销毁证明 How long, and why."),
    "hold": ("evidence.retention", "holds_app", "冻结 Holds."),
    "keys": ("evidence.keys", "app", "密钥 Keys."),
    "jobs": ("processes.jobs", "app", "后台作业 Background jobs."),
    "archive": ("evidence.archive", "app", "归档 The archive behind the store."),
    "log": ("evidence.log", "app", "监管链日志 The custody log."),
    "config": ("processes.config", "app", "设置 The settings of this home."),
}


class _Lazily(BilingualGroup):
    """Imports the module of a command when it is called: each needs few of all the others."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        texts = {name: text for name, (_module, text) in COMMANDS.items()}
        texts |= {name: text for name, (_module, _app, text) in GROUPS.items()}
        commands: dict[str, Any] = {
            name: TyperCommand(name, help=text) for name, text in texts.items()
        }
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
        part.register_command(name)(getattr(_import_module(COMMANDS[name][0]), name))
    else:
        module, app_name, purpose = GROUPS[name]
        part.add_typer(getattr(_import_module(module), app_name), name=name, help=purpose)
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
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="显示版本。 Show the version and leave.",
        ),
    ] = False,
) -> None:
    """留痕:基层执法音像留痕服务。 Liuhen: body-camera evidence for township law enforcement."""
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
