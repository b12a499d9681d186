"""Column types and the base of every table, the same on SQLite and PostgreSQL.

A row that is evidence, or decides about evidence, is `Audited`: its `snapshot()` is its whole
content as plain JSON. The unit of work logs that state with every change, and the audit compares
it with the row years later.
"""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, MetaData, Text, inspect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from storage.custody.entries.event import format_timestamp
from storage.digest import Digest
from storage.signed import canonical


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which knows no zones, keeps it as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn to UTC. Raises: ValueError on a naive time."""
        if value is None:
            return None
        # A naive time would be taken for whatever zone the server or the driver thinks in.
        if value.tzinfo is None:
            raise ValueError("naive time")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value kept as its canonical text (RFC 8785): the bytes that were hashed.

    Values are replaced, never changed in place.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Write canonical JSON; None is SQL NULL."""
        return None if value is None else canonical.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Read it back."""
        return None if value is None else json.loads(value)


class Base(DeclarativeBase):
    """Every table of the catalogue; constraints have fixed names, for the migrations.

    `noun` is what an error calls a row, where that is not its table's name (`rows.py`).
    """

    noun: ClassVar[str] = ""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Audited:
    """A row whose every state stands in the custody log."""

    __tablename__: str

    @property
    def key(self) -> str:
        """The primary key as one text."""
        mapper = inspect(type(self))
        return "/".join(str(part) for part in mapper.primary_key_from_instance(self))

    def snapshot(self) -> dict[str, Any]:
        """Return the whole row as plain JSON.

        Long signed texts stand as their digest (columns marked `info={"digest": True}`).
        """
        # Every column, so that nobody can change one of which no entry tells.
        return {
            column.key: _to_json(getattr(self, column.key), digest=bool(column.info.get("digest")))
            for column in inspect(type(self)).columns
        }


def _to_json(column_value: Any, *, digest: bool) -> Any:
    if isinstance(column_value, datetime):
        return format_timestamp(column_value)
    if isinstance(column_value, Enum):
        return column_value.value
    # An entry would hold each signed document once more; its digest proves it as well.
    if digest and column_value is not None:
        return str(Digest.compute(column_value.encode()))
    return column_value
