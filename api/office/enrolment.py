"""Station enrolment by a one-time code, then short-lived tokens for signed assertions.

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
from ingest.centre.station_gateway import StationGateway
from policies.identifiers import StationId, Subject
from storage.catalogue.people import people
from storage.catalogue.proofs.log_origin import origin_changes
from storage.catalogue.proofs.publish import publish_head
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
    def secret_hash(self) -> str:
        """SHA-256 of the secret, the only part that the centre stores."""
        return hashlib.sha256(self.secret).hexdigest()


def read_code(untrusted_code: str) -> Code:
    """Read a typed code; spaces, hyphens and case do not matter. Raises: EnrolmentError (code)."""
    # Read out on the telephone and typed by hand: what people add or leave out does not matter, and
    # base32 has neither 0 nor 1.
    station, _, text = "".join(untrusted_code.split()).partition("/")
    try:
        code_bytes = base64.b32decode(text.replace("-", "").upper())
    except ValueError as error:
        raise EnrolmentError("code") from error
    if len(code_bytes) != 2 * _HALF or not _STATION.fullmatch(station):
        raise EnrolmentError("code")
    return Code(station, code_bytes[:_HALF], code_bytes[_HALF:])


def fingerprint_centre_keys(centre_keys: dict[str, Any]) -> bytes:
    """Return the fingerprint of the centre's public keys, as a code carries it."""
    # Under a prefix of its own: this digest can stand for nothing else that is hashed here.
    return hashlib.sha256(b"liuhen/centre-keys\n" + canonical.encode(centre_keys)).digest()[:_HALF]


def centre_keys(office: Office) -> dict[str, Any]:
    """Return the public keys that a station needs: to seal, and to verify receipts."""
    ring = office.ring
    return {
        "centre": ring.get_verify_key("centre").to_json(),
        "log": ring.get_verify_key("log").to_json(),
        "recipients": [key.to_json() for key in ring.recipients],
    }


def log_origins(office: Office) -> dict[str, Any]:
    """Return the log's public key with its origins, and the entries of every change with proofs.

    A station that knows an earlier origin follows by them (`storage/custody/origin.py`).
    """
    # Signed first: a change of origin is proven under this head.
    head = publish_head(office.catalogue, office.signer, office.settings.home / "log")
    with office.catalogue.read() as session:
        changes = origin_changes(session, head)
    return {
        "log": office.ring.get_verify_key("log").to_json(),
        "changes": [change.to_json() for change in changes],
    }


def offer_enrolment(
    office: Office, station_id: StationId, *, name: str | None, township: str | None, actor: str
) -> Code:
    """Offer an enrolment, to a new station or to one that gets a new key; return the code.

    A station that is known keeps its name and township; others must not be given for it.
    Raises: ApiError (station-other).
    """
    code = Code(station_id, office.entropy(_HALF), fingerprint_centre_keys(centre_keys(office)))
    # Read back at once: an id that a station could not type must not be offered.
    read_code(str(code))
    with office.catalogue.write() as uow:
        # In the transaction that offers: two administrators cannot make two stations of one id.
        row = next(
            (station for station in people.list_stations(uow.session) if station.id == station_id),
            None,
        )
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
        # The hash alone: whoever reads the database learns no code that is still open.
        enrolment.offer_enrolment(uow, station_id, code.secret_hash, actor=actor)
    return code


def enrol_station_key(office: Office, code_text: str, document: str) -> dict[str, Any]:
    """Enrol the station key that signed the document; return the station's configuration.

    `document` is a signed document over `{"code": …, "key": …}` under that very key.
    Raises: EnrolmentError.
    """
    code = read_code(code_text)
    # Proof of possession: the document is verified under the very key that it brings.
    body_key = _key_in(document)
    try:
        body = verify_document(document.encode(), ENROL_DOMAIN, [body_key])
    except (SignatureError, UnicodeEncodeError) as error:
        raise EnrolmentError("key") from error
    # Binds key to code: a document signed for another enrolment cannot be replayed here.
    if body != {"code": code.secret_hash, "key": body_key.to_json()}:
        raise EnrolmentError("key")
    lasts = timedelta(days=office.settings.enrolment_days)
    try:
        with office.catalogue.write() as uow:
            # Once, and again only for the same key: an answer that was lost on the way is given
            # again.
            row = enrolment.take_up(uow, code.secret_hash, body_key, uow.at + lasts)
            station = people.get_station(uow.session, row.station_id)
    except EnrolmentError as error:
        # Only a real code names its station; guessed codes must not fill the custody log.
        if "station" in error.facts:
            _log_refusal(office, error.facts["station"], "station.enrol", error)
        raise
    return {
        "keys": centre_keys(office),
        "origin": office.ring.get_verify_key("log").name,
        "station": {"id": station.id, "name": station.name, "township": station.township},
        "county": office.settings.county,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
    }


def issue_token(office: Office, assertion: str) -> tuple[str, int]:
    """Return a fresh token and its life in seconds for a station's assertion.

    Raises: EnrolmentError (assertion, unknown, clock, replay, revoked, expired).
    """
    now = office.clock()
    try:
        header = jwt.get_unverified_header(assertion)
        # Read unverified only to find the enrolled key; used once the signature is verified.
        claims = jwt.decode(assertion, options={"verify_signature": False})
        with office.catalogue.read() as session:
            row = enrolment.by_key(session, StationId(str(claims["sub"])), str(header["kid"]))
        _verify_assertion(assertion, row, office.ring.get_verify_key("log").names)
        # After the signature: until then these are anybody's words.
        issued, ends, name = float(claims["iat"]), float(claims["exp"]), str(claims["jti"])
    except (jwt.InvalidTokenError, *_NO_ASSERTION) as error:
        raise EnrolmentError("assertion") from error
    # 32 random bytes; kept as a hash, which needs no salt: nobody guesses them.
    secret = base64.urlsafe_b64encode(office.entropy(32)).decode().rstrip("=")
    try:
        # Only now, for a key that proved itself: who merely knows a station's id learns nothing of
        # its standing.
        enrolment.require_active(row, now)
        _check_times(issued, ends, now)
        with office.catalogue.write() as uow:
            # RFC 7523, 3 (jti): each assertion buys one token, so a copied one is worth nothing.
            # With the enrolment's id: two stations may choose the same name for an assertion.
            used = _hash_secret(f"{row.id}\n{name}")
            # Remembered for longer than any assertion can be good: up to 5 minutes old, and 10
            # ahead.
            enrolment.use_assertion(uow, used, now + 3 * ASSERTION_LASTS)
            enrolment.issue_token(uow, row, _hash_secret(secret), now + TOKEN_LASTS)
    except EnrolmentError as error:
        _log_refusal(office, row.station_id, "station.token", error)
        raise
    return secret, int(TOKEN_LASTS.total_seconds())


def open_gateway(office: Office, secret: str) -> StationGateway:
    """Open the gateway of the station that holds this token.

    Raises: EnrolmentError (token, revoked, …).
    """
    # Each call of each station comes here; a token that was issued before needs no lock to be seen.
    with office.catalogue.read_uncoordinated() as session:
        row = enrolment.by_token(session, _hash_secret(secret), office.clock())
        key = enrolment.key_of(row)
    if key is None:
        raise EnrolmentError("token")
    return StationGateway(office.centre, office.uploads, row.station_id, row.id, key)


def _key_in(document: str) -> VerifyKey:
    """Return the key that an enrolment brings; what it signed is verified with it afterwards."""
    try:
        return VerifyKey.from_json(json.loads(document)["body"]["key"])
    except (KeyError, TypeError, ValueError, RecursionError, KeyRingError) as error:
        raise EnrolmentError("key") from error


def _verify_assertion(assertion: str, row: EnrolmentRow, audience: Sequence[str]) -> None:
    """Verify an assertion's signature, issuer and audience; its times are checked elsewhere."""
    key = enrolment.key_of(row)
    if key is None:
        raise EnrolmentError("unknown")
    jwt.decode(
        assertion,
        ed25519.Ed25519PublicKey.from_public_bytes(key.ed25519),
        # One algorithm, fixed here: a header that names `none` or HMAC is refused.
        algorithms=["EdDSA"],
        audience=audience,
        issuer=row.station_id,
        options={
            "require": ["exp", "iat", "jti", "sub", "aud", "iss"],
            "verify_exp": False,
            "verify_iat": False,
        },
    )


def _check_times(issued: float, ends: float, now: datetime) -> None:
    """Check an assertion's times by the centre's clock. Raises: EnrolmentError (clock)."""
    # By the centre's clock, which a station asks for first (`/time`): its own may be years off.
    at, lasts = now.timestamp(), ASSERTION_LASTS.total_seconds()
    # Written so that NaN, which compares as false, is refused.
    if not (at - lasts <= issued <= ends and at <= ends <= at + 2 * lasts):
        raise EnrolmentError("clock", now=now.isoformat())


def _log_refusal(office: Office, station: StationId, act: str, error: EnrolmentError) -> None:
    """Log a refusal of a station that proved an enrolled key or a real code.

    Others could fill the log with entries at will; they stand in the server's own log.
    """
    with office.catalogue.write() as uow:
        uow.record(
            act,
            PremisType.VALIDATION,
            actor=Subject.of_station(station),
            subject=Subject.of_station(station),
            outcome=Outcome.REFUSED,
            reason=error.code,
        )


def _hash_secret(secret: str) -> str:
    return Digest.compute(secret.encode()).hex
