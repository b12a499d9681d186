"""`liuhen stations code|list|revoke`: which stations may deliver to this centre."""

from typing import Annotated

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office import enrolment as station_door
from api.office.settings.settings import Settings
from api.office.wiring import Office
from policies.identifiers import SYSTEM, StationId
from policies.time.wording import COUNTY_TIME
from storage.catalogue.people import people
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.enrolment import Standing

app = Commands(no_args_is_help=True)
_STANDING = {
    Standing.OFFERED: "待登记 offered",
    Standing.LAPSED: "登记码已过期 lapsed",
    Standing.ACTIVE: "有效 active",
    Standing.EXPIRED: "已到期 expired",
    Standing.REVOKED: "已撤销 revoked",
}


@app.register_command()
def code(
    station: Annotated[str, typer.Argument()],
    *,
    name: Annotated[str, typer.Option()] = "",
    township: Annotated[str | None, typer.Option()] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Give a station a one-time enrolment code."""
    settings = Settings()
    office = Office.open(settings)
    try:
        offer = station_door.offer_enrolment(
            office,
            StationId(station),
            name=name or None,
            township=township,
            actor=SYSTEM,
        )
    finally:
        office.close()
    if as_json:
        say_json({"station": station, "code": str(offer)})
        return
    OUT.print(f"[bold]{offer}[/bold]")
    OUT.print("请当面或电话告知该站操作员,在采集站上执行:(tell the operator, who runs)")
    OUT.print(f"  liuhen station enrol https://… {offer}", markup=False)


@app.register_command("list")
def list_stations(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List stations, and what their enrolments are worth."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            seen_times = {row.station_id: row.seen_at for row in enrolment.list_statuses(session)}
            rows = [
                (station, enrolment.of_station(session, station.id)[-1:])
                for station in people.list_stations(session)
            ]
        now = office.clock()
    finally:
        office.close()
    for station, last in rows:
        standing = enrolment.standing_of(last[0], now) if last else None
        at = seen_times.get(station.id)
        if as_json:
            say_json(
                {
                    "station": station.id,
                    "name": station.name,
                    "township": station.township,
                    "standing": standing,
                    "seen_at": at.isoformat() if at else None,
                }
            )
            continue
        standing_words = _STANDING[standing] if standing else "本机 local"
        when = f"{at.astimezone(COUNTY_TIME):%Y-%m-%d %H:%M}" if at else "—"
        OUT.print(
            f"{station.id}  {station.name}  {station.township}  {standing_words}  {when}",
            markup=False,
        )


@app.register_command()
def revoke(
    station: Annotated[str, typer.Argument()],
    why: Annotated[str, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Revoke a station at once; what it signed stays valid."""
    office = Office.open(Settings())
    try:
        with office.catalogue.write() as uow:
            # A name that was mistyped is an error, not a revocation of nothing.
            station_id = people.get_station(uow.session, StationId(station)).id
            ended = enrolment.revoke_enrolments(uow, station_id, why, actor=SYSTEM)
    finally:
        office.close()
    message = f"已撤销 {ended} 项登记 (revoked)。该站已封存未上传的录像仍在站上。"
    say_done(message, as_json=as_json, station=station, revoked=ended)
