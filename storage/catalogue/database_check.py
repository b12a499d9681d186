"""Integrity check of the database itself, as torn pages and indexes cannot be believed.

SQLite checks its file. PostgreSQL is made to read every row whole, down to its longest texts, so
that each page it fetches is held against its checksum (where the cluster has them: `initdb
--data-checksums`), and to count each table by its rows and by an index. It does not look at pages
that no row is on, nor compare each index entry: that is `pg_amcheck`'s, by the administrator.
"""

from sqlalchemy import func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine.columns import Base

TABLES = AUDITED  # to import it fills the one metadata


def find_damage(session: Session) -> str | None:
    """Return the damage that the database reports of itself; None if it reports none."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    try:
        return _of_sqlite(session) if sqlite else _of_postgresql(session)
    except DBAPIError as error:
        if not sqlite and error.connection_invalidated:
            raise
        return str(error.orig)


def _of_sqlite(session: Session) -> str | None:
    answer = session.scalar(text("PRAGMA quick_check(1)"))
    return None if answer == "ok" else str(answer)


def _of_postgresql(session: Session) -> str | None:
    session.execute(text("SET LOCAL statement_timeout = 0"))
    for table in Base.metadata.sorted_tables:
        # A row as text is the row with all that is stored beside its page.
        whole = func.length(literal_column(f'"{table.name}"::text'))
        query = select(func.count(), func.sum(whole)).select_from(table)
        rows, _length = session.execute(query).one()
        session.execute(text("SET LOCAL enable_seqscan = off"))
        indexed = session.scalar(select(func.count()).select_from(table))
        session.execute(text("SET LOCAL enable_seqscan = on"))
        if indexed != rows:
            return f"{table.name}: {rows} rows, {indexed} in its index"
    return None
