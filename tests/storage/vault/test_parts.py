"""Bytes in parts: any cutting gives the same bytes, and any change of them is noticed."""

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from storage.digest import Digest
from storage.vault.parts import Comparison, Gathering, added_to, mark_of


def marked(part: bytes, added: str = "") -> str:
    return mark_of(len(part), Digest.compute(part), added)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


CUTS = st.lists(st.integers(0, 1000))


@given(st.binary(max_size=200), CUTS, CUTS)
def test_what_was_cut_anyhow_is_the_same_read_back_in_any_blocks(data, sent, read):
    comparison = Comparison([marked(part) for part in cut(data, sent)])
    for block in cut(data, read):
        comparison.update(block)
    assert comparison.is_match()


@given(st.binary(min_size=1, max_size=200), CUTS, CUTS, st.integers(0, 10**6))
def test_one_other_bit_is_noticed(data, sent, read, place):
    comparison = Comparison([marked(part) for part in cut(data, sent)])
    at, bit = divmod(place % (8 * len(data)), 8)
    damaged = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
    for block in cut(damaged, read):
        comparison.update(block)
    assert not comparison.is_match()


@given(st.binary(max_size=100), CUTS, st.binary(min_size=1, max_size=10))
def test_bytes_too_many_or_too_few_are_noticed(data, sent, more):
    marks = [marked(part) for part in cut(data, sent)]
    longer, shorter = Comparison(marks), Comparison([*marks, marked(more)])
    longer.update(data + more)
    shorter.update(data)
    assert (longer.is_match(), shorter.is_match()) == (False, False)


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_gathered_parts_are_all_that_was_given_in_equal_lengths(blocks, length):
    gathering = Gathering(blocks, length)
    parts = [bytes(part) for part in gathering.gather_parts()]
    whole = b"".join(blocks)
    assert b"".join(parts) == whole
    assert all(len(part) == length for part in parts[:-1])
    assert (gathering.size, gathering.digest().octets) == (
        len(whole),
        hashlib.sha256(whole).digest(),
    )


def test_a_mark_carries_what_the_store_adds():
    assert added_to(marked(b"x", "an-etag")) == "an-etag"
    assert added_to(marked(b"x")) == ""
