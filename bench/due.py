"""The due list over a million and ten million recordings, on SQLite and on PostgreSQL.

The cost must grow with what is due, not with what is stored: both sizes have the same number due.
Each catalogue is made by the migrations and filled by the database itself
(`tests/many_recordings.py`); what is due lies scattered over all of it.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from api.office.system import clock, entropy
from bench.result import Result, unmeasured, within
from policies.rules.rulebook import load_rulebook
from storage.catalogue.retention import retention
from storage.catalogue.unit_of_work import Catalogue
from tests.many_recordings import DUE_AT, TOWNSHIPS, Stock, fill, plans, township
from tests.servers import postgres
from tests.servers.database import BY_BYTES

SIZES = (1_000_000, 10_000_000)
DUE = 2000
LIMIT_MS = 200.0
GROWTH = 1.5  # how much more the larger may cost: one more level of an index, colder caches
_BYTES = 1400  # of disk for each recording, indexes and write-ahead log too
_SPARE = 2 << 30


@dataclass
class _Timed:
    """Milliseconds of one question, run by run; `cpu` are those that our own process worked."""

    ms: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.ms)

    def text(self) -> str:
        worked = statistics.median(self.cpu)
        runs = f"worst {max(self.ms):.1f} of {len(self.ms)}"
        return f"{self.median:.1f} ({runs}; own CPU {worked:.1f})"


PAGE, NEXT, TOWN, LIST, TENFOLD, WHOLE = (
    "page of 200, explained",
    "a later page, explained",
    "a township's page, explained",
    "list of 2,000, page by page",
    "list of 20,000, page by page",
    "list of 2,000, all explained",
)
_JUDGED = (PAGE, NEXT, TOWN, LIST)


def measure(folder: Path) -> Iterator[Result]:
    """Yield for each database the larger size against the limit, then against the smaller."""
    yield from _of("SQLite", lambda size: f"sqlite:///{folder}/{size}.sqlite", folder, _unlink)
    if postgres.binaries() is None:
        yield unmeasured("due list, PostgreSQL", "no PostgreSQL here: install postgresql")
        return
    server = postgres.Postgres(folder / "postgres")
    try:
        server.found()
        create = lambda _size: server.create("template0", BY_BYTES)  # noqa: E731
        yield from _of("PostgreSQL", create, folder, server.drop)
    finally:
        server.stop()


def _of(
    database: str, made: Callable[[int], str], folder: Path, drop: Callable[[str], None]
) -> Iterator[Result]:
    found = []
    for size in SIZES:
        if lacking := _lacking(folder, size):
            yield unmeasured(f"due list, {database}", lacking)
            return
        url = made(size)
        try:
            took = time.perf_counter()
            catalogue = Catalogue(url, clock, entropy)
            catalogue.migrate_tables(new=True)
            catalogue.close()  # filled past it; it opens again by itself
            fill(url, Stock(size, DUE))
            took = time.perf_counter() - took
            found.append(_timed(catalogue, Stock(size, DUE)))
            catalogue.close()
        finally:
            drop(url)
        what = f"{database}, {size / 1e6:g} M filled in"
        yield Result(what, f"{took:.0f} s", "", took, None)
    small, large = found
    for what in (PAGE, NEXT, TOWN, LIST, TENFOLD, WHOLE):
        note = f"10 M: {large[what].text()} ms; 1 M: {small[what].text()} ms"
        name = f"{database}: {what}"
        if what in _JUDGED:
            yield within(name, large[what].median, LIMIT_MS, "ms", note)
        else:
            yield Result(name, f"{large[what].median:.1f} ms", "", large[what].median, None, note)
        grown = large[what].median / small[what].median
        yield Result(
            "  10 M over 1 M, as many due", f"{grown:.2f} x", "", grown, GROWTH, at_most=True
        )
    grown = large[TENFOLD].median / large[LIST].median
    yield Result("  ten times as many due", f"{grown:.1f} x", "", grown, None)


def _timed(catalogue: Catalogue, stock: Stock) -> dict[str, _Timed]:
    """Return how long each question took. Raises: RuntimeError when an answer is not right."""
    book = load_rulebook()

    def page(after: tuple[datetime, str] | None = None, only: str | None = None) -> None:
        with catalogue.read() as session:
            rows = retention.list_due_recordings(session, DUE_AT, after=after, township=only)
            retention.explain_retention(session, book, [row.id for row in rows], DUE_AT)

    def listed(at: datetime, *, explained: bool = False) -> list[tuple[datetime, str]]:
        found: list[tuple[datetime, str]] = []
        with catalogue.read() as session:
            while rows := retention.list_due_recordings(
                session, at, after=found[-1] if found else None
            ):
                found += [(row.retain_until, row.id) for row in rows]
                if explained:
                    retention.explain_retention(session, book, [row.id for row in rows], at)
                session.expunge_all()
        return found

    few = listed(DUE_AT)
    if (len(few), len(listed(stock.later))) != (stock.few, 10 * stock.few) or few != sorted(few):
        raise RuntimeError(stock, len(few))
    _by_index(catalogue, few[len(few) // 2])
    towns = iter(range(10**9))
    return {
        PAGE: _runs(page, 15),
        NEXT: _runs(lambda: page(few[len(few) // 2]), 15),
        TOWN: _runs(lambda: page(only=township(next(towns) % TOWNSHIPS)), 15),
        LIST: _runs(lambda: listed(DUE_AT), 9),
        TENFOLD: _runs(lambda: listed(stock.later), 5),
        WHOLE: _runs(lambda: listed(DUE_AT, explained=True), 5),
    }


def _by_index(catalogue: Catalogue, after: tuple[datetime, str]) -> None:
    """Raise: RuntimeError when a database reads more than its index of what is due."""
    with catalogue.read() as session:
        for only in (None, township(0)):
            for plan in plans(
                catalogue._engine,  # noqa: SLF001 - plans are nobody else's business
                session,
                lambda only=only: retention.list_due_recordings(
                    session, DUE_AT, after=after, township=only
                ),
            ):
                if "_due" not in plan or "Seq Scan" in plan:
                    raise RuntimeError(plan)


def _runs(act: Callable[[], object], count: int) -> _Timed:
    act()
    timed = _Timed()
    for _ in range(count):
        worked, began = time.process_time(), time.perf_counter()
        act()
        timed.cpu.append((time.process_time() - worked) * 1e3)
        timed.ms.append((time.perf_counter() - began) * 1e3)
    return timed


def _lacking(folder: Path, size: int) -> str:
    free, wanted = shutil.disk_usage(folder).free, size * _BYTES + _SPARE
    if free >= wanted:
        return ""
    return f"too little disk space: {wanted / 2**30:.0f} GiB, free {free / 2**30:.0f}"


def _unlink(url: str) -> None:
    for end in ("", "-wal", "-shm"):
        Path(url.removeprefix("sqlite:///") + end).unlink(missing_ok=True)
