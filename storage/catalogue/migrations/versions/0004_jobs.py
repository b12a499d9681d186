"""Durable jobs: what is to be done, who is at work, what was verified, seen again and made."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("slot", sa.String(length=60), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("asked_at", time, nullable=False),
        sa.Column("due_at", time, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=True),
        sa.Column("error", sa.String(length=40), nullable=True),
        sa.Column("ended_at", time, nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("kind", "subject", "slot", name="uq_job_kind_subject_slot"),
    )
    op.create_index("ix_job_state_due_at", "job", ["state", "due_at"])
    op.create_index("ix_job_subject", "job", ["subject"])
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("life", sa.String(length=36), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", time, nullable=False),
        sa.Column("started_at", time, nullable=False),
        sa.Column("ended_at", time, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_worker"),
        sa.UniqueConstraint("life", name="uq_worker_life"),
    )
    op.create_table(
        "verified",
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.Column("wrong", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_verified_recording_id"
        ),
        sa.PrimaryKeyConstraint("recording_id", name="pk_verified"),
    )
    op.create_index("ix_verified_at", "verified", ["at"])
    op.create_table(
        "later_look",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("media", sa.Text(), nullable=False),
        sa.Column("inspection", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_later_look_recording_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_later_look"),
    )
    op.create_index("ix_later_look_recording_id", "later_look", ["recording_id"])
    op.create_table(
        "rendition",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sealed_sha256", sa.String(length=64), nullable=False),
        sa.Column("envelope_text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_rendition_recording_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rendition"),
    )
    op.create_index("ix_rendition_recording_id", "rendition", ["recording_id"])


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
