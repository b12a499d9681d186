"""The officer register, the way of a case, proceedings, draws; columns for clocks and codes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _register()
    _way()
    _proceedings()
    _columns()


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")


def _register() -> None:
    op.create_table(
        "assignment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source_serial", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_assignment_person_id"),
        sa.ForeignKeyConstraint(
            ["source_serial"], ["source.serial"], name="fk_assignment_source_serial"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_assignment"),
    )
    op.create_index("ix_assignment_person_id", "assignment", ["person_id"], unique=False)
    op.create_index("ix_assignment_source_serial", "assignment", ["source_serial"], unique=False)
    op.create_table(
        "certificate",
        sa.Column("number", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("category", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("valid_from", sa.String(length=10), nullable=True),
        sa.Column("valid_to", sa.String(length=10), nullable=True),
        sa.Column("ended_on", sa.String(length=10), nullable=True),
        sa.Column("ended_why", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_certificate_person_id"),
        sa.PrimaryKeyConstraint("number", name="pk_certificate"),
    )
    op.create_index("ix_certificate_person_id", "certificate", ["person_id"], unique=False)
    op.create_table(
        "training",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("hours", sa.Double(), nullable=False),
        sa.Column("special", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_training_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_training"),
    )
    op.create_index("ix_training_person_id", "training", ["person_id"], unique=False)
    op.create_table(
        "clock_reading",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source_serial", sa.String(length=200), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("docked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offset_s", sa.Double(), nullable=False),
        sa.Column("uncertainty_s", sa.Double(), nullable=False),
        sa.Column("how", sa.String(length=40), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_clock_reading_recording_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_clock_reading"),
    )
    op.create_index(
        "ix_clock_reading_recording_id", "clock_reading", ["recording_id"], unique=False
    )
    op.create_index(
        "ix_clock_reading_source_serial", "clock_reading", ["source_serial"], unique=False
    )


def _way() -> None:
    op.create_table(
        "case_part",
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("part", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_case_part_case_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_case_part_person_id"),
        sa.PrimaryKeyConstraint("case_id", "part", "person_id", name="pk_case_part"),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("penalty", sa.Boolean(), nullable=False),
        sa.Column("signed_by_head", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("disclosed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disclosed_where", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_decision_case_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_decision_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_decision"),
    )
    op.create_index("ix_decision_case_id", "decision", ["case_id"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_review_case_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_review_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_review"),
    )
    op.create_index("ix_review_case_id", "review", ["case_id"], unique=False)
    op.create_table(
        "document",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("action_id", sa.String(length=36), nullable=True),
        sa.Column("recording_id", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("manner", sa.String(length=40), nullable=True),
        sa.Column("entered_by", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["action.id"], name="fk_document_action_id"),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_document_case_id"),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_document_recording_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
    )
    op.create_index("ix_document_action_id", "document", ["action_id"], unique=False)
    op.create_index("ix_document_case_id", "document", ["case_id"], unique=False)
    op.create_table(
        "moment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("action_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("marked_by", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["action.id"], name="fk_moment_action_id"),
        sa.PrimaryKeyConstraint("id", name="pk_moment"),
    )
    op.create_index("ix_moment_action_id", "moment", ["action_id"], unique=False)
    op.create_table(
        "waiver",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("action_id", sa.String(length=36), nullable=True),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("decided_by", sa.String(length=36), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approver", sa.String(length=40), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["action_id"], ["action.id"], name="fk_waiver_action_id"),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_waiver_case_id"),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_waiver_decided_by"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_waiver_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_waiver"),
    )
    op.create_index("ix_waiver_action_id", "waiver", ["action_id"], unique=False)
    op.create_index("ix_waiver_case_id", "waiver", ["case_id"], unique=False)


def _proceedings() -> None:
    op.create_table(
        "draw",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("population", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("drawn", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("drawn_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_draw"),
    )
    op.create_table(
        "proceeding",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=200), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=True),
        sa.Column("township", sa.String(length=200), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("brought_by", sa.String(length=200), nullable=False),
        sa.Column("summary", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("handler_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_proceeding_case_id"),
        sa.ForeignKeyConstraint(["handler_id"], ["person.id"], name="fk_proceeding_handler_id"),
        sa.PrimaryKeyConstraint("id", name="pk_proceeding"),
    )
    op.create_index("ix_proceeding_case_id", "proceeding", ["case_id"], unique=False)
    op.create_index("ix_proceeding_township", "proceeding", ["township"], unique=False)
    op.create_table(
        "doubt",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_doubt_person_id"),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"], name="fk_doubt_recording_id"),
        sa.PrimaryKeyConstraint("id", name="pk_doubt"),
        sa.UniqueConstraint(
            "recording_id", "kind", "start_s", name="uq_doubt_recording_id_kind_start_s"
        ),
    )
    op.create_index("ix_doubt_recording_id", "doubt", ["recording_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("proceeding_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("placed_by", sa.String(length=100), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_by", sa.String(length=100), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["proceeding_id"], ["proceeding.id"], name="fk_hold_proceeding_id"),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"], name="fk_hold_recording_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
    )
    op.create_index("ix_hold_proceeding_id", "hold", ["proceeding_id"], unique=False)
    op.create_index("ix_hold_recording_id", "hold", ["recording_id"], unique=False)
    op.create_table(
        "quality_check",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("draw_id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["draw_id"], ["draw.id"], name="fk_quality_check_draw_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_quality_check_person_id"),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_quality_check_recording_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quality_check"),
        sa.UniqueConstraint(
            "draw_id", "recording_id", name="uq_quality_check_draw_id_recording_id"
        ),
    )
    op.create_index("ix_quality_check_draw_id", "quality_check", ["draw_id"], unique=False)


def _columns() -> None:
    op.add_column("action", sa.Column("manner", sa.String(length=40), nullable=True))
    op.add_column("action", sa.Column("scene_tag", sa.String(length=16), nullable=True))
    op.create_index("ix_action_scene_tag", "action", ["scene_tag"], unique=True)
    op.add_column("case_", sa.Column("returns_to", sa.String(length=40), nullable=True))
    op.add_column("case_", sa.Column("features", sa.Text(), nullable=True))
    op.add_column("case_", sa.Column("filed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("case_", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("case_", sa.Column("suspended_s", sa.Double(), nullable=True))
    op.add_column("person", sa.Column("full_time", sa.Boolean(), nullable=True))
    op.add_column("recording", sa.Column("source_kind", sa.String(length=40), nullable=True))
    op.add_column("recording", sa.Column("file_start", sa.DateTime(timezone=True), nullable=True))
    op.add_column("recording", sa.Column("docked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("recording", sa.Column("troubles", sa.Text(), nullable=True))
    with op.batch_alter_table("source") as source:
        source.drop_constraint("fk_source_assigned_officer_id", type_="foreignkey")
        source.drop_column("assigned_officer_id")
