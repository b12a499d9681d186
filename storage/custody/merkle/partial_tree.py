"""The part of the log's tree that proves many entries under one head, its nodes shared.

Whoever gives entries away gives along the nodes that they do not lead to by themselves
(`nodes_beside`). Whoever gets them works out the root from both (`PartialTree`): what it went
through on the way is proven with it, the roots of earlier heads too. Hashing is RFC 6962 2.1; a
path of its own for each of a thousand neighbours would repeat most of its steps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from storage.custody.merkle import tree
from storage.errors import CustodyError

Place = tuple[int, int]  # level and index of a complete node: 2^level entries from index·2^level


def nodes_beside(entries: Iterable[int], heads: Iterable[int], size: int) -> list[Place]:
    """Return the nodes, in order, that prove these entries and earlier heads under one of `size`.

    `entries` are numbers of entries, `heads` sizes of heads, none of them beyond `size`.
    """
    known = {(0, index) for index in entries}
    opened = _opened(known, heads, size)
    worked_out = opened | known
    return sorted(place for place in _visited(opened, size) if place not in worked_out)


class PartialTree:
    """Some entries of a log and the nodes beside them, as far as they lead to one root."""

    def __init__(
        self,
        leaves: Mapping[int, bytes],
        nodes: Mapping[Place, bytes],
        heads: Sequence[int],
        size: int,
    ) -> None:
        """Work out every root. `leaves` are leaf hashes by the entries' numbers.

        Raises: CustodyError when a node is missing, or an entry or a head lies beyond `size`.
        """
        if any(not 0 <= index < size for index in leaves) or any(
            not 0 <= head <= size for head in heads
        ):
            raise CustodyError(problem="an entry or a head lies beyond the log", size=size)
        known = {(0, index): leaf for index, leaf in leaves.items()}
        opened = _opened(known, heads, size)
        found: dict[Place, bytes] = {}
        for level, index in reversed(list(_visited(opened, size))):
            place = (level, index)
            if place in known:
                found[place] = known[place]
            elif place in opened:
                left, right = (found[level - 1, 2 * index + side] for side in (0, 1))
                found[place] = tree.node_hash(left, right)
            elif place in nodes:
                found[place] = nodes[place]
            else:
                raise CustodyError(problem="a node of the log is missing", level=level, index=index)
        self._found = found

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` entries: of the whole, or of one of `heads`."""
        return tree.root(size, lambda level, index: self._found[level, index])


def covering(size: int) -> list[Place]:
    """Return the complete nodes that make up a tree of this size, left to right."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in levels]


def _opened(known: Iterable[Place], heads: Iterable[int], size: int) -> set[Place]:
    """Return the nodes above what is wanted: they are worked out from their children."""
    opened: set[Place] = set()
    for level, index in (*known, *(place for head in heads for place in covering(head))):
        above = (level + 1, index >> 1)
        while above[0] < size.bit_length() and above not in opened:
            opened.add(above)
            above = (above[0] + 1, above[1] >> 1)
    return opened


def _visited(opened: set[Place], size: int) -> Iterator[Place]:
    """Yield the nodes from the root's parts down, each before its children."""
    waiting = covering(size)
    while waiting:
        level, index = place = waiting.pop()
        yield place
        if place in opened:
            waiting += [(level - 1, 2 * index), (level - 1, 2 * index + 1)]
