"""`liuhen bundle CASE OUT`: export a case as a bundle, as the person who logs in."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.help import Json
from api.cli.terminal import ERR, say_done, show_byte_bar
from api.office.evidence.export import export_bundle
from api.office.evidence.export_slots import remove_left_parts
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from storage.catalogue.cases import cases


def bundle(
    case: Annotated[str, typer.Argument()],
    out: Annotated[Path, typer.Argument()],
    *,
    username: Annotated[str | None, typer.Option()] = None,
    password: Annotated[str | None, typer.Option()] = None,
    sealed: Annotated[bool, typer.Option()] = False,
    as_zip: Annotated[bool, typer.Option("--zip")] = False,
    as_json: Json = False,
) -> None:
    """Export a case as a bundle that verifies offline."""
    office = Office.open(Settings())
    try:
        for part in remove_left_parts(office.settings.home):
            ERR.print(f"上次导出被中断,未完成的明文已清除 removed: {part}", markup=False)
        service = Service.of_office(office)
        username = username or typer.prompt("用户名 user", err=True)
        password = password or typer.prompt("密码 password", hide_input=True, err=True)
        # As a person, not as the system: originals leave with it, and each has an entry in his
        # name.
        token, _until = service.identity.login(username, password)
        visitor = service.identity.authenticate_token(token)
        try:
            with office.catalogue.read() as session:
                row = cases.case_by_number(session, case)
            if row is None:
                raise ApiError("not-found", what="case", id=case[:80])
            with show_byte_bar("导出 exporting") as progress:
                digest = export_bundle(
                    service, visitor, row.id, out, sealed=sealed, zipped=as_zip, progress=progress
                )
        finally:
            # An export that failed must not leave a session that somebody else could go on with.
            service.identity.logout(token)
    finally:
        office.close()
    message = f"已导出 exported: {out}\n清单 manifest sha-256: {digest}"
    say_done(message, as_json=as_json, bundle=str(out), manifest_sha256=str(digest))
