"""Many entries under one head by shared nodes, against the tree itself."""

import random

import pytest

from storage.custody.merkle import tree
from storage.custody.merkle.partial_tree import PartialTree, list_covering_nodes, nodes_beside
from storage.errors import CustodyError


def whole(size):
    """Return every complete node of a tree of made-up entries."""
    nodes = {}
    for index in range(size):
        for level, place, found in tree.append_leaf(
            index, b"entry %d" % index, lambda level, place: nodes[level, place]
        ):
            nodes[level, place] = found
    return nodes


def root_of(size, nodes):
    return tree.compute_root(size, lambda *place: nodes[place])


def test_any_entries_and_earlier_heads_are_proven_by_the_nodes_beside_them():
    drawn = random.Random(20261128)
    for size in (*range(1, 40), 255, 256, 257, 1000):
        nodes = whole(size)
        for _ in range(5):
            entries = drawn.sample(range(size), drawn.randint(0, min(size, 20)))
            heads = [drawn.randint(0, size) for _ in range(drawn.randint(0, 3))]
            beside = {place: nodes[place] for place in nodes_beside(entries, heads, size)}
            leaves = {index: nodes[0, index] for index in entries}
            found = PartialTree(leaves, beside, heads, size)
            for head in (*heads, size):
                assert found.compute_root(head) == root_of(head, nodes)


def test_a_changed_entry_or_node_leads_to_another_root_and_a_missing_one_nowhere():
    size, entries, heads = 1000, [3, 4, 500, 999], [7, 512]
    nodes = whole(size)
    root = root_of(size, nodes)
    beside = {place: nodes[place] for place in nodes_beside(entries, heads, size)}
    leaves = {index: nodes[0, index] for index in entries}
    for index in entries:
        changed = leaves | {index: bytes(32)}
        assert PartialTree(changed, beside, heads, size).compute_root(size) != root
    for place in beside:
        assert (
            PartialTree(leaves, beside | {place: bytes(32)}, heads, size).compute_root(size) != root
        )
        fewer = {one: found for one, found in beside.items() if one != place}
        with pytest.raises(CustodyError):
            PartialTree(leaves, fewer, heads, size)
    for beyond in ({1000: bytes(32)}, {-1: bytes(32)}):
        with pytest.raises(CustodyError):
            PartialTree(beyond, beside, heads, size)
    with pytest.raises(CustodyError):
        PartialTree(leaves, beside, [1001], size)


def test_neighbours_share_their_nodes():
    size = 1 << 20
    apart = len(nodes_beside([5], [], size))
    assert apart == 20
    assert len(nodes_beside(range(1000, 2000), [], size)) < 2 * apart
    assert list_covering_nodes(0) == []
    assert list_covering_nodes(6) == [(2, 0), (1, 2)]
