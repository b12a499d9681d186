"""`liuhen rules check|explain|new`: read the rulebook, explain by it, begin a county's own."""

from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.help import Commands, Json
from api.office.reports.county_rulebook import begin_edition
from api.office.settings.settings import Settings
from api.office.system import clock
from policies.facts.findings import Severity
from policies.facts.terms import APPROVER_ZH, WAIVER_ZH, Approver, WaiverReason
from policies.rules.rulebook import SHIPPED, load_rulebook, read_rulebook
from policies.rules.rulebook import explain_rule as explained
from policies.time.wording import COUNTY_TIME, national_rules_only

app = Commands(no_args_is_help=True)
_SEVERITY = {
    Severity.BLOCKS: "阻断 blocks",
    Severity.WARNS: "警示 warns",
    Severity.INFORMS: "提示 informs",
}


@app.register_command()
def check(
    folder: Annotated[Path | None, typer.Argument()] = None,
    area: Annotated[str | None, typer.Option()] = None,
    *,
    as_json: Json = False,
) -> None:
    """Read every rule; the first mistake is named with file and line."""
    settings = Settings()
    # A folder that is named may be another county's: it is checked for itself.
    known_area = area or (settings.county or None if folder is None else None)
    # One file may be part of a rulebook; a folder is the whole of one.
    load = read_rulebook if folder is not None and folder.is_file() else load_rulebook
    book = load(folder or settings.rulebook or SHIPPED, known_area)
    count = len(book.rules)
    without = book.without_edition
    if as_json:
        record = {
            "valid": True,
            "rules": count,
            "area": known_area,
            "national_only": without is not None,
        }
        typer.echo(dumps(record, ensure_ascii=False))
        return
    typer.echo(f"规则库有效,共 {count} 条规则。 {count} rules, all valid.")
    if without:
        typer.echo("\n".join(national_rules_only(without)))
        typer.echo(f"加入本县规则 to add the county's: liuhen rules new {without}")


@app.register_command()
def new(
    county: Annotated[str, typer.Argument()],
    out: Annotated[Path | None, typer.Option()] = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a template of a county's own edition of the rulebook."""
    settings = Settings()
    place = out or settings.rulebook or settings.home / "rulebook"
    written = begin_edition(county, place, clock().astimezone(COUNTY_TIME).date())
    if as_json:
        files = {"file": str(written.file), "national": str(written.national)}
        typer.echo(dumps(files | {"rulebook": str(written.folder)}, ensure_ascii=False))
        return
    typer.echo("\n".join(written.list_next_steps(settings.rulebook)))


@app.register_command()
def explain(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Explain a rule, or a case."""
    settings = Settings()
    book = load_rulebook(settings.rulebook or SHIPPED, settings.county or None)
    if name is None:
        for rule in book.rules:
            named = {"id": rule.id, "title_zh": rule.title_zh, "basis_zh": rule.basis.zh}
            typer.echo(dumps(named, ensure_ascii=False) if json else "  ".join(named.values()))
        return
    explanation = explained(book, name)
    if explanation is None:
        from api.cli.rules.explain_case import explain_case  # noqa: PLC0415 - rules need no office

        explain_case(settings, name, as_json=json)
        return
    output = dumps(explanation, ensure_ascii=False) if json else "\n".join(_rule_lines(explanation))
    typer.echo(output)


def _rule_lines(explanation: Mapping[str, Any]) -> list[str]:
    basis, effective = explanation["basis"], explanation["effective"]
    lines = [
        f"{explanation['id']}({explanation['version']})",
        f"  {explanation['title']['zh']} / {explanation['title']['en']}",
        f"  依据 basis: 《{basis['document']}》{basis['article']}"
        + ("" if basis["confirmed"] else "(条文待核 not confirmed)"),
        f"    “{basis['quote']}”",
        f"  对象 looks at: {explanation['scope']}",
        f"  适用 when: {explanation['when'] or '全部 all'}",
        f"  效力 severity: {_SEVERITY[Severity(explanation['severity'])]}",
        f"  施行 effective: {effective['from']} 至 {effective['to'] or '今 now'}",
        f"  要求 requirement: {explanation['requirement']}",
    ]
    lines += [f"    {name} = {parameter}" for name, parameter in explanation["parameters"].items()]
    if explanation["waivable_by"]:
        names = "、".join(
            APPROVER_ZH[Approver(approver)] for approver in explanation["waivable_by"]
        )
        reasons = "、".join(
            WAIVER_ZH[WaiverReason(reason)] for reason in explanation["waivable_for"]
        )
        lines += [
            f"  情况说明审批人 waivable by: {names}",
            f"  可用理由 for: {reasons or '不限 any'}",
            f"  提交期限 within: {explanation['until_days'] or '不限 any'} 天 days",
        ]
    return lines
