"""Which tests open a database of the run's own engine: only those need to run on each engine.

Asked of the code: what a test, its fixtures and whatever they call in `tests` refer to. That the
answer is no guess is seen on every run: `database` refuses a test that was not expected there.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType

import pytest

from tests.servers import database

MARK = "database"
BY_NAME = "engines"  # names its engines itself, so that the run's own does not matter
_DOORS = (database.Database, database.office_url, database.migrated, database.copied)


def mark(items: list[pytest.Item]) -> None:
    """Mark the tests that open a database of the run's engine."""
    for item in items:
        if isinstance(item, pytest.Function) and _opens(item):
            item.add_marker(MARK)


def expect(item: pytest.Item) -> None:
    """Let `database` be asked for by this test only if it is marked."""
    known = any(item.get_closest_marker(name) for name in (MARK, BY_NAME))
    database.unexpected = None if known else item.nodeid


def _opens(item: pytest.Function) -> bool:
    if item.get_closest_marker(BY_NAME):
        return False
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(one.func for several in fixtures for one in several)]
    return any(_reaches(function) for function in functions)


@cache
def _reaches(function: Callable[..., object]) -> bool:
    """Tell whether a function refers to a door of `database`, over whatever it calls in tests."""
    seen: set[int] = set()
    left: list[object] = [inspect.unwrap(function)]
    while left:
        thing = left.pop()
        if thing in _DOORS:
            return True
        if id(thing) not in seen:
            seen.add(id(thing))
            left += _referred(thing)
    return False


def _referred(thing: object) -> Iterator[object]:
    if isinstance(thing, staticmethod | classmethod):
        yield thing.__func__
    elif isinstance(thing, property):
        yield thing.fget
    elif isinstance(thing, FunctionType) and thing.__module__.startswith("tests"):
        yield from inspect.getclosurevars(thing).nonlocals.values()
        yield getattr(thing, "__wrapped__", None)
        for name in _names(thing.__code__):
            local = name.startswith("tests.")  # imported where it is used
            found = sys.modules.get(name) if local else thing.__globals__.get(name)
            yield found
            if isinstance(found, ModuleType) and found.__name__.startswith("tests"):
                yield from (getattr(found, one, None) for one in _names(thing.__code__))
    elif isinstance(thing, type) and thing.__module__.startswith("tests"):
        yield from (one for base in thing.__mro__ for one in vars(base).values())
    elif isinstance(thing, tuple | list | set | frozenset):
        yield from thing
    elif isinstance(thing, dict):
        yield from thing.values()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
