"""Stored duties, and the basis of each: all are to be judged. Cases in the order of their list."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_EARLIEST = "1900-01-01 00:00:00.000000"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "duty_basis",
        sa.Column("subject", _by_bytes(220), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("standard", _by_bytes(64), nullable=False),
        sa.Column("first", time, nullable=False),
        sa.Column("until", time, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_duty_basis"),
    )
    for column in ("standard", "first", "until"):
        op.create_index(f"ix_duty_basis_{column}", "duty_basis", [column])
    op.create_table(
        "duty",
        sa.Column("basis", _by_bytes(220), nullable=False),
        sa.Column("subject", _by_bytes(220), nullable=False),
        sa.Column("rule", _by_bytes(200), nullable=False),
        sa.Column("person_id", _by_bytes(36), nullable=False),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.Column("what_zh", sa.Text(), nullable=False),
        sa.Column("what_en", sa.Text(), nullable=False),
        sa.Column("due_at", time, nullable=True),
        sa.Column("done_at", time, nullable=True),
        sa.Column("soon_at", time, nullable=True),
        sa.Column("persons", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("basis", "subject", "rule", "person_id", name="pk_duty"),
    )
    still = sa.text("done_at IS NULL")
    order = ["due_at", "subject", "rule", "person_id"]
    for name, columns in (("ix_duty_open", order), ("ix_duty_township_open", ["township", *order])):
        op.create_index(name, "duty", columns, sqlite_where=still, postgresql_where=still)
    op.create_index("ix_case_opened", "case_", ["opened_at", "id"])
    op.create_index("ix_case_township_opened", "case_", ["township", "opened_at", "id"])
    for subjects in (
        "SELECT 'case:' || id AS subject FROM case_",
        "SELECT 'proceeding:' || id AS subject FROM proceeding",
        "SELECT DISTINCT 'township:' || township AS subject FROM person",
    ):
        op.execute(
            "INSERT INTO duty_basis (subject, version, standard, first, until)"  # noqa: S608 - ours
            f" SELECT subject, 0, '', '{_EARLIEST}', '{_EARLIEST}' FROM ({subjects}) AS s"
        )


def _by_bytes(length: int) -> sa.types.TypeEngine[str]:
    """Return text in the order of its bytes, whatever language the server sorts by."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
