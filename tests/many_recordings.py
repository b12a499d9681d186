"""A catalogue of many recordings, made by the database itself, and the plans of what is asked of it.

The tables are those of the migrations. The rows are of our making: never sealed, not in the log,
with short texts where signed documents stand. What falls due lies scattered over the whole table.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

DUE_AT = datetime(2026, 6, 1, tzinfo=UTC)
TOWNSHIPS = 20
DESTROYED = 33  # one of so many
_T0 = datetime(2015, 1, 1, tzinfo=UTC)
_EARLY = datetime(2026, 1, 1, tzinfo=UTC)
_YEARS_S = 10 * 365 * 86400


@dataclass(frozen=True, slots=True)
class Stock:
    """So many recordings, of which `few` are due at `DUE_AT` and ten times as many at `later`.

    Of those due, a quarter is linked (one of fifty as a document), one of fifty is held, one of
    twenty has a class, and five each have the same promise. Of the others a tenth is linked.
    """

    recordings: int
    few: int

    later = DUE_AT + timedelta(days=30)

    @property
    def step(self) -> int:
        """How many recordings one lies apart from the next that falls due."""
        return self.recordings // (10 * self.few)


def township(number: int) -> str:
    """Return the name of a township."""
    return f"T{number}"


def fill(url: str, stock: Stock) -> None:
    """Fill an empty catalogue, and let the database count what it has (ANALYZE)."""
    with closing(_connected(url)) as connection:
        words = _Words(sqlite=url.startswith("sqlite"))
        indexes = list(connection.execute(words.indexes))
        for name, _made in indexes:
            connection.execute(f"DROP INDEX {name}")
        for table, count, columns, chosen in _rows(stock, words):
            names = ", ".join(f'"{name}"' for name in columns)
            made = f"SELECT {', '.join(columns.values())} FROM g{chosen}"  # noqa: S608 - our own words
            connection.execute(f'INSERT INTO "{table}" ({names}) {words.series(count)} {made}')
        for _name, made in indexes:
            connection.execute(made)
        connection.execute("ANALYZE")


def plans(engine: Engine, session: Session, act: Callable[[], object]) -> list[str]:
    """Return the plan of every statement that an act in this session runs, as the database tells it."""
    said: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_how: Any) -> None:
        if statement.startswith("SELECT"):
            said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", heard)
    try:
        act()
    finally:
        event.remove(engine, "before_cursor_execute", heard)
    connection = session.connection()
    ask = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    found = []
    for statement, parameters in said:
        rows = connection.exec_driver_sql(f"{ask} {statement}", parameters)
        found.append("\n".join(str(row[-1]) for row in rows))
    return found


def _connected(url: str) -> Any:
    """Connect past the product, in whatever way fills fastest: what is lost is made again."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144", "threads=2"):
            connection.execute(f"PRAGMA {pragma}").close()
        return connection
    server = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    for setting in (
        "session_replication_role = replica",  # foreign keys hold by the way the rows are made
        "synchronous_commit = off",
        "maintenance_work_mem = '256MB'",
    ):
        server.execute(f"SET {setting}")
    return server


@dataclass(frozen=True, slots=True)
class _Words:
    """How each database spells the same thing."""

    sqlite: bool

    @property
    def indexes(self) -> str:
        if self.sqlite:
            return (
                "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
                " AND tbl_name = 'recording' AND sql NOT LIKE 'CREATE UNIQUE%'"
            )
        return (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'recording'"
            " AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        )

    def series(self, count: int) -> str:
        """Return the numbers from 1 on, as g(n)."""
        if self.sqlite:
            more = f"SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count}"  # noqa: S608
            return f"WITH RECURSIVE g(n) AS ({more})"
        return f"WITH g(n) AS (SELECT generate_series(1::bigint, {count}))"

    def hex(self, number: str, digits: int) -> str:
        if self.sqlite:
            return f"printf('%0{digits}x', {number})"
        return f"lpad(to_hex({number}), {digits}, '0')"

    def id(self, table: str, number: str) -> str:
        """Return a UUIDv7 in order of the number."""
        return f"'01900000-000{table}-7000-8000-' || {self.hex(number, 12)}"

    def time(self, since: datetime, seconds: str) -> str:
        began = int(since.timestamp())
        if self.sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', {began} + {seconds}, 'unixepoch')"
        return f"to_timestamp({began} + {seconds})"

    def flag(self, *, value: bool) -> str:
        return str(int(value)) if self.sqlite else str(value)


_Table = tuple[str, int, Mapping[str, str], str]


def _rows(stock: Stock, words: _Words) -> Sequence[_Table]:
    """Return table, how many numbers, the columns as expressions of n, and which n are taken."""
    step, count = stock.step, stock.recordings
    due, k = f"n % {step} = 0", f"(n / {step})"
    began = words.time(_T0, f"n * {_YEARS_S} / {count}")
    one_of = f" WHERE n % {step} = 0 AND n / {step} / 10 % "
    recording = words.id("1", "n")
    action = words.id("2", "(n / 100 + 1)")
    return (
        ("recording", count, _recording(stock, words, began, due, k), ""),
        (
            "case_",
            count // 200 + 1,
            {
                "id": words.id("3", "n"),
                "number": "'C' || n",
                "title": "'title'",
                "party": "'party ' || n",
                "township": f"'T' || (n % {TOWNSHIPS})",
                "stage": "'investigation'",
                "opened_at": words.time(_T0, "n"),
            },
            "",
        ),
        (
            "action",
            count // 100 + 1,
            {
                "id": words.id("2", "n"),
                "case_id": words.id("3", "((n + 1) / 2)"),
                "kind": "'inspection'",
                "stage": "'investigation'",
                "place": "'place'",
                "start_at": words.time(_T0, "n"),
                "status": "'open'",
            },
            "",
        ),
        (
            "exhibit",
            count,
            {
                "id": words.id("4", "n"),
                "recording_id": recording,
                "action_id": action,
                "shown_from": began,
                "shown_to": began,
                "state": "'confirmed'",
                "how": "'officer-and-time'",
                "proposed_by": "'system'",
            },
            f" WHERE ({due} AND {k} / 10 % 4 = 0) OR (n % {step} <> 0 AND n % 10 = 5)",
        ),
        (
            "document",
            count,
            {
                "id": words.id("5", "n"),
                "case_id": words.id("3", "(n / 200 + 1)"),
                "recording_id": recording,
                "kind": "'site-record'",
                "number": "'D' || n",
                "at": began,
                "entered_by": "'person'",
            },
            f" WHERE ({due} AND {k} / 10 % 50 = 4) OR (n % {step} <> 0 AND n % 100 = 17)",
        ),
        ("hold", count, _hold(words) | {"recording_id": recording}, f"{one_of} 50 = 1"),
        (
            "hold",
            200,
            _hold(words) | {"id": words.id("9", "n"), "case_id": words.id("3", "n")},
            f" WHERE n <= {count // 200}",
        ),
        (
            "footage_class",
            count,
            {
                "id": words.id("7", "n"),
                "recording_id": recording,
                "kind": "'obstruction'",
                "reason": "'reason'",
                "given_by": words.id("8", "1"),
                "at": began,
            },
            f"{one_of} 20 = 1",
        ),
    )


def _recording(stock: Stock, words: _Words, began: str, due: str, k: str) -> Mapping[str, str]:
    # The few are those whose k divides by ten; five each fall due in the same second.
    spread = (DUE_AT - _EARLY).total_seconds()
    few = words.time(_EARLY, f"({k} / 50) * {int(spread) * 5 // (stock.few + 5)}")
    many = words.time(DUE_AT, f"1 + {k} / 5")
    later = words.time(stock.later, f"86400 + n * 7919 % {_YEARS_S}")
    destroyed = f"n % {stock.step} <> 0 AND n % {DESTROYED} = 1"
    yes, no = words.flag(value=True), words.flag(value=False)
    return {
        "id": words.id("1", "n"),
        "source_serial": "'R' || (n % 400)",
        "sha256": words.hex("n", 64),
        "size": "1000000 + n % 9973",
        "name": "'clip.mp4'",
        "path": "'DCIM/clip.mp4'",
        "kind": "'video'",
        "playable": yes,
        "container": "'mp4'",
        "duration_s": "300.0",
        "start_at": began,
        "end_at": began,
        "clock_offset_s": "0.0",
        "clock_uncertainty_s": "1.0",
        "has_video": yes,
        "has_audio": yes,
        "video_gaps": "'[]'",
        "audio_gaps": "'[]'",
        "officer_no": "'N' || (n % 300)",
        "marked": no,
        "questions": "'[]'",
        "township": f"'T' || (n / {stock.step} % {TOWNSHIPS})",
        "station": "'s1'",
        "profile": "'generic'",
        "media": "'{}'",
        "inspection": "'[]'",
        "record_text": "'{}'",
        "envelope_text": "'{}'",
        "receipt_text": "'{}'",
        "leaf_index": "n",
        "retain_until": (
            f"CASE WHEN {due} AND {k} % 10 = 0 THEN {few} WHEN {due} THEN {many}"
            f" WHEN {destroyed} THEN {began} ELSE {later} END"
        ),
        "accessioned_at": began,
        "destroyed_at": f"CASE WHEN {destroyed} THEN {began} END",
    }


def _hold(words: _Words) -> dict[str, str]:
    return {
        "id": words.id("6", "n"),
        "reason": "'litigation'",
        "placed_by": "'person'",
        "placed_at": words.time(_T0, "n"),
        "authority": "'court'",
    }
