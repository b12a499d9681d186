"""`liuhen keys`: make a new office's keys, show every key, write the letter that tells them."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.founding import County, Origin, TownshipName, override_settings, prompt_for
from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office.evidence.key_list import ShownKey, log_vkey, shown_keys
from api.office.founding import found_office
from api.office.printed.key_letter import keep_letter, key_letter
from api.office.settings.settings import Settings
from api.office.wiring import Office
from storage.bundle.court_page.build import build_page, page_digest
from storage.signed.fingerprint import format_fingerprint

_NO_FONT = "没有中文字体,公钥公告未能生成。 No Chinese font: the key letter was not written."
app = Commands(no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Keys."""


@app.register_command()
def init(
    recovery: Annotated[Path | None, typer.Option()] = None,
    *,
    county: County = None,
    township: TownshipName = None,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """Make the keys and found the office; nothing is ever overwritten."""
    settings = override_settings(county, township, origin)
    office = found_office(settings, recovery, prompt_for(as_json=as_json))
    try:
        keys, origin, letter = shown_keys(office), office.ring.get_verify_key("log").name, None
        letter = keep_letter(office)
    finally:
        office.close()
    where = recovery or settings.recovery_out
    if as_json:
        records = [key.to_json() for key in keys]
        say_json(
            {
                "keys": records,
                "origin": origin,
                "letter": str(letter) if letter is not None else None,
                "recovery": str(where),
            }
        )
        return
    OUT.print("密钥已生成,请公布以下指纹。 Keys made; publish these fingerprints:")
    _print_key(keys, origin)
    if letter is None:
        OUT.print(_NO_FONT)
    else:
        OUT.print(f"公钥公告 key letter: {letter}", markup=False)
    OUT.print(
        f"[bold]恢复密钥在 {where}:请移到离线介质,由两人保管,并从本机删除。[/bold]\n"
        "Move the recovery key to an offline medium in the care of two persons, and delete it here."
    )


@app.register_command()
def show(*, as_json: Json = False) -> None:
    """Show the whole fingerprint of every key of this office."""
    office = Office.open(Settings())
    try:
        keys, origin, vkey = (
            shown_keys(office),
            office.ring.get_verify_key("log").name,
            log_vkey(office),
        )
    finally:
        office.close()
    if as_json:
        say_json({"keys": [key.to_json() for key in keys], "origin": origin, "vkey": vkey})
    else:
        _print_key(keys, origin)
        OUT.print(f"  vkey  {vkey}", markup=False, soft_wrap=True)
    # For scripts: a key that nobody enrolled should wake somebody.
    if any(key.since is None for key in keys):
        raise typer.Exit(1)


@app.register_command()
def letter(
    file: Annotated[Path, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Write the key letter, to be stamped and published."""
    office = Office.open(Settings())
    try:
        pdf = key_letter(office)
        keep_letter(office)
    finally:
        office.close()
    # "x": a letter that was stamped and published is not overwritten.
    with file.open("xb") as paper:
        paper.write(pdf)
    say_done(f"公钥公告 key letter: {file}", as_json=as_json, letter=str(file))


@app.register_command()
def page(
    file: Annotated[Path, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Write the page that verifies bundles in a browser."""
    with file.open("xb") as target:
        target.write(build_page())
    text = f"核验页 page: {file}\nSHA-256: {format_fingerprint(page_digest())}"
    say_done(text, as_json=as_json, page=str(file), sha256=page_digest())


def _print_key(keys: list[ShownKey], origin: str) -> None:
    for key in keys:
        mark = "" if key.since is not None else "  未登记,不予采信 NOT ENROLLED, not trusted"
        ended = f"  至 until {key.until:%Y-%m-%d}" if key.until is not None else ""
        OUT.print(f"  {key.use_zh} {key.use}  {key.name}{ended}{mark}", markup=False)
        OUT.print(f"    {key.grouped_fingerprint}", markup=False, soft_wrap=True)
    OUT.print(f"  日志名称 log origin  {origin}", markup=False)
