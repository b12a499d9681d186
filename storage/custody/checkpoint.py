"""Checkpoints: the signed head of the custody log (origin, size, root).

C2SP tlog-checkpoint, three lines and no extensions. The log signs each head twice: Ed25519 as a
plain note signature (public witnesses and Go's `sumdb/note` read it), and ML-DSA-44 as a
tlog-cosignature, which covers name, time, origin, size and root. Both must verify. Who may sign,
and what they must remember, is `signer.py`.
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa

from storage.custody.merkle.tree import HASH_SIZE
from storage.custody.note import (
    Note,
    NoteKey,
    NoteSignature,
    SignatureType,
    parse_note,
    verify_ed25519,
)
from storage.errors import SignatureError
from storage.signed.signing import ED25519, ML_DSA_44, SigningKey, VerifyKey

_LABEL = b"subtree/v1\n\0"
_ML_DSA_44_SIZE = 2420
_MAX_SIZE = 1 << 63


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One head of one log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the three lines. Raises: SignatureError when they are not exactly that."""
        try:
            origin, size, root, end = text.split("\n")
            head = cls(origin, int(size), base64.b64decode(root, validate=True))
        except ValueError as error:
            raise SignatureError(problem="not a checkpoint") from error
        malformed = end or not origin or len(head.root) != HASH_SIZE
        # One spelling only: `int` takes signs and spaces, base64 takes spare bits.
        if malformed or head.text != text or not 0 <= head.size < _MAX_SIZE:
            raise SignatureError(problem="not a checkpoint")
        return head

    def cosigned_message(self, cosigner: str, timestamp: int) -> bytes:
        """Return what an ML-DSA-44 cosignature signs (tlog-cosignature, `cosigned_message`)."""
        name, origin = cosigner.encode(), self.origin.encode()
        return b"".join(
            (
                _LABEL,
                bytes([len(name)]) + name,
                struct.pack(">Q", timestamp),
                bytes([len(origin)]) + origin,
                # The log as a subtree that begins at entry 0 and ends at its size
                # (tlog-cosignature).
                struct.pack(">QQ", 0, self.size),
                self.root,
            )
        )


def log_keys(key: VerifyKey, origin: str) -> tuple[NoteKey, ...]:
    """Return the two note keys of a log: its signing key under the log's origin as name.

    Two more follow for each origin that it had before, good for no head beyond its last.
    """
    names = [(origin, None), *((former.origin, former.size) for former in key.former)]
    return tuple(
        NoteKey(name, type_, public, until)
        for name, until in names
        for type_, public in (
            (SignatureType.ED25519, key.ed25519),
            (SignatureType.ML_DSA_44, key.ml_dsa_44),
        )
    )


def sign_checkpoint(head: Checkpoint, key: SigningKey, at: datetime) -> str:
    """Return the checkpoint signed with both keys. Remembers nothing: see `signer.LogSigner`."""
    timestamp = int(at.timestamp())
    # The first two are of the origin of today; nothing is signed under a former one.
    classical, quantum = log_keys(key.verify_key(), head.origin)[:2]
    plain = key.sign(head.text.encode())[ED25519]
    cosignature = key.sign(head.cosigned_message(head.origin, timestamp))[ML_DSA_44]
    return Note(
        head.text,
        (
            NoteSignature(classical.name, classical.id, plain),
            NoteSignature(quantum.name, quantum.id, struct.pack(">Q", timestamp) + cosignature),
        ),
    ).encode()


def plain_signature(text: str, key: VerifyKey) -> tuple[bytes, bytes]:
    """Return what the Ed25519 key signed of a checkpoint, and the raw signature, unverified.

    So other tools can verify it. Raises: SignatureError when the log did not sign it so.
    """
    note = parse_note(text)
    origin = Checkpoint.parse(note.untrusted_text).origin
    signatures = [
        note.find_signature(note_key)
        for note_key in log_keys(key, key.name)
        if (note_key.name, note_key.type) == (origin, SignatureType.ED25519)
    ]
    if not signatures:
        raise SignatureError(problem="the note is not signed by this key", signer=key.name)
    return note.untrusted_text.encode(), signatures[0]


def open_checkpoint(text: str, keys: Sequence[NoteKey]) -> Checkpoint:
    """Return the head after every one of `keys` that bears its origin proved to have signed it.

    Lines by other keys are ignored, as signed-note asks; a line left out of those expected is
    refused, so that nobody strips the post-quantum signature. The origin must be a name of the
    keys, and under one that the log gave up nothing beyond its last head is good.
    Raises: SignatureError.
    """
    if not keys:
        raise SignatureError(problem="no key to verify the checkpoint with")
    note = parse_note(text)
    untrusted_head = Checkpoint.parse(note.untrusted_text)
    # Keys of a former origin count as well; what they sign is bounded by its last head, below.
    expected = [key for key in keys if key.name == untrusted_head.origin]
    if not expected:
        origin = untrusted_head.origin[:80]
        raise SignatureError(problem="a checkpoint of another log", found=origin)
    for key in expected:
        if key.type is SignatureType.ED25519:
            verify_ed25519(note, key)
        else:
            _verify_ml_dsa_44(note, key)
        if key.until is not None and untrusted_head.size > key.until:
            raise SignatureError(
                problem="a head under an origin that was given up before", size=untrusted_head.size
            )
    return untrusted_head


def untrusted_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint without verifying it: to choose a size, never to believe a root."""
    return Checkpoint.parse(parse_note(text).untrusted_text)


def _verify_ml_dsa_44(note: Note, key: NoteKey) -> None:
    cosignature = note.find_signature(key)
    untrusted_head = Checkpoint.parse(note.untrusted_text)
    if len(cosignature) != 8 + _ML_DSA_44_SIZE or len(untrusted_head.origin.encode()) > 0xFF:  # noqa: PLR2004 - uint8 length
        raise SignatureError(problem="malformed cosignature", signer=key.name)
    (timestamp,) = struct.unpack(">Q", cosignature[:8])
    message = untrusted_head.cosigned_message(key.name, timestamp)
    try:
        mldsa.MLDSA44PublicKey.from_public_bytes(key.public).verify(cosignature[8:], message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(signer=key.name, type=key.type.name) from error
