"""`liuhen verify BUNDLE` and `liuhen verify --all`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from api.cli.terminal import ERR, OUT, say_json, show_byte_bar
from api.office.evidence.bundle_archive import open_bundle
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.settings.settings import Settings
from api.office.wiring import Office
from storage.bundle.keys import UNREADABLE, Anchors
from storage.bundle.verify import verify as verify_bundle
from storage.signed.fingerprint import read_fingerprint


def verify(
    bundle: Annotated[Path | None, typer.Argument()] = None,
    *,
    everything: Annotated[bool, typer.Option("--all")] = False,
    keys: Annotated[Path | None, typer.Option()] = None,
    fingerprint: Annotated[list[str] | None, typer.Option()] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Verify a bundle offline, or everything that is kept here.

    Exit status: 0 verified, 3 self-consistent with unknown keys, 1 not verified.
    """
    # Either a bundle or everything; and keys by one way, so that it is clear whose word was taken.
    if everything == (bundle is not None) or (keys is not None and fingerprint):
        ERR.print(
            "请给出证据包(可加 --keys 或 --fingerprint),或者 --all。 Name a bundle, or --all."
        )
        raise typer.Exit(2)
    if bundle is not None:
        _verify_bundle(bundle, _read_anchors(keys, fingerprint or []), json=json)
    _verify_everything(json=json)


def _read_anchors(folder: Path | None, fingerprints: list[str]) -> Anchors | None:
    """Return the keys that the reader names; else those of the office whose home this is."""
    try:
        if folder is not None:
            return Anchors.of_folder(folder)
        if fingerprints:
            return Anchors.of_fingerprints(map(read_fingerprint, fingerprints))
    except UNREADABLE as error:
        ERR.print(f"公钥无法读取 these are no public keys: {escape(str(error)[:200])}")
        raise typer.Exit(2) from error
    try:
        # Found, not named by the reader: the report says which of both it was.
        return Anchors.of_folder(Settings().keys, named=False)
    except UNREADABLE:
        return None  # no office here: only a reader


def _verify_bundle(bundle: Path, anchors: Anchors | None, *, json: bool) -> None:
    with open_bundle(bundle) as contents:
        report = verify_bundle(contents.folder, anchors, contents.beside)
    if json:
        say_json(report.to_json())
    else:
        for line in report.format_lines():
            OUT.print(line, markup=False)
    # Three statuses: "self-consistent under unknown keys" must be no success to a script.
    raise typer.Exit(report.status)


def _verify_everything(*, json: bool) -> None:
    office = Office.open(Settings())
    total = 0
    try:
        with show_byte_bar("核验 verifying") as progress:

            def add_to_total(recording: str, size: int) -> None:
                nonlocal total
                total += 1
                progress(recording, size)

            wrong = list(whole_check(office, add_to_total))
        leftovers = list_orphans(office)
    finally:
        office.close()
    if json:
        failures = [failure.to_json() for failure in wrong]
        say_json(
            {"verified": not wrong, "recordings": total, "wrong": failures, "orphans": leftovers}
        )
        raise typer.Exit(1 if wrong else 0)
    for failure in wrong:
        OUT.print(f"[red]✗[/red] {escape(failure.zh)}\n    {escape(failure.en)}")
    for key in leftovers:
        OUT.print(f"[yellow]·[/yellow] 未完成的采集残留 left by an interrupted attempt: {key}")
    if wrong:
        OUT.print(f"结论:发现 {len(wrong)} 个问题! {len(wrong)} problem(s) found.")
        raise typer.Exit(1)
    OUT.print(f"结论:{total} 份全部完好,日志一致。 All {total} whole; the log agrees.")
    raise typer.Exit(0)
