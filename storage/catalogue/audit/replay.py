"""Replay the log that the catalogue holds, or one that lies in static files (custody/replay.py).

Read in runs of entries by their numbers: one pass over each table, never a question for each row.
Every stored head is compared with the entries; a signature is verified of the newest head and of
those that contradict, for a head that agrees claims nothing that the entries do not say.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Text, func, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage.catalogue.log.tables import CustodyEventRow, LogCheckpointRow, LogLeafRow, LogNodeRow
from storage.catalogue.proofs.publish import CHECKPOINT, read_head, read_tile
from storage.custody.checkpoint import Checkpoint, open_checkpoint, untrusted_checkpoint
from storage.custody.merkle import tiles, tree
from storage.custody.merkle.tiles import Tile
from storage.custody.note import NoteKey
from storage.custody.replay import LogFault, LogProblem, Readable, Replay
from storage.errors import CustodyError, LiuhenError

_ROWS = '"rows":'
RUN = 1024  # entries that are read at once
Advance = Callable[[int], None]
Signed = tuple[str, str]  # where a head stands, and its text


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry as it is kept: exact bytes, the hashes that stand in its place, readable half."""

    index: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    readable: Readable | None


def replay_catalogue(
    session: Session,
    keys: Sequence[NoteKey],
    signed: Iterable[Signed] = (),
    advance: Advance = lambda _count: None,
) -> Iterator[LogFault]:
    """Yield all that is wrong in the catalogue's log; nothing, if nothing is.

    `signed` are heads from outside the database (the signer's last, the static log's). `advance`
    hears how many more entries were walked over. Give a fresh session.
    """
    heads = _Heads(keys, signed, _stored_heads(session))
    walk = Replay()
    yield from _replay_entries(walk, _read_entries(session), heads, advance)
    # A second pass over the details only where a row ever moved or went.
    if walk.moved:
        yield from walk.moved_rows(_with_rows(session))


def replay_static(
    folder: Path, keys: Sequence[NoteKey], advance: Advance = lambda _count: None
) -> Iterator[LogFault]:
    """Yield all that is wrong in the log of a folder (C2SP tlog-tiles), its rows not asked for.

    Raises: OSError, SignatureError, CustodyError, UnicodeDecodeError (there is no head that the log
    signed).
    """
    text = read_head(folder)
    head = open_checkpoint(text, keys)
    heads = _Heads(keys, [(CHECKPOINT, text)], iter(()))
    yield from _replay_entries(Replay(), static_entries(folder, head.size), heads, advance)


def static_entries(folder: Path, size: int) -> Iterator[KeptEntry]:
    """Yield the entries of a static log, each beside its hash; stops where a file is missing."""
    for place in range(-(-size // tiles.WIDTH)):
        width = min(tiles.WIDTH, size - place * tiles.WIDTH)
        try:
            entries = tiles.entries_of(read_tile(folder, Tile(None, place, width)))
            hashes = read_tile(folder, Tile(0, place, width))
        except (OSError, CustodyError):
            return
        for number, leaf in enumerate(entries[:width]):
            stored_hash = hashes[number * tree.HASH_SIZE : (number + 1) * tree.HASH_SIZE]
            yield KeptEntry(place * tiles.WIDTH + number, leaf, (stored_hash,), None)
        if len(entries) < width:
            return


def kept_leaves(session: Session) -> Iterator[bytes]:
    """Yield every entry's exact bytes, in order; stops at the first one that is missing."""
    for expected, entry in enumerate(_read_entries(session)):
        if entry.index != expected:
            return
        yield entry.leaf


def log_size(session: Session) -> int:
    """Return how many entries the catalogue's log has."""
    return int(session.scalar(select(func.count()).select_from(LogLeafRow)) or 0)


def _replay_entries(
    walk: Replay, entries: Iterable[KeptEntry], heads: "_Heads", advance: Advance
) -> Iterator[LogFault]:
    pending = 0
    for entry in entries:
        # Nothing beyond a gap can be placed: its roots and chains lack what is missing.
        if entry.index != walk.size:
            text = f"entries {walk.size} to {entry.index - 1} are missing"
            yield LogFault(LogProblem.MISSING_ENTRIES, walk.size, text)
            break
        yield from walk.add(entry.leaf, entry.hashes, entry.readable)
        if heads.next_size == walk.size:
            yield from heads.compare_heads(walk.size, walk.compute_root())
        pending += 1
        if pending == RUN:
            advance(pending)
            pending = 0
    advance(pending)
    yield from heads.report_heads_beyond(walk.size)


class _Heads:
    """The signed heads still ahead of a walk, smallest first; each is read when it is reached."""

    def __init__(
        self,
        keys: Sequence[NoteKey],
        signed_heads: Iterable[Signed],
        stored: Iterator[tuple[int, Signed]],
    ) -> None:
        self._keys = keys
        self._stored = stored
        self._early: list[LogFault] = []
        self._given: list[tuple[int, Signed]] = []
        # Verified at once: their sizes decide when they are compared, and anybody may have made
        # them.
        for signed_head in signed_heads:
            if (head := self._open_head(signed_head)) is not None:
                self._given.append((head.size, signed_head))
        self._given.sort()
        self._next = next(stored, None)
        self._contradicted = 0

    @property
    def next_size(self) -> int:
        """The size of the next head; -1 when there is none."""
        sizes = [head[0] for head in (self._next, *self._given[:1]) if head is not None]
        return min(sizes, default=-1)

    def compare_heads(self, size: int, root: bytes) -> Iterator[LogFault]:
        """Yield the heads of this size that were signed over another root. Names the first."""
        for where, text in self._of_size(size):
            try:
                # Origins may differ from head to head; size and root are what the entries say.
                agrees = untrusted_checkpoint(text) == Checkpoint(
                    untrusted_checkpoint(text).origin, size, root
                )
            except LiuhenError:
                agrees = False
            # Only what the log truly signed contradicts it; a forged head is named as that.
            if agrees or self._open_head((where, text)) is None:
                continue
            self._contradicted += 1
            # Behind one edited entry every head contradicts: one finding, and a count at the end.
            if self._contradicted == 1:
                message = f"the entries do not lead to the root signed in {where}"
                yield LogFault(LogProblem.FALSE_ROOT, size, message)
        yield from self._early
        self._early = []

    def report_heads_beyond(self, size: int) -> Iterator[LogFault]:
        """Yield heads signed over more entries than exist; count the contradicting heads."""
        while (ahead := self.next_size) >= 0:
            if ahead <= size:  # of a size that was passed over, or none: 0 comes before the walk
                list(self._of_size(ahead))
                continue
            signed = [head for head in self._of_size(ahead) if self._open_head(head) is not None]
            if signed:
                message = f"{signed[0][0]} is signed over {ahead} entries, and {size} can be walked"
                yield LogFault(LogProblem.SHORT, size, message)
                # The smallest head beyond the end tells enough.
                break
        if self._contradicted > 1:
            message = f"{self._contradicted} signed heads in all contradict the entries"
            yield LogFault(LogProblem.FALSE_ROOT, size, message)
        yield from self._early

    def _of_size(self, size: int) -> Iterator[Signed]:
        while self._given and self._given[0][0] == size:
            yield self._given.pop(0)[1]
        while self._next is not None and self._next[0] == size:
            yield self._next[1]
            self._next = next(self._stored, None)

    def _open_head(self, signed: Signed) -> Checkpoint | None:
        try:
            return open_checkpoint(signed[1], self._keys)
        except LiuhenError:
            message = f"{signed[0]} is not signed by the log"
            self._early.append(LogFault(LogProblem.FALSE_SIGNATURE, 0, message))
            return None


def _stored_heads(session: Session) -> Iterator[tuple[int, Signed]]:
    after = -1
    while True:
        row = LogCheckpointRow
        query = select(row.size, row.text).where(row.size > after).order_by(row.size)
        batch = session.execute(query.limit(RUN)).all()
        if not batch:
            return
        for size, text in batch:
            yield size, (f"checkpoint {size}", str(text))
        after = batch[-1][0]


def _read_entries(session: Session) -> Iterator[KeptEntry]:
    """Yield the entries that there are, in the order of their numbers."""
    first = 0
    while True:
        row = LogLeafRow
        query = select(row.index).where(row.index >= first).order_by(row.index)
        numbers = session.scalars(query.limit(RUN)).all()
        if not numbers:
            return
        try:
            yield from _read_run(session, numbers[0], numbers[-1])
        except (DBAPIError, UnicodeDecodeError):  # some value is no text: find out which
            for index in numbers:
                try:
                    yield from _read_run(session, index, index)
                except (DBAPIError, UnicodeDecodeError):
                    yield KeptEntry(index, b"", (), None)
        first = numbers[-1] + 1


def _read_run(session: Session, first: int, last: int) -> list[KeptEntry]:
    leaf, node, event = LogLeafRow, LogNodeRow, CustodyEventRow
    leaves = session.execute(
        select(leaf.index, leaf.leaf, leaf.hash)
        .where(leaf.index >= first, leaf.index <= last)
        .order_by(leaf.index)
    ).all()
    nodes = dict(
        session.execute(
            select(node.index, node.hash).where(
                node.level == 0, node.index >= first, node.index <= last
            )
        ).all()
    )
    halves = {
        index: Readable(text, salt)
        for index, text, salt in session.execute(
            select(event.index, type_coerce(event.details, Text), event.salt).where(
                event.index >= first, event.index <= last
            )
        )
        if type(text) is str and type(salt) is bytes
    }
    # An empty half opens no digest, so it is named as not opened.
    none = Readable("", b"")
    return [
        KeptEntry(
            index,
            text.encode() if type(text) is str else b"",
            # Level 0 of the tree beside the leaf's own row: either may have been edited.
            (leaf_hash, nodes.get(index, b"")),
            halves.get(index, none),
        )
        for index, text, leaf_hash in leaves
    ]


def _with_rows(session: Session) -> Iterator[tuple[int, str]]:
    """Yield number and details' text of the entries that hold rows, in the order of numbers."""
    event, after = CustodyEventRow, -1
    while True:
        query = select(event.index, type_coerce(event.details, Text)).where(event.index > after)
        batch = session.execute(query.order_by(event.index).limit(RUN)).all()
        if not batch:
            return
        yield from ((index, text) for index, text in batch if type(text) is str and _ROWS in text)
        after = batch[-1][0]
