"""The evidence list (证据清单): one self-contained page, Chinese first, made to be printed.

It is a function of what stands in the bundle beside it, so a verifier can make it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from policies.facts.facts import ActionFacts
from policies.facts.findings import Basis, found_later
from policies.facts.stages import ACTION_ZH
from policies.facts.states import ActionStatus
from policies.facts.terms import WAIVER_ZH, WaiverReason
from policies.time.wording import day_and_clock, interval_zh, length_zh

_STYLE = """
@page { size: A4; margin: 16mm }
body { font: 14px/1.6 "Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei",sans-serif;
  color: #1a1a1a; max-width: 1000px; margin: 2em auto; padding: 0 1em }
h1 { text-align: center; letter-spacing: .3em; margin-bottom: .2em }
h1 small { display: block; letter-spacing: 0; font-size: .45em; font-weight: normal; color: #555 }
table { border-collapse: collapse; width: 100%; margin: .6em 0 1.4em }
th, td { border: 1px solid #888; padding: .35em .5em; text-align: left; vertical-align: top }
th { background: #f1f1ee; font-weight: 600; white-space: nowrap }
code { font: 12px/1.4 ui-monospace, monospace; word-break: break-all }
.no { color: #a40000; font-weight: 600 } .yes { color: #11621f; font-weight: 600 }
tr { page-break-inside: avoid }
"""


@dataclass(frozen=True, slots=True)
class JudgedAction:
    """One action as it was judged, and as the rules see it at the export where that differs.

    `facts.json`, `findings.json` and `later.json` of the bundle.
    """

    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    later: Mapping[str, Any] | None


def evidence_list(
    case: Mapping[str, Any], listing: Mapping[str, Any], actions: Mapping[str, JudgedAction]
) -> str:
    """Return the page as HTML. Everything from outside is escaped; nothing is loaded.

    `case` is `case.json`, `told` is `evidence-list.json`; `actions` are by id, in order.
    """
    head = _render_table(
        [
            ("案号 Case", case["number"]),
            ("案由 Title", case["title"]),
            ("当事人 Party", case["party"]),
            ("办案单位 Township", case["township"]),
            ("导出时间 Made at", _format_time(listing["made_at"])),
            ("导出人 Made by", listing["made_by"]),
            ("监管链日志 Log entries", str(listing["entries"])),
        ]
    )
    tables = "".join(
        _render_action(action, listing["actions"][name]) for name, action in actions.items()
    )
    recordings = listing["recordings"]
    rows = "".join(_render_recording(n, recording) for n, recording in enumerate(recordings, 1))
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        f"<title>证据清单 {escape(str(case['number']))}</title><style>{_STYLE}</style></head><body>"
        f"<h1>证据清单<small>Evidence list</small></h1>{head}"
        f"<h2>录音录像 Recordings({len(recordings)})</h2>"
        "<table><thead><tr><th>序号</th><th>文件与来源 File, source</th><th>时间 Time</th>"
        "<th>执法人员 Officer</th><th>SHA-256(原件 original)</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        f"<h2>执法活动与检查结论 Actions and findings</h2>{tables}"
        "<p>核验方法见 VERIFY.md,不需要本系统软件。"
        "How to verify, without our software: VERIFY.md.</p></body></html>\n"
    )


def _render_recording(number: int, about: Mapping[str, Any]) -> str:
    start = _format_time(about["start_at"])
    length = about["duration_s"]
    file = f"{escape(about['name'])}<br>{escape(about['source'])}<br>"
    parts = [
        str(number),
        f"{file}<code>{escape(about['recording'])}</code>",
        f"{start}<br>{length_zh(length) if length is not None else '时长未知'}",
        escape(about["officer"] or "未知"),
        f"<code>{escape(about['sha256'])}</code><br>{about['size']:,} 字节",
    ]
    return "<tr>" + "".join(f"<td>{part}</td>" for part in parts) + "</tr>"


def _render_action(action: JudgedAction, about: Mapping[str, Any]) -> str:
    facts = ActionFacts.from_json(action.facts)
    when = interval_zh(facts.span) if facts.span else f"{day_and_clock(facts.start)} 起"
    rows = [
        ("执法活动 Action", f"{ACTION_ZH[facts.kind]} {about['place']}"),
        ("时间 Time", when),
        ("执法人员 Officers", "、".join(about["officers"])),
        (
            "状态 Status",
            "已办结 closed" if about["status"] == ActionStatus.CLOSED else "未办结 open",
        ),
        ("判断时间 Judged at", _format_time(about["judged_at"])),
    ]
    findings = "".join(_render_finding(finding) for finding in action.verdict["findings"])
    exhibits = "".join(_render_exhibit(exhibit) for exhibit in about["exhibits"])
    return (
        f"{_render_table(rows)}<table><thead><tr><th>结论</th><th>规则与依据 Rule</th>"
        f"<th>说明 Finding</th></tr></thead><tbody>{findings}</tbody></table>"
        f"{_render_later(action)}"
        "<table><thead><tr><th>证据 Exhibit</th><th>所示时间段 Interval shown</th>"
        f"<th>关联方式</th></tr></thead><tbody>{exhibits}</tbody></table>"
    )


def _render_later(action: JudgedAction) -> str:
    """Return the table of later findings: beside the verdict, never in its place."""
    if action.later is None:
        return ""
    findings = found_later(action.verdict, action.later["verdict"])
    rows = "".join(_render_finding(finding) for finding in findings)
    return (
        "<table><thead><tr><th>后来发现</th><th>规则与依据 Rule</th>"
        "<th>导出时的情况,不改变上面的结论 Found later; the verdict above stands</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _render_finding(finding: Mapping[str, Any]) -> str:
    """Return a row; an explanation that was approved stands beside the finding, never for it."""
    message = f"{escape(finding['message_zh'])}<br>{escape(finding['message_en'])}"
    if finding["waived"] is not None:
        reason = WAIVER_ZH[WaiverReason(finding["waived"]["reason"])]
        when = _format_time(finding["waived"]["approved_at"])
        message += f"<br><strong>经批准的情况说明 explained</strong>:{reason},{when}"
    mark, word = ("yes", "符合") if finding["passed"] else ("no", "不符合")
    return (
        f'<tr><td class="{mark}">{word}</td><td>{escape(finding["title_zh"])}<br>'
        f"{escape(Basis(**finding['basis']).zh)}</td><td>{message}</td></tr>"
    )


_HOW = {"officer-time": "按人员与时间提出,经人确认", "scene-code": "拍到场景码,自动关联"}


def _render_exhibit(exhibit: Mapping[str, Any]) -> str:
    how = _HOW.get(str(exhibit["how"]), "人工关联")
    return (
        f"<tr><td><code>{escape(str(exhibit['recording']))}</code></td>"
        f"<td>{_format_time(exhibit['shown_from'])} 至 {_format_time(exhibit['shown_to'])}</td>"
        f"<td>{how}</td></tr>"
    )


def _format_time(text: str | None) -> str:
    return day_and_clock(datetime.fromisoformat(text)) if text else "时间未知"


def _render_table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{a}</th><td>{escape(str(b))}</td></tr>" for a, b in rows)
    return f"<table><tbody>{body}</tbody></table>"
