"""`liuhen log checkpoint|proof`: the custody log's head and proofs, for witnesses and courts."""

from typing import Annotated

import typer

from api.commands.help import Commands, Json
from api.commands.terminal import OUT, say_json
from api.service import Service
from api.settings import Settings
from api.wiring import Office
from storage.catalogue import custody_log

app = Commands(no_args_is_help=True)


@app.command()
def checkpoint(*, as_json: Json = False) -> None:
    """签名并输出最新检查点。 Sign and print the newest head (C2SP tlog-checkpoint)."""
    office = Office.open(Settings())
    try:
        head = Service.over(office).checkpoint()
        if as_json:
            say_json({"checkpoint": head})
        else:
            OUT.print(head, end="", markup=False)
    finally:
        office.close()


@app.command()
def proof(
    index: Annotated[int, typer.Argument(help="条目号。 The entry's number.", min=0)],
    *,
    as_json: Json = False,
) -> None:
    """输出一个条目的包含证明。 Print an entry's inclusion proof (C2SP tlog-proof)."""
    office = Office.open(Settings())
    try:
        head = Service.over(office).checkpoint()
        with office.catalogue.read() as session:
            custody_log.LogReader(session).leaf(index)
            text = custody_log.proof_for(session, index, head)
        if as_json:
            say_json({"index": index, "proof": text})
        else:
            OUT.print(text, end="", markup=False)
    finally:
        office.close()
