"""Releases of holds, proposed by one person and decided by another."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    uuid = sa.String(length=36)
    op.create_table(
        "hold_release",
        sa.Column("id", uuid, nullable=False),
        sa.Column("hold_id", uuid, nullable=True),
        sa.Column("proceeding_id", uuid, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("covers", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("proposed_by", uuid, nullable=False),
        sa.Column("proposed_at", time, nullable=False),
        sa.Column("decided_by", uuid, nullable=True),
        sa.Column("decided_at", time, nullable=True),
        sa.Column("decided_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name="fk_hold_release_hold_id"),
        sa.ForeignKeyConstraint(
            ["proceeding_id"], ["proceeding.id"], name="fk_hold_release_proceeding_id"
        ),
        sa.ForeignKeyConstraint(["proposed_by"], ["person.id"], name="fk_hold_release_proposed_by"),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_hold_release_decided_by"),
        sa.PrimaryKeyConstraint("id", name="pk_hold_release"),
    )
    for column in ("hold_id", "proceeding_id", "state"):
        op.create_index(f"ix_hold_release_{column}", "hold_release", [column])


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
