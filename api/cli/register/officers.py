"""`liuhen officers import|list|end|train`: the register of who may enforce (第二至五条)."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office.reports.register_csv import MAX_BYTES, read_register
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from policies.identifiers import SYSTEM
from policies.requirements.persons.officers import why_zh
from policies.time.wording import COUNTY_TIME
from storage.catalogue.people import people, register
from storage.catalogue.people.register_import import Change, carry_out, plan_import
from storage.catalogue.tables import PersonRow
from storage.catalogue.unit_of_work import View

app = Commands(no_args_is_help=True)
CHANGE_ZH = {Change.NEW: "新增", Change.CHANGED: "变更", Change.SAME: "不变"}


@app.register_command(name="import")
def import_officers(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Import a register, whole or not at all."""
    # One byte more than allowed is read, so that a file that is too large is known as such.
    with file.open("rb") as opened:
        entries = read_register(opened.read(MAX_BYTES + 1))
    office = Office.open(Settings())
    try:
        if dry_run:
            with office.catalogue.read() as session:
                planned = plan_import(session, entries)
        else:
            with office.catalogue.write() as uow:
                planned = carry_out(uow, entries, actor=SYSTEM)
    finally:
        office.close()
    for row_change in planned:
        record = {
            "line": row_change.register_line.line,
            "name": row_change.register_line.name,
            "change": row_change.change.value,
        }
        if json:
            say_json(record | {"person": row_change.person, "fields": list(row_change.fields)})
        elif row_change.change is not Change.SAME:
            fields = f"({', '.join(row_change.fields)})" if row_change.fields else ""
            change = f"{CHANGE_ZH[row_change.change]} {row_change.change.value}"
            OUT.print(
                f"第 {row_change.register_line.line} 行 {row_change.register_line.name} "
                f"{change}{fields}",
                markup=False,
            )
    if not json:
        counts = {
            kind: sum(planned_row.change is kind for planned_row in planned) for kind in Change
        }
        told_zh = ",".join(f"{CHANGE_ZH[kind]} {count}" for kind, count in counts.items())
        OUT.print(f"{'试运行,未写入:' if dry_run else '已写入:'}{told_zh}", markup=False)


@app.register_command(name="list")
def list_officers(
    township: Annotated[str | None, typer.Option()] = None,
    *,
    as_json: Json = False,
) -> None:
    """List people and whether they are certified today."""
    office = Office.open(Settings())
    try:
        now = office.clock()
        with office.catalogue.read() as session:
            for row in people.list_persons(session, township=township):
                if row.kind not in register.ENFORCING:
                    continue
                qualification = register.judge_qualification(session, row, now)
                state = (
                    "有效 valid"
                    if qualification.certified
                    else f"{why_zh(qualification.why)} {qualification.why}"
                )
                numbers = "、".join(c.number for c in register.list_certificates(session, row.id))
                if as_json:
                    say_json(_person_json(session, row, qualification))
                    continue
                line = f"{row.name}  {row.kind}  {row.unit}  {row.township}  {numbers}  {state}"
                OUT.print(line, markup=False)
    finally:
        office.close()


def _person_json(
    session: View, row: PersonRow, qualification: register.Qualification
) -> dict[str, Any]:
    return {
        "person": row.id,
        "name": row.name,
        "kind": row.kind,
        "unit": row.unit,
        "township": row.township,
        "certificates": [
            certificate.number for certificate in register.list_certificates(session, row.id)
        ],
        "certified": qualification.certified,
        "why": qualification.why,
    }


@app.register_command()
def end(
    number: Annotated[str, typer.Argument()],
    *,
    why: Annotated[str, typer.Option()],
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    as_json: Json = False,
) -> None:
    """End a certificate; it counts no more that day."""
    office = Office.open(Settings())
    try:
        day: date = (on or office.clock().astimezone(COUNTY_TIME)).date()
        with office.catalogue.write() as uow:
            register.end_certificate(uow, number, on=day, why=why, actor=SYSTEM)
    finally:
        office.close()
    message = f"已登记 ended: {number} {why} {day}"
    say_done(message, as_json=as_json, certificate=number, why=why, on=day.isoformat())


@app.register_command()
def train(
    number: Annotated[str, typer.Argument()],
    hours: Annotated[float, typer.Argument()],
    title: Annotated[str, typer.Argument()],
    *,
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    special: Annotated[bool, typer.Option("--special")] = False,
    as_json: Json = False,
) -> None:
    """Enter a training."""
    office = Office.open(Settings())
    try:
        on = (day or office.clock().astimezone(COUNTY_TIME)).date()
        with office.catalogue.write() as uow:
            certificate_row = register.find_certificate(uow.session, number)
            if certificate_row is None:
                raise ApiError("not-found", what="certificate", id=number[:80])
            register.record_training(
                uow,
                certificate_row.person_id,
                day=on,
                hours=hours,
                title=title,
                special=special,
                actor=SYSTEM,
            )
    finally:
        office.close()
    message = f"已登记培训 entered: {number} {hours:g}"
    say_done(message, as_json=as_json, certificate=number, hours=hours, on=on.isoformat())
