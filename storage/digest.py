"""A digest that knows its algorithm; bare hex never travels between rooms.

SHA-256 is FIPS 180-4; SM3 is GB/T 32905-2016, computed beside it where the site is set so.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from storage.errors import FixityError


class Algorithm(StrEnum):
    """Digest algorithms, named as in `Repr-Digest` (RFC 9530) where registered there."""

    SHA256 = "sha-256"
    SM3 = "sm3"


_HASHLIB = {Algorithm.SHA256: "sha256", Algorithm.SM3: "sm3"}


@dataclass(frozen=True, slots=True)
class Digest:
    """32 bytes and the algorithm that made them."""

    algorithm: Algorithm
    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != 32:  # noqa: PLR2004 - both algorithms give 256 bits
            raise FixityError(problem="digest length", expected=32, found=len(self.octets))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha-256:<64 hex>`.

        Raises: FixityError when the text is not of that form.
        """
        name, _, digits = text.partition(":")
        try:
            return cls(Algorithm(name), bytes.fromhex(digits))
        except ValueError as error:
            raise FixityError(problem="digest text", found=text[:80]) from error

    @classmethod
    def compute(
        cls, content: bytes | bytearray | memoryview, algorithm: Algorithm = Algorithm.SHA256
    ) -> Self:
        """Return the digest of bytes in memory; streams use `create_hasher`."""
        return cls(algorithm, hashlib.new(_HASHLIB[algorithm], content).digest())

    @property
    def hex(self) -> str:
        """64 lower-case hexadecimal digits."""
        return self.octets.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


class StatedDigests:
    """What somebody stated of a stream, hex by algorithm, compared with it as it is read.

    `unknown` are the algorithms that cannot be worked out here: later ones, or SM3 with an OpenSSL
    that leaves it out.
    """

    def __init__(self, stated: Mapping[str, str]) -> None:
        self._stated = dict(stated)
        self._running: dict[str, hashlib._Hash] = {}
        for name in stated:
            with contextlib.suppress(ValueError):
                self._running[name] = create_hasher(Algorithm(name))
        self.unknown = sorted(set(stated) - set(self._running))

    def update(self, block: bytes | bytearray | memoryview) -> None:
        """Take the stream's next bytes."""
        for running in self._running.values():
            running.update(block)

    def differing(self) -> list[str]:
        """Return the algorithms whose digest is not the one stated."""
        return sorted(
            name
            for name, running in self._running.items()
            if running.hexdigest() != self._stated[name]
        )


def create_hasher(algorithm: Algorithm) -> "hashlib._Hash":
    """Return a running hash; `Digest(algorithm, h.digest())` closes it."""
    return hashlib.new(_HASHLIB[algorithm])
