"""Lists the settings: each with its value and where that came from, and the reference of all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from api.office.settings.office_record import FOUNDING_SETTINGS
from api.office.settings.setting_errors import PREFIX, TOML, allowed_values
from api.office.settings.setting_texts import TEXTS
from api.office.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One setting as it holds now; `source`: a variable, a line, `founding` or `default`."""

    name: str
    value: Any
    source: str


def list_settings(settings: Settings) -> Iterator[SettingValue]:
    """Return every setting in the order of the reference. Secrets stand in files, not here."""
    sources, values = settings.setting_sources, settings.model_dump(mode="json")
    for name in Settings.model_fields:
        variable, line = sources.find_variable(name), sources.find_line([name])
        file = f"{TOML}:{line}" if line is not None and name != "home" else None
        otherwise = "founding" if name in FOUNDING_SETTINGS and values[name] else "default"
        yield SettingValue(name, values[name], variable or file or otherwise)


def render_reference() -> str:
    """Return docs/SETTINGS.md."""
    rows = [
        f"| `{name}` | {zh}<br>{en} | {allowed_zh}<br>{allowed_en} | {default} |"
        for name, field in Settings.model_fields.items()
        for zh, en in (TEXTS[name],)
        for allowed_zh, allowed_en in (_escape_pipes(allowed_values(field)),)
        for default in (_format_default(field.get_default(call_default_factory=True)),)
    ]
    return _HEAD + "".join(f"{row}\n" for row in rows)


def _format_default(default: Any) -> str:
    if default is None or default in ({}, [], ""):
        return "—"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _escape_pipes(texts: tuple[str, str]) -> tuple[str, ...]:
    return tuple(text.replace("|", "\\|") for text in texts)


_HEAD = f"""\
# Settings 设置

Made by `liuhen config reference > docs/SETTINGS.md` from `api/office/settings/`; a test compares.

每项设置可写成环境变量({PREFIX}加大写名称,表和列表用 JSON),或写进 LIUHEN_HOME 里的 `{TOML}`;
环境变量优先。写错名称或值的一律拒绝,退出状态为 2。

Each setting is a variable ({PREFIX} and its name in capitals; tables and lists as JSON) or a key of
`{TOML}` in LIUHEN_HOME; the variable comes first. A misspelt name or a value that is not allowed is
refused with exit status 2. `liuhen config show` prints what holds, and where it came from.

| 设置 setting | 用途 purpose | 可用值 allowed | 默认 default |
|---|---|---|---|
"""
