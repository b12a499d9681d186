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
class Judged:
    """One action as it was judged, and as the rules see it at the export where that differs.

    `facts.json`, `findings.json` and `later.json` of the bundle.
    """

    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    later: Mapping[str, Any] | None


def evidence_list(
    case: Mapping[str, Any], told: Mapping[str, Any], actions: Mapping[str, Judged]
) -> str:
    """Return the page as HTML. Everything from outside is escaped; nothing is loaded.

    `case` is `case.json`, `told` is `evidence-list.json`; `actions` are by id, in order.
    """
    head = _table(
        [
            ("案号 Case", case["number"]),
            ("案由 Title", case["title"]),
            ("当事人 Party", case["party"]),
            ("办案单位 Township", case["township"]),
            ("导出时间 Made at", _time(told["made_at"])),
            ("导出人 Made by", told["made_by"]),
            ("监管链日志 Log entries", str(told["entries"])),
        ]
    )
    tables = "".join(_action(judged, told["actions"][name]) for name, judged in actions.items())
    recordings = told["recordings"]
    rows = "".join(_recording(n, item) for n, item in enumerate(recordings, 1))
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


def _recording(number: int, about: Mapping[str, Any]) -> str:
    start = _time(about["start_at"])
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


def _action(judged: Judged, about: Mapping[str, Any]) -> str:
    facts = ActionFacts.from_json(judged.facts)
    when = interval_zh(facts.span) if facts.span else f"{day_and_clock(facts.start)} 起"
    rows = [
        ("执法活动 Action", f"{ACTION_ZH[facts.kind]} {about['place']}"),
        ("时间 Time", when),
        ("执法人员 Officers", "、".join(about["officers"])),
        ("状态 Status", "已办结 closed" if about["status"] == "closed" else "未办结 open"),
        ("判断时间 Judged at", _time(about["judged_at"])),
    ]
    findings = "".join(_finding(one) for one in judged.verdict["findings"])
    shown = "".join(_exhibit(one) for one in about["exhibits"])
    return (
        f"{_table(rows)}<table><thead><tr><th>结论</th><th>规则与依据 Rule</th>"
        f"<th>说明 Finding</th></tr></thead><tbody>{findings}</tbody></table>{_later(judged)}"
        "<table><thead><tr><th>证据 Exhibit</th><th>所示时间段 Interval shown</th>"
        f"<th>关联方式</th></tr></thead><tbody>{shown}</tbody></table>"
    )


def _later(judged: Judged) -> str:
    """Return what the rules say otherwise by now: beside the verdict, never in its place."""
    if judged.later is None:
        return ""
    found = found_later(judged.verdict, judged.later["verdict"])
    rows = "".join(_finding(one) for one in found)
    return (
        "<table><thead><tr><th>后来发现</th><th>规则与依据 Rule</th>"
        "<th>导出时的情况,不改变上面的结论 Found later; the verdict above stands</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _finding(one: Mapping[str, Any]) -> str:
    """Return a row; an explanation that was approved stands beside the finding, never for it."""
    told = f"{escape(one['message_zh'])}<br>{escape(one['message_en'])}"
    if one["waived"] is not None:
        reason = WAIVER_ZH[WaiverReason(one["waived"]["reason"])]
        when = _time(one["waived"]["approved_at"])
        told += f"<br><strong>经批准的情况说明 explained</strong>:{reason},{when}"
    mark, word = ("yes", "符合") if one["passed"] else ("no", "不符合")
    return (
        f'<tr><td class="{mark}">{word}</td><td>{escape(one["title_zh"])}<br>'
        f"{escape(Basis(**one['basis']).zh)}</td><td>{told}</td></tr>"
    )


_HOW = {"officer-time": "按人员与时间提出,经人确认", "scene-code": "拍到场景码,自动关联"}


def _exhibit(told: Mapping[str, Any]) -> str:
    how = _HOW.get(str(told["how"]), "人工关联")
    return (
        f"<tr><td><code>{escape(str(told['recording']))}</code></td>"
        f"<td>{_time(told['shown_from'])} 至 {_time(told['shown_to'])}</td><td>{how}</td></tr>"
    )


def _time(told: str | None) -> str:
    return day_and_clock(datetime.fromisoformat(told)) if told else "时间未知"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{a}</th><td>{escape(str(b))}</td></tr>" for a, b in rows)
    return f"<table><tbody>{body}</tbody></table>"
