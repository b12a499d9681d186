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
    seed: Annotated[str, typer.Option(help="事先公布的种子。 A seed published beforehand.")],
    purpose: Annotated[
        str, typer.Option(help="抽查名称,同一名称只抽一次。 The draw's name; each is drawn once.")
    ],
    *,
    count: Annotated[
        int, typer.Option(min=1, help="抽取录像数量。 How many recordings to draw.")
    ] = 10,
    township: Annotated[
        str | None, typer.Option(help="乡镇,默认全部。 Township; all by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """按公布的种子抽取录像和检查人员,任何人都能重算。 Draw recordings and inspectors."""
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
    """列出抽查。 List the draws."""
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
    draw_id: Annotated[str, typer.Argument(help="抽查编号。 The draw's id.")],
    *,
    as_json: Json = False,
) -> None:
    """重算一次抽查,看结果是否相同。 Repeat a draw; exit status 1 if it differs."""
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
    draw_id: Annotated[str, typer.Argument(help="抽查编号。 The draw's id.")],
    recording: Annotated[str, typer.Argument(help="录像编号。 The recording's id.")],
    number: Annotated[
        str, typer.Argument(help="检查人员执法证号。 The inspector's certificate number.")
    ],
    *,
    good: Annotated[bool, typer.Option("--good/--bad", help="合格或者不合格。 Passed or not.")],
    note: Annotated[str, typer.Option(help="说明。 Remark.")] = "",
    as_json: Json = False,
) -> None:
    """登记检查结果。 Enter what a drawn inspector found."""
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
    township: Annotated[
        str | None, typer.Option(help="乡镇,默认本单位。 Township; this office's by default.")
    ] = None,
    year: Annotated[
        int | None, typer.Option(help="年度,默认今年。 Year; this one by default.")
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="输出 JSON。 Print JSON.")] = False,
) -> None:
    """执法评议考核数据(不含任何罚没数额)。 A year's figures, never with any money in them."""
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
