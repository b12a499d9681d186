"""The first tables: people and sources, recordings, cases, and the custody log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _people()
    _recordings()
    _cases()
    _custody_log()


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")


def _people() -> None:
    op.create_table(
        "station",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_station"),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("certificate_no", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
        sa.UniqueConstraint("certificate_no", name="uq_person_certificate_no"),
    )
    op.create_index("ix_person_township", "person", ["township"], unique=False)
    op.create_table(
        "source",
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(length=200), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.Column("assigned_officer_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["assigned_officer_id"], ["person.id"], name="fk_source_assigned_officer_id"
        ),
        sa.PrimaryKeyConstraint("serial", name="pk_source"),
        sa.UniqueConstraint("id", name="uq_source_id"),
    )
    op.create_index("ix_source_township", "source", ["township"], unique=False)
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("username", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_account_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("username", name="uq_account_username"),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_session_account_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_session"),
    )
    op.create_index("ix_session_account_id", "session", ["account_id"], unique=False)
    op.create_index("ix_session_expires_at", "session", ["expires_at"], unique=False)


def _recordings() -> None:
    op.create_table(
        "recording",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source_serial", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("playable", sa.Boolean(), nullable=False),
        sa.Column("unplayable_reason", sa.String(length=200), nullable=True),
        sa.Column("container", sa.String(length=200), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_offset_s", sa.Double(), nullable=True),
        sa.Column("clock_uncertainty_s", sa.Double(), nullable=True),
        sa.Column("has_video", sa.Boolean(), nullable=False),
        sa.Column("has_audio", sa.Boolean(), nullable=False),
        sa.Column("video_gaps", sa.Text(), nullable=False),
        sa.Column("audio_gaps", sa.Text(), nullable=False),
        sa.Column("officer_no", sa.String(length=200), nullable=True),
        sa.Column("officer_id", sa.String(length=36), nullable=True),
        sa.Column("sequence", sa.String(length=200), nullable=True),
        sa.Column("marked", sa.Boolean(), nullable=True),
        sa.Column("questions", sa.Text(), nullable=False),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.Column("station", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=200), nullable=False),
        sa.Column("media", sa.Text(), nullable=False),
        sa.Column("inspection", sa.Text(), nullable=False),
        sa.Column("record_text", sa.Text(), nullable=False),
        sa.Column("envelope_text", sa.Text(), nullable=False),
        sa.Column("receipt_text", sa.Text(), nullable=True),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.Column("retain_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accessioned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["officer_id"], ["person.id"], name="fk_recording_officer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recording"),
        sa.UniqueConstraint("leaf_index", name="uq_recording_leaf_index"),
        sa.UniqueConstraint("source_serial", "sha256", name="uq_recording_source_serial_sha256"),
    )
    op.create_index("ix_recording_accessioned_at", "recording", ["accessioned_at"], unique=False)
    op.create_index("ix_recording_officer_id", "recording", ["officer_id"], unique=False)
    op.create_index("ix_recording_officer_no", "recording", ["officer_no"], unique=False)
    op.create_index("ix_recording_retain_until", "recording", ["retain_until"], unique=False)
    op.create_index("ix_recording_sha256", "recording", ["sha256"], unique=False)
    op.create_index(
        "ix_recording_source_serial_size", "recording", ["source_serial", "size"], unique=False
    )
    op.create_index("ix_recording_start_at", "recording", ["start_at"], unique=False)
    op.create_index("ix_recording_township", "recording", ["township"], unique=False)


def _cases() -> None:
    op.create_table(
        "case_",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.String(length=200), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("party", sa.String(length=200), nullable=False),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_case_"),
        sa.UniqueConstraint("number", name="uq_case__number"),
    )
    op.create_index("ix_case__party", "case_", ["party"], unique=False)
    op.create_index("ix_case__township", "case_", ["township"], unique=False)
    op.create_table(
        "action",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_action_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_action"),
    )
    op.create_index("ix_action_case_id", "action", ["case_id"], unique=False)
    op.create_index("ix_action_start_at", "action", ["start_at"], unique=False)
    op.create_table(
        "action_officer",
        sa.Column("action_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["action.id"], name="fk_action_officer_action_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_action_officer_person_id"),
        sa.PrimaryKeyConstraint("action_id", "person_id", name="pk_action_officer"),
    )
    op.create_table(
        "exhibit",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("action_id", sa.String(length=36), nullable=False),
        sa.Column("shown_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shown_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("how", sa.String(length=40), nullable=False),
        sa.Column("proposed_by", sa.String(length=100), nullable=False),
        sa.Column("decided_by", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(["action_id"], ["action.id"], name="fk_exhibit_action_id"),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"], name="fk_exhibit_recording_id"),
        sa.PrimaryKeyConstraint("id", name="pk_exhibit"),
        sa.UniqueConstraint("recording_id", "action_id", name="uq_exhibit_recording_id_action_id"),
    )
    op.create_index("ix_exhibit_action_id", "exhibit", ["action_id"], unique=False)


def _custody_log() -> None:
    op.create_table(
        "log_leaf",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("index", name="pk_log_leaf"),
    )
    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name="pk_log_node"),
    )
    op.create_table(
        "custody_event",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("act", sa.String(length=100), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("index", name="pk_custody_event"),
    )
    op.create_index("ix_custody_event_actor", "custody_event", ["actor"], unique=False)
    op.create_index("ix_custody_event_at", "custody_event", ["at"], unique=False)
    op.create_index("ix_custody_event_subject", "custody_event", ["subject"], unique=False)
    op.create_table(
        "log_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_log_checkpoint"),
    )
