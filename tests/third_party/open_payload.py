"""Open a sealed recording without Liuhen: the standard library and `cryptography`, nothing else.

usage: python open_payload.py RECOVERY_KEY ENVELOPE PAYLOAD [OUT]

Written from docs/spec/sealed-object.md alone. Prints the original's SHA-256.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CHUNK, TAG, HEADER = 16384, 16, 56
LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


def unwrap(recovery: dict, envelope: dict) -> tuple[bytes, bytes]:
    """Return the data key and the context."""
    expanded = hashlib.shake_256(base64.b64decode(recovery["seed"])).digest(96)
    key = hpke.MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
    )
    context = b"liuhen/v1" + UUID(envelope["recording"]).bytes + envelope["station"].encode()
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    (entry,) = [one for one in envelope["recipients"] if one["kid"] == recovery["kid"]]
    return suite.decrypt(base64.b64decode(entry["wrapped"]), key, info=context), context


def plaintext(payload: bytes, data_key: bytes, context: bytes):
    """Yield the original, chunk by chunk."""
    info = LABEL + payload[:24] + context
    derived = HKDFExpand(algorithm=hashes.SHA512(), length=76, info=info).derive(data_key)
    if len(data_key) != 32 or derived[44:] != payload[24:HEADER]:
        raise SystemExit("the key is not this payload's")
    cipher, base = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
    body = memoryview(payload)[HEADER:]
    last = (len(body) - 1) // (CHUNK + TAG)
    for k in range(last + 1):
        sealed = bytes(body[k * (CHUNK + TAG) : (k + 1) * (CHUNK + TAG)])
        plain = cipher.decrypt((base ^ k).to_bytes(12, "big"), sealed, None)
        if (len(plain) == CHUNK) != (k < last):
            raise SystemExit("truncated")
        yield plain


def main() -> None:
    recovery, envelope = (json.loads(Path(name).read_bytes()) for name in sys.argv[1:3])
    data_key, context = unwrap(recovery, envelope)
    digest = hashlib.sha256()
    with Path(sys.argv[4] if sys.argv[4:] else "/dev/null").open("wb") as out:
        for plain in plaintext(Path(sys.argv[3]).read_bytes(), data_key, context):
            digest.update(plain)
            out.write(plain)
    sys.stdout.write(f"{digest.hexdigest()}\n")


if __name__ == "__main__":
    main()
