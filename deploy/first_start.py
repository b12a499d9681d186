"""The first start of a county: its secrets and its certificate, made here and never printed.

A secret is made once and handed to the folder of each reader; a reader's folder that was lost gets
it again from another's. Nothing is ever overwritten but the proxy's certificate, which is renewed
before it ends or when the names of the centre change; the authority that stations trust stays.
Meant to be run at every start.

usage: first_start.py FOLDER --name HOST [--name HOST …]
"""

import argparse
import datetime as dt
import ipaddress
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECRETS = (  # bytes of chance, and the file of each reader; S3 names have 20 letters, keys 40
    (20, ("secrets-db/database-password", "secrets-office/database-password")),
    (10, ("secrets-objects/root-user",)),
    (20, ("secrets-objects/root-password",)),
    (10, ("secrets-office/objects-access-key",)),
    (20, ("secrets-office/objects-secret-key",)),
)
ALWAYS = ("proxy", "localhost", "127.0.0.1")
_AUTHORITY, _SERVER = dt.timedelta(days=3650), dt.timedelta(days=800)
_EARLY = dt.timedelta(days=90)
_SINCE = dt.timedelta(days=1)  # stations' clocks may be behind


class FirstStartError(Exception):
    """What is there contradicts itself; the text says what."""


def prepare(root: Path, names: Sequence[str], now: dt.datetime) -> None:
    """Make everything that is missing below the folder.

    Raises: FirstStartError when two readers hold different secrets: one of them is wrong, and
    nobody but the operator can tell which.
    """
    for size, files in SECRETS:
        _share([root / file for file in files], size)
    _certify(root, [*dict.fromkeys((*ALWAYS, *names))], now)


def _share(files: Sequence[Path], size: int) -> None:
    held = {file.read_bytes() for file in files if file.exists()}
    if len(held) > 1:
        raise FirstStartError(f"{files[0].name} differs between {' and '.join(map(str, files))}")
    value = held.pop() if held else secrets.token_hex(size).encode()
    for file in files:
        if not file.exists():
            _write(file, value)


def _certify(root: Path, names: Sequence[str], now: dt.datetime) -> None:
    key_file, certificate_file = root / "authority" / "ca.key", root / "authority" / "ca.pem"
    if not certificate_file.exists():
        # Without its certificate a key has signed nothing yet.
        fresh = ec.generate_private_key(ec.SECP256R1())
        _write(key_file, _private(fresh))
        _write(certificate_file, _pem(_authority(fresh, now)))
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise FirstStartError(f"{key_file} is no key of ours")
    authority = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    public = root / "trust" / "ca.pem"
    if not public.exists():
        _write(public, certificate_file.read_bytes())
    server = root / "secrets-proxy" / "server.pem"
    if not _serves(server, names, now):
        own = ec.generate_private_key(ec.SECP256R1())
        issued = _server(own, key, authority, names, now)
        _write(server, _pem(issued) + _private(own))


def _authority(key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Liuhen county")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _begun(name, name, key, now - _SINCE, now + _AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    own: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    names: Sequence[str],
    now: dt.datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[-1][:64])])
    until = min(now + _SERVER, authority.not_valid_after_utc)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return (
        _begun(subject, authority.subject, own, now - _SINCE, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*map(_general, names)]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    since: dt.datetime,
    until: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _serves(file: Path, names: Sequence[str], now: dt.datetime) -> bool:
    """Tell whether the certificate is for just these names and lasts a while yet."""
    if not file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(told) == [*map(_general, names)] and certificate.not_valid_after_utc > now + _EARLY


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(file: Path, data: bytes) -> None:
    """Place a file whole, readable to its owner alone, and durable."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit status 1: what is there contradicts itself."""
    parser = argparse.ArgumentParser(description="make a county's secrets and certificate, once")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", action="append", default=[], help="host names, commas between")
    given = parser.parse_args(arguments)
    names = [name for words in given.name for name in words.split(",") if name]
    try:
        prepare(given.folder, names, dt.datetime.now(dt.UTC))
    except FirstStartError as error:
        sys.stderr.write(f"first start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
