"""The log as static files that public tools read: C2SP tlog-tiles, hash tiles and entry bundles.

Pure: which files a tree of some size has, what they are called and what stands in them. Writing
them to a folder is `publish.py`.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage.custody.entries.event import MAX_LEAF
from storage.custody.merkle.tree import HASH_SIZE, NodeReader, node_hash
from storage.errors import CustodyError

WIDTH = 256
HEIGHT = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: `level` counts in steps of eight tree levels; `level` None is an entry bundle."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Path below the log's prefix, e.g. `tile/0/x001/x234/067.p/8`."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        number = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        kind = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{number}{partial}"

    @property
    def longest(self) -> int:
        """Bytes that the tile has at most: hashes, or the longest entries behind their lengths."""
        return self.width * (HASH_SIZE if self.level is not None else 2 + MAX_LEAF)

    @property
    def full(self) -> "Tile":
        """The same place when it is full."""
        return Tile(self.level, self.index)


def tiles_between(old: int, new: int) -> Iterator[Tile]:
    """Yield the tiles that a tree of `new` entries has and one of `old` had not.

    Hash tiles of every level and entry bundles; partial ones for `new` itself only.
    """
    level = 0
    while new >> (HEIGHT * level):
        before, after = old >> (HEIGHT * level), new >> (HEIGHT * level)
        for index in range(before // WIDTH, after // WIDTH):
            yield from _list_tiles(level, index, WIDTH)
        # A level whose nodes did not change keeps the partial tile that it has.
        if after % WIDTH and after != before:
            yield from _list_tiles(level, after // WIDTH, after % WIDTH)
        level += 1


def _list_tiles(level: int, index: int, width: int) -> Iterator[Tile]:
    if level == 0:
        yield Tile(None, index, width)
    yield Tile(level, index, width)


def hash_tile(tile: Tile, node: NodeReader) -> bytes:
    """Return the bytes of a hash tile: `width` nodes side by side."""
    if tile.level is None:
        raise CustodyError(problem="an entry bundle holds no hashes", tile=tile.path)
    tree_level, first = tile.level * HEIGHT, tile.index * WIDTH
    return b"".join(node(tree_level, first + i) for i in range(tile.width))


def entry_bundle(tile: Tile, leaf: Callable[[int], bytes]) -> bytes:
    """Return the bytes of an entry bundle: each entry behind its length as big-endian uint16."""
    first = tile.index * WIDTH
    entries = (leaf(first + i) for i in range(tile.width))
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def entries_of(bundle: bytes) -> list[bytes]:
    """Split an entry bundle. Raises: CustodyError when its lengths do not add up."""
    entries: list[bytes] = []
    offset = 0
    while offset < len(bundle):
        if offset + 2 > len(bundle):
            raise CustodyError(problem="truncated entry bundle", at=offset)
        (length,) = struct.unpack_from(">H", bundle, offset)
        entry = bundle[offset + 2 : offset + 2 + length]
        if len(entry) != length:
            raise CustodyError(problem="truncated entry bundle", at=offset)
        entries.append(entry)
        offset += 2 + length
    return entries


def node_in_tiles(read: Callable[[Tile], bytes], size: int) -> NodeReader:
    """Return a node reader over the tiles of a tree of `size` entries.

    Nodes between tile levels are hashed from the tile below. Nothing read is trusted: whoever
    uses the answer compares a root or a path with a signed head.
    """

    def read_node(level: int, index: int) -> bytes:
        inner = level % HEIGHT
        first = index << inner
        tile_level = level // HEIGHT
        # The last tile of a level may be partial, and is asked for under its own width.
        node_count = size >> (HEIGHT * tile_level)
        place = first // WIDTH
        tile = Tile(tile_level, place, min(WIDTH, node_count - place * WIDTH))
        content = read(tile)
        start = (first % WIDTH) * HASH_SIZE
        hashes = [
            content[start + i * HASH_SIZE : start + (i + 1) * HASH_SIZE] for i in range(1 << inner)
        ]
        # A file cut short is damage, and must not hash to some other node.
        if any(len(digest) != HASH_SIZE for digest in hashes):
            raise CustodyError(problem="tile too short", tile=tile.path)
        while len(hashes) > 1:
            hashes = [
                node_hash(left, right)
                for left, right in zip(hashes[::2], hashes[1::2], strict=True)
            ]
        return hashes[0]

    return read_node
