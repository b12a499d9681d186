"""The version of the catalogue's tables: which it is, which are known, and how it becomes the last.

A version is the number that a migration's file begins with.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from storage.errors import CatalogueNewerError

_FOLDER = Path(__file__).parent.parent / "migrations"
_TABLE = "alembic_version"


def known_versions() -> list[str]:
    """Return the versions that there are migrations to, the last one last."""
    return sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def find_version(connection: Connection) -> str | None:
    """Return the version of the tables; None where there are none yet.

    Raises: CatalogueNewerError (no migration leads to it: a newer program made them).
    """
    # Asked first: reading a missing table fails the whole transaction on PostgreSQL.
    if not inspect(connection).has_table(_TABLE):
        return None
    version: str | None = connection.scalar(text(f"SELECT version_num FROM {_TABLE}"))  # noqa: S608
    versions = known_versions()
    if version is not None and version not in versions:
        raise CatalogueNewerError(revision=version, known=versions[-1])
    return version


def upgrade_tables(connection: Connection) -> None:
    """Bring the tables to the last version, on a connection whose transaction the caller ends.

    Raises: CatalogueNewerError.
    """
    # Nearly every start ends here, without the import below.
    if find_version(connection) == known_versions()[-1]:
        return
    from alembic import command  # noqa: PLC0415 - seldom needed, and slow to import
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # Alembic reads its settings with `%` as interpolation.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    # On the caller's connection, so that migration and write lock are one transaction.
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
