"""`liuhen recorders add|assign|list`: which sources there are, and who had them when."""

from datetime import datetime
from typing import Annotated

import typer

from api.commands.terminal import OUT
from api.problems import ApiError
from api.settings import Settings
from api.wiring import Office
from policies.terms import SOURCE_ZH, SourceKind
from policies.wording import COUNTY_TIME, day_and_clock
from storage.catalogue import people, register

app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    serial: Annotated[str, typer.Argument(help="设备序列号,与文件名中的一致")],
    *,
    kind: Annotated[SourceKind, typer.Option(help="设备种类")] = SourceKind.RECORDER,
    label: Annotated[str, typer.Option(help="单位内的编号或者名称")] = "",
    family: Annotated[str, typer.Option(help="型号")] = "generic",
    township: Annotated[str | None, typer.Option(help="乡镇,默认本单位")] = None,
) -> None:
    """登记一台设备。 Register a recorder, terminal or room camera."""
    settings = Settings()
    office = Office.open(settings)
    try:
        with office.catalogue.write() as uow:
            people.add_source(
                uow,
                serial=serial,
                kind=kind.value,
                family=family,
                label=label or serial,
                township=township or settings.township,
                actor="system",
            )
    finally:
        office.close()
    OUT.print(f"已登记 added: {serial} {SOURCE_ZH[kind]}", markup=False)


@app.command()
def assign(
    serial: Annotated[str, typer.Argument(help="设备序列号")],
    number: Annotated[str | None, typer.Argument(help="领用人执法证号;不写则交回")] = None,
    *,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M"], help="本地时间,默认现在")
    ] = None,
) -> None:
    """登记设备领用或者交回。 Enter who has a source from now on; without a number, nobody."""
    office = Office.open(Settings())
    try:
        at = since.replace(tzinfo=COUNTY_TIME) if since else None
        with office.catalogue.write() as uow:
            holder = None
            if number is not None:
                held = register.certificate(uow.session, number)
                if held is None:
                    raise ApiError("not-found", what="certificate", id=number[:80])
                holder = held.person_id
            register.assign(uow, serial, holder, since=at, actor="system")
    finally:
        office.close()
    OUT.print(f"已登记 assigned: {serial} {number or '交回 nobody'}", markup=False)


@app.command(name="list")
def listed() -> None:
    """列出设备及领用情况。 List the sources and who has them."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            for row in people.sources(session):
                OUT.print(
                    f"{row.serial}  {SOURCE_ZH[SourceKind(row.kind)]}  {row.label}", markup=False
                )
                for held in register.assignments(session, row.serial):
                    name = people.person(session, held.person_id).name
                    until = day_and_clock(held.to_at) if held.to_at else "今 now"
                    OUT.print(f"  {name}  {day_and_clock(held.from_at)} 至 {until}", markup=False)
    finally:
        office.close()
