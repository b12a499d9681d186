"""Copy a whole catalogue into an empty one, whatever the two databases are: all rows or none.

Who is logged in and what is on its way stays behind: sessions, tokens, uploads, files handed in.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Table, func, insert, select
from sqlalchemy.orm import Session

from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine.columns import Base
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.unit_of_work import Catalogue
from storage.errors import ConflictError

_PASSING = frozenset(
    {
        "session",
        "station_token",
        "used_assertion",
        "station_status",
        "upload",
        "handed_in",
        "worker",
    }
)
_ROWS = 1000  # of one statement
TABLES = AUDITED  # to import it fills the one metadata


def copy_rows(
    source: Catalogue, target: Catalogue, progress: Callable[[str, int], None]
) -> dict[str, int]:
    """Copy every row in one transaction; return how many of each table.

    Called again after it succeeded it copies nothing: the target holds the source's log already.
    `progress` hears (table, rows) now and then. Nobody may write to the source meanwhile.
    Raises: ConflictError when the target is neither empty nor this source's copy.
    """
    with source.read() as reading:
        # A call after a success, whose answer may have been lost.
        if _holds_it_already(reading, target):
            return {}
        counts = {}
        with target.write() as unit:
            # Within the target's own write lock: nobody begins a log there meanwhile.
            if LogReader(unit.session).size:
                raise ConflictError(problem="the target is not empty")
            for table in list_tables():
                counts[table.name] = 0
                for rows in _read_rows(reading, table):
                    # Past the unit's own log: the rows bring their entries along, and make none.
                    unit.session.execute(insert(table), rows)
                    counts[table.name] += len(rows)
                    progress(table.name, len(rows))
        return counts


def count_rows(catalogue: Catalogue) -> dict[str, int]:
    """Return how many rows each table has that is copied."""
    with catalogue.read() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in list_tables()
        }


def list_tables() -> list[Table]:
    """Return the tables that are copied, each after those it refers to."""
    return [table for table in Base.metadata.sorted_tables if table.name not in _PASSING]


def _holds_it_already(reading: Session, target: Catalogue) -> bool:
    ours = LogReader(reading)
    with target.read() as session:
        theirs = LogReader(session)
        # By the root and not by the count: another office's log may be as long.
        return 0 < ours.size <= theirs.size and theirs.compute_root(ours.size) == ours.compute_root(
            ours.size
        )


def _read_rows(session: Session, table: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(table).order_by(*table.primary_key.columns)
    rows = session.execute(query.execution_options(yield_per=_ROWS))
    for part in rows.mappings().partitions(_ROWS):
        yield [dict(row) for row in part]
