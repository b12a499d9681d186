"""`liuhen recorders add|assign|list`: which sources there are, and who had them when."""

from datetime import datetime
from typing import Annotated, Any

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from policies.facts.facts_json import to_plain
from policies.facts.terms import SOURCE_ZH, SourceKind
from policies.identifiers import SYSTEM
from policies.time.wording import COUNTY_TIME, day_and_clock
from storage.catalogue.people import people, register
from storage.catalogue.tables import SourceRow
from storage.catalogue.unit_of_work import View

app = Commands(no_args_is_help=True)


@app.register_command()
def add(
    serial: Annotated[str, typer.Argument()],
    *,
    kind: Annotated[SourceKind, typer.Option()] = SourceKind.RECORDER,
    label: Annotated[str, typer.Option()] = "",
    family: Annotated[str, typer.Option()] = "generic",
    township: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Register a recorder, terminal or room camera."""
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
                actor=SYSTEM,
            )
    finally:
        office.close()
    say_done(f"已登记 added: {serial} {SOURCE_ZH[kind]}", as_json=as_json, serial=serial, kind=kind)


@app.register_command()
def assign(
    serial: Annotated[str, typer.Argument()],
    number: Annotated[str | None, typer.Argument()] = None,
    *,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M"])] = None,
    as_json: Json = False,
) -> None:
    """Enter who has a source from now on; without a number, nobody."""
    office = Office.open(Settings())
    try:
        at = since.replace(tzinfo=COUNTY_TIME) if since else None
        with office.catalogue.write() as uow:
            holder = None
            if number is not None:
                certificate_row = register.find_certificate(uow.session, number)
                if certificate_row is None:
                    raise ApiError("not-found", what="certificate", id=number[:80])
                holder = certificate_row.person_id
            register.assign_source(uow, serial, holder, since=at, actor=SYSTEM)
    finally:
        office.close()
    message = f"已登记 assigned: {serial} {number or '交回 nobody'}"
    say_done(message, as_json=as_json, serial=serial, certificate=number)


@app.register_command(name="list")
def list_sources(*, as_json: Json = False) -> None:
    """List the sources and who has them."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            for row in people.list_sources(session):
                if as_json:
                    say_json(_source_json(session, row))
                    continue
                OUT.print(
                    f"{row.serial}  {SOURCE_ZH[SourceKind(row.kind)]}  {row.label}", markup=False
                )
                for assignment in register.list_assignments(session, row.serial):
                    name = people.get_person(session, assignment.person_id).name
                    until = day_and_clock(assignment.to_at) if assignment.to_at else "今 now"
                    OUT.print(
                        f"  {name}  {day_and_clock(assignment.from_at)} 至 {until}", markup=False
                    )
    finally:
        office.close()


def _source_json(session: View, row: SourceRow) -> dict[str, Any]:
    holders = [
        {
            "person": assignment.person_id,
            "name": people.get_person(session, assignment.person_id).name,
            "from_at": to_plain(assignment.from_at),
            "to_at": to_plain(assignment.to_at),
        }
        for assignment in register.list_assignments(session, row.serial)
    ]
    named = {"serial": row.serial, "kind": row.kind, "label": row.label, "township": row.township}
    return named | {"holders": holders}
