"""Templates and what each of them may use: words, filters, the navigation that a role gets."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from api.office.identity import Visitor
from ingest.media.inspect import WORDS as SEEN
from policies.access.access import Act, Role, decide_access
from policies.duties import STATE_ZH
from policies.facts.findings import Severity
from policies.facts.stages import ACTION_ZH, MAIN, STAGE_ZH, ActionKind
from policies.facts.terms import (
    APPROVER_ZH,
    DOCUMENT_ZH,
    FEATURE_ZH,
    FOOTAGE_ZH,
    HOLD_ZH,
    MANNER_ZH,
    MOMENT_ZH,
    PART_ZH,
    WAIVER_ZH,
)
from policies.facts.waivers import OBJECTION_ZH
from policies.scene_code import TROUBLE_ZH
from policies.time.wording import COUNTY_TIME, day_and_clock, length_zh

HERE = Path(__file__).parent
ROLES = {
    Role.OPERATOR: "采集站操作员",
    Role.OFFICER: "办案人员",
    Role.REVIEWER: "审核人员",
    Role.ADMIN: "系统管理员",
    Role.HEAD: "行政负责人",
}
KINDS = {"video": "录像", "audio": "录音", "photo": "照片", "document": "文档", "unknown": "其他"}
SEVERITIES = {Severity.BLOCKS: "阻断", Severity.WARNS: "警示", Severity.INFORMS: "提示"}
_NAVIGATION = (
    ("/bays", "仓位", Act.SEE_BAYS),
    ("/stations", "采集站", Act.SEE_STATIONS),
    ("/recordings", "录像", Act.LIST_RECORDINGS),
    ("/cases", "案件", Act.SEE_CASE),
    ("/duties", "到期事项", Act.SEE_DUTIES),
    ("/keeping", "保管", Act.SEE_KEEPING),
    ("/outlook", "保管预测", Act.SEE_DUTIES),
    ("/custody", "核验", Act.VERIFY),
    ("/jobs", "后台作业", Act.SEE_JOBS),
)


def render(template: str, visitor: Visitor | None, **values: Any) -> HTMLResponse:
    """Return a page for this visitor; None is somebody who is not logged in."""
    text = _TEMPLATES.get_template(template).render(
        visitor=visitor,
        role=ROLES[visitor.person.role] if visitor else "",
        # By the grants alone: a link that would be refused is not shown, and each page asks again.
        navigation=[
            (path, name)
            for path, name, act in _NAVIGATION
            if visitor and decide_access(visitor.person, act).allowed
        ],
        may=_permission_check(visitor),
        **values,
    )
    return HTMLResponse(text)


def _permission_check(visitor: Visitor | None) -> Callable[[str], bool]:
    def is_allowed(act: str) -> bool:
        return visitor is not None and decide_access(visitor.person, Act(act)).allowed

    return is_allowed


def _format_size(count: int) -> str:
    amount = float(count)
    for unit in ("字节", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":  # noqa: PLR2004 - bytes
            return f"{amount:.0f} {unit}" if unit == "字节" else f"{amount:.1f} {unit}"
        amount /= 1024
    return ""


def _input_time(at: datetime | None) -> str:
    return at.astimezone(COUNTY_TIME).strftime("%Y-%m-%dT%H:%M:%S") if at else ""


def _format_age(length: timedelta) -> str:
    """Return an age in its largest fitting unit."""
    seconds = max(0, int(length.total_seconds()))
    for unit, name in ((86400, "天"), (3600, "小时"), (60, "分钟")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} 秒"


def _make_templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        # Every file name, serial and remark on a page is an outsider's word.
        autoescape=select_autoescape(default=True),
        # A value that is missing is an error in a test, not an empty space on a page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "time": lambda at: day_and_clock(at) if at else "未知",
        "input_time": _input_time,
        "lasting": lambda seconds: length_zh(seconds) if seconds is not None else "未知",
        "size": _format_size,
        "age": _format_age,
    }
    environment.filters |= filters
    environment.globals |= {
        "KINDS": KINDS,
        "SEVERITIES": SEVERITIES,
        "STAGES": [(stage, STAGE_ZH[stage]) for stage in MAIN],
        "WAIVERS": WAIVER_ZH,
        "OBJECTIONS": OBJECTION_ZH,
        "APPROVERS": APPROVER_ZH,
        "FEATURES": FEATURE_ZH,
        "PARTS": PART_ZH,
        "DOCUMENTS": DOCUMENT_ZH,
        "MANNERS": MANNER_ZH,
        "MOMENTS": MOMENT_ZH,
        "HOLDS": HOLD_ZH,
        "FOOTAGE": FOOTAGE_ZH,
        "TROUBLES": TROUBLE_ZH,
        "SEEN": SEEN,
        "STATES": STATE_ZH,
        "STAGE_ZH": STAGE_ZH,
        "PERIOD": lambda seconds: _format_age(timedelta(seconds=seconds)),
        "ACTIONS": [(kind, ACTION_ZH[kind]) for kind in ActionKind],
    }
    return environment


_TEMPLATES = _make_templates()
