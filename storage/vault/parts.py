"""Objects in parts: gathering them, and their marks, to compare with when read back.

A mark is `<length>.<first 128 bits of SHA-256, base64url>`, then `.<what the store adds>` where it
needs a name of its own for the part. The caller keeps marks as they are and reads nothing in them.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from storage.digest import Algorithm, Digest, create_hasher
from storage.errors import VaultError
from storage.vault.objects import Block

_MARK = re.compile(r"([0-9]{1,19})\.([A-Za-z0-9_-]{22})(?:\.(.{1,128}))?", re.ASCII)
_BITS = 16  # bytes of SHA-256 that a mark carries


def mark_of(length: int, digest: Digest, added: str = "") -> str:
    """Return the mark of a part of so many bytes with that SHA-256."""
    mark = f"{length}.{_encode_digest(digest.octets)}"
    return f"{mark}.{added}" if added else mark


def added_to(mark: str) -> str:
    """Return what the store added to a mark. Raises: VaultError when it is not a mark."""
    return _parse_mark(mark)[2]


class Comparison:
    """Bytes read back, block by block, against the marks of the parts they came in."""

    def __init__(self, marks: Sequence[str]) -> None:
        """Expect these parts, in this order. Raises: VaultError when one is not a mark."""
        self._waiting = [_parse_mark(mark)[:2] for mark in reversed(marks)]
        self._digest = create_hasher(Algorithm.SHA256)
        self._seen = 0  # bytes of the part at hand
        self._same = True

    def update(self, block: Block) -> None:
        """Take the next bytes."""
        view = memoryview(block)
        while view and self._same:
            self._close_full_parts()
            if not self._waiting:
                self._same = False
                return
            here = view[: self._waiting[-1][0] - self._seen]
            self._digest.update(here)
            self._seen += len(here)
            view = view[len(here) :]

    def is_match(self) -> bool:
        """Return whether all that was read is all that the parts were."""
        self._close_full_parts()
        return self._same and not self._waiting

    def _close_full_parts(self) -> None:
        while self._same and self._waiting and self._seen == self._waiting[-1][0]:
            self._same = _encode_digest(self._digest.digest()) == self._waiting.pop()[1]
            self._digest, self._seen = create_hasher(Algorithm.SHA256), 0


@dataclass(frozen=True, slots=True)
class ExpectedObject:
    """The expectation of an object read back: this digest, or else these parts."""

    size: int
    digest: Digest | None = None
    marks: Sequence[str] = ()

    def list_readings(self) -> Iterator["Reading"]:
        """Yield the two readings that it may take; a second one tells a damaged line.

        The digest alone is looked at first, which costs half of what the parts cost beside it.
        """
        yield Reading(self, by_parts=self.digest is None)
        yield Reading(self, by_parts=bool(self.marks))


class Reading:
    """One reading of an object, block by block."""

    def __init__(self, expected: ExpectedObject, *, by_parts: bool = False) -> None:
        """Begin; `by_parts` looks at the parts instead of the digest."""
        self.size = 0
        self._wanted = expected
        self._hash = create_hasher(Algorithm.SHA256)
        self._parts = Comparison(expected.marks) if by_parts else None

    def update(self, block: Block) -> None:
        """Take the next bytes."""
        self.size += len(block)
        self._hash.update(block)
        if self._parts is not None:
            self._parts.update(block)

    def digest(self) -> Digest:
        """Return the SHA-256 of what was read."""
        return Digest(Algorithm.SHA256, self._hash.digest())

    def is_match(self) -> bool:
        """Return whether what was read is what is wanted."""
        if self.size != self._wanted.size:
            return False
        return (
            self._parts.is_match()
            if self._parts is not None
            else self.digest() == self._wanted.digest
        )


class Gathering:
    """Blocks gathered into parts of equal length, counted and hashed on their way."""

    def __init__(self, blocks: Iterable[Block], length: int) -> None:
        """Gather into parts of `length` bytes."""
        self.size = 0
        self._blocks = blocks
        self._length = length
        self._hash = create_hasher(Algorithm.SHA256)

    def gather_parts(self) -> Iterator[bytearray]:
        """Yield the parts; the last one may be shorter."""
        buffer = bytearray()
        for block in self._blocks:
            view = memoryview(block)
            self._hash.update(view)
            self.size += len(view)
            while view:
                room = self._length - len(buffer)
                buffer += view[:room]
                view = view[room:]
                if len(buffer) == self._length:
                    yield buffer
                    buffer = bytearray()
        if buffer:
            yield buffer

    def exhaust_blocks(self) -> None:
        """Count and hash without sending."""
        for _part in self.gather_parts():
            pass

    def digest(self) -> Digest:
        """Return the SHA-256 of all that was given."""
        return Digest(Algorithm.SHA256, self._hash.digest())


def _encode_digest(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest[:_BITS]).decode().rstrip("=")


def _parse_mark(mark: str) -> tuple[int, str, str]:
    match = _MARK.fullmatch(mark)
    if not match:
        raise VaultError(problem="not the mark of a part", found=mark[:80])
    length, digest, added = match.groups(default="")
    return int(length), digest, added
