"""The custody log as the catalogue holds it: append inside a transaction, read and prove.

The arithmetic is `storage/custody/tree.py`; here stand only the rows. Signing and publishing a
head is `publish.py`.
"""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from storage.catalogue.log_tables import CustodyEventRow, LogCheckpointRow, LogLeafRow, LogNodeRow
from storage.custody import tree
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.event import Event
from storage.custody.proof import Proof
from storage.errors import CustodyError, NotFoundError


class LogReader:
    """Entries, nodes and heads of the log, as one open transaction sees them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._nodes: dict[tuple[int, int], bytes] = {}

    @property
    def size(self) -> int:
        """How many entries there are."""
        last = self._session.scalar(select(func.max(LogLeafRow.index)))
        return 0 if last is None else last + 1

    @property
    def last_at(self) -> datetime | None:
        """When the last entry was made, by its maker's clock; None while there is none."""
        newest = select(CustodyEventRow.at).order_by(CustodyEventRow.index.desc()).limit(1)
        return self._session.scalar(newest)

    def node(self, level: int, index: int) -> bytes:
        """Return a complete node. Raises: CustodyError when it is not there."""
        found = self._nodes.get((level, index))
        if found is None:
            row = self._session.get(LogNodeRow, (level, index))
            if row is None:
                raise CustodyError(problem="a node of the log is missing", level=level, index=index)
            found = row.hash
        return found

    def warm(self, level: int, first: int, count: int) -> None:
        """Read a run of nodes at once; `node` then answers them from memory."""
        wanted = select(LogNodeRow.index, LogNodeRow.hash).where(
            LogNodeRow.level == level,
            LogNodeRow.index >= first,
            LogNodeRow.index < first + count,
        )
        for index, found in self._session.execute(wanted):
            self._nodes[level, index] = found

    def warm_paths(self, *places: int) -> None:
        """Read at once the nodes beside the paths that lead from these places up to a root.

        A place is an entry's index, or a tree's size: what proofs and roots near it are made of.
        """
        wanted = {
            (level, beside)
            for place in places
            for level in range(max(places).bit_length() + 1)
            for beside in ((place >> level) - 1, place >> level, (place >> level) ^ 1)
            if beside >= 0 and (level, beside) not in self._nodes
        }
        found = select(LogNodeRow.level, LogNodeRow.index, LogNodeRow.hash).where(
            tuple_(LogNodeRow.level, LogNodeRow.index).in_(sorted(wanted))
        )
        for level, index, hash_ in self._session.execute(found):
            self._nodes[level, index] = hash_

    def leaves(self, first: int, count: int) -> Iterator[str]:
        """Yield the exact texts of a run of entries. Raises: CustodyError when one is missing."""
        wanted = (
            select(LogLeafRow.index, LogLeafRow.leaf)
            .where(LogLeafRow.index >= first, LogLeafRow.index < first + count)
            .order_by(LogLeafRow.index)
        )
        expected = first
        for index, leaf in self._session.execute(wanted):
            if index != expected:
                break
            yield leaf
            expected += 1
        if expected != first + count:
            raise CustodyError(problem="an entry of the log is missing", index=expected)

    def leaf(self, index: int) -> str:
        """Return the exact text of one entry. Raises: NotFoundError."""
        row = self._session.get(LogLeafRow, index)
        if row is None:
            raise NotFoundError(what="log entry", id=index)
        return row.leaf

    def event(self, index: int) -> CustodyEventRow:
        """Return the readable half of one entry. Raises: NotFoundError."""
        row = self._session.get(CustodyEventRow, index)
        if row is None:
            raise NotFoundError(what="custody event", id=index)
        return row

    def events_of(self, subject: str) -> list[CustodyEventRow]:
        """Return every event upon one subject, oldest first."""
        wanted = select(CustodyEventRow).where(CustodyEventRow.subject == subject)
        return list(self._session.scalars(wanted.order_by(CustodyEventRow.index)))

    def root(self, size: int) -> bytes:
        """Return the head over the first `size` entries."""
        self.warm_paths(size)
        return tree.root(size, self.node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that `new` entries continue `old`. Raises: CustodyError."""
        self.warm_paths(old, new)
        return tree.consistency_proof(old, new, self.node)

    def checkpoint(self) -> str | None:
        """Return the newest published checkpoint, if any head was signed yet."""
        newest = select(LogCheckpointRow.text).order_by(LogCheckpointRow.size.desc()).limit(1)
        return self._session.scalar(newest)


def append(session: Session, event: Event, salt: bytes) -> int:
    """Add one entry: leaf, nodes and readable half. Returns its index.

    The caller holds the write lock (`unit_of_work.py`), so nobody else takes the same index.
    """
    reader = LogReader(session)
    index = reader.size
    leaf = event.leaf(salt)
    reader.warm_paths(index)
    for level, place, found in tree.append(index, leaf, reader.node):
        session.add(LogNodeRow(level=level, index=place, hash=found))
    session.add(LogLeafRow(index=index, leaf=leaf.decode(), hash=tree.leaf_hash(leaf)))
    session.add(
        CustodyEventRow(
            index=index,
            at=event.at,
            actor=event.actor,
            act=event.act,
            event=event.event.value,
            outcome=event.outcome.value,
            subject=event.subject,
            details=dict(event.details),
            salt=salt,
        )
    )
    session.flush()
    return index


def proof_for(session: Session, index: int, checkpoint: str) -> str:
    """Return the tlog-proof that entry `index` stands under this checkpoint.

    Raises: CustodyError when the checkpoint is older than the entry.
    """
    size = untrusted_checkpoint(checkpoint).size
    reader = LogReader(session)
    reader.warm_paths(index, size)
    path = tree.inclusion_proof(index, size, reader.node)
    return Proof(index, tuple(path), checkpoint).encode()


def keep_checkpoint(session: Session, text: str, at: datetime) -> None:
    """Store a signed head once."""
    head = untrusted_checkpoint(text)
    if session.get(LogCheckpointRow, head.size) is None:
        row = LogCheckpointRow(size=head.size, root=head.root, text=text, signed_at=at)
        session.add(row)
