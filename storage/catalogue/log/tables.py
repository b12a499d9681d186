"""The tables of the custody log inside the catalogue: entries, complete nodes, readable halves.

An entry, its nodes and its readable half are inserted with the rows that they speak of, in one
transaction, and never changed. Checkpoints follow after the commit (`publish.py`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.catalogue.engine.columns import Base, CanonicalJson, UtcTime


class LogLeafRow(Base):
    """One entry: its exact text, and its RFC 6962 leaf hash."""

    __tablename__ = "log_leaf"
    noun = "log entry"

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    leaf: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogNodeRow(Base):
    """One complete node of the tree; level 0 are the leaf hashes."""

    __tablename__ = "log_node"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class CustodyEventRow(Base):
    """The readable half of an entry: with `salt`, `details` opens the digest in the leaf."""

    __tablename__ = "custody_event"
    noun = "custody event"

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    actor: Mapped[str] = mapped_column(String(100), index=True)
    act: Mapped[str] = mapped_column(String(100))
    event: Mapped[str] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str] = mapped_column(String(100), index=True)
    details: Mapped[dict[str, Any]] = mapped_column(CanonicalJson)
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))


class LogChainRow(Base):
    """Where the chain of a subject ends (custody/chain.py): a copy of what the entries say."""

    __tablename__ = "log_chain"

    subject: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogChainEntryRow(Base):
    """Which entry stands where in the chain of a subject: what finds them, no proof of anything."""

    __tablename__ = "log_chain_entry"

    subject: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger)


class RulebookTextRow(Base):
    """A file of a rulebook that ever judged, by its SHA-256; entries hold that digest."""

    __tablename__ = "rulebook_text"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    text: Mapped[str] = mapped_column(Text)


class LogCheckpointRow(Base):
    """A signed head, as it was published."""

    __tablename__ = "log_checkpoint"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    text: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UtcTime)
