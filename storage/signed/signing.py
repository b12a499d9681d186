r"""Signed documents: canonical JSON under Ed25519 and ML-DSA-44, both required.

A document is `{"body": {...}, "signatures": [...]}`; each signature covers
`b"liuhen/" + domain + b"\n" + RFC 8785(body)`, so a signed record can never be replayed as a
receipt. Ed25519 is RFC 8032; ML-DSA-44 is FIPS 204 (empty context). Where a signer's key files
lie is `storage/vault/keys.py`'s business.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from storage.errors import KeyRingError, SignatureError
from storage.signed import canonical
from storage.signed.fingerprint import KID_DIGITS, fingerprint_of

ED25519 = "Ed25519"
ML_DSA_44 = "ML-DSA-44"
_BODY, _SIGNATURES = b'{"body":', b',"signatures":'


@dataclass(frozen=True, slots=True)
class FormerOrigin:
    """An origin that a custody log gave up, and its last head under it (`custody/origin.py`)."""

    origin: str
    size: int
    root: bytes

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": base64.b64encode(self.root).decode(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read `to_json`. Raises: KeyError, TypeError, ValueError."""
        former = cls(
            document["origin"], document["size"], base64.b64decode(document["root"], validate=True)
        )
        # Rebuilt and compared, for it must have one spelling; in Python `True` is a number too.
        if former.to_json() != document or isinstance(former.size, bool) or former.size < 0:
            raise ValueError("former origin")
        return former


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a signer: raw Ed25519 (32 bytes) and ML-DSA-44 (1312 bytes) keys.

    A custody log's key may have signed under other names before: `former`, oldest first.
    """

    name: str
    ed25519: bytes
    ml_dsa_44: bytes
    former: tuple[FormerOrigin, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both public keys, as 64 hex digits: what people compare."""
        return fingerprint_of(self.ed25519, self.ml_dsa_44)

    @property
    def kid(self) -> str:
        """First 16 hex digits of the fingerprint: what documents name a key by."""
        return self.fingerprint[:KID_DIGITS]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that this key ever signed under, oldest first."""
        return (*(former.origin for former in self.former), self.name)

    def is_same_key(self, other: "VerifyKey") -> bool:
        """Tell whether both halves are the other's, under whatever name."""
        return (self.ed25519, self.ml_dsa_44) == (other.ed25519, other.ml_dsa_44)

    def to_json(self) -> dict[str, Any]:
        """Return the public key as it stands in bundles and on disk."""
        former = {"former": [origin.to_json() for origin in self.former]} if self.former else {}
        return {
            "name": self.name,
            "kid": self.kid,
            ED25519: base64.b64encode(self.ed25519).decode(),
            ML_DSA_44: base64.b64encode(self.ml_dsa_44).decode(),
            **former,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read `to_json`. Raises: KeyRingError, also where the keys do not give the `kid`."""
        try:
            key = cls(
                document["name"],
                base64.b64decode(document[ED25519], validate=True),
                base64.b64decode(document[ML_DSA_44], validate=True),
                tuple(FormerOrigin.from_json(origin) for origin in document.get("former", ())),
            )
            if len(set(key.names)) < len(key.names):
                raise ValueError("a name stands twice")
        except (KeyError, TypeError, ValueError) as error:
            raise KeyRingError(problem="malformed public signing key") from error
        if key.kid != document.get("kid"):
            raise KeyRingError(problem="public signing key does not match its id", name=key.name)
        return key

    def verify(self, message: bytes, signatures: Mapping[str, bytes]) -> None:
        """Check both signatures over the exact bytes. Raises: SignatureError."""
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.ed25519).verify(
                signatures[ED25519], message
            )
            mldsa.MLDSA44PublicKey.from_public_bytes(self.ml_dsa_44).verify(
                signatures[ML_DSA_44], message
            )
        except (InvalidSignature, KeyError, ValueError) as error:
            raise SignatureError(signer=self.name, kid=self.kid) from error


@dataclass(frozen=True, repr=False)
class SigningKey:
    """A signer's private half: two 32-byte seeds. Never logged, never in a `repr`."""

    name: str
    ed25519_seed: bytes
    ml_dsa_44_seed: bytes

    @classmethod
    def from_seeds(cls, name: str, seeds: bytes) -> Self:
        """Build from 64 random bytes that the caller drew."""
        if len(seeds) != 64:  # noqa: PLR2004 - two seeds of 32 bytes
            raise KeyRingError(problem="signing seed length", found=len(seeds))
        return cls(name, seeds[:32], seeds[32:])

    def verify_key(self) -> VerifyKey:
        """Return the public half."""
        return self._public_key

    def sign(self, message: bytes) -> dict[str, bytes]:
        """Sign exact bytes with both keys."""
        return {
            ED25519: self._classical_key.sign(message),
            ML_DSA_44: self._quantum_key.sign(message),
        }

    @cached_property  # made of their seeds only once: that costs as much as a fourth of a signature
    def _classical_key(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(self.ed25519_seed)

    @cached_property
    def _quantum_key(self) -> mldsa.MLDSA44PrivateKey:
        return mldsa.MLDSA44PrivateKey.from_seed_bytes(self.ml_dsa_44_seed)

    @cached_property
    def _public_key(self) -> VerifyKey:
        return VerifyKey(
            self.name,
            self._classical_key.public_key().public_bytes_raw(),
            self._quantum_key.public_key().public_bytes_raw(),
        )


def signed_message(domain: str, body: Mapping[str, Any]) -> bytes:
    """Return the exact bytes that a signed document's signatures are over."""
    return _build_message(domain, canonical.encode(body))


def sign_document(key: SigningKey, domain: str, body: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of the signed document."""
    kid, text = key.verify_key().kid, canonical.encode(body)
    signed = key.sign(_build_message(domain, text))
    signatures = [_format_signature(name, kid, signed[name]) for name in (ED25519, ML_DSA_44)]
    # Its two members in their order; each is canonical by itself (RFC 8785, 3.2.3).
    return b"".join((_BODY, text, _SIGNATURES, canonical.encode(signatures), b"}"))


def signer_of(document: bytes) -> str:
    """Return the key id that a document names; to be trusted only after `verify_document`."""
    return str(canonical.decode(document)["signatures"][0]["kid"])


def verify_document(document: bytes, domain: str, trusted: Iterable[VerifyKey]) -> dict[str, Any]:
    """Return the body after both signatures verified under one trusted key.

    A signed document has one spelling: canonical JSON, exactly the two signatures in their order,
    nothing beside them, base64 without spare bits. So no bit of it can be changed unseen.
    Raises: SignatureError when it is spelt otherwise, no trusted key is named, or a signature
    fails.
    """
    untrusted_document = canonical.decode(document)
    try:
        untrusted_body, entries = untrusted_document["body"], untrusted_document["signatures"]
        kid = entries[0]["kid"]
        signatures = {
            entry["alg"]: base64.b64decode(entry["sig"], validate=True) for entry in entries
        }
        # Built anew and compared: no third signature, no member beside these, no spare bits.
        exact = untrusted_document == {
            "body": untrusted_body,
            "signatures": [
                _format_signature(name, kid, signatures[name]) for name in (ED25519, ML_DSA_44)
            ],
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SignatureError(problem="malformed signed document") from error
    # `kid` only chooses the key; the signatures below are checked by the whole of it.
    for key in trusted:
        if kid == key.kid and exact and isinstance(untrusted_body, dict):
            text = document[
                len(_BODY) : document.rindex(_SIGNATURES)
            ]  # no key id can hold these marks
            key.verify(_build_message(domain, text), signatures)
            return untrusted_body
    problem = "no trusted signer" if exact else "malformed signed document"
    raise SignatureError(problem=problem, found=str(kid)[:80])


def _build_message(domain: str, body: bytes) -> bytes:
    return b"liuhen/" + domain.encode() + b"\n" + body


def _format_signature(name: str, kid: str, signature: bytes) -> dict[str, str]:
    return {"alg": name, "kid": kid, "sig": base64.b64encode(signature).decode()}
