"""Audit of the log against its signed heads: entries, nodes, checkpoints, static files.

Trusted are the log's public keys alone. Every checkpoint that carries their signatures, from the
database, the static log or elsewhere, must be a head of the entries as they stand; where the
static log proves itself by such a checkpoint, its leaf hashes name the entry that was edited,
even when the whole database was rewritten around it.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind, about_entry
from storage.catalogue.log.tables import LogCheckpointRow, LogLeafRow, LogNodeRow
from storage.catalogue.proofs.publish import CHECKPOINT, read_head, read_tile
from storage.catalogue.tables import RecordingRow
from storage.custody.checkpoint import Checkpoint, open_checkpoint, untrusted_checkpoint
from storage.custody.merkle import tiles, tree
from storage.custody.merkle.proof import Proof
from storage.custody.merkle.tiles import Tile
from storage.custody.note import NoteKey
from storage.errors import CustodyError, LiuhenError

_BATCH = 1024


class StaticLog:
    """The published leaf hashes, after they proved to lead to a signed checkpoint."""

    def __init__(self, folder: Path, head: Checkpoint) -> None:
        self.head = head
        self._folder = folder
        self._loaded: tuple[int, bytes] = (-1, b"")

    def leaf_hash(self, index: int) -> bytes | None:
        """Return the hash of an entry, or None beyond the published head."""
        if index >= self.head.size:
            return None
        place, offset = divmod(index, tiles.WIDTH)
        # Entries come in order, so one tile at a time is enough.
        if self._loaded[0] != place:
            self._loaded = (place, read_tile(self._folder, self._locate_tile(0, place)))
        return self._loaded[1][offset * tree.HASH_SIZE : (offset + 1) * tree.HASH_SIZE]

    def check_files(self) -> Iterator[Discrepancy]:
        """Yield every published file that does not lead to the signed head."""
        frontier = tree.Frontier()
        for place in range(-(-self.head.size // tiles.WIDTH)):
            try:
                hashes = self._read_hashes(place)
            except (OSError, CustodyError):
                yield Discrepancy(DiscrepancyKind.EDITED_TILE, self._locate_tile(0, place).path)
                # Beyond a missing tile no root can be computed.
                return
            for entry_hash in hashes:
                frontier.add(entry_hash)
            bundle = self._locate_tile(None, place)
            if self._hash_bundle(bundle) != hashes:
                yield Discrepancy(DiscrepancyKind.EDITED_TILE, bundle.path)
        if frontier.compute_root() != self.head.root:
            yield Discrepancy(DiscrepancyKind.EDITED_TILE, "tile/0", {"size": self.head.size})

    def _read_hashes(self, place: int) -> list[bytes]:
        tile = self._locate_tile(0, place)
        tile_bytes = read_tile(self._folder, tile)
        if len(tile_bytes) < tile.width * tree.HASH_SIZE:
            raise CustodyError(problem="tile too short", tile=tile.path)
        return [
            tile_bytes[i * tree.HASH_SIZE : (i + 1) * tree.HASH_SIZE] for i in range(tile.width)
        ]

    def _hash_bundle(self, tile: Tile) -> list[bytes] | None:
        try:
            entries = tiles.entries_of(read_tile(self._folder, tile))
        except (OSError, CustodyError):
            return None
        return [tree.leaf_hash(entry) for entry in entries[: tile.width]]

    def _locate_tile(self, level: int | None, place: int) -> Tile:
        return Tile(level, place, min(tiles.WIDTH, self.head.size - place * tiles.WIDTH))


def static_log(
    folder: Path | None, keys: Sequence[NoteKey]
) -> tuple[StaticLog | None, list[Discrepancy]]:
    """Open the static log in a folder; None, with what is wrong, where it cannot be believed."""
    if folder is None or not (folder / CHECKPOINT).exists():
        return None, []
    try:
        static = StaticLog(folder, open_checkpoint(read_head(folder), keys))
    except (LiuhenError, OSError, UnicodeDecodeError):
        return None, [Discrepancy(DiscrepancyKind.EDITED_CHECKPOINT, "the published checkpoint")]
    wrong = list(static.check_files())
    # A bundle that is wrong leaves the hash tiles believable: they alone lead to the head.
    hashes_wrong = any(discrepancy.subject.startswith("tile/0") for discrepancy in wrong)
    return (None if hashes_wrong else static), wrong


def open_checkpoints(
    session: Session, keys: Sequence[NoteKey], signed: str | None, part: range | None = None
) -> tuple[list[Checkpoint], list[Discrepancy]]:
    """Return every head that is truly signed, smallest first, and what only claims to be.

    Of `part`, the stored ones that cover its entries and no more.
    """
    query = select(LogCheckpointRow.size, LogCheckpointRow.text)
    if part is not None:
        row = LogCheckpointRow
        query = query.where(row.size > part.start, row.size <= part.stop)
    stored = session.execute(query)
    texts = [(f"checkpoint {size}", text) for size, text in stored]
    if signed is not None:
        texts.append(("the last signed checkpoint", signed))
    heads: list[Checkpoint] = []
    wrong: list[Discrepancy] = []
    for subject, text in texts:
        try:
            heads.append(open_checkpoint(text, keys))
        except LiuhenError as error:
            wrong.append(Discrepancy(DiscrepancyKind.EDITED_CHECKPOINT, subject, error.facts))
    return sorted(heads, key=lambda head: head.size), wrong


def check_entries(
    session: Session, heads: Sequence[Checkpoint], static: StaticLog | None
) -> Iterator[Discrepancy]:
    """Walk the entries in order; name each that is not as signed; compare the root at each head."""
    walk = _Walk(heads, static)
    for index, leaf, stored_hash in read_leaves(session):
        while walk.size < index:
            yield from walk.report_missing_entry()
        yield from walk.check_entry(leaf, stored_hash)
    yield from walk.report_rollback()


def some_entries(
    session: Session, heads: Sequence[Checkpoint], static: StaticLog | None, part: range
) -> Iterator[Discrepancy]:
    """Name the entries of a part that are not as signed, and the heads that nodes contradict.

    That the nodes above the part follow from its entries is asked of `nodes`.
    """
    log, expected = LogReader(session), part.start
    for index, leaf, stored_hash in read_leaves(session, part):
        yield from (
            about_entry(DiscrepancyKind.MISSING_ENTRY, number) for number in range(expected, index)
        )
        expected = index + 1
        published = static.leaf_hash(index) if static else None
        leaf_hash = tree.leaf_hash(leaf)
        # The static log names the entry even where leaf and hash were edited together.
        if leaf_hash != stored_hash or published not in {None, leaf_hash}:
            yield about_entry(DiscrepancyKind.EDITED_ENTRY, index)
    yield from (
        about_entry(DiscrepancyKind.MISSING_ENTRY, number) for number in range(expected, part.stop)
    )
    for head in heads:
        if head.size > log.size:
            facts = {"signed": head.size, "found": log.size}
            yield Discrepancy(DiscrepancyKind.ROLLBACK, "the custody log", facts)
        elif not _is_root(log, head):
            facts = {"size": head.size}
            yield Discrepancy(
                DiscrepancyKind.CONTRADICTED_CHECKPOINT, f"checkpoint {head.size}", facts
            )


def _is_root(log: LogReader, head: Checkpoint) -> bool:
    try:
        return log.compute_root(head.size) == head.root
    except CustodyError:  # a node is missing
        return False


def lost_checkpoints(
    session: Session, folder: Path | None, static: StaticLog | None
) -> Iterator[Discrepancy]:
    """Name the signed heads that must be there and are not: published, or shown in a receipt."""
    stored_sizes = set(session.scalars(select(LogCheckpointRow.size)))
    if folder is not None and any(stored_sizes) and not (folder / CHECKPOINT).exists():
        yield Discrepancy(DiscrepancyKind.MISSING_CHECKPOINT, "the published checkpoint")
    signed_sizes = {static.head.size} if static is not None else set()
    for text in session.scalars(select(RecordingRow.receipt_text)):
        # A receipt that does not parse is named by its own check.
        with contextlib.suppress(LiuhenError, KeyError, TypeError, ValueError):
            proof = Proof.parse(json.loads(text)["body"]["proof"]) if text else None
            signed_sizes |= {untrusted_checkpoint(proof.checkpoint).size} if proof else set()
    for size in sorted(signed_sizes - stored_sizes - {0}):
        yield Discrepancy(DiscrepancyKind.MISSING_CHECKPOINT, f"checkpoint {size}", {"size": size})


def read_leaves(session: Session, part: range | None = None) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield every entry's number, exact bytes and stored hash; empty bytes for unreadable ones."""
    first = 0 if part is None else part.start
    while True:
        indexes = select(LogLeafRow.index).where(LogLeafRow.index >= first)
        if part is not None:
            indexes = indexes.where(LogLeafRow.index < part.stop)
        # Numbers first, values then: a value that cannot be read must not hide where it stands.
        batch = session.scalars(indexes.order_by(LogLeafRow.index).limit(_BATCH)).all()
        if not batch:
            return
        yield from _run(session, batch)
        first = batch[-1] + 1


def _run(session: Session, indexes: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
    """Return entries at once; where some value is none, one by one."""
    row = LogLeafRow
    query = select(row.index, row.leaf, row.hash).where(
        row.index >= indexes[0], row.index <= indexes[-1]
    )
    try:
        rows = session.execute(query.order_by(row.index)).all()
        return [(index, leaf.encode(), bytes(stored_hash)) for index, leaf, stored_hash in rows]
    except (AttributeError, TypeError, ValueError, DBAPIError):
        return [_read_leaf(session, index) for index in indexes]


def _read_leaf(session: Session, index: int) -> tuple[int, bytes, bytes]:
    query = select(LogLeafRow.leaf, LogLeafRow.hash).where(LogLeafRow.index == index)
    try:
        leaf, stored_hash = session.execute(query).one()
        return index, leaf.encode(), bytes(stored_hash)
    except (AttributeError, TypeError, ValueError, DBAPIError):
        return index, b"", b""


class _Walk:
    """Where the walk along the entries stands: the root so far, and the heads still ahead."""

    def __init__(self, heads: Sequence[Checkpoint], static: StaticLog | None) -> None:
        # The empty head is signed before any entry, and is reached by no step of the walk.
        self._heads = [head for head in heads if head.size]
        self._static = static
        self._frontier = tree.Frontier()

    @property
    def size(self) -> int:
        return self._frontier.size

    def check_entry(self, leaf: bytes, stored_hash: bytes) -> Iterator[Discrepancy]:
        leaf_hash = tree.leaf_hash(leaf)
        published = self._static.leaf_hash(self.size) if self._static else None
        if leaf_hash != stored_hash or published not in {None, leaf_hash}:
            yield about_entry(DiscrepancyKind.EDITED_ENTRY, self.size)
        # Go on with what was signed, so that one edited entry does not contradict every head.
        yield from self._add_leaf_hash(published or stored_hash)

    def report_missing_entry(self) -> Iterator[Discrepancy]:
        yield about_entry(DiscrepancyKind.MISSING_ENTRY, self.size)
        published = self._static.leaf_hash(self.size) if self._static else None
        # Any wrong hash will do in its place: the walk goes on, and heads contradict it.
        yield from self._add_leaf_hash(published or tree.EMPTY_ROOT)

    def report_rollback(self) -> Iterator[Discrepancy]:
        # Heads that are still ahead were signed over entries which are not there.
        if self._heads:
            facts = {"signed": self._heads[-1].size, "found": self.size}
            yield Discrepancy(DiscrepancyKind.ROLLBACK, "the custody log", facts)

    def _add_leaf_hash(self, leaf: bytes) -> Iterator[Discrepancy]:
        self._frontier.add(leaf)
        while self._heads and self._heads[0].size == self.size:
            if self._heads.pop(0).root != self._frontier.compute_root():
                facts = {"size": self.size}
                yield Discrepancy(
                    DiscrepancyKind.CONTRADICTED_CHECKPOINT, f"checkpoint {self.size}", facts
                )


def check_nodes(session: Session, part: range | None = None) -> Iterator[Discrepancy]:
    """Compare each stored node with its two children, and level 0 with the entries' hashes.

    Of `part`, the complete nodes above its entries.
    """
    last = session.scalar(select(func.max(LogLeafRow.index)))
    width, level = (0 if last is None else last + 1), 0
    begin, end = (0, width) if part is None else (part.start, min(part.stop, width))
    while width:
        until = min(width, -(-end >> level))  # rounded up: half a pair above the last entry
        for first in range(begin >> level, until, _BATCH):
            stop = min(first + _BATCH, until)
            stored_nodes = _read_level(session, level, first, stop)
            for index, expected in _expected_level(session, level, first, stop).items():
                if stored_nodes.get(index) != expected:
                    facts = {"level": level, "index": index, "missing": index not in stored_nodes}
                    yield Discrepancy(DiscrepancyKind.EDITED_NODE, f"node {level}/{index}", facts)
        width, level = width >> 1, level + 1


def _expected_level(session: Session, level: int, first: int, stop: int) -> dict[int, bytes]:
    if level == 0:
        query = select(LogLeafRow.index, LogLeafRow.hash).where(
            LogLeafRow.index >= first, LogLeafRow.index < stop
        )
        return dict(session.execute(query).all())
    below = _read_level(session, level - 1, 2 * first, 2 * stop)
    return {
        index: tree.node_hash(below[2 * index], below[2 * index + 1])
        for index in range(first, stop)
        # A missing child is named on its own level, not again on each above.
        if 2 * index in below and 2 * index + 1 in below
    }


def _read_level(session: Session, level: int, first: int, stop: int) -> dict[int, bytes]:
    query = select(LogNodeRow.index, LogNodeRow.hash).where(
        LogNodeRow.level == level, LogNodeRow.index >= first, LogNodeRow.index < stop
    )
    return dict(session.execute(query).all())
