"""`liuhen checks draw|list|repeat|enter` and `liuhen evaluate`: random checks, the year."""

from typing import Annotated

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office.reports.annual_evaluation import evaluate_township
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from policies.facts.facts_json import to_plain
from policies.identifiers import SYSTEM
from policies.time.wording import COUNTY_TIME, format_percent
from storage.catalogue.oversight import random_checks
from storage.catalogue.people import people, register

app = Commands(no_args_is_help=True)


@app.register_command()
def draw(
    seed: Annotated[str, typer.Option()],
    purpose: Annotated[str, typer.Option()],
    *,
    count: Annotated[int, typer.Option(min=1)] = 10,
    township: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Draw recordings and inspectors."""
    office = Office.open(Settings())
    try:
        with office.catalogue.write() as uow:
            row = random_checks.draw_recordings(
                uow,
                seed=seed,
                purpose=purpose,
                count=count,
                inspectors=random_checks.possible_inspectors(uow.session),
                township=township,
                actor=SYSTEM,
            )
        with office.catalogue.read() as session:
            if as_json:
                say_json(
                    {
                        "draw": row.id,
                        "purpose": row.purpose,
                        "population": len(row.population),
                        "drawn": [list(pick) for pick in row.drawn],
                    }
                )
                return
            OUT.print(f"抽查 draw {row.id}:共 {len(row.population)} 件,抽取 {len(row.drawn)} 件")
            for recording, inspectors in row.drawn:
                names = "、".join(
                    people.get_person(session, inspector).name for inspector in inspectors
                )
                OUT.print(f"  {recording}  {names or '无人可派 nobody left'}", markup=False)
    finally:
        office.close()


@app.register_command(name="list")
def list_draws(*, as_json: Json = False) -> None:
    """List the draws."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            for row in random_checks.list_draws(session):
                of = f"{len(row.drawn)}/{len(row.population)}"
                say_done(
                    f"{row.id}  {row.purpose}  {of}",
                    as_json=as_json,
                    draw=row.id,
                    purpose=row.purpose,
                    drawn=len(row.drawn),
                    population=len(row.population),
                )
    finally:
        office.close()


@app.register_command()
def repeat(
    draw_id: Annotated[str, typer.Argument()],
    *,
    as_json: Json = False,
) -> None:
    """Repeat a draw; exit status 1 if it differs."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            row = random_checks.the_draw(session, draw_id)
            same = random_checks.is_reproducible(row)
    finally:
        office.close()
    message = "结果相同 the same" if same else "结果不同 different"
    say_done(message, as_json=as_json, draw=draw_id, same=same)
    if not same:
        raise typer.Exit(1)


@app.register_command()
def enter(
    draw_id: Annotated[str, typer.Argument()],
    recording: Annotated[str, typer.Argument()],
    number: Annotated[str, typer.Argument()],
    *,
    good: Annotated[bool, typer.Option("--good/--bad")],
    note: Annotated[str, typer.Option()] = "",
    as_json: Json = False,
) -> None:
    """Enter what a drawn inspector found."""
    office = Office.open(Settings())
    try:
        with office.catalogue.write() as uow:
            certificate_row = register.find_certificate(uow.session, number)
            if certificate_row is None:
                raise ApiError("not-found", what="certificate", id=number[:80])
            random_checks.record_check(
                uow,
                draw_id,
                recording,
                certificate_row.person_id,
                good=good,
                note=note,
                actor=SYSTEM,
            )
    finally:
        office.close()
    say_done("已登记 entered", as_json=as_json, draw=draw_id, recording=recording, good=good)


def evaluate(
    township: Annotated[str | None, typer.Option()] = None,
    year: Annotated[int | None, typer.Option()] = None,
    *,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Print a year's figures, never with any money in them."""
    settings = Settings()
    office = Office.open(settings)
    try:
        now = office.clock()
        of = year or now.astimezone(COUNTY_TIME).year
        with office.catalogue.read() as session:
            year_figures = evaluate_township(
                session, office.rulebook, township or settings.township, of, now
            )
    finally:
        office.close()
    for figure in year_figures.figures:
        if json:
            figure_json = {"key": figure.key, "value": figure.quantity, "of": figure.of}
            say_json(to_plain(figure_json | {"share": figure.share}))
        else:
            share = format_percent(figure.share) if figure.share is not None else "-"
            OUT.print(f"{share:>7}  {figure.zh}  {figure.en}  {figure.article}", markup=False)
