"""The key ring: who can seal, who can open, who can sign; and how keys lie on a disk.

A sealing key is an X-Wing public key (draft-connolly-cfrg-xwing-kem: ML-KEM-768 encapsulation
key, then X25519 public key, 1216 bytes); its private half is a 32-byte seed that SHAKE256 expands
to the ML-KEM seed (64 bytes) and the X25519 scalar (32 bytes). A station's ring holds public
sealing keys only, so a station can seal and never open. The recovery key's private half is
written once, to a place outside the ring, to be carried offline. The key of scene codes
(`scene.mac`) is 32 random bytes; it authenticates what a screen showed and protects no footage.
"""

import base64
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from storage.durable import replace_file, sync_folder
from storage.errors import KeyRingError
from storage.signed import canonical
from storage.signed.fingerprint import KID_DIGITS, fingerprint_of
from storage.signed.signing import SigningKey, VerifyKey

Entropy = Callable[[int], bytes]

_MLKEM_PUBLIC = 1184
_XWING_PUBLIC = 1216
_SEED = 32
_SIGNING_SEEDS = 64
SCENE = "scene.mac"
_OTHER_USERS = stat.S_IRWXG | stat.S_IRWXO


class Use(StrEnum):
    """What a sealing key is for; every envelope names one of each."""

    VAULT = "vault"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class SealKey:
    """The public half: whoever has it can seal to it."""

    use: Use
    public: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the public key, as 64 hex digits: what people compare."""
        return fingerprint_of(self.public)

    @property
    def kid(self) -> str:
        """First 16 hex digits of the fingerprint: what envelopes name a key by."""
        return self.fingerprint[:KID_DIGITS]

    def hpke_key(self) -> hpke.MLKEM768X25519PublicKey:
        """Return the key as the HPKE suite takes it. Raises: KeyRingError."""
        if len(self.public) != _XWING_PUBLIC:
            raise KeyRingError(problem="X-Wing public key length", found=len(self.public))
        return hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(self.public[:_MLKEM_PUBLIC]),
            x25519.X25519PublicKey.from_public_bytes(self.public[_MLKEM_PUBLIC:]),
        )

    def to_json(self) -> dict[str, str]:
        """Return the public key as it stands on disk and in bundles."""
        return {
            "kty": "X-Wing",
            "use": self.use,
            "kid": self.kid,
            "public": base64.b64encode(self.public).decode(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, str]) -> Self:
        """Read `to_json`. Raises: KeyRingError, also where the key does not give the `kid`."""
        try:
            key = cls(Use(document["use"]), base64.b64decode(document["public"], validate=True))
        except (KeyError, TypeError, ValueError) as error:
            raise KeyRingError(problem="malformed sealing key") from error
        if key.kid != document.get("kid"):
            raise KeyRingError(problem="sealing key does not match its id", use=key.use)
        key.hpke_key()
        return key


@dataclass(frozen=True, slots=True, repr=False)
class OpenKey:
    """The private half: a 32-byte X-Wing seed. Never logged, never in a `repr`."""

    use: Use
    seed: bytes

    def hpke_key(self) -> hpke.MLKEM768X25519PrivateKey:
        """Expand the seed (X-Wing, section 5.2) into the two private keys."""
        if len(self.seed) != _SEED:
            raise KeyRingError(problem="X-Wing seed length", found=len(self.seed))
        expanded = hashlib.shake_256(self.seed).digest(96)
        return hpke.MLKEM768X25519PrivateKey(
            mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
            x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
        )

    def seal_key(self) -> SealKey:
        """Return the public half."""
        expanded = hashlib.shake_256(self.seed).digest(96)
        classical = x25519.X25519PrivateKey.from_private_bytes(expanded[64:]).public_key()
        quantum = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key()
        return SealKey(self.use, quantum.public_bytes_raw() + classical.public_bytes_raw())

    def save(self, path: Path) -> None:
        """Write the private key (mode 0600), durably; refuse to overwrite."""
        public = self.seal_key()
        _write_new(
            path,
            {
                "kty": "X-Wing",
                "use": self.use,
                "kid": public.kid,
                "seed": base64.b64encode(self.seed).decode(),
            },
            private=True,
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a private key file.

        Raises: KeyRingError when it is missing, malformed, or readable by others.
        """
        document = _read_private(path)
        try:
            key = cls(Use(document["use"]), base64.b64decode(document["seed"], validate=True))
        except (KeyError, TypeError, ValueError) as error:
            raise KeyRingError(problem="malformed private key", file=path.name) from error
        if len(key.seed) != _SEED or key.seal_key().kid != document.get("kid"):
            raise KeyRingError(problem="private key does not match its id", file=path.name)
        return key


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """The keys that one process holds. What is absent, it cannot do."""

    recipients: tuple[SealKey, SealKey]
    opening: tuple[OpenKey, ...]
    signers: Mapping[str, SigningKey]
    trusted: Mapping[str, VerifyKey]
    scene: bytes | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        station: str,
        origin: str,
        recovery_out: Path,
        entropy: Entropy,
        documents: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Self:
        """Make the ring of an embedded office and return it.

        `origin` names the custody log (C2SP tlog-checkpoint) and with it the log's signer. The
        private recovery key goes to `recovery_out` alone; `documents` lie beside the keys, by name.
        Nothing is ever overwritten. The folder appears whole or not at all; a creation cut short is
        finished, or begun anew, by the next.
        Raises: KeyRingError when the folder or the recovery key exists.
        """
        if folder.is_dir() and any(folder.iterdir()):
            raise KeyRingError(problem="the key folder is not empty", folder=folder.name)
        if not cls.finish_creation(folder, recovery_out):
            making = _staging_folder(folder)
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True, mode=0o700)
            for name, document in documents.items():
                _write_new(making / name, document)
            cls._make_keys(making, station, origin, recovery_out, entropy)
            cls.finish_creation(folder, recovery_out)
        return cls.load(folder)

    @staticmethod
    def finish_creation(folder: Path, recovery_out: Path) -> bool:
        """Put a ring in place that was made to its last file; False where there is none."""
        making = _staging_folder(folder)
        if not _is_finished(making, recovery_out):
            return False
        making.replace(folder)
        sync_folder(folder.parent)
        return True

    @staticmethod
    def _make_keys(
        folder: Path, station: str, origin: str, recovery_out: Path, entropy: Entropy
    ) -> None:
        recovery = OpenKey(Use.RECOVERY, entropy(_SEED))
        vault = OpenKey(Use.VAULT, entropy(_SEED))
        vault.save(folder / "vault.key")
        for key in (vault.seal_key(), recovery.seal_key()):
            _write_new(folder / f"{key.use}.pub", key.to_json())
        for file, name in (("centre", "centre"), ("log", origin), (f"station-{station}", station)):
            signer = SigningKey.from_seeds(name, entropy(_SIGNING_SEEDS))
            _write_new(folder / f"{file}.sign", _signing_json(signer), private=True)
            _write_new(folder / f"{file}.verify", signer.verify_key().to_json())
        _write_new(folder / SCENE, _scene_json(entropy(_SEED)), private=True)
        recovery_out.parent.mkdir(parents=True, exist_ok=True)
        recovery.save(recovery_out)  # the last: with it the ring in `folder` is complete

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every key file of a folder: a whole office's, or a station's public part.

        Who signs must be trusted to have signed: each `.sign` needs its `.verify`, of the same
        name and keys, or what is sealed today could not be checked tomorrow. A log that changed
        its origin is named by its `.verify`.
        Raises: KeyRingError.
        """
        if not folder.is_dir():
            raise KeyRingError(problem="no keys yet", folder=str(folder))
        seal = {key.use: key for key in map(_load_public, sorted(folder.glob("*.pub")))}
        if set(seal) != set(Use):
            raise KeyRingError(problem="vault.pub or recovery.pub is missing", folder=str(folder))
        opening = tuple(OpenKey.load(path) for path in sorted(folder.glob("*.key")))
        signers = {path.stem: _load_signer(path) for path in sorted(folder.glob("*.sign"))}
        trusted = {
            path.stem: VerifyKey.from_json(_read_document(path))
            for path in sorted(folder.glob("*.verify"))
        }
        for name, signer in signers.items():
            public = trusted.get(name)
            is_same = public is not None and public.is_same_key(signer.verify_key())
            if public is None or not is_same or signer.name not in public.names:
                raise KeyRingError(problem="signing key without its public key", file=name)
            signers[name] = replace(signer, name=public.name)
        scene = _load_scene(folder / SCENE) if (folder / SCENE).exists() else None
        return cls((seal[Use.VAULT], seal[Use.RECOVERY]), opening, signers, trusted, scene)

    def open_key(self, kids: frozenset[str]) -> OpenKey:
        """Return a private key that opens one of these. Raises: KeyRingError naming them."""
        for key in self.opening:
            if key.seal_key().kid in kids:
                return key
        raise KeyRingError(problem="no private key opens this envelope", wanted=sorted(kids))

    def get_signing_key(self, name: str) -> SigningKey:
        """Return a signer by its file's name: `centre`, `log`, `station-<id>`.

        Raises: KeyRingError.
        """
        try:
            return self.signers[name]
        except KeyError as error:
            raise KeyRingError(problem="no such signing key", wanted=name) from error

    @property
    def scene_key(self) -> bytes:
        """The master of the keys that scene codes are made with. Raises: KeyRingError."""
        if self.scene is None:
            raise KeyRingError(problem="no key for scene codes", wanted=SCENE)
        return self.scene

    @property
    def stations(self) -> tuple[VerifyKey, ...]:
        """Public keys of the stations whose sealed records are trusted."""
        return tuple(key for name, key in self.trusted.items() if name.startswith("station-"))

    def get_verify_key(self, name: str) -> VerifyKey:
        """Return a trusted public key by its file's name. Raises: KeyRingError."""
        try:
            return self.trusted[name]
        except KeyError as error:
            raise KeyRingError(problem="no such public key", wanted=name) from error


def keep_log_key(folder: Path, key: VerifyKey) -> None:
    """Put the custody log's public key, with its origin of today, in the place of the one there.

    Raises: KeyRingError when it is another key; OSError.
    """
    file = folder / "log.verify"
    if not VerifyKey.from_json(_read_document(file)).is_same_key(key):
        raise KeyRingError(problem="the log's key is another", file=file.name)
    replace_file(file, canonical.encode(key.to_json()))


def write_station_ring(
    folder: Path,
    key: SigningKey,
    *,
    centre: VerifyKey,
    log: VerifyKey,
    recipients: Iterable[SealKey],
) -> None:
    """Write the ring of an enrolled station: its own signer, and public keys of everybody else.

    Nothing in it opens footage. Raises: KeyRingError when a file exists.
    """
    folder.mkdir(parents=True, mode=0o700)
    for seal in recipients:
        _write_new(folder / f"{seal.use}.pub", seal.to_json())
    _write_new(folder / "centre.verify", centre.to_json())
    _write_new(folder / "log.verify", log.to_json())
    name = f"station-{key.name}"
    _write_new(folder / f"{name}.sign", _signing_json(key), private=True)
    _write_new(folder / f"{name}.verify", key.verify_key().to_json())


def _staging_folder(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.making")


def _is_finished(making: Path, recovery_out: Path) -> bool:
    """Tell whether a creation was cut short after its last file and before its renaming."""
    try:
        public = _load_public(making / f"{Use.RECOVERY}.pub")
        return OpenKey.load(recovery_out).seal_key().kid == public.kid
    except KeyRingError:
        return False


def _signing_json(key: SigningKey) -> dict[str, str]:
    seeds = key.ed25519_seed + key.ml_dsa_44_seed
    return {
        "name": key.name,
        "kid": key.verify_key().kid,
        "seeds": base64.b64encode(seeds).decode(),
    }


def _load_signer(path: Path) -> SigningKey:
    document = _read_private(path)
    try:
        key = SigningKey.from_seeds(
            document["name"], base64.b64decode(document["seeds"], validate=True)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise KeyRingError(problem="malformed signing key", file=path.name) from error
    if key.verify_key().kid != document.get("kid"):
        raise KeyRingError(problem="signing key does not match its id", file=path.name)
    return key


def _scene_json(key: bytes) -> dict[str, str]:
    return {"kid": _scene_id(key), "key": base64.b64encode(key).decode()}


def _scene_id(key: bytes) -> str:
    """Name a secret key without telling it: a hash under a domain of its own."""
    return hashlib.sha256(b"liuhen/scene-key\n" + key).hexdigest()[:16]


def _load_scene(path: Path) -> bytes:
    document = _read_private(path)
    try:
        key = base64.b64decode(document["key"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise KeyRingError(problem="malformed key", file=path.name) from error
    if len(key) != _SEED or _scene_id(key) != document.get("kid"):
        raise KeyRingError(problem="key does not match its id", file=path.name)
    return key


def _load_public(path: Path) -> SealKey:
    return SealKey.from_json(_read_document(path))


def _read_private(path: Path) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyRingError(problem="key file missing", file=path.name) from error
    if mode & _OTHER_USERS:
        raise KeyRingError(problem="others can read this private key", file=path.name)
    return _read_document(path)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KeyRingError(problem="key file unreadable", file=path.name) from error
    if not isinstance(document, dict):
        raise KeyRingError(problem="key file malformed", file=path.name)
    return document


def _write_new(path: Path, document: Mapping[str, Any], *, private: bool = False) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        handle = os.open(path, flags, 0o600 if private else 0o644)
    except FileExistsError as error:
        raise KeyRingError(problem="key file exists", file=path.name) from error
    with os.fdopen(handle, "wb") as file:
        file.write(canonical.encode(document))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
