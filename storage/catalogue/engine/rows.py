"""One row by its key, or the error that names what is missing."""

from typing import Any, TypeVar

from sqlalchemy.orm import Session

from storage.catalogue.engine.columns import Base
from storage.errors import NotFoundError

Row = TypeVar("Row", bound=Base)


def load_row(session: Session, table: type[Row], key: Any) -> Row:
    """Return the row under a primary key. Raises: NotFoundError with the row's noun and the key."""
    row = session.get(table, key)
    if row is None:
        raise NotFoundError(what=table.noun or table.__tablename__, id=key)
    return row
