"""The stations' door: enrolment by a one-time code, then short tokens for signed assertions.

A code is 160 bits in base32: a secret that the centre keeps only as a hash, and a fingerprint of
the centre's public keys. So a station that types it in trusts the keys it is handed because the
administrator gave it the code, whoever answered the first call. Afterwards the station proves
itself with a JWT signed by its Ed25519 key (RFC 7523, client authentication; RFC 8037) and gets
an opaque token for ten minutes. Refusals are entries in the log.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519

from api.office.wiring import Office
from api.problems import ApiError
from ingest.centre.station_gateway import Counter
from storage.catalogue.people import people
from storage.catalogue.proofs.log_origin import origin_changes
from storage.catalogue.proofs.publish import publish
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.tables import EnrolmentRow
from storage.custody.entries.event import Outcome, PremisType
from storage.digest import Digest
from storage.errors import EnrolmentError, KeyRingError, SignatureError
from storage.signed import canonical
from storage.signed.signing import VerifyKey, verify_document

TOKEN_LASTS = timedelta(minutes=10)
ASSERTION_LASTS = timedelta(minutes=5)  # at most; also how far clocks may differ
ENROL_DOMAIN = "station-enrolment/v1"
_HALF = 10  # bytes of each half of a code
# What claims that say anything at all may do on their way to numbers and names.
_NO_ASSERTION = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
_STATION = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time enrolment code."""

    station: str
    secret: bytes
    fingerprint: bytes

    def __str__(self) -> str:
        """Return the code as it is typed: the station's id, then eight groups of four."""
        text = base64.b32encode(self.secret + self.fingerprint).decode()
        return f"{self.station}/" + "-".join(text[i : i + 4] for i in range(0, len(text), 4))

    @property
    def hash(self) -> str:
        """What the centre keeps."""
        return hashlib.sha256(self.secret).hexdigest()


def read_code(untrusted_code: str) -> Code:
    """Read a typed code; spaces, hyphens and case do not matter. Raises: EnrolmentError (code)."""
    station, _, text = "".join(untrusted_code.split()).partition("/")
    try:
        data = base64.b32decode(text.replace("-", "").upper())
    except ValueError as error:
        raise EnrolmentError("code") from error
    if len(data) != 2 * _HALF or not _STATION.fullmatch(station):
        raise EnrolmentError("code")
    return Code(station, data[:_HALF], data[_HALF:])


def fingerprint(centre_keys: dict[str, Any]) -> bytes:
    """Return what a code says of the centre's public keys."""
    return hashlib.sha256(b"liuhen/centre-keys\n" + canonical.encode(centre_keys)).digest()[:_HALF]


def centre_keys(office: Office) -> dict[str, Any]:
    """Return the public keys that a station needs: to seal, and to verify receipts."""
    ring = office.ring
    return {
        "centre": ring.verifying("centre").to_json(),
        "log": ring.verifying("log").to_json(),
        "recipients": [key.to_json() for key in ring.recipients],
    }


def log_origins(office: Office) -> dict[str, Any]:
    """Return the log's public key with its origins, and the entries of every change with proofs.

    A station that knows an earlier origin follows by them (`storage/custody/origin.py`).
    """
    head = publish(office.catalogue, office.signer, office.settings.home / "log")
    with office.catalogue.read() as session:
        changes = origin_changes(session, head)
    return {
        "log": office.ring.verifying("log").to_json(),
        "changes": [one.to_json() for one in changes],
    }


def offer(
    office: Office, station_id: str, *, name: str | None, township: str | None, actor: str
) -> Code:
    """Offer an enrolment, to a new station or to one that gets a new key; return the code.

    A station that is known keeps its name and township; others must not be given for it.
    Raises: ApiError (station-other).
    """
    code = Code(station_id, office.entropy(_HALF), fingerprint(centre_keys(office)))
    read_code(str(code))
    with office.catalogue.write() as uow:
        row = next((one for one in people.stations(uow.session) if one.id == station_id), None)
        if row is None:
            row = people.add_station(
                uow,
                id=station_id,
                name=name or station_id,
                township=township or office.settings.township,
                actor=actor,
            )
        if (name or row.name, township or row.township) != (row.name, row.township):
            facts = {"station": row.id, "name": row.name, "township": row.township}
            raise ApiError("station-other", **facts)
        enrolment.offer(uow, station_id, code.hash, actor=actor)
    return code


def enrol(office: Office, code_text: str, document: str) -> dict[str, Any]:
    """Enrol the key that the document brings and proves to hold; return what the station needs.

    `document` is a signed document over `{"code": …, "key": …}` under that very key.
    Raises: EnrolmentError.
    """
    code = read_code(code_text)
    body_key = _key_in(document)
    try:
        body = verify_document(document.encode(), ENROL_DOMAIN, [body_key])
    except (SignatureError, UnicodeEncodeError) as error:
        raise EnrolmentError("key") from error
    if body != {"code": code.hash, "key": body_key.to_json()}:
        raise EnrolmentError("key")
    lasts = timedelta(days=office.settings.enrolment_days)
    try:
        with office.catalogue.write() as uow:
            row = enrolment.take_up(uow, code.hash, body_key, uow.at + lasts)
            station = people.station(uow.session, row.station_id)
    except EnrolmentError as error:
        if "station" in error.facts:
            _log_refusal(office, error.facts["station"], "station.enrol", error)
        raise
    return {
        "keys": centre_keys(office),
        "origin": office.ring.verifying("log").name,
        "station": {"id": station.id, "name": station.name, "township": station.township},
        "county": office.settings.county,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
    }


def token(office: Office, assertion: str) -> tuple[str, int]:
    """Return a fresh token and its life in seconds for a station's assertion.

    Raises: EnrolmentError (assertion, unknown, clock, replay, revoked, expired).
    """
    now = office.clock()
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
        with office.catalogue.read() as session:
            row = enrolment.by_key(session, str(claims["sub"]), str(header["kid"]))
        _verify(assertion, row, office.ring.verifying("log").names)
        issued, ends, name = float(claims["iat"]), float(claims["exp"]), str(claims["jti"])
    except (jwt.InvalidTokenError, *_NO_ASSERTION) as error:
        raise EnrolmentError("assertion") from error
    secret = base64.urlsafe_b64encode(office.entropy(32)).decode().rstrip("=")
    try:
        enrolment.active(row, now)
        _timely(issued, ends, now)
        with office.catalogue.write() as uow:
            used = _hashed(f"{row.id}\n{name}")
            enrolment.use_assertion(uow, used, now + 3 * ASSERTION_LASTS)
            enrolment.issue(uow, row, _hashed(secret), now + TOKEN_LASTS)
    except EnrolmentError as error:
        _log_refusal(office, row.station_id, "station.token", error)
        raise
    return secret, int(TOKEN_LASTS.total_seconds())


def open_gateway(office: Office, secret: str) -> Counter:
    """Open the gateway of the station that holds this token.

    Raises: EnrolmentError (token, revoked, …).
    """
    with office.catalogue.glance() as session:
        row = enrolment.by_token(session, _hashed(secret), office.clock())
        key = enrolment.key_of(row)
    if key is None:
        raise EnrolmentError("token")
    return Counter(office.centre, office.uploads, row.station_id, row.id, key)


def _key_in(document: str) -> VerifyKey:
    """Return the key that an enrolment brings; what it signed is verified with it afterwards."""
    try:
        return VerifyKey.from_json(json.loads(document)["body"]["key"])
    except (KeyError, TypeError, ValueError, RecursionError, KeyRingError) as error:
        raise EnrolmentError("key") from error


def _verify(assertion: str, row: EnrolmentRow, audience: Sequence[str]) -> None:
    """Check the signature and for whom it is; when it was made is `_timely`'s."""
    key = enrolment.key_of(row)
    if key is None:
        raise EnrolmentError("unknown")
    jwt.decode(
        assertion,
        ed25519.Ed25519PublicKey.from_public_bytes(key.ed25519),
        algorithms=["EdDSA"],
        audience=audience,
        issuer=row.station_id,
        options={
            "require": ["exp", "iat", "jti", "sub", "aud", "iss"],
            "verify_exp": False,
            "verify_iat": False,
        },
    )


def _timely(issued: float, ends: float, now: datetime) -> None:
    """Raise: EnrolmentError (clock) for an assertion of another time, by the centre's clock."""
    at, lasts = now.timestamp(), ASSERTION_LASTS.total_seconds()
    if not (at - lasts <= issued <= ends and at <= ends <= at + 2 * lasts):
        raise EnrolmentError("clock", now=now.isoformat())


def _log_refusal(office: Office, station: str, act: str, error: EnrolmentError) -> None:
    """Write down a refusal of somebody who proved to hold an enrolled key, or a real code.

    Others could fill the log with entries at will; they stand in the server's own log.
    """
    with office.catalogue.write() as uow:
        uow.record(
            act,
            PremisType.VALIDATION,
            actor=f"station:{station}",
            subject=f"station:{station}",
            outcome=Outcome.REFUSED,
            reason=error.code,
        )


def _hashed(secret: str) -> str:
    return Digest.of(secret.encode()).hex
