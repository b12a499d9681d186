"""Signed notes: a text, and signature lines under it, each naming its key.

C2SP signed-note: the format, key ids and `vkey` strings, and plain Ed25519 signatures (0x01).
ML-DSA-44 cosignatures (0x06) carry a message of their own, built in `checkpoint.py`; here they
are lines like any other. Text that no trusted key signed must not be looked at.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from storage.errors import SignatureError

MAX_NOTE = 128 * 1024  # 16 signatures of 5 kB must be accepted; beyond this nothing is
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH = "— "


class SignatureType(IntEnum):
    """Signature type identifiers that this log uses."""

    ED25519 = 0x01
    ML_DSA_44 = 0x06


_KEY_SIZES = {SignatureType.ED25519: 32, SignatureType.ML_DSA_44: 1312}


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under a name, for one signature type.

    `until` is the size of a log's last head under this name, where it goes on under another.
    """

    name: str
    type: SignatureType
    public: bytes
    until: int | None = None

    def __post_init__(self) -> None:
        # Note lines are split at spaces, and `vkey` strings at plus signs.
        bad_name = not self.name or "+" in self.name or any(c.isspace() for c in self.name)
        if bad_name or len(self.public) != _KEY_SIZES[self.type]:
            raise SignatureError(problem="malformed note key", name=self.name[:80])

    @property
    def id(self) -> bytes:
        """The four bytes that a signature line carries; a hint, not a fingerprint."""
        named = self.name.encode() + b"\n" + bytes([self.type]) + self.public
        return hashlib.sha256(named).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as public tools take it: name, id and key, joined by `+`."""
        encoded = base64.b64encode(bytes([self.type]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a `vkey`. Raises: SignatureError when it is malformed or its id is another's."""
        try:
            # Twice at most: the base64 of a key may hold plus signs of its own.
            name, key_id, encoded = vkey.strip().split("+", 2)
            content = base64.b64decode(encoded, validate=True)
            key = cls(name, SignatureType(content[0]), content[1:])
        except (ValueError, IndexError) as error:
            raise SignatureError(problem="malformed vkey", found=vkey[:80]) from error
        if key.id.hex() != key_id:
            raise SignatureError(problem="vkey id does not fit its key", found=vkey[:80])
        return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, as found."""

    name: str
    key_id: bytes
    signature_bytes: bytes

    def format_line(self) -> str:
        """Return the line without its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature_bytes).decode()}"


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text (ending in a newline) and its signature lines, not yet verified."""

    untrusted_text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> str:
        """Return the note as it is stored and published."""
        lines = "".join(f"{signature.format_line()}\n" for signature in self.signatures)
        return f"{self.untrusted_text}\n{lines}"

    def find_signature(self, key: NoteKey) -> bytes:
        """Return the one signature that names this key.

        Raises: SignatureError when there is none, or more than one.
        """
        matches = [
            s.signature_bytes for s in self.signatures if (s.name, s.key_id) == (key.name, key.id)
        ]
        # Of two lines by one key, two readers could take different ones.
        if len(matches) != 1:
            raise SignatureError(
                problem="the note is not signed by this key", signer=key.name, type=key.type.name
            )
        return matches[0]


def parse_note(content: str) -> Note:
    """Split a note into text and signature lines.

    Raises: SignatureError when it is not a signed note, is too long, or holds control characters.
    """
    # A control character could hide part of a note from whoever looks at it on a terminal.
    if len(content) > MAX_NOTE or _CONTROL.search(content):
        raise SignatureError(problem="not a signed note")
    # The text may hold empty lines itself; the last one ends it.
    text, blank, lines = content.rpartition("\n\n")
    if not blank or not text or not lines.endswith("\n"):
        raise SignatureError(problem="not a signed note")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines[:-1].split("\n")))


def _parse_signature(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError(problem="malformed signature line", found=line[:80]) from error
    if not line.startswith(_DASH) or not name or len(content) <= 4:  # noqa: PLR2004 - the key id
        raise SignatureError(problem="malformed signature line", found=line[:80])
    signature = NoteSignature(name, content[:4], content[4:])
    if signature.format_line() != line:  # base64 has spare bits: one signature, one spelling
        raise SignatureError(problem="malformed signature line", found=line[:80])
    return signature


def verify_ed25519(note: Note, key: NoteKey) -> str:
    """Return the text after its Ed25519 signature by this key verified. Raises: SignatureError."""
    signature = note.find_signature(key)
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(key.public)
        public.verify(signature, note.untrusted_text.encode())
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(signer=key.name, type=key.type.name) from error
    return note.untrusted_text
