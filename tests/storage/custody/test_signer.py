"""What the signer refuses, and what it remembers."""

import threading

import pytest

from storage.custody.checkpoint import open_checkpoint
from storage.custody.merkle import tree
from storage.custody.signer import LogSigner
from storage.errors import CustodyError


def sign(signer, log, now, size=None):
    with signer.hold() as held:
        size = len(log.leaves) if size is None else size
        proof = []
        if size >= held.last.size:
            proof = tree.consistency_proof(held.last.size, size, log.node)
        return held.sign(size, log.root(size), proof, now)


@pytest.fixture
def full(log):
    for number in range(20):
        log.add(b"entry %d" % number)
    return log


def test_heads_that_continue_are_signed(signer, full, now):
    for size in (0, 1, 7, 7, 8, 20):
        head = open_checkpoint(sign(signer, full, now, size), signer.keys)
        assert (head.size, head.root) == (size, full.root(size))


def test_rollback_is_refused(signer, full, now):
    sign(signer, full, now)
    with pytest.raises(CustodyError) as refusal:
        sign(signer, full, now, 19)
    assert refusal.value.facts == {
        "problem": "the log is smaller than before",
        "before": 20,
        "now": 19,
    }


def test_a_rewritten_log_is_refused_even_when_it_is_longer(signer, full, now):
    sign(signer, full, now)
    forged = type(full)()
    for number in range(30):
        forged.add(b"other %d" % number)
    with pytest.raises(CustodyError):
        sign(signer, forged, now)
    with pytest.raises(CustodyError):
        sign(signer, forged, now, 20)


def test_the_same_head_gets_the_same_checkpoint(signer, full, now):
    assert sign(signer, full, now) == sign(signer, full, now)


def test_another_process_sees_the_last_head(signer, full, key, now, tmp_path):
    text = sign(signer, full, now)
    other = LogSigner(key, signer.origin, tmp_path / "signer" / "head")
    assert other.read_last_checkpoint() == text
    with pytest.raises(CustodyError):
        sign(other, full, now, 3)


def test_a_lost_state_is_refused_and_not_begun_anew(signer, full, now, tmp_path):
    sign(signer, full, now)
    (tmp_path / "signer" / "head").unlink()
    with pytest.raises(CustodyError) as refusal:
        sign(signer, full, now)
    assert "missing" in refusal.value.facts["problem"]


def test_an_edited_state_is_refused(signer, full, now, tmp_path):
    sign(signer, full, now)
    state = tmp_path / "signer" / "head"
    state.write_text(state.read_text().replace("\n20\n", "\n2\n"))
    with pytest.raises(CustodyError) as refusal:
        sign(signer, full, now)
    assert "changed" in refusal.value.facts["problem"]


def test_a_log_begins_once(signer, now):
    with pytest.raises(CustodyError):
        signer.begin_log(now)


def test_two_signers_take_turns(signer, full, key, now, tmp_path):
    other = LogSigner(key, signer.origin, tmp_path / "signer" / "head")
    entered = threading.Event()
    order = []

    def second():
        entered.set()
        with other.hold() as held:
            order.append(("second", held.last.size))

    with signer.hold() as held:
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(10)
        held.sign(5, full.root(5), [], now)
        order.append(("first", 5))
    thread.join(10)
    assert order == [("first", 5), ("second", 5)]
