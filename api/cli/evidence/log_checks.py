"""`liuhen log check --against FILE…`, `liuhen log replay`: the log against itself and others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from api.cli.help import Json
from api.cli.terminal import ERR, OUT, say_json, show_tally
from api.office.evidence.log_check import (
    CONTRADICTED,
    UNKNOWN,
    CheckedHead,
    HeadState,
    LogHere,
    check_heads,
    log_in_files,
    log_of_office,
    read_log_key,
)
from api.office.settings.settings import Settings
from api.office.wiring import Office
from storage.errors import LiuhenError

_MOST_TOLD = 1000  # faults in one JSON answer; the count tells of all
_UNREADABLE = (LiuhenError, OSError, ValueError, LookupError, TypeError, AttributeError)
Static = Annotated[Path | None, typer.Option("--log")]
Key = Annotated[Path | None, typer.Option("--key")]
_STATES = {
    HeadState.CONSISTENT: "[green]✓[/green] 一致 consistent",
    HeadState.ROLLED_BACK: "[red]✗[/red] 日志已倒退 the log was rolled back",
    HeadState.FORKED: "[red]✗[/red] 日志已分叉 the log was forked",
    HeadState.UNKNOWN_KEY: "[yellow]?[/yellow] 不是本日志的签名,无法比对 not signed by this log",
    HeadState.UNREADABLE: "[yellow]?[/yellow] 无法读取 unreadable",
}
_FAULTS = {
    "double-number": "同一编号出现两次 two entries of one number",
    "left-out": "监管链缺条目 an entry is left out of a chain",
    "not-following": "监管链断裂 a chain is broken",
    "unchained": "监管链开始后的旧式条目 an unchained entry after the chain had begun",
    "false-head": "引用了不存在的链头 names a head that the chain never had",
    "no-entry": "不是日志条目 not an entry",
    "missing-entries": "条目缺失 entries are missing",
    "not-in-tree": "条目不在日志树中 an entry is not in the tree",
    "wrong-subject": "条目归属不符 an entry about another subject",
    "not-opened": "条目内容缺失或被改动 a readable half is gone or was changed",
    "false-root": "与已签名的日志头矛盾 contradicts a signed head",
    "rolled-back": "日志已倒退 the log was rolled back",
    "false-signature": "日志头签名无效 a head that the log did not sign",
}


def check(
    more: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...")] = None,
    *,
    against: Annotated[list[Path] | None, typer.Option()] = None,
    log: Static = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Hold the log against heads that others kept.

    Exit status: 0 all consistent, 1 forked or rolled back, 3 some could not be compared.
    """
    paths = [*(against or []), *(more or [])]
    # Without heads there is nothing to contradict: that must not look like agreement.
    if not against:
        ERR.print("请用 --against 给出外部日志头。 Name heads with --against.")
        raise typer.Exit(2)
    with _open_log(log, key) as here:
        report = check_heads(here, paths)
    if as_json:
        own = {"origin": report.own.origin, "size": report.own.size}
        heads = [head.to_json() for head in report.heads]
        say_json({"status": report.exit_status, "log": own, "heads": heads})
        raise typer.Exit(report.exit_status)
    for head in report.heads:
        OUT.print(f"{_STATES[head.state]}  {escape(_describe_head(head))}")
    OUT.print(_describe_conclusion(report.exit_status, report.own.size))
    raise typer.Exit(report.exit_status)


def replay(*, log: Static = None, key: Key = None, as_json: Json = False) -> None:
    """Walk over every entry of the log, and name what is wrong.

    Exit status: 0 whole, 1 something is wrong.
    """
    faults = 0
    fault_objects: list[dict[str, Any]] = []
    with _open_log(log, key) as here:
        size = here.size()
        with show_tally("重放 replaying", size) as advance:
            for fault in here.replayed(advance):
                faults += 1
                if not as_json:
                    reason = _FAULTS.get(fault.kind, fault.kind)
                    OUT.print(f"[red]✗[/red] {reason}  #{fault.at}  {escape(fault.text)}")
                # Counted all, told in part: a rewritten log has as many faults as entries.
                elif len(fault_objects) < _MOST_TOLD:
                    fault_objects.append(fault.to_json())
    if as_json:
        rows = here.with_rows
        say_json(
            {"whole": not faults, "entries": size, "faults": faults, "rows": rows}
            | {"told": fault_objects}
        )
    elif faults:
        OUT.print(f"结论:发现 {faults} 个问题! {faults} fault(s) in {size} entries.")
    else:
        OUT.print(f"结论:{size} 个条目全部连贯。 All {size} entries follow each other.")
    if not here.with_rows and not as_json:
        OUT.print(
            "静态文件不含条目内容,未核对条目归属。 Rows are not in static files, and not checked."
        )
    raise typer.Exit(1 if faults else 0)


def _describe_head(head: CheckedHead) -> str:
    description = head.where if head.size is None else f"{head.where}({head.size} 条 entries)"
    if head.state is HeadState.FORKED:
        description += f" 分叉在第 {head.after} 条之后 behind entry {head.after}"
    return f"{description} {head.problem}".rstrip()


def _describe_conclusion(status: int, size: int) -> str:
    if status == CONTRADICTED:
        return (
            "结论:日志与外部留存的日志头矛盾!请保留双方文件,立即报告。\n"
            "The log contradicts what it signed. Keep both files, and report it."
        )
    if status == UNKNOWN:
        return "结论:有的无法比对,不能下结论。 Some could not be compared: no conclusion."
    return f"结论:日志({size} 条)与全部外部日志头一致。 The log ({size}) continues every head."


@contextmanager
def _open_log(folder: Path | None, key: Path | None) -> Iterator[LogHere]:
    """Give the log that is asked: in static files, or the office's own."""
    if folder is not None:
        try:
            log_key = read_log_key(key or Settings().keys)
        except _UNREADABLE as error:
            ERR.print(f"日志公钥无法读取 this is no log key: {escape(str(error)[:200])}")
            raise typer.Exit(UNKNOWN) from error
        try:
            here = log_in_files(folder, log_key)
            # Read once before the block: what is no log at all is said here, not as a fault of a
            # log.
            here.size()
        except _UNREADABLE as error:
            ERR.print(f"日志静态文件无法读取 no log in these files: {escape(str(error)[:200])}")
            raise typer.Exit(UNKNOWN) from error
        yield here
        return
    office = Office.open(Settings())
    try:
        yield log_of_office(office)
    finally:
        office.close()
