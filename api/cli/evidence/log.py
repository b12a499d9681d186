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
from policies.identifiers import SYSTEM
from storage.catalogue.log import custody_log
from storage.custody.origin import SHARED_ORIGIN, propose_origin

app = Commands(no_args_is_help=True)
app.register_command()(log_checks.check)
app.register_command()(log_checks.replay)


@app.register_command()
def checkpoint(*, as_json: Json = False) -> None:
    """Sign and print the newest head (C2SP tlog-checkpoint)."""
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
    index: Annotated[int, typer.Argument(min=0)],
    *,
    as_json: Json = False,
) -> None:
    """Print an entry's inclusion proof (C2SP tlog-proof)."""
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
    reason: Annotated[str, typer.Option()],
    *,
    as_json: Json = False,
) -> None:
    """Let the log go on after a clock ran ahead.

    One entry says both times, the reason and the account of the machine that said so.
    """
    # Without opening the office: that may write, and nothing is written while the clock is behind.
    catalogue = open_catalogue(Settings())
    try:
        with catalogue.read() as session:
            last = custody_log.LogReader(session).last_at
        with catalogue.write() as uow:
            # The account of the machine goes into the reason: nobody is logged in here who could be
            # named.
            index = uow.accept_clock(f"{reason} ({getpass.getuser()})", actor=SYSTEM)
            now = uow.at
    finally:
        catalogue.close()
    if as_json:
        say_json({"index": index, "before": to_plain(last), "now": to_plain(now)})
        return
    OUT.print(f"第 {index} 号条目:{to_plain(last)} → {to_plain(now)}", markup=False)


@app.register_command(name="rename-origin")
def rename_log_origin(
    origin: Annotated[str | None, typer.Argument()] = None,
    *,
    as_json: Json = False,
) -> None:
    """Give the log an origin of the office's own.

    Stop the service first; heads, receipts and bundles of before stay valid, and so do keys.
    """
    settings = Settings()
    if origin is None:
        office = Office.open(settings)
        try:
            origin = begun_change(office) or office.signer.origin
            # Only in place of the name that all offices once shared: one of its own is never
            # changed unasked.
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
