"""Acts name their session, what jobs do later included. Whoever was logged in logs in anew.

The log opened no session before: an open row of then is nobody's word.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table in ("job", "handed_in"):
        op.add_column(table, sa.Column("session", sa.String(32), nullable=True))
        op.add_column(table, sa.Column("address", sa.String(64), nullable=True))
    op.add_column("job", sa.Column("acted_at", _TIME, nullable=True))
    op.execute("DELETE FROM session")


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
