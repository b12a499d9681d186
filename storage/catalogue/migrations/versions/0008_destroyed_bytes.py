"""The bytes of a recording that was destroyed may be accessioned anew, as another recording."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_UNIQUE = "uq_recording_source_serial_sha256"
_CONSTRAINT = re.compile(rf",\s*CONSTRAINT {_UNIQUE} UNIQUE \(source_serial, sha256\)")


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _rebuild()
    else:
        op.drop_constraint(_UNIQUE, "recording", type_="unique")
    kept = sa.text("destroyed_at IS NULL")
    columns = ["source_serial", "sha256"]
    op.create_index(
        "uq_recording_kept",
        "recording",
        columns,
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )


def _rebuild() -> None:
    """Make the table anew without the constraint: SQLite cannot drop one.

    A renamed table would take the references of others along, or leave them without their rows at
    the commit. So the rows go out and back under one name: what a removed row left without its
    parent is counted, and counted off again when the row is back (sqlite.org/foreignkeys.html, 4.2
    and 5; `defer_foreign_keys` ends with the transaction).
    """
    execute = op.get_bind().exec_driver_sql
    made = execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'recording'")
    table, dropped = _CONSTRAINT.subn("", str(made.scalar_one()))
    if dropped != 1:
        raise RuntimeError("the table of recordings is not as revision 0001 made it")
    indexes = execute(
        "SELECT sql FROM sqlite_master"
        " WHERE type = 'index' AND tbl_name = 'recording' AND sql IS NOT NULL"
    )
    again = [str(index) for index in indexes.scalars()]
    # Each row that goes or comes looks for those that refer to it; this table alone has no index.
    execute("CREATE INDEX ix_quality_check_for_a_while ON quality_check (recording_id)")
    execute("PRAGMA defer_foreign_keys = ON")
    execute(re.sub(r'(?i)^CREATE TABLE "?recording"?', "CREATE TABLE recording_out", table))
    execute("INSERT INTO recording_out SELECT * FROM recording")
    execute("DROP TABLE recording")
    execute(table)
    execute("INSERT INTO recording SELECT * FROM recording_out")
    execute("DROP TABLE recording_out")
    execute("DROP INDEX ix_quality_check_for_a_while")
    for index in again:
        execute(index)


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
