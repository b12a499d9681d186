"""Facts and findings as plain JSON values, and facts back from them, strictly by their types."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Return the value with nothing in it but what JSON knows; times in ISO 8601."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def typed(kind: Any, untrusted_told: Any) -> Any:
    """Build a value of a type from plain JSON.

    Raises: TypeError, KeyError or ValueError for anything else, unknown fields included.
    """
    origin = typing.get_origin(kind)
    for fits, build in _BUILDERS:
        if fits(origin, kind):
            return build(kind, untrusted_told)
    if kind is float and type(untrusted_told) is int:
        return float(untrusted_told)
    if type(untrusted_told) is not kind:
        raise TypeError(f"{kind} is expected")
    return untrusted_told


def _optional(kind: Any, told: Any) -> Any:
    (inner,) = [one for one in typing.get_args(kind) if one is not types.NoneType]
    return None if told is None else typed(inner, told)


def _tuple(kind: Any, told: Any) -> Any:
    inner = typing.get_args(kind)
    if not isinstance(told, list):
        raise TypeError("a list is expected")
    if inner[-1] is Ellipsis:
        return tuple(typed(inner[0], one) for one in told)
    return tuple(typed(one, value) for one, value in zip(inner, told, strict=True))


def _dataclass(kind: Any, told: Any) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(told, Mapping) or set(told) - set(hints):
        raise TypeError("unknown fields")
    return kind(**{name: typed(hints[name], value) for name, value in told.items()})


_BUILDERS: tuple[tuple[Callable[[Any, Any], bool], Callable[[Any, Any], Any]], ...] = (
    (lambda origin, _kind: origin in {types.UnionType, typing.Union}, _optional),
    (lambda origin, _kind: origin is tuple, _tuple),
    (lambda _origin, kind: dataclasses.is_dataclass(kind), _dataclass),
    (lambda _origin, kind: kind in {date, datetime}, lambda kind, told: kind.fromisoformat(told)),
    (
        lambda _origin, kind: isinstance(kind, type) and issubclass(kind, Enum),
        lambda kind, told: kind(told),
    ),
)
