"""Heads that somebody outside has seen, held against the log as it is now. Pure.

A log promises to continue every head that it ever signed. Whoever keeps one head can hold it to
that: a consistency proof (RFC 9162 2.1.4.2) leads from the old head to the newest, or the log was
put back or goes on as another. Stations do so at each delivery (docs/spec/custody-log.md 6).
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from storage.custody.checkpoint import Checkpoint
from storage.custody.merkle.tree import (
    HASH_SIZE,
    Frontier,
    NodeReader,
    consistency_proof,
    leaf_hash,
    verify_consistency,
)
from storage.errors import CustodyError

_MOST_STEPS = 130  # of a proof between trees of 2^64 entries


class Contradiction(StrEnum):
    """How a log contradicts a head that it signed."""

    ROLLED_BACK = "rolled-back"  # it has fewer entries than it had
    FORKED = "forked"  # it has as many or more, and they are not the ones that were signed


def find_contradiction(
    head: Checkpoint, newest: Checkpoint, untrusted_proof: tuple[bytes, ...]
) -> Contradiction | None:
    """Return how the newest head contradicts one that was seen; None where it continues it.

    Both heads' signatures were verified before. A proof that proves nothing is a contradiction:
    a log that continues a head can always prove it.
    """
    if newest.size < head.size:
        return Contradiction.ROLLED_BACK
    try:
        verify_consistency(head.size, head.root, newest.size, newest.root, untrusted_proof)
    except CustodyError:
        return Contradiction.FORKED
    return None


@dataclass(frozen=True, slots=True)
class HeldLog:
    """A log as it lies here: its newest head, verified, and what should lead to it, untrusted."""

    head: Checkpoint
    node: NodeReader
    leaves: Callable[[], Iterator[bytes]]


def list_contradictions(
    log: HeldLog, heads: Iterable[Checkpoint]
) -> dict[Checkpoint, Contradiction]:
    """Return which of the heads that were seen the log contradicts, and how.

    The seen heads' signatures were verified before. Nodes lead to a proof at once; where they do
    not, the entries themselves are walked over, for a node that was damaged is no fork.
    Raises: CustodyError when the entries do not lead to the log's own head: a replay tells why.
    """
    by_head: dict[Checkpoint, Contradiction] = {}
    unproven: list[Checkpoint] = []
    # Many receipts and bundles hold the same head.
    for head in dict.fromkeys(heads):
        if head.size > log.head.size:
            by_head[head] = Contradiction.ROLLED_BACK
        elif not _is_proven(log, head):
            unproven.append(head)
    if unproven:
        roots = _compute_roots(log, {head.size for head in unproven})
        by_head |= {
            head: Contradiction.FORKED for head in unproven if roots[head.size] != head.root
        }
    return by_head


def _is_proven(log: HeldLog, head: Checkpoint) -> bool:
    try:
        proof = consistency_proof(head.size, log.head.size, log.node)
        verify_consistency(head.size, head.root, log.head.size, log.head.root, proof)
    except (CustodyError, OSError):
        # A node or tile that is missing or damaged says nothing against the log.
        return False
    return True


def _compute_roots(log: HeldLog, sizes: set[int]) -> dict[int, bytes]:
    """Return the roots over the entries themselves. Raises: as `list_contradictions`."""
    walk, roots = Frontier(), {}
    leaves = log.leaves()
    while True:
        # Before the next entry is taken, since a head may be of the empty log.
        if walk.size in sizes:
            roots[walk.size] = walk.compute_root()
        if walk.size == log.head.size:
            break
        leaf = next(leaves, None)
        if leaf is None:
            raise CustodyError(problem="an entry of the log is missing", index=walk.size)
        walk.add(leaf_hash(leaf))
    # Entries that do not lead to the log's own head could be made to contradict any other.
    if walk.compute_root() != log.head.root:
        raise CustodyError(problem="the entries do not lead to the log's own head", size=walk.size)
    return roots


@dataclass(frozen=True, slots=True)
class LogContinuation:
    """A log's newest signed head, and proofs that it continues its heads of some sizes.

    `proofs` has none for sizes that the log does not reach. Nothing in it is verified.
    """

    checkpoint: str
    proofs: Mapping[int, tuple[bytes, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "checkpoint": self.checkpoint,
            "proofs": {
                str(size): [base64.b64encode(step).decode() for step in proof]
                for size, proof in self.proofs.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read `to_json`. Raises: CustodyError."""
        try:
            proofs = {
                int(size): tuple(base64.b64decode(step, validate=True) for step in proof)
                for size, proof in document["proofs"].items()
            }
            checkpoint = document["checkpoint"]
            if not isinstance(checkpoint, str):
                raise TypeError(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CustodyError(problem="not a proof that the log goes on") from error
        # Bounded before anything is computed: an answer from the network may be of any length.
        if any(
            len(proof) > _MOST_STEPS or any(len(step) != HASH_SIZE for step in proof)
            for proof in proofs.values()
        ):
            raise CustodyError(problem="not a proof that the log goes on")
        return cls(checkpoint, proofs)
