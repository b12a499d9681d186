"""Chains by themselves: heads as entries hold them, and a walk that names every break."""

import pytest

from storage.custody.entries.chain import EMPTY, ChainHead, ChainWalk, Unchained, heads_from_json
from storage.custody.merkle.tree import leaf_hash
from storage.errors import CustodyError

A, B = "case:a", "action:b"


class Log:
    """Made-up entries, each continuing the chains that it is given."""

    def __init__(self):
        self.entries = []
        self._heads = {}

    def add(self, *chains, names=(), **changes):
        heads = {one: self._heads.get(one, EMPTY) for one in (*chains, *names)}
        entry = {
            "v": 2,
            "subject": chains[0],
            "chains": {one: heads[one].to_json() for one in chains},
            "heads": {one: heads[one].to_json() for one in names},
        } | changes
        leaf = b"%d %r" % (len(self.entries), sorted(entry.items()))
        self.entries.append((entry, leaf))
        self._heads |= {one: heads[one].followed_by(leaf) for one in chains}

    def add_old(self, subject):
        self.entries.append(({"v": 1, "subject": subject}, b"old %d" % len(self.entries)))
        old = Unchained()
        for entry, leaf in self.entries:
            if entry["subject"] == subject:
                old.add(leaf_hash(leaf))
        self._heads[subject] = old.head


def walked(entries, subjects=None):
    walk = ChainWalk(subjects)
    return [str(wrong) for entry, leaf in entries for wrong in walk.add(entry, leaf)], walk


@pytest.fixture
def log():
    log = Log()
    log.add_old(A)
    log.add_old(A)
    log.add(A)
    log.add(A, B)
    log.add(B, names=[A])
    log.add(B)
    log.add(A, names=[B])
    return log


def test_whole_chains_are_walked_to_their_heads(log):
    wrong, walk = walked(log.entries)
    assert wrong == []
    assert walk.subjects == {A, B}
    assert (walk.get_head(A).count, walk.get_head(B).count) == (5, 3)
    assert walk.get_head("case:other") == EMPTY


def test_one_chain_is_walked_by_its_own_entries_alone(log):
    only = [one for one in log.entries if B in one[0].get("chains", {})]
    assert walked(only, [B])[0] == []


@pytest.mark.parametrize("gone", range(6))
def test_an_entry_left_out_breaks_its_chains(log, gone):
    entries = log.entries[:gone] + log.entries[gone + 1 :]
    assert walked(entries)[0] != []


def test_an_entry_off_the_end_leaves_another_head(log):
    assert walked(log.entries[:-1])[1].get_head(A) != walked(log.entries)[1].get_head(A)


def test_two_entries_of_one_number_are_named(log):
    entry, _ = log.entries[-1]
    wrong, _walk = walked([*log.entries, (entry, b"another history")])
    assert f"{A}: a second entry of number 4" in wrong


def test_a_head_that_a_subject_did_not_have_is_named(log):
    log.add(A, heads={B: [1, "sha-256:" + "00" * 32]})
    assert walked(log.entries)[0] == [f"{B}: named as of 1 entries, which is not what it had"]


def test_an_entry_without_a_chain_does_not_come_after_one(log):
    log.entries.append(({"v": 1, "subject": A}, b"late"))
    assert walked(log.entries)[0] == [f"{A}: an entry without a chain after the chain had begun"]


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        [0, "sha-256:" + "00" * 32],
        [1, None],
        [-1, None],
        [True, "sha-256:" + "00" * 32],
        [1, "00" * 32],
        [1, "sha-256:" + "AB" * 32],
        [1, "sha-256:00"],
        [1, "sha-256:" + "00" * 32, 2],
    ],
)
def test_what_is_no_head_is_refused(told):
    with pytest.raises(CustodyError):
        ChainHead.from_json(told)
    with pytest.raises(CustodyError):
        heads_from_json({A: told})


def test_a_head_reads_back_as_it_was_written():
    for head in (EMPTY, EMPTY.followed_by(b"x"), ChainHead(7, bytes(range(32)))):
        assert ChainHead.from_json(head.to_json()) == head
