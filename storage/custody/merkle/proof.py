"""Inclusion proofs as text that anybody can check: C2SP tlog-proof, without extra data.

A proof holds the entry's number, its path to the root and the signed checkpoint, verbatim. It
does not hold the entry: that travels beside it, and is hashed by whoever checks.
"""

import base64
from dataclasses import dataclass
from typing import Self

from storage.custody.merkle.tree import HASH_SIZE
from storage.errors import CustodyError

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PATH = 64  # a tree of 2^64 entries


@dataclass(frozen=True, slots=True)
class Proof:
    """Entry number, path and checkpoint; nothing verified yet."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def encode(self) -> str:
        """Return the text of a `.tlog-proof` file."""
        path = "".join(f"{base64.b64encode(step).decode()}\n" for step in self.path)
        return f"{_HEADER}\nindex {self.index}\n{path}\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a `.tlog-proof` text; an `extra` line is skipped, it proves nothing.

        Raises: CustodyError when it is malformed.
        """
        head, _, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        # At most one such line, right after the header (tlog-proof); it is skipped unread.
        if len(lines) > 1 and lines[1].startswith("extra "):
            del lines[1]
        if lines[0] != _HEADER or not 2 <= len(lines) <= 2 + _MAX_PATH:  # noqa: PLR2004 - header and index
            raise CustodyError(problem="not a log proof")
        try:
            # `int` takes signs, spaces and underscores as well; the comparison below does not.
            index = int(lines[1].removeprefix("index "))
            path = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
        except ValueError as error:
            raise CustodyError(problem="not a log proof") from error
        if index < 0 or any(len(step) != HASH_SIZE for step in path):
            raise CustodyError(problem="not a log proof")
        proof = cls(index, path, checkpoint)
        if proof.encode().split("\n")[1 : len(lines)] != lines[1:]:  # one proof, one spelling
            raise CustodyError(problem="not a log proof")
        return proof
