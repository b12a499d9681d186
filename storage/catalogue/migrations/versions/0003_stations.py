"""Stations that deliver over the network: enrolments, tokens, notes, status, uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "enrolment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("station_id", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("code_until", time, nullable=False),
        sa.Column("key_text", sa.Text(), nullable=True),
        sa.Column("enrolled_at", time, nullable=True),
        sa.Column("expires_at", time, nullable=True),
        sa.Column("revoked_at", time, nullable=True),
        sa.Column("revoked_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name="fk_enrolment_station_id"),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment"),
        sa.UniqueConstraint("code_hash", name="uq_enrolment_code_hash"),
    )
    op.create_index("ix_enrolment_station_id", "enrolment", ["station_id"], unique=False)
    op.create_table(
        "station_token",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("enrolment_id", sa.String(length=36), nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["enrolment.id"], name="fk_station_token_enrolment_id"
        ),
        sa.PrimaryKeyConstraint("token_hash", name="pk_station_token"),
    )
    op.create_index("ix_station_token_enrolment_id", "station_token", ["enrolment_id"])
    op.create_index("ix_station_token_expires_at", "station_token", ["expires_at"])
    op.create_table(
        "used_assertion",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_used_assertion"),
    )
    op.create_index("ix_used_assertion_expires_at", "used_assertion", ["expires_at"])
    op.create_table(
        "station_note",
        sa.Column("enrolment_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["enrolment.id"], name="fk_station_note_enrolment_id"
        ),
        sa.PrimaryKeyConstraint("enrolment_id", "number", name="pk_station_note"),
    )
    op.create_table(
        "station_status",
        sa.Column("station_id", sa.String(length=64), nullable=False),
        sa.Column("seen_at", time, nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["station.id"], name="fk_station_status_station_id"
        ),
        sa.PrimaryKeyConstraint("station_id", name="pk_station_status"),
    )
    op.create_table(
        "upload",
        sa.Column("recording", sa.String(length=36), nullable=False),
        sa.Column("station_id", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("tail", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.String(length=36), nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("touched_at", time, nullable=False),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name="fk_upload_station_id"),
        sa.PrimaryKeyConstraint("recording", name="pk_upload"),
    )
    op.create_index("ix_upload_station_id", "upload", ["station_id"])
    op.create_index("ix_upload_touched_at", "upload", ["touched_at"])


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
