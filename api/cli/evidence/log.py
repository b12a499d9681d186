"""`liuhen log …`: the custody log's head, proofs, checks and public name."""

import getpass
from typing import Annotated

import typer

from api.cli.evidence import log_checks
from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_json
from api.office.evidence.log_origin import begun_change, rename_origin
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.stores.store_opening import open_catalogue
from api.office.wiring import Office
from policies.facts.facts_json import to_plain
from storage.catalogue.log import custody_log
from storage.custody.origin import SHARED_ORIGIN, propose_origin

app = Commands(no_args_is_help=True)
app.register_command()(log_checks.check)
app.register_command()(log_checks.replay)


@app.register_command()
def checkpoint(*, as_json: Json = False) -> None:
    """签名并输出最新检查点。 Sign and print the newest head (C2SP tlog-checkpoint)."""
    office = Office.open(Settings())
    try:
        head = Service.of_office(office).publish_checkpoint()
        if as_json:
            say_json({"checkpoint": head})
        else:
            OUT.print(head, end="", markup=False)
    finally:
        office.close()


@app.register_command()
def proof(
    index: Annotated[int, typer.Argument(help="条目号。 The entry's number.", min=0)],
    *,
    as_json: Json = False,
) -> None:
    """输出一个条目的包含证明。 Print an entry's inclusion proof (C2SP tlog-proof)."""
    office = Office.open(Settings())
    try:
        head = Service.of_office(office).publish_checkpoint()
        with office.catalogue.read() as session:
            custody_log.LogReader(session).get_leaf(index)
            text = custody_log.proof_for(session, index, head)
        if as_json:
            say_json({"index": index, "proof": text})
        else:
            OUT.print(text, end="", markup=False)
    finally:
        office.close()


@app.register_command(name="accept-clock")
def accept_clock(
    reason: Annotated[
        str,
        typer.Option(help="为什么走快,如何核对。 Why it ran ahead, how that was found."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """时钟曾经走快,现已校准:日志按现在的时间继续。 Let the log go on after a clock ran ahead.

    写成一条日志:走快的时间、现在的时间、理由和操作的系统账户。
    One entry says both times, the reason and the account of the machine that said so.
    """
    catalogue = open_catalogue(Settings())
    try:
        with catalogue.read() as session:
            last = custody_log.LogReader(session).last_at
        with catalogue.write() as uow:
            index = uow.accept_clock(f"{reason} ({getpass.getuser()})", actor="system")
            now = uow.at
    finally:
        catalogue.close()
    if as_json:
        say_json({"index": index, "before": to_plain(last), "now": to_plain(now)})
        return
    OUT.print(f"第 {index} 号条目:{to_plain(last)} → {to_plain(now)}", markup=False)


@app.register_command(name="rename-origin")
def rename_log_origin(
    origin: Annotated[
        str | None,
        typer.Argument(
            help="新名称,如 sfj.xinglong.example/custody;不写则做完上次的更名,或自动取一个。"
            " The new origin; none: finish the last change, or make one up."
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """给监管链日志改用本单位独有的名称。 Give the log an origin of the office's own.

    先停止服务;以前的检查点、回执和证据包照样有效。密钥和指纹不变。
    Stop the service first; heads, receipts and bundles of before stay valid, and so do keys.
    """
    settings = Settings()
    if origin is None:
        office = Office.open(settings)
        try:
            origin = begun_change(office) or office.signer.origin
            if origin == SHARED_ORIGIN:
                origin = propose_origin(office.entropy(6))
        finally:
            office.close()
    before = rename_origin(settings, origin)
    if as_json:
        say_json({"origin": origin, "before": before.to_json()})
        return
    OUT.print(f"日志名称 origin: {before.origin} → {origin}", markup=False)
    OUT.print(
        f"旧名称下最后一个日志头有 {before.size} 条;以前签发的一切照样有效。\n"
        f"The last head under the old origin has {before.size} entries, and stays valid.",
        markup=False,
    )
    OUT.print(
        "请公布新名称,重新启动服务;未使用的采集站登记码须重新生成。\n"
        "Publish the new origin, start the service again; give unused station codes anew."
    )
