"""`liuhen rules check|explain`: read the rulebook as a person does."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import OUT, say_json
from api.problems import ApiError
from api.settings import Settings
from policies.findings import Severity
from policies.rulebook import SHIPPED, load
from policies.rulebook import explain as explained
from policies.stages import ACTION_ZH

app = typer.Typer(no_args_is_help=True)
_SEVERITY = {
    Severity.BLOCKS: "阻断 blocks",
    Severity.WARNS: "警示 warns",
    Severity.INFORMS: "提示 informs",
}


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="规则目录")] = None,
) -> None:
    """检查规则库。 Read every rule; the first mistake is named with file and line."""
    book = load(folder or Settings().rulebook or SHIPPED)
    OUT.print(f"规则库有效,共 {len(book.rules)} 条规则。 {len(book.rules)} rules, all valid.")


@app.command()
def explain(
    rule: Annotated[str | None, typer.Argument(help="规则编号;不写则列出全部")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
) -> None:
    """解释规则及其依据。 Explain one rule, or list them all."""
    book = load(Settings().rulebook or SHIPPED)
    if rule is None:
        for one in book.rules:
            OUT.print(f"{one.id}  {one.title_zh}  {one.basis.zh}", markup=False)
        return
    told = explained(book, rule)
    if told is None:
        raise ApiError("not-found", what="rule", id=rule[:80])
    if json:
        say_json(told)
        return
    kinds = "、".join(ACTION_ZH.get(kind, kind) for kind in told["applies_to"])
    basis = told["basis"]
    effective = told["effective"]
    lines = [
        f"{told['id']}({told['version']})",
        f"  {told['title']['zh']} / {told['title']['en']}",
        f"  依据 basis: 《{basis['document']}》{basis['article']}"
        + ("" if basis["confirmed"] else "(条文待核 not confirmed)"),
        f"    “{basis['quote']}”",
        f"  适用 applies to: {kinds.replace('*', '全部 all')}",
        f"  效力 severity: {_SEVERITY[Severity(told['severity'])]}",
        f"  施行 effective: {effective['from']} 至 {effective['to'] or '今 now'}",
        f"  要求 requirement: {told['requirement']}",
    ]
    lines += [f"    {name} = {value}" for name, value in told["parameters"].items()]
    if told["waivable_by"]:
        lines.append(f"  情况说明审批人 waivable by: {told['waivable_by']}")
    OUT.print("\n".join(lines), markup=False)
