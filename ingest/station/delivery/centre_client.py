"""The station's side of the wire: HTTPS to the centre, and nothing else.

TLS is never weakened: certificate, name and time are always checked, against the CA given at
enrolment or the system's. What answers must be the centre: JSON where JSON is due and the tus
header where an upload is asked about, so that a captive portal's page counts as "away". Whatever
goes wrong becomes one of two errors: away (try again, nothing was decided) or refused (the
centre's own problem, RFC 9457). Assertions follow RFC 7523 and are made by the centre's time.
"""

import base64
import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode, urlsplit

import jwt
import urllib3
from cryptography.hazmat.primitives.asymmetric import ed25519
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from ingest.station.delivery.centre_clock import CentreClock
from storage.digest import Digest
from storage.errors import LiuhenError
from storage.recording import RecordingId
from storage.signed.signing import SigningKey

TUS = "1.0.0"
BYTES = "application/offset+octet-stream"
SMALL = 4 << 20  # bytes: a payload up to this size goes along with the upload's creation
SLICE = 1 << 30  # bytes of one request
_BLOCK = 1 << 18
_ANSWER = 1 << 20  # bytes of an answer that is not footage
_CODE = re.compile(r"[a-z][a-z0-9-]{1,60}\Z")
_SERVER_ERROR = 500
_BUSY = {408, 429, 502, 503, 504}
_RENEW = timedelta(minutes=1)
_ASSERTION = timedelta(minutes=4)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_BODILESS = {401: "enrolment-token", 404: "not-found", 403: "forbidden"}
_CERTIFICATES = {  # X509_V_ERR_… of OpenSSL
    9: "certificate-not-yet",  # CERT_NOT_YET_VALID
    10: "certificate-expired",  # CERT_HAS_EXPIRED
    62: "certificate-name",  # HOSTNAME_MISMATCH
    64: "certificate-name",  # IP_ADDRESS_MISMATCH
}
_NO_TLS = {  # what answers speaks no TLS, or none that may be trusted
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "HTTP_REQUEST",
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole and bounded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class CentreAwayError(LiuhenError):
    """The centre was not reached, or it is not known whether it was: the same call again is safe.

    `reason` is part of the code: unreachable, unknown-name, timeout, portal, busy, failing,
    tls, certificate-expired, certificate-not-yet, certificate-name, certificate-unknown.
    """

    retryable = True

    def __init__(self, reason: str, **facts: Any) -> None:
        """Make the code `centre-<reason>`."""
        super().__init__(**facts)
        self.code = f"centre-{reason}"


class CentreRefusedError(LiuhenError):
    """The centre answered no; `code` is its problem's code, `status` its HTTP status."""

    def __init__(self, code: str, status: int, **facts: Any) -> None:
        """Keep the centre's own code, so that its words are found for it."""
        super().__init__(**facts)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    """Where the centre is: an https URL without a path, and the CA that vouches for it."""

    url: str
    ca: Path | None

    def __post_init__(self) -> None:
        """Refuse everything but https. Raises: CentreRefusedError (not-https)."""
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"}:
            raise CentreRefusedError("not-https", 0, url=self.url[:200])


@dataclass(slots=True)
class Wire:
    """Calls without a login: enrolment, token, time. Thread-safe."""

    address: Address
    timeout_s: float = 60.0
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        """Prepare connections; nothing is sent yet. Raises: CentreRefusedError (no-ca)."""
        try:
            context = ssl.create_default_context(cafile=self.address.ca)
        except (OSError, ssl.SSLError) as error:
            raise CentreRefusedError("no-ca", 0, file=str(self.address.ca)) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pool = urllib3.PoolManager(
            ssl_context=context,
            maxsize=8,
            blocksize=_BLOCK,
            retries=False,
        )

    def send_request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | BinaryIO | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send one request and return the whole answer. Raises: CentreAwayError."""
        wait = timeout_s or self.timeout_s
        try:
            answer = self._pool.request(
                method,
                self.address.url.rstrip("/") + path,
                headers=dict(headers),
                body=body,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(10.0, wait), read=wait),
            )
            content = answer.read(_ANSWER)
            if len(content) < _ANSWER:
                answer.release_conn()
            else:
                answer.close()  # nobody we know answers at such length
        except (HTTPError, OSError) as error:
            raise CentreAwayError(*_name_cause(error)) from error
        if answer.status in _BUSY:
            raise CentreAwayError("busy", status=answer.status)
        return Answer(answer.status, answer.headers, content)

    def request_json(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """Send a JSON document (or a form) and return the JSON answer; {} where there is none.

        Raises: CentreAwayError, CentreRefusedError.
        """
        request_headers = {"Accept": "application/json", **(headers or {})}
        body: bytes | None = None
        if document is not None:
            request_headers["Content-Type"] = "application/json"
            body = json.dumps(document, ensure_ascii=False).encode()
        elif form is not None:
            request_headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        answer = self.send_request(
            method, path, headers=request_headers, body=body, timeout_s=timeout_s
        )
        if answer.status == 204:  # noqa: PLR2004 - no content
            return {}
        return parse_answer(answer)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()


def parse_answer(answer: Answer) -> dict[str, Any]:
    """Return a JSON answer. Raises: CentreAwayError (portal, failing), CentreRefusedError."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind not in {"application/json", "application/problem+json"}:
        raise CentreAwayError("portal", status=answer.status, kind=kind[:80])
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise CentreAwayError("portal", status=answer.status, kind=kind[:80]) from error
    if not isinstance(document, dict):
        raise CentreAwayError("portal", status=answer.status, kind=kind[:80])
    if answer.status >= _SERVER_ERROR:
        raise CentreAwayError("failing", status=answer.status)
    if kind == "application/problem+json":
        code = str(document.get("code", ""))
        if not _CODE.fullmatch(code):
            raise CentreAwayError("portal", status=answer.status, kind=kind)
        raise CentreRefusedError(code, answer.status, detail=str(document.get("detail", ""))[:300])
    return document


@dataclass(slots=True)
class CentreClient:
    """The centre, as one enrolled station asks it. Thread-safe; every call may be made again."""

    wire: Wire
    station: str
    key: SigningKey
    origins: tuple[str, ...]  # of the custody log, today's last
    clock: CentreClock
    entropy: Callable[[int], bytes]
    _token: tuple[str, datetime] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request_json(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """Send a JSON document as this station. Raises: CentreAwayError, CentreRefusedError."""
        where = f"/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        return self._as_station(
            lambda headers: self.wire.request_json(
                method, where, headers=headers, document=document, timeout_s=timeout_s
            )
        )

    def begin_upload(
        self, recording: RecordingId, size: int, sha256: Digest, whole: bytes | None
    ) -> int:
        """Begin or find an upload; return the durable offset. `whole` is the payload if small."""
        metadata = ",".join(
            f"{name} {base64.b64encode(text.encode()).decode()}"
            for name, text in (("recording", str(recording)), ("sha256", sha256.hex))
        )
        headers = {"Upload-Length": str(size), "Upload-Metadata": metadata}
        if whole is not None:
            headers["Content-Type"] = BYTES
        return self._request_upload("POST", "/api/v1/uploads", headers, lambda: whole)

    def upload_offset(self, recording: RecordingId) -> int:
        """Return how many bytes are durable at the centre."""
        return self._request_upload("HEAD", f"/api/v1/uploads/{recording}", {}, lambda: None)

    def upload_part(
        self, recording: RecordingId, offset: int, body: Callable[[], BinaryIO], length: int
    ) -> int:
        """Send `length` bytes from the offset on; return the durable offset.

        `body` opens a stream that stands at the offset.
        """
        headers = {
            "Content-Type": BYTES,
            "Content-Length": str(length),
            "Upload-Offset": str(offset),
        }
        return self._request_upload("PATCH", f"/api/v1/uploads/{recording}", headers, body)

    def measure_clock(self) -> None:
        """Ask the centre's time."""
        before = self.clock.mark_time()
        answer = self.wire.request_json("GET", "/api/v1/time")
        try:
            now = datetime.fromisoformat(str(answer["now"]))
            if now.tzinfo is None:
                raise ValueError("no zone")
        except (KeyError, ValueError) as error:
            raise CentreAwayError("portal", status=200, kind="time") from error
        self.clock.learn_time(now, before)

    def _request_upload(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Callable[[], bytes | BinaryIO | None],
    ) -> int:
        def send_once(more: Mapping[str, str]) -> int:
            request_headers = {"Tus-Resumable": TUS, **headers, **more}
            sent = body()
            try:
                answer = self.wire.send_request(method, path, headers=request_headers, body=sent)
            finally:
                if sent is not None and not isinstance(sent, bytes):
                    sent.close()
            offset = answer.headers.get("Upload-Offset", "")
            ours = answer.headers.get("Tus-Resumable") == TUS
            if ours and answer.status in {200, 201, 204} and offset.isdecimal():
                return int(offset)
            if method == "HEAD" and answer.status in _BODILESS:
                raise CentreRefusedError(_BODILESS[answer.status], answer.status)
            parse_answer(answer)
            raise CentreAwayError("portal", status=answer.status, kind="tus")

        return self._as_station(send_once)

    def _as_station(self, call: Callable[[Mapping[str, str]], T]) -> T:
        """Make a call with the token; once more with a fresh one when it is refused."""
        try:
            return call({"Authorization": f"Bearer {self._current_token()}"})
        except CentreRefusedError as error:
            if error.code != "enrolment-token":
                raise
        self._token = None
        return call({"Authorization": f"Bearer {self._current_token()}"})

    def _current_token(self) -> str:
        with self._lock:
            token = self._token
            if token is None or token[1] <= self.clock():
                self.measure_clock()
                token = self._token = self._fetch_token()
            return token[0]

    def _fetch_token(self) -> tuple[str, datetime]:
        """Get a token for a fresh assertion (RFC 7523, 2.2 and 3)."""
        now = self.clock()
        claims = {
            "iss": self.station,
            "sub": self.station,
            "aud": self.origins[-1],
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTION).timestamp()),
            "jti": self.entropy(16).hex(),
        }
        key = ed25519.Ed25519PrivateKey.from_private_bytes(self.key.ed25519_seed)
        assertion = jwt.encode(
            claims, key, algorithm="EdDSA", headers={"kid": self.key.verify_key().kid}
        )
        answer = self.wire.request_json(
            "POST",
            "/api/v1/token",
            form={
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            },
        )
        try:
            lasts = timedelta(seconds=int(answer["expires_in"]))
            return str(answer["access_token"]), now + lasts - _RENEW
        except (KeyError, TypeError, ValueError) as error:
            raise CentreAwayError("portal", status=200, kind="token") from error


def _name_cause(error: Exception) -> tuple[str]:
    """Name what kept us from the centre."""
    cause: BaseException | None = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(cause, SSLError):
        inner = cause.args[0] if cause.args else None
        if isinstance(inner, ssl.SSLCertVerificationError):
            return (_CERTIFICATES.get(inner.verify_code, "certificate-unknown"),)
        return ("tls",) if getattr(inner, "reason", None) in _NO_TLS else ("unreachable",)
    if isinstance(cause, NameResolutionError):
        return ("unknown-name",)
    if isinstance(cause, NewConnectionError):  # refused; urllib3 counts it among its timeouts
        return ("unreachable",)
    if isinstance(cause, ProtocolError) and len(cause.args) > 1:
        cause = cause.args[1]  # what the socket said while we were sending
    return ("timeout",) if isinstance(cause, HTTPTimeoutError | TimeoutError) else ("unreachable",)
