"""`liuhen migrate`: move an embedded office to the county's server, custody unbroken."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.help import Json
from api.cli.terminal import ERR, OUT, say_json, show_byte_bar
from api.office.evidence.migration import migrate_office as move
from api.office.settings.settings import Settings


def migrate(
    old_home: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    *,
    as_json: Json = False,
) -> None:
    """Move an embedded office to this server, into the empty place where the settings point."""
    ERR.print("迁移期间请勿使用原单位;中断后重新执行本命令即可继续。(repeat it if it is cut short)")
    with show_byte_bar("迁移 moving") as heard:
        moved = move(old_home, Settings(), heard)
    if as_json:
        counts = {"objects": moved.objects, "size": moved.size, "rows": moved.rows}
        say_json(counts | {"entries": moved.entries, "head": moved.head})
        return
    OUT.print(
        f"迁移完成 moved: 对象 {moved.objects} 个 ({moved.size >> 20} MB), "
        f"数据 {moved.rows} 行, 日志 {moved.entries} 条;全部核验通过。"
    )
    OUT.print(f"原日志头(仍然有效) head: {moved.head.splitlines()[2]}", markup=False)
    OUT.print("原目录已标记为“已迁出”,不会再打开;请妥善保管或按规定处置。")
