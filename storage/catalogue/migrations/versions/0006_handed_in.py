"""Files that persons hand in from the console."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "handed_in",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("modified_ms", sa.BigInteger(), nullable=True),
        sa.Column("received_at", time, nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("tail", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.String(length=36), nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("touched_at", time, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_handed_in_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_handed_in"),
    )
    op.create_index("ix_handed_in_person_id", "handed_in", ["person_id"])
    op.create_index("ix_handed_in_touched_at", "handed_in", ["touched_at"])


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
