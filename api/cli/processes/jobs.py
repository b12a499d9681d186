"""`liuhen jobs list|ask|retry|workers`: what is done in the background, and by whom."""

from typing import Annotated

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_json
from api.jobs import request
from api.jobs.registry import KINDS
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import JOB_STATES, job_error_zh
from policies.time.wording import day_and_clock
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State
from storage.catalogue.jobs.tables import JobRow

app = Commands(no_args_is_help=True)


@app.register_command("list")
def list_jobs(
    *,
    state: Annotated[State | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option(min=1, max=10000)] = 50,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            rows = jobs.list_jobs(session, kind=kind, state=state, limit=limit)
    finally:
        office.close()
    for row in rows:
        _print_job(row, as_json=as_json)


@app.register_command()
def ask(
    kind: Annotated[str, typer.Argument()],
    subject: Annotated[str | None, typer.Argument()] = None,
    *,
    username: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Ask for a job."""
    office = Office.open(Settings())
    try:
        if username is None:
            row = request.ask_for_job(office, kind, subject)
        else:
            password = typer.prompt("密码 password", hide_input=True, err=True)
            row = _ask_as(Service.of_office(office), username, password, kind, subject)
    finally:
        office.close()
    _print_job(row, as_json=as_json)


@app.register_command()
def retry(
    job: Annotated[str, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Ask again for a job that failed."""
    office = Office.open(Settings())
    try:
        row = request.retry_job(office, job)
    finally:
        office.close()
    _print_job(row, as_json=as_json)


@app.register_command()
def workers(*, as_json: Json = False) -> None:
    """List the workers there ever were."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            rows = jobs.list_workers(session)
    finally:
        office.close()
    for row in rows:
        if as_json:
            ended = row.ended_at.isoformat() if row.ended_at else None
            record = {"started_at": row.started_at.isoformat(), "beat_at": row.beat_at.isoformat()}
            say_json({"name": row.name, **record, "ended_at": ended})
        else:
            how = "已停止 ended" if row.ended_at else "运行中 running"
            OUT.print(f"{row.name}  {how}  {day_and_clock(row.beat_at)}", markup=False)


def _ask_as(
    service: Service, username: str, password: str, kind: str, subject: str | None
) -> JobRow:
    token, _until = service.identity.login(username, password)
    try:
        return request.ask_as(service, service.identity.authenticate_token(token), kind, subject)
    # The session ends here; the job goes on under it, as its entry names it.
    finally:
        service.identity.logout(token)


def _print_job(row: JobRow, *, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "id": row.id,
                "kind": row.kind,
                "subject": row.subject,
                "state": row.state,
                "attempt": row.attempt,
                "failures": row.failures,
                "error": row.error,
                "asked_by": row.asked_by,
                "asked_at": row.asked_at.isoformat(),
                "due_at": row.due_at.isoformat(),
                "ended_at": row.ended_at.isoformat() if row.ended_at else None,
                "result": row.result,
            }
        )
        return
    kind = KINDS[row.kind].zh if row.kind in KINDS else row.kind
    error = f"  {job_error_zh(row.error, row.kind)}" if row.error else ""
    at = day_and_clock(row.ended_at or row.due_at)
    state = JOB_STATES[row.state]
    OUT.print(f"{row.id}  {state}  {at}  {kind}  {row.subject}{error}", markup=False)
