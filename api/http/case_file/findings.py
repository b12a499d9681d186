"""Findings told to people: rule, article, facts seen, what would mend it, who can waive it.

One way for the command line, the API and the console, in Chinese and English; the same for "why
may this case go on".
"""

from datetime import datetime
from typing import Any

from api.http.case_file.schemas import ExplainedOut, ExplanationOut, MoveOut
from policies.facts.findings import Finding, Severity
from policies.facts.stages import STAGE_ZH, Stage, next_stages
from policies.facts.terms import APPROVER_EN, APPROVER_ZH, WAIVER_ZH, Approver, WaiverReason
from policies.facts.waivers import OBJECTION_ZH
from policies.rules.rules import Rulebook
from policies.time.wording import national_rules_only
from storage.catalogue.cases import cases
from storage.catalogue.people import people
from storage.catalogue.tables import CaseRow
from storage.catalogue.unit_of_work import View

SEVERITY_ZH = {Severity.BLOCKS: "阻断", Severity.WARNS: "警示", Severity.INFORMS: "提示"}
REASON_ZH = {
    "not-a-next-stage": "不是可以转入的环节",
    "open-actions": "还有未办结的执法活动",
    "gate": "有阻断性的检查结论",
}


def finding(found: Finding) -> ExplainedOut:
    """Return one finding with everything that explains it."""
    by = [Approver(one) for one in found.waivable_by]
    return ExplainedOut(
        subject=found.subject,
        rule=found.rule,
        version=found.version,
        title_zh=found.title_zh,
        title_en=found.title_en,
        article_zh=found.basis.zh,
        article_en=found.basis.en,
        quote=found.basis.quote,
        severity=found.severity.value,
        passed=found.passed,
        blocks=found.blocks,
        zh=found.message_zh,
        en=found.message_en,
        facts=dict(found.to_json()["facts"]),
        mend_zh=found.mend_zh,
        mend_en=found.mend_en,
        waivable_by_zh=[APPROVER_ZH[one] for one in by],
        waivable_by_en=[APPROVER_EN[one] for one in by],
        waived=found.to_json()["waived"],
        waiver_refused=OBJECTION_ZH.get(found.waiver_refused, found.waiver_refused),
    )


def moves(session: View, row: CaseRow, rulebook: Rulebook, at: datetime) -> list[MoveOut]:
    """Return every stage that a case could go to, and whether it may go there now."""
    order = list(Stage)
    found = []
    back = Stage(row.returns_to) if row.returns_to else None
    for stage in sorted(next_stages(Stage(row.stage), back), key=order.index):
        move = cases.judge_move(session, row, stage, rulebook, at)
        found.append(
            MoveOut(
                stage=stage,
                stage_zh=STAGE_ZH[stage],
                allowed=move.allowed,
                reason=move.reason,
                open_actions=list(move.open_actions),
                findings=[one.to_json() for one in move.verdict.findings],
            )
        )
    return found


def explanation(session: View, row: CaseRow, rulebook: Rulebook, at: datetime) -> ExplanationOut:
    """Explain why a case may, or may not, go on from where it stands.

    It says so where the county has no edition of its own, so that only national rules were asked.
    """
    stage = Stage(row.stage)
    seen: dict[tuple[str, str], Finding] = {}
    for target in next_stages(stage, Stage(row.returns_to) if row.returns_to else None):
        for one in cases.judge_move(session, row, target, rulebook, at).verdict.findings:
            seen.setdefault((one.subject, one.rule), one)
    told = sorted(seen.values(), key=lambda one: (not one.blocks, one.passed, one.rule))
    possible = moves(session, row, rulebook, at)
    area = rulebook.without_edition
    notes = [national_rules_only(area)] if area else []
    return ExplanationOut(
        case=row.id,
        number=row.number,
        stage=stage,
        stage_zh=STAGE_ZH[stage],
        moves=possible,
        findings=[finding(one) for one in told],
        zh=[*(_move_zh(one) for one in possible), *(zh for zh, _en in notes)],
        en=[*(_move_en(one) for one in possible), *(en for _zh, en in notes)],
    )


def lines(session: View, told: ExplanationOut) -> list[str]:
    """Return an explanation as lines of text, Chinese first."""
    text = [f"{told.number} 现处环节 stage: {told.stage_zh} {told.stage.value}"]
    for zh, en in zip(told.zh, told.en, strict=True):
        text += [f"  {zh}", f"    {en}"]
    for one in told.findings:
        text += ["", *_finding_lines(session, one)]
    return text


def _finding_lines(session: View, one: ExplainedOut) -> list[str]:
    mark = "✓" if one.passed else "○" if one.waived else "✗"
    severity = SEVERITY_ZH[Severity(one.severity)]
    text = [
        f"{mark} {one.rule}({one.version}) {one.title_zh} [{severity} {one.severity}]",
        f"  {one.title_en}",
        f"  依据 basis: {one.article_zh} “{one.quote}”",
        f"  结论 finding: {one.zh}",
        f"    {one.en}",
    ]
    if one.facts:
        text.append(f"  所见事实 facts: {_facts(one.facts)}")
    if not one.passed:
        text += [f"  如何补正 mend: {one.mend_zh}", f"    {one.mend_en}"]
        who_zh, who_en = "、".join(one.waivable_by_zh), "; ".join(one.waivable_by_en)
        told = f"{who_zh or '不适用'} {who_en or 'nobody'}"
        text.append(f"  情况说明审批人 may be waived by: {told}")
    if one.waived:
        reason = WAIVER_ZH[WaiverReason(one.waived["reason"])]
        name = people.person(session, one.waived["approved_by"]).name
        text.append(f"  已有经批准的情况说明 waived: {reason},批准人 {name}")
    if one.waiver_refused:
        text.append(f"  情况说明不成立 the explanation does not count: {one.waiver_refused}")
    return text


def _facts(facts: dict[str, Any]) -> str:
    return "; ".join(f"{name}={value}" for name, value in facts.items() if value not in ([], {}))


def _move_zh(one: MoveOut) -> str:
    if one.allowed:
        return f"可以转入“{one.stage_zh}”。"
    count = len(_blocking(one))
    why = f"有 {count} 项阻断" if one.reason == "gate" else REASON_ZH.get(one.reason or "", "")
    return f"不能转入“{one.stage_zh}”:{why}。"


def _move_en(one: MoveOut) -> str:
    if one.allowed:
        return f"May go on to {one.stage.value}."
    rules = ", ".join(found["rule"] for found in _blocking(one))
    return f"May not go to {one.stage.value}: {one.reason}{f' ({rules})' if rules else ''}."


def _blocking(one: MoveOut) -> list[dict[str, Any]]:
    return [
        found
        for found in one.findings
        if not found["passed"] and found["severity"] == "blocks" and found["waived"] is None
    ]
