"""Signature Version 4 of one S3 request: pure, so that Amazon's published examples can test it.

Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload
in a Single Chunk (AWS Signature Version 4)". Sending is left to `uploads`.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from storage.digest import Digest
from storage.vault.s3.address import S3Key

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request, not yet signed; `path` and `query` are not yet percent-encoded."""

    method: str
    host: str
    path: str
    digest: Digest  # SHA-256 of the body
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def encoded_path(self) -> str:
        """The path as it is sent and signed: encoded once (other services of AWS: twice)."""
        return quote(self.path)

    @property
    def encoded_query(self) -> str:
        """The query as it is sent and signed: encoded, then sorted; `=` after every name."""
        pairs = [(quote(name, safe=""), quote(text, safe="")) for name, text in self.query.items()]
        return "&".join(f"{name}={text}" for name, text in sorted(pairs))


def sign_request(request: S3Request, key: S3Key, region: str, at: datetime) -> dict[str, str]:
    """Return the request's headers, signed at that time (aware; the server allows 15 minutes).

    The body counts by its SHA-256, which the server computes again and compares, with TLS or
    without. Nobody between us and the server's own code can change what is kept.
    """
    moment = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {name.lower(): text for name, text in request.headers.items()} | {
        "host": request.host,
        "x-amz-content-sha256": request.digest.hex,
        "x-amz-date": moment,
    }
    names = ";".join(sorted(headers))
    canonical_request = "\n".join(
        [
            request.method,
            request.encoded_path,
            request.encoded_query,
            # Every header that we send is signed: a proxy that rewrites one is refused.
            *(f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)),
            "",
            names,
            request.digest.hex,
        ]
    )
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = "\n".join([_ALGORITHM, moment, scope, _hash_text(canonical_request)])
    signature = _authenticate_text(_derive_key(key, scope), text).hex()
    authorization = (
        f"{_ALGORITHM} Credential={key.access}/{scope},SignedHeaders={names},Signature={signature}"
    )
    return headers | {"authorization": authorization}


def _derive_key(key: S3Key, scope: str) -> bytes:
    """Derive the day's key for one region: what leaks from here signs nothing tomorrow."""
    derived = f"AWS4{key.secret}".encode()
    for step in scope.split("/"):
        derived = _authenticate_text(derived, step)
    return derived


def _authenticate_text(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
