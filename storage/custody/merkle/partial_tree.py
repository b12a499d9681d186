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
    leaves = {(0, index) for index in entries}
    opened = _find_inner_nodes(leaves, heads, size)
    worked_out = opened | leaves
    return sorted(place for place in _walk_nodes(opened, size) if place not in worked_out)


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
        # Before any hashing: a number far beyond the log would open nodes without end.
        if any(not 0 <= index < size for index in leaves) or any(
            not 0 <= head <= size for head in heads
        ):
            raise CustodyError(problem="an entry or a head lies beyond the log", size=size)
        leaf_hashes = {(0, index): leaf for index, leaf in leaves.items()}
        opened = _find_inner_nodes(leaf_hashes, heads, size)
        hashes: dict[Place, bytes] = {}
        # Children before their parents.
        for level, index in reversed(list(_walk_nodes(opened, size))):
            place = (level, index)
            if place in leaf_hashes:
                hashes[place] = leaf_hashes[place]
            elif place in opened:
                # Computed and never taken from `nodes`: a given node could hide that an entry below
                # it is another.
                left, right = (hashes[level - 1, 2 * index + side] for side in (0, 1))
                hashes[place] = tree.node_hash(left, right)
            elif place in nodes:
                hashes[place] = nodes[place]
            else:
                raise CustodyError(problem="a node of the log is missing", level=level, index=index)
        self._found = hashes

    def compute_root(self, size: int) -> bytes:
        """Return the root over the first `size` entries: of the whole, or of one of `heads`."""
        return tree.compute_root(size, lambda level, index: self._found[level, index])


def list_covering_nodes(size: int) -> list[Place]:
    """Return the complete nodes that make up a tree of this size, left to right."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in levels]


def _find_inner_nodes(leaves: Iterable[Place], heads: Iterable[int], size: int) -> set[Place]:
    """Return the inner nodes above these leaves and heads: computed from their children."""
    opened: set[Place] = set()
    for level, index in (
        *leaves,
        *(place for head in heads for place in list_covering_nodes(head)),
    ):
        above = (level + 1, index >> 1)
        # Neighbours share their way up: each inner node is visited once.
        while above[0] < size.bit_length() and above not in opened:
            opened.add(above)
            above = (above[0] + 1, above[1] >> 1)
    return opened


def _walk_nodes(opened: set[Place], size: int) -> Iterator[Place]:
    """Yield the nodes from the root's parts down, each before its children."""
    waiting = list_covering_nodes(size)
    while waiting:
        level, index = place = waiting.pop()
        yield place
        if place in opened:
            waiting += [(level - 1, 2 * index), (level - 1, 2 * index + 1)]
