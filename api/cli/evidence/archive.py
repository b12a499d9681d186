"""`liuhen archive init|run|recall`: old payloads on a cheaper bucket or a disk in a safe."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office.evidence import tiering
from api.office.settings.settings import Settings
from api.office.wiring import Office, adopt_archive
from policies.identifiers import SYSTEM

app = Commands(no_args_is_help=True)
_ACTOR = SYSTEM


@app.register_command()
def init(*, as_json: Json = False) -> None:
    """Make it this office's archive."""
    office = Office.open(Settings())
    try:
        name = adopt_archive(office).identity()
    finally:
        office.close()
    say_done(f"归档已就绪 ready:{name}", as_json=as_json, archive=name)


@app.register_command()
def run(
    *,
    older_than_days: Annotated[int, typer.Option(min=0)] = 365,
    limit: Annotated[int, typer.Option(min=1, max=1000000)] = 1_000,
    as_json: Json = False,
) -> None:
    """Archive old payloads."""
    office = Office.open(Settings())
    try:
        before = office.clock() - timedelta(days=older_than_days)
        count = size = 0
        for recording in tiering.archive_payloads(office, before, limit, actor=_ACTOR):
            count, size = count + 1, size + recording.size
            if as_json:
                say_json(
                    {
                        "recording": recording.recording,
                        "size": recording.size,
                        "freed": recording.freed,
                    }
                )
            else:
                freed = "已释放" if recording.freed else "原存储按保管锁继续保留"
                OUT.print(f"{recording.recording} {recording.size:,} 字节 {freed}", markup=False)
    finally:
        office.close()
    if not as_json:
        OUT.print(f"共归档 {count} 条,{size:,} 字节。", markup=False)


@app.register_command()
def recall(
    recording: Annotated[UUID, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Copy an archived payload back."""
    office = Office.open(Settings())
    try:
        row = tiering.recall_recording(office, recording, actor=_ACTOR)
    finally:
        office.close()
    say_done(f"已取回 recalled:{row.id}", as_json=as_json, recording=row.id)
