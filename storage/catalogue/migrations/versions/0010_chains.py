"""Chains of entries, begun by one digest of all those of before; and what rulebooks said."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_BEGIN = b"liuhen/unchained-entries/v1\n"  # docs/spec/custody-log.md section 1
_AT_ONCE = 1000


def upgrade() -> None:
    table = op.create_table(
        "log_chain",
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_log_chain"),
    )
    op.create_table(
        "rulebook_text",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_rulebook_text"),
    )
    op.create_table(
        "log_chain_entry",
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "number", name="pk_log_chain_entry"),
    )
    op.execute(
        "INSERT INTO log_chain_entry"
        ' SELECT subject, row_number() OVER (PARTITION BY subject ORDER BY "index") - 1, "index"'
        " FROM custody_event"
    )
    event = sa.table("custody_event", sa.column("index"), sa.column("subject"))
    leaf = sa.table("log_leaf", sa.column("index"), sa.column("hash"))
    hashes = (
        sa.select(event.c.subject, leaf.c.hash)
        .join_from(event, leaf, event.c.index == leaf.c.index)
        .order_by(event.c.subject, event.c.index)
    )
    rows: list[dict[str, object]] = []
    connection = op.get_bind()
    subject: str | None = None
    count, digest = 0, hashlib.sha256(_BEGIN)
    for found, hash_ in connection.execute(hashes):
        if found != subject and subject is not None:
            rows.append({"subject": subject, "count": count, "digest": digest.digest()})
            count, digest = 0, hashlib.sha256(_BEGIN)
        subject = found
        count += 1
        digest.update(hash_)
    if subject is not None:
        rows.append({"subject": subject, "count": count, "digest": digest.digest()})
    for first in range(0, len(rows), _AT_ONCE):
        op.bulk_insert(table, rows[first : first + _AT_ONCE])


def downgrade() -> None:
    raise NotImplementedError("a catalogue of evidence is never taken back: restore a backup")
