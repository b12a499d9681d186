"""A log in memory, its keys and its signer."""

from datetime import datetime
from pathlib import Path

import pytest

from storage.custody.merkle import tree
from storage.custody.signer import LogSigner
from storage.signed.signing import SigningKey

ORIGIN = "liuhen.test/log"


class MemoryLog:
    """Leaves and complete nodes, kept in a dictionary."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.nodes: dict[tuple[int, int], bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def add(self, leaf: bytes) -> None:
        for level, index, found in tree.append_leaf(len(self.leaves), leaf, self.node):
            self.nodes[level, index] = found
        self.leaves.append(leaf)

    def root(self, size: int | None = None) -> bytes:
        return tree.compute_root(len(self.leaves) if size is None else size, self.node)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.from_seeds("log", bytes(range(64)))


@pytest.fixture
def signer(key: SigningKey, tmp_path: Path, now: datetime) -> LogSigner:
    signer = LogSigner(key, ORIGIN, tmp_path / "signer" / "head")
    signer.begin_log(now)
    return signer
