"""The Merkle tree of the custody log: hashes, roots, proofs and their verification. Pure.

RFC 6962 section 2.1 for hashing and proofs, RFC 9162 sections 2.1.3.2 and 2.1.4.2 for their
verification. Complete nodes are read through a `NodeReader`; who keeps them (catalogue, tiles,
a bundle) is not known here. `node(level, index)` is the root over the leaves
`index·2^level … (index+1)·2^level - 1`.
"""

import hashlib
from collections.abc import Callable, Sequence

from storage.errors import CustodyError

NodeReader = Callable[[int, int], bytes]

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one entry (RFC 6962 2.1: prefix 0x00, so that no entry passes for a node)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent (RFC 6962 2.1: prefix 0x01)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def append_leaf(size: int, leaf: bytes, node: NodeReader) -> list[tuple[int, int, bytes]]:
    """Return the nodes that become complete when `leaf` becomes entry number `size`.

    Each is (level, index, hash), the leaf's own hash first. Only nodes left of the new leaf are
    read; a writer stores the answer together with the leaf.
    """
    nodes = [(0, size, leaf_hash(leaf))]
    index = size
    # Each odd position completes a pair, and with it a node one level up.
    while index & 1:
        level, _, right = nodes[-1]
        nodes.append((level + 1, index >> 1, node_hash(node(level, index - 1), right)))
        index >>= 1
    return nodes


def compute_root(size: int, node: NodeReader) -> bytes:
    """Return the tree head over the first `size` entries."""
    return EMPTY_ROOT if size == 0 else _hash_subtree(0, size, node)


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the path from entry `index` to the root over `size` entries (RFC 6962 2.1.1).

    Raises: CustodyError when the entry is not in a tree of that size.
    """
    if not 0 <= index < size:
        raise CustodyError(problem="no such entry", index=index, size=size)
    path: list[bytes] = []
    start, stop = 0, size
    # From the root down; RFC 6962 lists the lowest step first, hence the turn at the end.
    while stop - start > 1:
        middle = start + _split_width(stop - start)
        if index < middle:
            path.append(_hash_subtree(middle, stop, node))
            stop = middle
        else:
            path.append(_hash_subtree(start, middle, node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Return the proof that the first `old` of `new` entries are unchanged (RFC 6962 2.1.2).

    Raises: CustodyError when the new tree is smaller.
    """
    if not 0 <= old <= new:
        raise CustodyError(problem="the log is smaller than before", before=old, now=new)
    if old in {0, new}:
        return []
    path: list[bytes] = []
    start, stop, root_known = 0, new, True
    # Descends to the node that ends exactly where the old tree did.
    while old - start != stop - start:
        middle = start + _split_width(stop - start)
        if old <= middle:
            path.append(_hash_subtree(middle, stop, node))
            stop = middle
        else:
            path.append(_hash_subtree(start, middle, node))
            start, root_known = middle, False
    # Left out where the old tree is one whole subtree: the verifier has its root (RFC 6962 2.1.2).
    if not root_known:
        path.append(_hash_subtree(start, stop, node))
    return path[::-1]


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Check that the hash `leaf` is entry `index` of the tree with this root.

    Follows RFC 9162 2.1.3.2. Raises: CustodyError.
    """
    if not 0 <= index < size:
        raise CustodyError(problem="no such entry", index=index, size=size)
    first, last, digest = index, size - 1, leaf
    for sibling in proof:
        # Steps that lead beyond the root, or that are no hashes, are refused before they are
        # hashed.
        if last == 0 or len(sibling) != HASH_SIZE:
            raise CustodyError(problem="inclusion proof has the wrong length", index=index)
        # A right child, or the last node of its level, which goes up without a partner on its
        # right.
        if first & 1 or first == last:
            digest = node_hash(sibling, digest)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        first, last = first >> 1, last >> 1
    # A path that ends below the root proves an entry of a smaller tree.
    if last or digest != expected_root:
        raise CustodyError(problem="the entry is not under this head", index=index, size=size)


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (new, new_root) only adds entries to (old, old_root).

    Follows RFC 9162 2.1.4.2. Raises: CustodyError, which names both sizes.
    """
    if old > new:
        raise CustodyError(problem="the log is smaller than before", before=old, now=new)
    # Between these nothing is to be proven, so no proof may be given either.
    if old in {0, new}:
        expected = EMPTY_ROOT if old == 0 else new_root
        if old_root != expected or proof or (new == 0 and new_root != EMPTY_ROOT):
            raise CustodyError(problem="the log was rewritten", before=old, now=new)
        return
    if not _is_consistent(old, old_root, new, new_root, proof):
        raise CustodyError(problem="the log was rewritten", before=old, now=new)


def _is_consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    path = list(proof)
    if old & (old - 1) == 0:  # a whole subtree: its root is the first step, and left out
        path.insert(0, old_root)
    if not path or any(len(step) != HASH_SIZE for step in path):
        return False
    first, last = old - 1, new - 1
    # Up to the largest subtree that ends with the old tree.
    while first & 1:
        first, last = first >> 1, last >> 1
    # Both roots are built from one path: `before` takes the steps on the left alone.
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, step)
        first, last = first >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


class Frontier:
    """A running root over leaf hashes, in memory of one hash per level: for whole-log audits."""

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Take the hash of the next entry."""
        index, top = self.size, leaf
        while index & 1:
            top = node_hash(self._stack.pop(), top)
            index >>= 1
        self._stack.append(top)
        self.size += 1

    def compute_root(self) -> bytes:
        """Return the head over all entries taken so far."""
        if not self._stack:
            return EMPTY_ROOT
        # Right to left: incomplete subtrees are joined from the smallest on (RFC 6962 2.1).
        digest = self._stack[-1]
        for sibling in reversed(self._stack[:-1]):
            digest = node_hash(sibling, digest)
        return digest


def _split_width(width: int) -> int:
    """Return the largest power of two smaller than `width` (RFC 6962 2.1)."""
    return 1 << (width - 1).bit_length() - 1


def _hash_subtree(start: int, stop: int, node: NodeReader) -> bytes:
    """Return the root over entries `start … stop - 1`, where start is aligned to its split."""
    width = stop - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split_width(width)
    return node_hash(_hash_subtree(start, middle, node), _hash_subtree(middle, stop, node))
