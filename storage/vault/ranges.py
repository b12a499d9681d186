"""Plaintext by byte range, without decrypting the rest.

C2SP chunked-encryption v1 (Cobblestone-256): salt (24) ‖ commitment (32) ‖ chunks of 16,384
plaintext bytes + 16 tag. The key, base nonce and commitment come from HKDF-Expand-SHA-512 over
the data key with `info` = label ‖ salt ‖ context; chunk k is AES-256-GCM under the base nonce
XOR k, and the last chunk is always shorter than 16,384 bytes, perhaps empty. The length is
authenticated only by opening that last chunk, so a read that reaches the end opens it too.
"""

from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import constant_time, hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from storage.errors import FixityError

CHUNK = 16_384
KEY = 32
TAG = 16
SALT = 24
HEADER = 56
_STORED = CHUNK + TAG
_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
_PIECE = 64  # chunks read at once: 1 MiB of plaintext

ReadAt = Callable[[int, int], bytes]


def payload_size(plain: int) -> int:
    """Return the payload's length in bytes for an original of `plain` bytes."""
    return HEADER + plain + TAG * (plain // CHUNK + 1)


def plain_size(payload: int) -> int:
    """Return the original's length for a payload of this many bytes.

    Raises: FixityError when no original has such a payload.
    """
    body = payload - HEADER
    chunks = -(-body // _STORED)
    plain = body - TAG * chunks
    if body < TAG or plain < 0 or payload_size(plain) != payload:
        raise FixityError(part="payload", problem="impossible length", found=payload)
    return plain


class PlainReader:
    """Reads ranges of one payload. `read_at(offset, length)` is the object store's."""

    def __init__(self, read_at: ReadAt, size: int, data_key: bytes, context: bytes) -> None:
        """Derive the chunk key and check the commitment once.

        Raises: FixityError when the key, the context or the header is not this payload's.
        """
        if len(data_key) != KEY:
            # HMAC pads a short key with zeros: without this, two keys would open one payload.
            raise FixityError(part="payload", problem="data key length", found=len(data_key))
        self.size = plain_size(size)
        self._read_at = read_at
        header = read_at(0, HEADER)
        derived = HKDFExpand(
            algorithm=hashes.SHA512(), length=76, info=_LABEL + header[:SALT] + context
        ).derive(data_key)
        if len(header) != HEADER or not constant_time.bytes_eq(derived[44:], header[SALT:]):
            raise FixityError(part="payload", problem="key commitment")
        self._cipher = AESGCM(derived[:32])
        self._nonce = int.from_bytes(derived[32:44], "big")

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the original's bytes [start, stop) in pieces of at most 1 MiB.

        Raises: FixityError(part="payload", chunk=k) at the first chunk that does not verify;
        ValueError for a range outside the original.
        """
        if not 0 <= start <= stop <= self.size:
            raise ValueError(start, stop, self.size)
        final = self.size // CHUNK
        first = start // CHUNK
        last = final if stop == self.size else (stop - 1) // CHUNK
        if start == stop != self.size:
            return
        for head in range(first, last + 1, _PIECE):
            tail = min(head + _PIECE, last + 1)
            plain = self._read_chunks(head, tail, final)
            offset = head * CHUNK
            piece = plain[max(start - offset, 0) : stop - offset]
            if piece:
                yield piece

    def _read_chunks(self, head: int, tail: int, final: int) -> bytes:
        stored = self._read_at(HEADER + head * _STORED, (tail - head) * _STORED)
        opened = []
        for index in range(head, tail):
            sealed = stored[(index - head) * _STORED : (index - head + 1) * _STORED]
            nonce = (self._nonce ^ index).to_bytes(12, "big")
            try:
                plain = self._cipher.decrypt(nonce, sealed, None)
            except (InvalidTag, ValueError) as error:
                raise FixityError(part="payload", chunk=index) from error
            if (len(plain) < CHUNK) != (index == final):
                raise FixityError(part="payload", chunk=index, problem="chunk length")
            opened.append(plain)
        return b"".join(opened)
