"""Facts and findings as plain JSON values, and facts back from them, strictly by their types."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any


def to_plain(content: Any) -> Any:
    """Convert to plain JSON values; times in ISO 8601."""
    if isinstance(content, date | datetime):
        return content.isoformat()
    if isinstance(content, Mapping):
        return {name: to_plain(inner) for name, inner in content.items()}
    if isinstance(content, list | tuple):
        return [to_plain(inner) for inner in content]
    # Members of a StrEnum are strings already, and JSON writes them as such.
    return content


def build_typed(kind: Any, untrusted_told: Any) -> Any:
    """Build a value of a type from plain JSON.

    Raises: TypeError, KeyError or ValueError for anything else, unknown fields included.
    """
    kind = getattr(kind, "__supertype__", kind)  # an id is its text
    origin = typing.get_origin(kind)
    for fits, build in _BUILDERS:
        if fits(origin, kind):
            return build(kind, untrusted_told)
    # JSON has one kind of number, so that another writer may well give 3 for 3.0.
    if kind is float and type(untrusted_told) is int:
        return float(untrusted_told)
    # Not isinstance, for which True is a whole number: bool is a subclass of int.
    if type(untrusted_told) is not kind:
        raise TypeError(f"{kind} is expected")
    return untrusted_told


def _build_optional(kind: Any, content: Any) -> Any:
    (inner,) = [option for option in typing.get_args(kind) if option is not types.NoneType]
    return None if content is None else build_typed(inner, content)


def _build_tuple(kind: Any, content: Any) -> Any:
    inner = typing.get_args(kind)
    if not isinstance(content, list):
        raise TypeError("a list is expected")
    if inner[-1] is Ellipsis:
        return tuple(build_typed(inner[0], element) for element in content)
    return tuple(
        build_typed(element_kind, element)
        for element_kind, element in zip(inner, content, strict=True)
    )


def _build_dataclass(kind: Any, content: Any) -> Any:
    hints = typing.get_type_hints(kind)
    # A field that no rule knows would be carried along, read by people and judged by nobody.
    if not isinstance(content, Mapping) or set(content) - set(hints):
        raise TypeError("unknown fields")
    return kind(**{name: build_typed(hints[name], inner) for name, inner in content.items()})


def _build_time(_kind: Any, content: Any) -> datetime:
    time = datetime.fromisoformat(content)
    # Nobody knows which moment is meant, and no rule can compare it with one that has a zone.
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time


# Asked in this order: what is optional or a tuple is no class, so that `issubclass` must not meet
# it.
_BUILDERS: tuple[tuple[Callable[[Any, Any], bool], Callable[[Any, Any], Any]], ...] = (
    (lambda origin, _kind: origin in {types.UnionType, typing.Union}, _build_optional),
    (lambda origin, _kind: origin is tuple, _build_tuple),
    (lambda _origin, kind: dataclasses.is_dataclass(kind), _build_dataclass),
    (lambda _origin, kind: kind is datetime, _build_time),
    (lambda _origin, kind: kind is date, lambda _kind, content: date.fromisoformat(content)),
    (
        lambda _origin, kind: isinstance(kind, type) and issubclass(kind, Enum),
        lambda kind, content: kind(content),
    ),
)
