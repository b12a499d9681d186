"""Says what is wrong with a setting: its name, where it was given, the value, what is allowed.

A key of `liuhen.toml` is named with its line, a variable of the environment by its name. Values
that may hold a password are not repeated.
"""

import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from storage.errors import LiuhenError

PREFIX, TOML = "LIUHEN_", "liuhen.toml"
# Read by the compose file, the benchmarks and the tests; no setting of the service.
OTHER_VARIABLES = frozenset(
    {"CENTRE_NAMES", "PUBLISH", "MACHINE_STEPS", "PICTURES", "SEED", "WHOLE"}
)
TEST_VARIABLES = "TEST_"  # these name servers for the tests
MAY_HOLD_SECRETS = frozenset({"database_url", "objects_url", "archive", "cameras"})
_LONGEST = 80  # characters of a value in a sentence
_LINE = re.compile(r"at line (\d+)")
_FIELD = re.compile(r'field "(\w+)"')
_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
_KINDS: dict[Any, tuple[str, str]] = {
    bool: ("true 或 false", "true or false"),
    int: ("整数", "a whole number"),
    float: ("数字", "a number"),
    str: ("文字", "text"),
    Path: ("路径", "a path"),
}


class SettingsError(LiuhenError):
    """A setting cannot be used; nothing was opened. The code says which fault it is."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(**facts)
        self.code = code


@dataclass(frozen=True, slots=True)
class SettingSources:
    """Sources of settings: the program's arguments, environment variables, the TOML file."""

    values: frozenset[str]
    environment: Mapping[str, str]
    file: Path

    def find_variable(self, name: str) -> str | None:
        """Return the variable that gives a setting, if one does."""
        variable = f"{PREFIX}{name.upper()}"
        return variable if variable in self.environment else None

    def find_line(self, path: Iterable[str]) -> int | None:
        """Return the line of `liuhen.toml` that gives a key; None where its first part is not."""
        text = self.file.read_text(encoding="utf-8") if self.file.is_file() else ""
        return line_of(text, list(path))


def line_of(text: str, path: list[str]) -> int | None:
    """Return the line that gives a key of a TOML text, or the longest part of it that is there."""
    lines, line_number = text.splitlines(), None
    for depth in range(1, len(path) + 1):
        readable_until = 0
        # tomllib keeps no line numbers: the shortest readable prefix with the key ends at it.
        for number in range(1, len(lines) + 1):
            try:
                document = tomllib.loads("\n".join(lines[:number]))
            except tomllib.TOMLDecodeError:
                continue
            if _has_path(document, path[:depth]):
                line_number = readable_until + 1
                break
            readable_until = number
    return line_number


def refuse_unknown_variables(environment: Iterable[str], settings: type[BaseModel]) -> None:
    """Refuse a `LIUHEN_*` variable that is no setting. Raises: SettingsError."""
    known_names = {name.upper() for name in settings.model_fields} | OTHER_VARIABLES
    for variable in sorted(environment):
        # A misspelt variable would be passed over in silence: locks that somebody thinks are on.
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known_names or name.startswith(TEST_VARIABLES):
            continue
        near = [f"{PREFIX}{match}" for match in get_close_matches(name, sorted(known_names), 1)]
        raise SettingsError("variable-unknown", variable=variable, near=near)


def settings_error(
    error: Exception, sources: SettingSources, settings: type[BaseModel]
) -> SettingsError | None:
    """Translate an error into one that names the setting; None for the program's own values."""
    if isinstance(error, tomllib.TOMLDecodeError):
        return _syntax_error(error, sources.file)
    if isinstance(error, UnicodeDecodeError):
        return SettingsError("settings-syntax", file=str(sources.file), line=1, problem="not UTF-8")
    if not isinstance(error, ValidationError):
        return _unreadable_variable(error, sources, settings)
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"] if part != "[key]"]
    # A fault of several fields together has no place of its own: the first of them that is given is
    # named.
    if not path and not sources.values - {"home"}:
        path = [next((name for name in ("bays", "landing") if _is_given(name, sources)), "cameras")]
    # What the program itself passed in is a defect of ours, and no setting of anybody's.
    if not path or path[0] in sources.values:
        return None
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, sources, settings)
    return _wrong_value(path, first, sources, settings)


def allowed_values(field: FieldInfo) -> tuple[str, str]:
    """Return which values a setting takes, in both languages."""
    zh, en = _describe_kind(field.annotation)
    bounds = [
        form.format(getattr(constraint, name))
        for constraint in field.metadata
        for name, form in _BOUNDS.items()
        if getattr(constraint, name, None) is not None
    ]
    patterns = [
        constraint.pattern for constraint in field.metadata if getattr(constraint, "pattern", None)
    ]
    more = "".join(f", {limit}" for limit in (*bounds, *patterns))
    return f"{zh}{more}", f"{en}{more}"


def _syntax_error(error: tomllib.TOMLDecodeError, file: Path) -> SettingsError:
    named = _LINE.search(str(error))
    # At the end of a file tomllib names no line.
    line = int(named[1]) if named else len(file.read_text(encoding="utf-8").splitlines())
    return SettingsError("settings-syntax", file=str(file), line=line, problem=str(error))


def _unreadable_variable(
    error: Exception, sources: SettingSources, settings: type[BaseModel]
) -> SettingsError | None:
    named = _FIELD.search(str(error))
    if named is None:
        return None
    return _wrong_value([named[1]], {"msg": "JSON", "input": "…"}, sources, settings)


def _unknown_key(
    path: list[str], sources: SettingSources, settings: type[BaseModel]
) -> SettingsError:
    owner = _model_at(path[:-1], settings)
    near = get_close_matches(path[-1], sorted(owner.model_fields if owner else ()), 1)
    return SettingsError(
        "setting-unknown",
        file=str(sources.file),
        line=sources.find_line(path),
        key=path[-1],
        near=near,
    )


def _wrong_value(
    path: list[str], first: Mapping[str, Any], sources: SettingSources, settings: type[BaseModel]
) -> SettingsError:
    owner = _model_at(path[:-1], settings)
    field = owner.model_fields.get(path[-1]) if owner else settings.model_fields.get(path[0])
    allowed_zh, allowed_en = allowed_values(field) if field else ("", "")
    # Error texts reach logs and support tickets; a URL may hold a password.
    hidden = path[0] in MAY_HOLD_SECRETS
    input_text = "…" if hidden else repr(first.get("input"))[:_LONGEST]
    facts = {"key": ".".join(path), "value": input_text, "problem": first["msg"]}
    facts |= {"allowed_zh": allowed_zh, "allowed_en": allowed_en}
    # The variable wins over the file, so that it is the one to mend.
    if (variable := sources.find_variable(path[0])) is not None:
        return SettingsError("variable-value", variable=variable, **facts)
    return SettingsError(
        "setting-value", file=str(sources.file), line=sources.find_line(path), **facts
    )


def _is_given(name: str, sources: SettingSources) -> bool:
    return sources.find_variable(name) is not None or sources.find_line([name]) is not None


def _model_at(path: list[str], settings: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model whose field the next part of a key names; of tables, of each entry."""
    if not path:
        return settings
    field = settings.model_fields.get(path[0])
    field_types = _types_in(field.annotation) if field else []
    return next((candidate for candidate in field_types if issubclass(candidate, BaseModel)), None)


def _types_in(annotation: Any) -> list[type]:
    parts = typing.get_args(annotation)
    if not parts:
        return [annotation] if isinstance(annotation, type) else []
    return [inner_type for part in parts for inner_type in _types_in(part)]


def _has_path(document: Any, path: list[str]) -> bool:
    for part in path:
        if isinstance(document, list) and part.isdigit():
            document = dict(enumerate(document)).get(int(part))
        elif not isinstance(document, dict) or part not in document:
            return False
        else:
            document = document[part]
    return document is not None


def _describe_kind(annotation: Any) -> tuple[str, str]:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {types.UnionType, typing.Union}:
        return _describe_kind(next(part for part in parts if part is not type(None)))
    if origin is typing.Annotated:
        return _describe_kind(parts[0])
    if origin is list:
        zh, en = _describe_kind(parts[0])
        return f"列表,每项为{zh}", f"a list, each {en}"
    if origin is dict:
        zh, en = _describe_kind(parts[1])
        return f"表,名称 = {zh}", f"a table, name = {en}"
    return _kind_of_one(annotation)


def _kind_of_one(kind: Any) -> tuple[str, str]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return (", ".join(str(member.value) for member in kind),) * 2
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return (f"{{{', '.join(kind.model_fields)}}}",) * 2
    return _KINDS.get(kind, ("文字", "text"))
