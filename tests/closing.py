"""Every test file closes the databases that it opened, and so does the product for it.

A connection that nobody closes holds its file, or a server's place, until the collector comes by:
from Python 3.13 on that warns in whichever test runs then. Here it is told on every version, with
the test that opened it, when its file's last test ends.
"""

import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry, Pool


class Closing:
    """Knows which pooled connections of this process are open, and which test opened each."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Any, str]] = {}  # the connection is kept: its id stays its own
        event.listen(Pool, "connect", self._opened)
        event.listen(Pool, "close", self._closed)
        event.listen(Pool, "close_detached", self._closed)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Iterator[None]:
        yield
        if nextitem is not None and nextitem.path == item.path:
            return
        left = self._take()
        assert not left, "databases were left open:\n" + "\n".join(left)

    def _opened(self, connection: Any, _entry: ConnectionPoolEntry) -> None:
        if not _ours(connection):
            return
        test = os.environ.get("PYTEST_CURRENT_TEST", "-")
        self._open[id(connection)] = connection, test

    def _closed(self, connection: Any, _entry: ConnectionPoolEntry | None = None) -> None:
        self._open.pop(id(connection), None)

    def _take(self) -> list[str]:
        """Close what is open and return which tests opened it."""
        tests = []
        while self._open:
            connection, test = self._open.popitem()[1]
            if _is_open(connection):  # one that was refused as it came is closed past the pool
                connection.close()
                tests.append(test)
        return sorted(tests)


def _is_open(connection: Any) -> bool:
    if isinstance(connection, psycopg.Connection):
        return not connection.closed
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


def _ours(connection: Any) -> bool:
    """Whether the product opened it: tests have connections of their own."""
    if isinstance(connection, psycopg.Connection):
        return connection.info.get_parameters().get("application_name") == "liuhen"
    return True
