"""Roots and proofs against the definition of RFC 6962, written out naively."""

import hashlib

import pytest

from storage.custody.merkle import tree
from storage.errors import CustodyError

SIZES = 34


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@pytest.fixture
def full(log):
    for number in range(SIZES):
        log.add(b"entry %d" % number)
    return log


def test_every_root_is_the_one_of_the_definition(full):
    frontier = tree.Frontier()
    for size in range(SIZES + 1):
        assert full.root(size) == naive_root(full.leaves[:size])
        assert frontier.compute_root() == full.root(size)
        if size < SIZES:
            frontier.add(tree.leaf_hash(full.leaves[size]))


def test_every_entry_proves_itself_under_every_head(full):
    for size in range(1, SIZES + 1):
        root = full.root(size)
        for index in range(size):
            proof = tree.inclusion_proof(index, size, full.node)
            tree.verify_inclusion(index, size, tree.leaf_hash(full.leaves[index]), proof, root)


def test_every_head_proves_that_it_continues_every_earlier_one(full):
    for new in range(SIZES + 1):
        for old in range(new + 1):
            proof = tree.consistency_proof(old, new, full.node)
            tree.verify_consistency(old, full.root(old), new, full.root(new), proof)


def test_another_entry_is_not_proved(full):
    proof = tree.inclusion_proof(5, SIZES, full.node)
    with pytest.raises(CustodyError):
        tree.verify_inclusion(5, SIZES, tree.leaf_hash(b"forged"), proof, full.root())


def test_an_entry_is_not_proved_at_another_place(full):
    proof = tree.inclusion_proof(5, SIZES, full.node)
    for index in set(range(SIZES)) - {5}:
        with pytest.raises(CustodyError):
            tree.verify_inclusion(index, SIZES, tree.leaf_hash(full.leaves[5]), proof, full.root())


@pytest.mark.parametrize("change", ["shorter", "longer", "flipped", "narrow"])
def test_a_changed_path_is_refused(full, change):
    proof = tree.inclusion_proof(5, SIZES, full.node)
    changed = {
        "shorter": proof[:-1],
        "longer": [*proof, proof[-1]],
        "flipped": [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]],
        "narrow": [proof[0][:31], *proof[1:]],
    }[change]
    with pytest.raises(CustodyError):
        tree.verify_inclusion(5, SIZES, tree.leaf_hash(full.leaves[5]), changed, full.root())


def test_a_rewritten_log_has_no_consistency_proof(full, log):
    forged = type(full)()
    for number in range(SIZES):
        forged.add(b"entry 3 changed" if number == 3 else b"entry %d" % number)
    for old in range(4, SIZES):
        proof = tree.consistency_proof(old, SIZES, forged.node)
        with pytest.raises(CustodyError):
            tree.verify_consistency(old, full.root(old), SIZES, forged.root(), proof)


def test_a_smaller_log_is_refused(full):
    with pytest.raises(CustodyError) as refusal:
        tree.verify_consistency(9, full.root(9), 8, full.root(8), [])
    assert refusal.value.facts["before"] == 9
    with pytest.raises(CustodyError):
        tree.consistency_proof(9, 8, full.node)


def test_the_same_size_with_another_root_is_refused(full):
    with pytest.raises(CustodyError):
        tree.verify_consistency(8, full.root(8), 8, full.root(9), [])


@pytest.mark.parametrize("index", [-1, 8, 9])
def test_an_entry_beyond_the_head_has_no_proof(full, index):
    with pytest.raises(CustodyError):
        tree.inclusion_proof(index, 8, full.node)


def test_roots_known_from_certificate_transparency(log):
    """Test vectors of the certificate-transparency project: eight inputs, root at every size."""
    for text in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "60616263"]:
        log.add(bytes.fromhex(text))
    assert log.root(1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert log.root(2).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert log.root(3).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert log.root(7).hex() == "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
