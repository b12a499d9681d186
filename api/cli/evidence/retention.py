"""`liuhen retention explain|due|review|certificate` and `liuhen hold list`.

They read and decide nothing. A day is the county's, and means its end: what is due on 1 March is
what may go before that day is over. A future day is judged by today's links and holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from api.cli.help import Commands, Json
from api.cli.terminal import ERR, OUT, say_done, say_json, show_tally
from api.office.printed.certificates import print_certificate, read_signed_certificate
from api.office.settings.settings import Settings
from api.office.wiring import Office
from policies.facts.facts_json import to_plain
from policies.facts.terms import HOLD_EN, HOLD_ZH, HoldReason
from policies.retention import holds as policy
from policies.retention.retention import (
    Reason,
    Retention,
    add_days,
    judge_retention,
    until_en,
    until_zh,
)
from policies.rules.rules import Rulebook
from policies.time.wording import COUNTY_TIME, day_and_clock
from storage.catalogue.holds import holds
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import classification, dispositions, retention
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import View
from storage.digest import Digest
from storage.upkeep.destruction import store_of

app = Commands(no_args_is_help=True)
holds_app = Commands(no_args_is_help=True)

Day = Annotated[datetime | None, typer.Option("--at", formats=["%Y-%m-%d"], metavar="DAY")]
Township = Annotated[str | None, typer.Option()]


@app.register_command(name="explain")
def explain_recording(
    recording: Annotated[str, typer.Argument(metavar="ID")],
    *,
    at: Day = None,
    json: Json = False,
) -> None:
    """Say what keeps a recording, and until when."""
    office = Office.open(Settings())
    try:
        moment = _parse_moment(office, at)
        with office.catalogue.read() as session:
            row = recordings.get_present_recording(session, recording)
            facts = retention.kept_facts(session, office.rulebook, [row.id], moment)[row.id]
        # The store is asked too, for one recording: a lock that outlives its promise keeps as well.
        store = store_of(office.objects, row.id)
    finally:
        office.close()
    explanation = judge_retention(
        office.rulebook, replace(facts, locked=store.locked, store_held=store.on_hold), moment
    )
    if json:
        say_json(_retention_json(explanation, moment))
        return
    _print_retention(explanation, moment, explanation.reasons)
    keeps = bool(explanation.reasons_at(moment))
    verdict = "须继续保管 must be kept" if keeps else "没有保管理由 nothing keeps it"
    OUT.print(f"截至 at {day_and_clock(moment)}:{verdict}", markup=False)


@app.register_command()
def due(*, at: Day = None, township: Township = None, json: Json = False) -> None:
    """List what would be destroyed, and why."""
    office = Office.open(Settings())
    destroyable = retained = size = 0
    try:
        moment = _parse_moment(office, at)
        with office.catalogue.read() as session, show_tally("核对 looking") as step:
            for row, explanation in _iterate_ended(session, office.rulebook, moment, township):
                keepers = explanation.reasons_at(moment)
                destroyable, retained = destroyable + (not keepers), retained + bool(keepers)
                size += 0 if keepers else row.size
                if json:
                    say_json(
                        _retention_json(explanation, moment)
                        | {"township": row.township, "size": row.size}
                    )
                else:
                    _print_retention(explanation, moment, keepers or explanation.reasons)
                step()
    finally:
        office.close()
    if not json:
        until = day_and_clock(moment)
        OUT.print(
            f"截至 at {until}:可以提请销毁 {destroyable} 份({size:,} 字节),"
            f"期满仍须保管 {retained} 份。"
            f" {destroyable} may be destroyed, {retained} must be kept longer.",
            markup=False,
        )


@app.register_command()
def review(*, json: Json = False) -> None:
    """List what is kept for longer than today's rules ask."""
    office = Office.open(Settings())
    count = 0
    try:
        now = office.clock()
        with office.catalogue.read() as session:
            for facts in classification.list_reviewable(session, office.rulebook, now):
                count += 1
                minimum = judge_retention(
                    office.rulebook, facts.judged_from(now), now
                ).required_until
                promised = facts.promised or minimum
                if json:
                    record = {"recording": facts.recording, "promised": promised, "asked": minimum}
                    say_json(to_plain(record))
                    continue
                OUT.print(facts.recording, markup=False)
                OUT.print(
                    f"    已确定 {until_zh(promised)},现行规则 {until_zh(minimum)}", markup=False
                )
                OUT.print(f"    promised {until_en(promised)}, asked {until_en(minimum)}")
    finally:
        office.close()
    if not json:
        OUT.print(f"共 {count} 份;缩短须经两人重新分类。 {count}; to shorten takes two persons.")


@app.register_command()
def certificate(
    disposition: Annotated[str, typer.Argument()],
    out: Annotated[Path, typer.Option()],
    document: Annotated[Path | None, typer.Option("--signed")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a destruction certificate as a PDF; no file is ever overwritten."""
    office = Office.open(Settings())
    try:
        original = read_signed_certificate(office, disposition)
        printed = print_certificate(office, original)
    finally:
        office.close()
    # Both are made before either is written: a certificate that does not verify leaves no file.
    for path, content in ((out, printed), (document, original)):
        if path is not None:
            _write_new_file(path, content)
    digest = str(Digest.compute(original))
    message = f"已写出 written: {out}\n已签名原件 signed: {digest}"
    say_done(message, as_json=as_json, written=str(out), signed=digest)


@holds_app.register_command(name="list")
def list_holds(*, json: Json = False) -> None:
    """List the holds that stand, newest first."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            for row in holds.list_active_holds(session):
                authority, reached = (
                    holds.authority_of(row),
                    len(holds.list_recordings_of_hold(session, row)),
                )
                named = ("recording_id", "action_id", "case_id", "party")
                on = {name.removesuffix("_id"): getattr(row, name) for name in named}
                lies = next((f"{name}:{target}" for name, target in on.items() if target), "")
                if json:
                    record = {
                        "hold": row.id,
                        "on": lies,
                        "township": row.township,
                        "reason": row.reason,
                        "authority": authority,
                        "placed_at": to_plain(row.placed_at),
                        "reaches": reached,
                    }
                    say_json(record)
                    continue
                why = HoldReason(row.reason)
                OUT.print(
                    f"{row.id}  {day_and_clock(row.placed_at)}  {HOLD_ZH[why]} {HOLD_EN[why]}  "
                    f"{policy.authority_zh(authority)}  {lies}  {reached} 份",
                    markup=False,
                )
    finally:
        office.close()


def _parse_moment(office: Office, day: datetime | None) -> datetime:
    """Return the end of a day in the county; without one, now."""
    # add_days, for the last day of the calendar has no day after it.
    return office.clock() if day is None else add_days(day.replace(tzinfo=COUNTY_TIME), 1)


def _iterate_ended(
    session: View, rulebook: Rulebook, at: datetime, township: str | None
) -> Iterator[tuple[RecordingRow, Retention]]:
    """Yield recordings whose promised retention ended by `at`, earliest first, with the reasons."""
    after = None
    while page := retention.list_due_recordings(session, at, after=after, township=township):
        explanations = retention.explain_retention(session, rulebook, [row.id for row in page], at)
        yield from ((row, explanations[row.id]) for row in page)
        # By place, not by number: rows that change meanwhile move nothing else.
        after = (page[-1].retain_until, page[-1].id)


def _retention_json(explanation: Retention, at: datetime) -> dict[str, Any]:
    reasons = zip(
        dispositions.reasons_to_json(explanation.reasons), explanation.reasons, strict=True
    )
    return {
        "recording": explanation.recording,
        "at": to_plain(at),
        "kept": bool(explanation.reasons_at(at)),
        "until": to_plain(explanation.until),
        "reasons": [entry | {"keeps": reason.keeps_at(at)} for entry, reason in reasons],
    }


def _print_retention(explanation: Retention, at: datetime, reasons: Sequence[Reason]) -> None:
    """Print a recording and its retention reasons: ● still in force, ○ ended."""
    keeps = bool(explanation.reasons_at(at))
    colour, word = ("yellow", "须保管 kept") if keeps else ("red", "可销毁 may be destroyed")
    OUT.print(f"[{colour}]{word}[/{colour}] {escape(explanation.recording)}")
    for reason in reasons:
        mark, rule = "●" if reason.keeps_at(at) else "○", f" [{reason.rule} {reason.version}]"
        OUT.print(f"  {mark} {reason.zh}{rule if reason.rule else ''}", markup=False)
        OUT.print(f"    {reason.en}", markup=False)


def _write_new_file(path: Path, content: bytes) -> None:
    """Write a new file; leave with status 2 where it exists or its folder does not."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        ERR.print(f"无法写出 cannot write {path}: {error.strerror}", markup=False)
        raise typer.Exit(2) from error
