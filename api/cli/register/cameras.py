"""`liuhen cameras list|check|start|stop`: the room cameras that this station records."""

from contextlib import closing
from typing import Annotated

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import ERR, OUT, say_done, say_json
from api.office.settings.settings import Settings
from api.office.station_parts import camera_places, cameras_of
from api.office.system import clock, entropy
from api.problems import ApiError, bay_zh, reason_zh
from ingest.cameras.room_camera import Camera, ask_for, let_go
from ingest.cameras.rtsp import CameraError, describe_camera
from ingest.station.clear_when import When
from ingest.station.journal import Journal
from storage.catalogue.stations.journal_store import JournalStore

app = Commands(no_args_is_help=True)


@app.register_command(name="list")
def list_cameras(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the cameras and what each is doing."""
    settings = Settings()
    last_states = {}
    # Opening the journal would make one: a list of cameras must leave nothing behind.
    if (settings.home / "station.db").exists():
        journal = Journal(JournalStore(settings.home / "station.db"), clock)
        with closing(journal):
            last_states = {row.name: row for row in journal.list_bays()}
    for camera in cameras_of(settings):
        row = last_states.get(camera.name)
        state, reason = (row.state, row.reason) if row else ("camera-off", None)
        recording_wanted = camera.always or camera_places(settings, camera.name).request.exists()
        if as_json:
            record = {"name": camera.name, "room": camera.room, "address": str(camera.address)}
            say_json(record | {"wanted": recording_wanted, "state": state, "reason": reason})
            continue
        told_zh = f"{bay_zh(state)} {reason_zh(reason)}".strip()
        OUT.print(f"{camera.name}  {camera.room}  {camera.address}  {told_zh}", markup=False)


@app.register_command()
def check(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    as_json: Json = False,
) -> None:
    """Ask each camera what it would send."""
    settings = Settings()
    chosen = [_find_camera(settings, name)] if name else cameras_of(settings)
    failed = False
    for camera in chosen:
        try:
            tracks = describe_camera(camera.address, camera.read_login(), entropy)
        except CameraError as error:
            failed = True
            message = f"{camera.name}  不通过 failed: {reason_zh(error.reason)}"
            say_done(message, as_json=as_json, name=camera.name, good=False, reason=error.reason)
            continue
        # A room camera without sound records no interview: told now, not when the first case needs
        # it.
        absent_tracks = sorted({"video", "audio"} - {track.split(" ")[0] for track in tracks})
        failed = failed or bool(absent_tracks)
        message = f"{camera.name}  通过 ok: {', '.join(tracks)}"
        message += f"\n  缺少 missing: {', '.join(absent_tracks)}" if absent_tracks else ""
        facts = {
            "name": camera.name,
            "good": not absent_tracks,
            "tracks": tracks,
            "missing": absent_tracks,
        }
        say_done(message, as_json=as_json, **facts)
    if not as_json and settings.cameras and settings.clear is When.NEVER:
        OUT.print("提示:clear = never 时,入库后的分段也留在本站磁盘,磁盘将满时停止录像")
    raise typer.Exit(1 if failed else 0)


@app.register_command()
def start(
    name: Annotated[str, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Record from now on, until `stop`."""
    settings = Settings()
    camera = _find_camera(settings, name)
    ask_for(camera_places(settings, camera.name), clock())
    message = f"开始 started: {camera.name} {camera.room}"
    say_done(message, as_json=as_json, name=camera.name, wanted=True)


@app.register_command()
def stop(
    name: Annotated[str, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Record no more, unless the camera always is."""
    settings = Settings()
    camera = _find_camera(settings, name)
    if camera.always:
        ERR.print("该摄像机设为一直录像 (when = always),请改设置 (it always is; see liuhen.toml)")
        raise typer.Exit(2)
    let_go(camera_places(settings, camera.name))
    message = f"停止 stopped: {camera.name} {camera.room}"
    say_done(message, as_json=as_json, name=camera.name, wanted=False)


def _find_camera(settings: Settings, name: str) -> Camera:
    matches = [camera for camera in cameras_of(settings) if name in {camera.name, camera.room}]
    if len(matches) != 1:
        raise ApiError("not-found", what="camera", id=name[:80])
    return matches[0]
