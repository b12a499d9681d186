"""Tile paths, widths and contents as C2SP tlog-tiles gives them."""

import pytest

from storage.custody.merkle import tiles, tree
from storage.custody.merkle.tiles import Tile
from storage.errors import CustodyError


def test_paths_are_those_of_the_specification():
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(2, 0, 1).path == "tile/2/000.p/1"
    assert Tile(None, 273, 112).path == "tile/entries/273.p/112"
    assert Tile(1, 1000).path == "tile/1/x001/000"


def test_a_tree_of_70000_has_the_tiles_of_the_specification():
    found = list(tiles.tiles_between(0, 70_000))
    hashes = [(t.level, t.width) for t in found if t.level is not None]
    assert hashes.count((0, 256)) == 273
    assert hashes.count((1, 256)) == 1
    assert [h for h in hashes if h[1] != 256] == [(0, 112), (1, 17), (2, 1)]
    assert len(hashes) == 273 + 1 + 3


def test_a_tree_of_256_has_one_full_tile_and_one_above():
    assert list(tiles.tiles_between(0, 256)) == [Tile(None, 0), Tile(0, 0), Tile(1, 0, 1)]


@pytest.mark.parametrize(("old", "new"), [(0, 1), (255, 257), (256, 600), (600, 600), (1, 70_000)])
def test_growing_step_by_step_leaves_nothing_out(old, new):
    both = {*tiles.tiles_between(0, old), *tiles.tiles_between(old, new)}
    assert set(tiles.tiles_between(0, new)) <= both


def test_nodes_read_from_tiles_prove_the_same(log):
    for number in range(600):
        log.add(b"entry %d" % number)
    files = {
        tile: tiles.hash_tile(tile, log.node)
        for tile in tiles.tiles_between(0, 600)
        if tile.level is not None
    }
    node = tiles.node_in_tiles(files.__getitem__, 600)
    assert tree.compute_root(600, node) == log.root()
    assert tree.inclusion_proof(511, 600, node) == tree.inclusion_proof(511, 600, log.node)
    assert tree.consistency_proof(300, 600, node) == tree.consistency_proof(300, 600, log.node)


def test_a_short_tile_is_refused(log):
    log.add(b"one")
    with pytest.raises(CustodyError):
        tiles.node_in_tiles(lambda _tile: b"", 1)(0, 0)


def test_bundles_hold_the_entries(log):
    for number in range(300):
        log.add(b"entry %d" % number)
    bundle = tiles.entry_bundle(Tile(None, 1, 44), log.leaves.__getitem__)
    assert tiles.entries_of(bundle) == log.leaves[256:]
    for cut in (1, 3, len(bundle) - 1):
        with pytest.raises(CustodyError):
            tiles.entries_of(bundle[:cut])


def test_an_entry_bundle_has_no_hashes(log):
    with pytest.raises(CustodyError):
        tiles.hash_tile(Tile(None, 0, 1), log.node)
