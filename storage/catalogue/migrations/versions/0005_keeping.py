"""Classes, holds on whatever they lie on, reclassifications, dispositions and what they leave."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TIME = sa.DateTime(timezone=True)
_UUID = sa.String(length=36)
_WORD = sa.String(length=40)
_NAME = sa.String(length=200)


def upgrade() -> None:
    _recordings()
    _holds()
    _classes()
    _dispositions()


def _recordings() -> None:
    op.add_column("recording", sa.Column("reviewed_at", _TIME, nullable=True))
    op.add_column("recording", sa.Column("destroyed_at", _TIME, nullable=True))
    op.add_column("recording", sa.Column("archived_at", _TIME, nullable=True))
    op.drop_index("ix_recording_retain_until", "recording")
    kept = sa.text("destroyed_at IS NULL")
    for name, columns in (
        ("ix_recording_due", ["retain_until", "id"]),
        ("ix_recording_township_due", ["township", "retain_until", "id"]),
    ):
        op.create_index(name, "recording", columns, sqlite_where=kept, postgresql_where=kept)
    # What keeps a recording is asked often: by it, not by reading every document.
    op.create_index("ix_document_recording_id", "document", ["recording_id"])


def _holds() -> None:
    with op.batch_alter_table("hold") as hold:
        hold.alter_column("recording_id", existing_type=_UUID, nullable=True)
        hold.alter_column("proceeding_id", existing_type=_UUID, nullable=True)
        hold.add_column(sa.Column("action_id", _UUID, nullable=True))
        hold.add_column(sa.Column("case_id", _UUID, nullable=True))
        hold.add_column(sa.Column("party", _NAME, nullable=True))
        hold.add_column(sa.Column("township", _NAME, nullable=True))
        hold.add_column(sa.Column("authority", _NAME, nullable=True))
        hold.add_column(sa.Column("note", sa.Text(), nullable=True))
        hold.add_column(sa.Column("released_why", sa.Text(), nullable=True))
        hold.create_foreign_key("fk_hold_action_id", "action", ["action_id"], ["id"])
        hold.create_foreign_key("fk_hold_case_id", "case_", ["case_id"], ["id"])
    for column in ("action_id", "case_id", "party"):
        op.create_index(f"ix_hold_{column}", "hold", [column])


def _classes() -> None:
    op.create_table(
        "footage_class",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("recording_id", _UUID, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_by", _UUID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("taken_at", _TIME, nullable=True),
        sa.Column("taken_under", _UUID, nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_footage_class_recording_id"
        ),
        sa.ForeignKeyConstraint(["given_by"], ["person.id"], name="fk_footage_class_given_by"),
        sa.PrimaryKeyConstraint("id", name="pk_footage_class"),
    )
    op.create_index("ix_footage_class_recording_id", "footage_class", ["recording_id"])
    op.create_table(
        "reclassification",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("recording_id", _UUID, nullable=False),
        sa.Column("taking", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("proposed_by", _UUID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("decided_by", _UUID, nullable=True),
        sa.Column("decided_at", _TIME, nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.Column("before", _TIME, nullable=False),
        sa.Column("after", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_reclassification_recording_id"
        ),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["person.id"], name="fk_reclassification_proposed_by"
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name="fk_reclassification_decided_by"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reclassification"),
    )
    op.create_index("ix_reclassification_recording_id", "reclassification", ["recording_id"])


def _dispositions() -> None:
    op.create_table(
        "disposition",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("township", _NAME, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("proposed_by", _UUID, nullable=False),
        sa.Column("proposed_at", _TIME, nullable=False),
        sa.Column("approved_at", _TIME, nullable=True),
        sa.Column("not_before", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("ended_by", sa.String(length=100), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["proposed_by"], ["person.id"], name="fk_disposition_proposed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_disposition"),
    )
    for column in ("township", "state", "approved_at"):
        op.create_index(f"ix_disposition_{column}", "disposition", [column])
    op.create_table(
        "disposition_approval",
        sa.Column("disposition_id", _UUID, nullable=False),
        sa.Column("person_id", _UUID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["disposition_id"], ["disposition.id"], name="fk_disposition_approval_disposition_id"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_disposition_approval_person_id"
        ),
        sa.PrimaryKeyConstraint("disposition_id", "person_id", name="pk_disposition_approval"),
    )
    op.create_table(
        "disposition_item",
        sa.Column("disposition_id", _UUID, nullable=False),
        sa.Column("recording_id", _UUID, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["disposition_id"], ["disposition.id"], name="fk_disposition_item_disposition_id"
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_disposition_item_recording_id"
        ),
        sa.PrimaryKeyConstraint("disposition_id", "recording_id", name="pk_disposition_item"),
    )
    op.create_index("ix_disposition_item_recording_id", "disposition_item", ["recording_id"])
    op.create_table(
        "tombstone",
        sa.Column("recording_id", _UUID, nullable=False),
        sa.Column("disposition_id", _UUID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("record", _NAME, nullable=False),
        sa.Column("retained_until", _TIME, nullable=False),
        sa.Column("destroyed_at", _TIME, nullable=False),
        sa.Column("verified_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name="fk_tombstone_recording_id"
        ),
        sa.ForeignKeyConstraint(
            ["disposition_id"], ["disposition.id"], name="fk_tombstone_disposition_id"
        ),
        sa.PrimaryKeyConstraint("recording_id", name="pk_tombstone"),
    )
    op.create_index("ix_tombstone_disposition_id", "tombstone", ["disposition_id"])


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
