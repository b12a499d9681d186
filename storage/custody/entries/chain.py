"""Chains: all entries upon one subject, each numbered and naming the digest of the one before it.

An entry that touches several subjects (a recording linked to an action) stands in the chain of
each. An entry left out of the middle of a chain breaks it; one left off its end, or told twice in
two ways, makes two entries of one number, which a replay of the log names (docs/spec/custody-log.md
section 1). Pure: who keeps the heads is not known here.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage.custody.merkle.tree import HASH_SIZE, leaf_hash
from storage.errors import CustodyError

_UNCHAINED = b"liuhen/unchained-entries/v1\n"
_HEX = "sha-256:"


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a subject's chain ends: how many entries it has, and the digest (32 bytes) of the last.

    An empty chain has no digest. The digest of an entry is its leaf hash (RFC 6962 section 2.1);
    entries of version 1, which are in no chain, count by one digest of them all (`unchained`).
    """

    count: int = 0
    digest: bytes = b""

    def __post_init__(self) -> None:
        # Hostile heads come through here: an empty chain has no digest, any other has one.
        if self.count < 0 or len(self.digest) != (HASH_SIZE if self.count else 0):
            raise CustodyError(problem="not the head of a chain", count=self.count)

    def followed_by(self, leaf: bytes) -> "ChainHead":
        """Return the head of the chain after one more entry, given by its exact bytes."""
        return ChainHead(self.count + 1, leaf_hash(leaf))

    def to_json(self) -> list[Any]:
        """Return it as entries hold it: `[count, "sha-256:<hex>"]`, or `[0, null]`."""
        return [self.count, f"{_HEX}{self.digest.hex()}" if self.count else None]

    @classmethod
    def from_json(cls, document: Any) -> "ChainHead":
        """Read what `to_json` returns. Raises: CustodyError."""
        try:
            count, digest = document
            if type(count) is int and count == 0 and digest is None:
                return EMPTY
            if type(count) is int and digest.startswith(_HEX):
                head = cls(count, bytes.fromhex(digest.removeprefix(_HEX)))
                # Upper-case hex would be a second spelling of the same head.
                if head.to_json() == document:
                    return head
        except (TypeError, ValueError, AttributeError):
            pass
        raise CustodyError(problem="not the head of a chain", found=str(document)[:100])


EMPTY = ChainHead()


class Unchained:
    """The version 1 entries upon one subject, oldest first, as the head that a chain begins with.

    Its digest is SHA-256 over `liuhen/unchained-entries/v1`, a line feed, and the leaf hashes of
    the entries in the order of their numbers.
    """

    def __init__(self) -> None:
        self._count = 0
        self._hash = hashlib.sha256(_UNCHAINED)

    def add(self, leaf: bytes) -> None:
        """Take the next of the entries, by its leaf hash (32 bytes)."""
        self._count += 1
        self._hash.update(leaf)

    @property
    def head(self) -> ChainHead:
        """The head over what was taken so far."""
        return ChainHead(self._count, self._hash.digest()) if self._count else EMPTY


def heads_to_json(heads: Mapping[str, ChainHead]) -> dict[str, list[Any]]:
    """Return heads by subject, as an entry holds them."""
    return {subject: head.to_json() for subject, head in heads.items()}


def heads_from_json(document: Any) -> dict[str, ChainHead]:
    """Read what `heads_to_json` returns. Raises: CustodyError."""
    if not isinstance(document, dict):
        raise CustodyError(problem="not heads of chains")
    return {subject: ChainHead.from_json(head) for subject, head in document.items()}


class Breach(StrEnum):
    """How an entry does not stand where it says in a chain."""

    DOUBLE_NUMBER = "double-number"  # the chain had an entry of this number
    LEFT_OUT = "left-out"  # it comes after one that is not there
    NOT_FOLLOWING = "not-following"  # the one before it is another than it says
    UNCHAINED = "unchained"  # of version 1, after the chain had begun
    FALSE_HEAD = "false-head"  # it names a head that the chain did not have


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """A break in a chain: `number` is the entry's count, `expected` the count that it had."""

    breach: Breach
    subject: str
    number: int
    expected: int

    def __str__(self) -> str:
        return f"{self.subject}: {_WORDS[self.breach].format(self.number, self.expected)}"


_WORDS = {
    Breach.DOUBLE_NUMBER: "a second entry of number {0}",
    Breach.LEFT_OUT: "entry {1} of its chain is left out",
    Breach.NOT_FOLLOWING: "entry {0} does not follow the one before it",
    Breach.UNCHAINED: "an entry without a chain after the chain had begun",
    Breach.FALSE_HEAD: "named as of {0} entries, which is not what it had",
}


class ChainWalk:
    """Follows the chains of some or all subjects over entries in their order, and names breaks.

    For a replay give every entry of the log; for a bundle, every entry that it holds of the
    subjects that it is about.
    """

    def __init__(self, subjects: Iterable[str] | None = None) -> None:
        """Follow these subjects; None: all that come."""
        self._wanted = None if subjects is None else frozenset(subjects)
        self._heads: dict[str, ChainHead] = {}
        self._unchained: dict[str, Unchained] = {}

    def get_head(self, subject: str) -> ChainHead:
        """Return where the subject's chain stands after the entries taken so far."""
        if subject in self._heads:
            # An explicit head counts first: what came before chains is inside it, as its beginning.
            return self._heads[subject]
        return self._unchained[subject].head if subject in self._unchained else EMPTY

    @property
    def subjects(self) -> set[str]:
        """The subjects that were met and are followed."""
        return set(self._heads) | set(self._unchained)

    def add(self, entry: Mapping[str, Any], leaf: bytes) -> list[ChainBreak]:
        """Add the next entry, parsed and as its exact bytes; return the chain breaks it shows.

        After a break the chain goes on from what the entry says, so that one break is named once.
        Raises: CustodyError (chains or heads that are none).
        """
        if entry["v"] == 1:
            return self._add_unchained(entry["subject"], leaf)
        wrong = []
        for subject, claim in heads_from_json(entry["chains"]).items():
            # A bundle lacks entries of other subjects, whose chains would look broken.
            if not self._is_followed(subject):
                continue
            head = self.get_head(subject)
            if claim != head:
                wrong.append(
                    ChainBreak(_classify_breach(claim, head), subject, claim.count, head.count)
                )
            # From what the entry claims, and also when that was wrong: one break, one finding.
            self._heads[subject] = claim.followed_by(leaf)
        return wrong + [
            ChainBreak(Breach.FALSE_HEAD, subject, claim.count, self.get_head(subject).count)
            for subject, claim in heads_from_json(entry["heads"]).items()
            if self._is_followed(subject) and claim != self.get_head(subject)
        ]

    def _add_unchained(self, subject: str, leaf: bytes) -> list[ChainBreak]:
        if not self._is_followed(subject):
            return []
        # A chain begins with all that came before it; one more of version 1 would change its first
        # digest.
        if subject in self._heads:
            count = self._heads[subject].count
            return [ChainBreak(Breach.UNCHAINED, subject, count, count)]
        self._unchained.setdefault(subject, Unchained()).add(leaf_hash(leaf))
        return []

    def _is_followed(self, subject: str) -> bool:
        return self._wanted is None or subject in self._wanted


def _classify_breach(claim: ChainHead, head: ChainHead) -> Breach:
    if claim.count < head.count:
        return Breach.DOUBLE_NUMBER
    return Breach.LEFT_OUT if claim.count > head.count else Breach.NOT_FOLLOWING
