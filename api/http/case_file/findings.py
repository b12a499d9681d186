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


def present_finding(rule_finding: Finding) -> ExplainedOut:
    """Return one finding with everything that explains it."""
    by = [Approver(approver) for approver in rule_finding.waivable_by]
    return ExplainedOut(
        subject=rule_finding.subject,
        rule=rule_finding.rule,
        version=rule_finding.version,
        title_zh=rule_finding.title_zh,
        title_en=rule_finding.title_en,
        article_zh=rule_finding.basis.zh,
        article_en=rule_finding.basis.en,
        quote=rule_finding.basis.quote,
        severity=rule_finding.severity.value,
        passed=rule_finding.passed,
        blocks=rule_finding.blocks,
        zh=rule_finding.message_zh,
        en=rule_finding.message_en,
        facts=dict(rule_finding.to_json()["facts"]),
        mend_zh=rule_finding.mend_zh,
        mend_en=rule_finding.mend_en,
        waivable_by_zh=[APPROVER_ZH[approver] for approver in by],
        waivable_by_en=[APPROVER_EN[approver] for approver in by],
        waived=rule_finding.to_json()["waived"],
        waiver_refused=OBJECTION_ZH.get(rule_finding.waiver_refused, rule_finding.waiver_refused),
    )


def present_moves(session: View, row: CaseRow, rulebook: Rulebook, at: datetime) -> list[MoveOut]:
    """Return every stage that a case could go to, and whether it may go there now."""
    order = list(Stage)
    possible_moves = []
    back = Stage(row.returns_to) if row.returns_to else None
    for stage in sorted(next_stages(Stage(row.stage), back), key=order.index):
        move = cases.judge_move(session, row, stage, rulebook, at)
        possible_moves.append(
            MoveOut(
                stage=stage,
                stage_zh=STAGE_ZH[stage],
                allowed=move.allowed,
                reason=move.reason,
                open_actions=list(move.open_actions),
                findings=[rule_finding.to_json() for rule_finding in move.verdict.findings],
            )
        )
    return possible_moves


def present_explanation(
    session: View, row: CaseRow, rulebook: Rulebook, at: datetime
) -> ExplanationOut:
    """Explain why a case may, or may not, go on from where it stands.

    It says so where the county has no edition of its own, so that only national rules were asked.
    """
    stage = Stage(row.stage)
    findings_by_rule: dict[tuple[str, str], Finding] = {}
    # Each move asks the rules on the case and its actions anew, so that most findings come once for
    # each target: one for each subject and rule is shown.
    for target in next_stages(stage, Stage(row.returns_to) if row.returns_to else None):
        for rule_finding in cases.judge_move(session, row, target, rulebook, at).verdict.findings:
            findings_by_rule.setdefault((rule_finding.subject, rule_finding.rule), rule_finding)
    findings_in_order = sorted(
        findings_by_rule.values(), key=lambda entry: (not entry.blocks, entry.passed, entry.rule)
    )
    possible = present_moves(session, row, rulebook, at)
    area = rulebook.without_edition
    notes = [national_rules_only(area)] if area else []
    return ExplanationOut(
        case=row.id,
        number=row.number,
        stage=stage,
        stage_zh=STAGE_ZH[stage],
        moves=possible,
        findings=[present_finding(entry) for entry in findings_in_order],
        zh=[*(_move_zh(move) for move in possible), *(zh for zh, _en in notes)],
        en=[*(_move_en(move) for move in possible), *(en for _zh, en in notes)],
    )


def explanation_lines(session: View, case_explanation: ExplanationOut) -> list[str]:
    """Return an explanation as lines of text, Chinese first."""
    stage = f"{case_explanation.stage_zh} {case_explanation.stage.value}"
    text = [f"{case_explanation.number} 现处环节 stage: {stage}"]
    for zh, en in zip(case_explanation.zh, case_explanation.en, strict=True):
        text += [f"  {zh}", f"    {en}"]
    for entry in case_explanation.findings:
        text += ["", *_finding_lines(session, entry)]
    return text


def _finding_lines(session: View, entry: ExplainedOut) -> list[str]:
    mark = "✓" if entry.passed else "○" if entry.waived else "✗"
    severity = SEVERITY_ZH[Severity(entry.severity)]
    text = [
        f"{mark} {entry.rule}({entry.version}) {entry.title_zh} [{severity} {entry.severity}]",
        f"  {entry.title_en}",
        f"  依据 basis: {entry.article_zh} “{entry.quote}”",
        f"  结论 finding: {entry.zh}",
        f"    {entry.en}",
    ]
    if entry.facts:
        text.append(f"  所见事实 facts: {_format_facts(entry.facts)}")
    if not entry.passed:
        text += [f"  如何补正 mend: {entry.mend_zh}", f"    {entry.mend_en}"]
        who_zh, who_en = "、".join(entry.waivable_by_zh), "; ".join(entry.waivable_by_en)
        approvers = f"{who_zh or '不适用'} {who_en or 'nobody'}"
        text.append(f"  情况说明审批人 may be waived by: {approvers}")
    if entry.waived:
        reason = WAIVER_ZH[WaiverReason(entry.waived["reason"])]
        name = people.get_person(session, entry.waived["approved_by"]).name
        text.append(f"  已有经批准的情况说明 waived: {reason},批准人 {name}")
    if entry.waiver_refused:
        text.append(f"  情况说明不成立 the explanation does not count: {entry.waiver_refused}")
    return text


def _format_facts(facts: dict[str, Any]) -> str:
    # Compared with empty lists and tables alone: a 0 is a fact.
    return "; ".join(f"{name}={fact}" for name, fact in facts.items() if fact not in ([], {}))


def _move_zh(move: MoveOut) -> str:
    if move.allowed:
        return f"可以转入“{move.stage_zh}”。"
    count = len(_blocking_findings(move))
    why = f"有 {count} 项阻断" if move.reason == "gate" else REASON_ZH.get(move.reason or "", "")
    return f"不能转入“{move.stage_zh}”:{why}。"


def _move_en(move: MoveOut) -> str:
    if move.allowed:
        return f"May go on to {move.stage.value}."
    rules = ", ".join(entry["rule"] for entry in _blocking_findings(move))
    return f"May not go to {move.stage.value}: {move.reason}{f' ({rules})' if rules else ''}."


def _blocking_findings(move: MoveOut) -> list[dict[str, Any]]:
    # Asked of the JSON as `Finding.blocks` asks of the finding: what screens count must be what the
    # gate counts.
    return [
        entry
        for entry in move.findings
        if not entry["passed"] and entry["severity"] == "blocks" and entry["waived"] is None
    ]
