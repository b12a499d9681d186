"""What jobs do later, and files handed in, name the session of the person who asked for it.

The log opened no session before: whoever was logged in then logs in anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table in ("job", "handed_in"):
        op.add_column(table, sa.Column("session", sa.String(32), nullable=True))
        op.add_column(table, sa.Column("address", sa.String(64), nullable=True))
    op.add_column("job", sa.Column("acted_at", _TIME, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
