"""`liuhen keys init`: make the keys of a new office; say how to carry the recovery key away."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.founding import County, Origin, TownshipName, asking, given
from api.commands.help import Commands, Json
from api.commands.terminal import OUT, say_json
from api.wiring import found

app = Commands(no_args_is_help=True)


@app.callback()
def keys() -> None:
    """密钥。 Keys."""


@app.command()
def init(
    recovery: Annotated[
        Path | None, typer.Option(help="恢复密钥写到哪里(如 U 盘)。 Where the recovery key goes.")
    ] = None,
    *,
    county: County = None,
    township: TownshipName = None,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """生成密钥并建立本单位。 Make the keys and found the office; nothing is ever overwritten."""
    settings = given(county, township, origin)
    office = found(settings, recovery, asking(as_json=as_json))
    ring = office.ring
    where = recovery or settings.recovery_out
    office.close()
    if as_json:
        say_json(
            {
                "keys": {
                    key.name: str(key.kid)
                    for key in (ring.verifying("centre"), ring.verifying("log"), *ring.stations)
                },
                "recipients": {seal.use: str(seal.kid) for seal in ring.recipients},
                "recovery": str(where),
            }
        )
        return
    OUT.print("密钥已生成,请记录并公布以下指纹。 Keys made; publish these fingerprints:")
    for key in (ring.verifying("centre"), ring.verifying("log"), *ring.stations):
        OUT.print(f"  {key.name}  {key.kid}", markup=False)
    OUT.print(f"  日志名称 log origin  {ring.verifying('log').name}", markup=False)
    for seal in ring.recipients:
        OUT.print(f"  {seal.use}  {seal.kid}", markup=False)
    OUT.print(
        f"[bold]恢复密钥在 {where}:请移到离线介质,由两人保管,并从本机删除。[/bold]\n"
        "Move the recovery key to an offline medium in the care of two persons, and delete it here."
    )
