"""The custody log as the catalogue holds it: append inside a transaction, read and prove.

The arithmetic is `storage/custody/merkle/tree.py`; here stand only the rows. Signing and publishing
a head is `publish.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Text, bindparam, func, insert, or_, select, text
from sqlalchemy.orm import Session

from storage.catalogue.engine.columns import Base
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.log.tables import (
    CustodyEventRow,
    LogChainEntryRow,
    LogChainRow,
    LogCheckpointRow,
    LogLeafRow,
    LogNodeRow,
)
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.entries.chain import EMPTY, ChainHead
from storage.custody.entries.event import Event, details_digest, parse_leaf
from storage.custody.merkle import tree
from storage.custody.merkle.proof import Proof
from storage.custody.outside_head import LogContinuation
from storage.errors import CustodyError, LiuhenError, NotFoundError

# Past the ORM, whose bookkeeping costs more than the inserts.
_NODES, _LEAVES, _EVENTS, _CHAIN_ENTRIES = (
    Base.metadata.tables[row.__tablename__]
    for row in (LogNodeRow, LogLeafRow, CustodyEventRow, LogChainEntryRow)
)
_ADD_NODES, _ADD_LEAVES, _ADD_CHAIN_ENTRIES = (
    insert(table) for table in (_NODES, _LEAVES, _CHAIN_ENTRIES)
)
_ADD_EVENTS = insert(_EVENTS).values(details=bindparam("text", type_=Text()))  # encoded already
_SET_CHAIN = text(
    "INSERT INTO log_chain (subject, count, digest) VALUES (:subject, :count, :digest)"
    " ON CONFLICT (subject) DO UPDATE SET count = excluded.count, digest = excluded.digest"
)
_AT_ONCE = 500  # subjects in one question


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
        """When the last entry was made, as its leaf says; None of no entry, or an unreadable one.

        The readable half is not asked: whoever has the database moves that, and no head shows it.
        """
        newest = select(LogLeafRow.leaf).order_by(LogLeafRow.index.desc()).limit(1)
        leaf = self._session.scalar(newest)
        try:
            return None if leaf is None else datetime.fromisoformat(parse_leaf(leaf.encode())["at"])
        except (LiuhenError, TypeError, ValueError):  # the audit names it
            return None

    def get_node(self, level: int, index: int) -> bytes:
        """Return a complete node. Raises: CustodyError when it is not there."""
        node_hash = self._nodes.get((level, index))
        if node_hash is None:
            row = self._session.get(LogNodeRow, (level, index))
            if row is None:
                raise CustodyError(problem="a node of the log is missing", level=level, index=index)
            node_hash = row.hash
        return node_hash

    def cache_node(self, level: int, index: int, node_hash: bytes) -> None:
        """Cache a node that is not in the tables yet."""
        self._nodes[level, index] = node_hash

    def warm_nodes(self, level: int, first: int, count: int) -> None:
        """Read a run of nodes at once; `node` then answers them from memory."""
        query = select(LogNodeRow.index, LogNodeRow.hash).where(
            LogNodeRow.level == level,
            LogNodeRow.index >= first,
            LogNodeRow.index < first + count,
        )
        for index, node_hash in self._session.execute(query):
            self._nodes[level, index] = node_hash

    def warm_paths(self, *places: int) -> None:
        """Read at once the nodes beside the paths that lead from these places up to a root.

        A place is an entry's index, or a tree's size: what proofs and roots near it are made of.
        """
        coordinates = {
            (level, beside)
            for place in places
            # Up to the level of the highest root that any of these places can have.
            for level in range(max(places).bit_length() + 1)
            for beside in ((place >> level) - 1, place >> level, (place >> level) ^ 1)
            if beside >= 0 and (level, beside) not in self._nodes
        }
        self.warm_places(sorted(coordinates))

    def warm_places(self, places: Sequence[tuple[int, int]]) -> None:
        """Read some nodes, each by level and index, at once.

        Asked level by level: SQLite goes over the whole table for a list of pairs.
        """
        row = LogNodeRow
        for first in range(0, len(places), _AT_ONCE):
            levels: dict[int, list[int]] = {}
            for level, index in places[first : first + _AT_ONCE]:
                levels.setdefault(level, []).append(index)
            condition = or_(
                *((row.level == level) & row.index.in_(some) for level, some in levels.items())
            )
            query = select(row.level, row.index, row.hash).where(condition)
            for level, index, hash_ in self._session.execute(query):
                self._nodes[level, index] = hash_

    def read_leaves(self, first: int, count: int) -> Iterator[str]:
        """Yield the exact texts of a run of entries. Raises: CustodyError when one is missing."""
        query = (
            select(LogLeafRow.index, LogLeafRow.leaf)
            .where(LogLeafRow.index >= first, LogLeafRow.index < first + count)
            .order_by(LogLeafRow.index)
        )
        # A gap ends the run: what follows it would stand under wrong numbers.
        expected = first
        for index, leaf in self._session.execute(query):
            if index != expected:
                break
            yield leaf
            expected += 1
        if expected != first + count:
            raise CustodyError(problem="an entry of the log is missing", index=expected)

    def get_leaf(self, index: int) -> str:
        """Return the exact text of one entry. Raises: NotFoundError."""
        row = load_row(self._session, LogLeafRow, index)
        return row.leaf

    def read_readable_halves(
        self, indexes: Sequence[int]
    ) -> Iterator[tuple[int, str, CustodyEventRow]]:
        """Yield some entries in their order: number, exact text, readable half."""
        # In portions: a database takes only so many parameters in one statement.
        for first in range(0, len(indexes), _AT_ONCE):
            some = indexes[first : first + _AT_ONCE]
            query = (
                select(LogLeafRow.leaf, CustodyEventRow)
                .join_from(LogLeafRow, CustodyEventRow, LogLeafRow.index == CustodyEventRow.index)
                .where(LogLeafRow.index.in_(some))
                .order_by(LogLeafRow.index)
            )
            for leaf, event in self._session.execute(query):
                yield event.index, leaf, event

    def open_entries(
        self, indexes: Sequence[int]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield some entries as their leaves say them, with details that open them; no others.

        Readable halves are rows that anybody with the database can write; a leaf is held to the
        signed head.
        """
        for _index, leaf, event in self.read_readable_halves(indexes):
            try:
                entry = parse_leaf(leaf.encode())
                opens = details_digest(event.details, event.salt) == entry["details"]
            except (LiuhenError, TypeError, ValueError):
                continue
            if opens:
                yield entry, event.details

    def read_texts(self, indexes: Sequence[int]) -> list[str]:
        """Return the exact texts of some entries, in their order. Raises: NotFoundError."""
        query = select(LogLeafRow.index, LogLeafRow.leaf).where(LogLeafRow.index.in_(indexes))
        leaf_texts = {leaf_row[0]: leaf_row[1] for leaf_row in self._session.execute(query)}
        if lost := set(indexes) - set(leaf_texts):
            raise NotFoundError(what="log entry", id=min(lost))
        return [leaf_texts[index] for index in indexes]

    def get_event(self, index: int) -> CustodyEventRow:
        """Return the readable half of one entry. Raises: NotFoundError."""
        return load_row(self._session, CustodyEventRow, index)

    def events_of(
        self,
        *subjects: str,
        act: str | None = None,
        after: Place = (),
        limit: int | None = None,
    ) -> list[CustodyEventRow]:
        """Return the events upon some subjects, of one act if it is given, oldest first (index)."""
        query = select(CustodyEventRow).where(CustodyEventRow.subject.in_(subjects))
        if act is not None:
            query = query.where(CustodyEventRow.act == act)
        return list(
            self._session.scalars(page_by_keys(query, (CustodyEventRow.index,), after, limit))
        )

    def chain_heads(self, subjects: Iterable[str]) -> dict[str, ChainHead]:
        """Return where the chains of some subjects end; of one that has none, the empty head."""
        distinct_subjects = sorted(set(subjects))
        heads, row = dict.fromkeys(distinct_subjects, EMPTY), LogChainRow
        for first in range(0, len(distinct_subjects), _AT_ONCE):
            some = distinct_subjects[first : first + _AT_ONCE]
            rows = select(row.subject, row.count, row.digest).where(row.subject.in_(some))
            for subject, count, digest in self._session.execute(rows):
                heads[subject] = ChainHead(count, digest)
        return heads

    def chain_entries(self, subjects: Iterable[str]) -> dict[str, list[int]]:
        """Return the numbers in the log of the entries in the chains of some subjects, in order."""
        distinct_subjects = sorted(set(subjects))
        indexes: dict[str, list[int]] = {subject: [] for subject in distinct_subjects}
        row = LogChainEntryRow
        for first in range(0, len(distinct_subjects), _AT_ONCE):
            some = distinct_subjects[first : first + _AT_ONCE]
            places = select(row.subject, row.index).where(row.subject.in_(some))
            for subject, index in self._session.execute(places.order_by(row.subject, row.number)):
                indexes[subject].append(index)
        return indexes

    def compute_root(self, size: int) -> bytes:
        """Return the head over the first `size` entries."""
        self.warm_paths(size)
        return tree.compute_root(size, self.get_node)

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that `new` entries continue `old`. Raises: CustodyError."""
        self.warm_paths(old, new)
        return tree.consistency_proof(old, new, self.get_node)

    def find_newest_checkpoint(self) -> str | None:
        """Return the newest published checkpoint, if any head was signed yet."""
        newest = select(LogCheckpointRow.text).order_by(LogCheckpointRow.size.desc()).limit(1)
        return self._session.scalar(newest)


class LogWriter:
    """Adds entries within one transaction: numbered at once, in the tables when `write` returns.

    The caller holds the write lock (`unit_of_work.py`), so nobody else takes the same indexes, and
    what was read of the log once stays true.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._log = LogReader(session)
        self._nodes: list[dict[str, Any]] = []
        self._leaves: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._chains: dict[str, ChainHead] = {}
        self._continued: set[str] = set()
        self._chain_entries: list[dict[str, Any]] = []

    @cached_property
    def _first(self) -> int:
        size = self._log.size
        self._log.warm_paths(size)
        return size

    @property
    def next_index(self) -> int:
        """The number that the next entry will get."""
        return self._first + len(self._leaves)

    def append(
        self,
        event: Event,
        salt: bytes,
        chains: Iterable[str] = (),
        heads: Iterable[str] = (),
    ) -> int:
        """Add one entry: leaf, nodes and readable half. Returns its index.

        It continues the chains of its subject and of `chains`, and names the heads of `heads`.
        """
        own = {event.subject, *chains}
        # A chain that it continues says more than a head that it names.
        named = set(heads) - own
        event = replace(event, chains=self.chain_heads(own), heads=self.chain_heads(named))
        index, details = self.next_index, event.encode_details()
        leaf = event.encode_leaf(salt, details)
        self._chains |= {subject: head.followed_by(leaf) for subject, head in event.chains.items()}
        self._chain_entries += [
            {"subject": subject, "number": head.count, "index": index}
            for subject, head in event.chains.items()
        ]
        # Only these changed: heads that were merely named are not written back.
        self._continued |= own
        nodes = tree.append_leaf(index, leaf, self._log.get_node)
        # The next entry of this transaction reads them before they are in the tables.
        for level, place, node_hash in nodes:
            self._log.cache_node(level, place, node_hash)
            self._nodes.append({"level": level, "index": place, "hash": node_hash})
        _, _, leaf_hash = nodes[0]
        self._leaves.append({"index": index, "leaf": leaf.decode(), "hash": leaf_hash})
        self._events.append(
            {
                "index": index,
                "at": event.at,
                "actor": event.actor,
                "act": event.act,
                "event": event.event.value,
                "outcome": event.outcome.value,
                "subject": event.subject,
                "text": details.decode(),
                "salt": salt,
            }
        )
        return index

    def chain_heads(self, subjects: Iterable[str]) -> dict[str, ChainHead]:
        """Return where the chains of some subjects end, the entries added so far included."""
        distinct_subjects = set(subjects)
        # Each head is read once in a transaction; from then on memory is ahead of the table.
        if unknown := distinct_subjects - set(self._chains):
            self._chains |= self._log.chain_heads(unknown)
        return {subject: self._chains[subject] for subject in distinct_subjects}

    def write(self) -> None:
        """Insert what was added, many rows at a time."""
        if self._leaves:
            # Five statements for the whole transaction, however many entries it has.
            for statement, rows in (
                (_ADD_NODES, self._nodes),
                (_ADD_LEAVES, self._leaves),
                (_ADD_EVENTS, self._events),
                (_ADD_CHAIN_ENTRIES, self._chain_entries),
                (_SET_CHAIN, [self._chain_row(subject) for subject in sorted(self._continued)]),
            ):
                self._session.execute(statement, rows)

    def _chain_row(self, subject: str) -> dict[str, Any]:
        head = self._chains[subject]
        return {"subject": subject, "count": head.count, "digest": head.digest}


def subjects_with(session: Session, act: str, subjects: Iterable[str]) -> set[str]:
    """Return those of the subjects upon which this act was ever done."""
    query = select(CustodyEventRow.subject).where(
        CustodyEventRow.subject.in_(list(subjects)), CustodyEventRow.act == act
    )
    return set(session.scalars(query))


def proof_for(session: Session, index: int, checkpoint: str) -> str:
    """Return the tlog-proof that entry `index` stands under this checkpoint.

    Raises: CustodyError when the checkpoint is older than the entry.
    """
    return proofs_for(session, [index], checkpoint)[0]


def proofs_for(session: Session, indexes: Sequence[int], checkpoint: str) -> list[str]:
    """Return the tlog-proof of each entry, in their order. Raises: as `proof_for`."""
    size = untrusted_checkpoint(checkpoint).size
    reader = LogReader(session)
    reader.warm_paths(*indexes, size)
    return [
        Proof(index, tuple(tree.inclusion_proof(index, size, reader.get_node)), checkpoint).encode()
        for index in indexes
    ]


def prove_continuation(session: Session, checkpoint: str, sizes: Iterable[int]) -> LogContinuation:
    """Return the proofs that this signed head continues the log's heads of some sizes.

    Raises: CustodyError when the entries under the head are not all there.
    """
    newest = untrusted_checkpoint(checkpoint).size
    reached = [size for size in sorted(set(sizes)) if size <= newest]
    reader = LogReader(session)
    reader.warm_paths(newest, *reached)
    proofs = {
        size: tuple(tree.consistency_proof(size, newest, reader.get_node)) for size in reached
    }
    return LogContinuation(checkpoint, proofs)


def keep_checkpoint(session: Session, text: str, at: datetime) -> None:
    """Store a signed head once."""
    head = untrusted_checkpoint(text)
    # The first one kept stays: the signer answers the same head with the same text.
    if session.get(LogCheckpointRow, head.size) is None:
        row = LogCheckpointRow(size=head.size, root=head.root, text=text, signed_at=at)
        session.add(row)
