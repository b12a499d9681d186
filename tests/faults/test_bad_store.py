"""A store that answers 503, drops replies, damages bytes or hangs: promise 2.

A real S3 server stands behind a proxy that misbehaves. What the store then reports as stored is
stored, as the server itself says when it is asked directly; and the same call succeeds later.
"""

import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.problems import describe_error
from storage.digest import Digest
from storage.errors import (
    FixityError,
    ObjectConflictError,
    ObjectMissingError,
    StoreSetupError,
    StoreUnavailableError,
    VaultError,
)
from storage.recording import new_recording_id
from storage.vault.objects import PAYLOAD, key_of
from storage.vault.s3.address import S3Address
from storage.vault.s3.s3_objects import S3Objects
from tests.servers import ceph
from tests.servers.fault_proxy import BUSY, PORTAL, Fault, FaultProxy, Kind, answer
from tests.servers.s3 import S3Server, utc_now

MIB = 1 << 20
SMALL = b"evidence" * 100
LARGE = os.urandom(9 * MIB)


@dataclass
class Line:
    """One bucket: `store` reaches it through the proxy, `direct` does not."""

    proxy: FaultProxy
    store: S3Objects
    impatient: S3Objects
    direct: S3Objects
    address: S3Address

    def key(self) -> str:
        return key_of(new_recording_id(datetime.now(UTC), os.urandom(10)), PAYLOAD)

    def versions(self, key: str) -> int:
        return len(self.direct._versions.list_versions(key))


@pytest.fixture
def line(s3_server: S3Server) -> Iterator[Line]:
    direct = s3_server.store()
    address = replace(s3_server.address, bucket=direct._client.bucket)
    host, port = address.host.rsplit(":", 1)
    with FaultProxy(host, int(port)) as proxy:
        through = replace(address, host=proxy.endpoint)
        store = S3Objects(through, s3_server.key, os.urandom, utc_now, timeout_s=10)
        impatient = S3Objects(through, s3_server.key, os.urandom, utc_now, timeout_s=0.3)
        yield Line(proxy, store, impatient, direct, address)


# What is asked, and what must then be true on the server


def put_small(store: S3Objects, key: str) -> None:
    assert store.put(key, [SMALL]).digest == Digest.compute(SMALL)


def put_large(store: S3Objects, key: str) -> None:
    assert store.put(key, [LARGE]).digest == Digest.compute(LARGE)


def lock(store: S3Objects, key: str) -> None:
    store.lock(key, UNTIL)


def hold(store: S3Objects, key: str) -> None:
    store.hold(key)


def digest(store: S3Objects, key: str) -> None:
    if store.digest(key) != Digest.compute(SMALL):
        raise FixityError(part=key)  # as whoever asks does


def delete(store: S3Objects, key: str) -> None:
    store.delete(key, datetime.now(UTC))


UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
Act = Callable[[S3Objects, str], None]
ACTS: dict[Act, Callable[[S3Objects, str], bool]] = {
    put_small: lambda direct, key: direct.digest(key) == Digest.compute(SMALL),
    put_large: lambda direct, key: direct.digest(key) == Digest.compute(LARGE),
    lock: lambda direct, key: direct.facts(key).retain_until == UNTIL,
    hold: lambda direct, key: direct.facts(key).on_hold,
    digest: lambda direct, key: direct.digest(key) == Digest.compute(SMALL),
    delete: lambda direct, key: key not in list(direct.keys()),
}
EMPTY = answer("200 OK", b"")
FAULTS = {
    "503": Fault(Kind.ANSWER, answer=BUSY),
    "portal": Fault(Kind.ANSWER, answer=PORTAL),
    "200-and-nothing": Fault(Kind.ANSWER, answer=EMPTY),
    "403-in-html": Fault(
        Kind.ANSWER, answer=answer("403 Forbidden", b"<h1>proxy</h1>", "text/html")
    ),
    "drop-reply": Fault(Kind.DROP_REPLY),
    "truncate": Fault(Kind.TRUNCATE, at=100),
    "truncate-at-once": Fault(Kind.TRUNCATE),
    "flip-down": Fault(Kind.FLIP_DOWN, at=150),
    "flip-up": Fault(Kind.FLIP_UP, at=20),
    "reset": Fault(Kind.RESET),
    "reset-in-the-body": Fault(Kind.RESET, at=300),
    "hang": Fault(Kind.HANG),
}
VERBS = ("", "PUT ", "POST ", "GET ", "HEAD ", "DELETE ")


def told(act: Act, store: S3Objects, key: str) -> VaultError | FixityError | None:
    try:
        act(store, key)
    except (VaultError, FixityError) as error:
        return error
    return None


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_reported_that_is_not_so_and_the_same_call_succeeds_later(
    line: Line, act: Act, fault: str
) -> None:
    """Once any request meets the fault; then those of one kind always, kind by kind."""
    for only, times in [("", 1), *((verb, None) for verb in VERBS)]:
        key, hits = line.key(), line.proxy.hits
        if act not in {put_small, put_large}:
            line.direct.put(key, [SMALL])
        store = line.impatient if fault == "hang" else line.store
        with line.proxy.doing(replace(FAULTS[fault], only=only, times=times)):
            error = told(act, store, key)
        if error is not None:
            assert describe_error(error).next_zh
        else:
            assert ACTS[act](line.direct, key), only
        if line.proxy.hits > hits:
            act(line.store, key)
            assert ACTS[act](line.direct, key), only


def test_a_busy_store_is_tried_again_later(line: Line) -> None:
    key = line.key()
    with line.proxy.doing(FAULTS["503"]), pytest.raises(StoreUnavailableError) as caught:
        line.store.put(key, [SMALL])
    assert caught.value.retryable
    assert "SlowDown" in describe_error(caught.value).zh
    with pytest.raises(ObjectMissingError):
        line.direct.facts(key)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("only", ["PUT ", "POST "])
def test_a_dropped_reply_makes_no_second_version(line: Line, data: bytes, only: str) -> None:
    """The server did it and nobody heard: looking finds it."""
    key = line.key()
    for _ in range(2):
        with line.proxy.doing(Fault(Kind.DROP_REPLY, only=only, times=1)):
            try:
                line.store.put(key, [data])
            except StoreUnavailableError:
                assert only == "POST "  # beginning an upload is not repeated by itself
    line.store.put(key, [data])
    assert (line.versions(key), line.direct.digest(key)) == (1, Digest.compute(data))


def test_completing_whose_reply_was_dropped_is_found_done(line: Line) -> None:
    key = line.key()
    handle = line.store.begin(key)
    marks = [
        line.store.add_part(key, handle, 1, 0, LARGE[: 6 * MIB]),
        line.store.add_part(key, handle, 2, 6 * MIB, LARGE[6 * MIB :]),
    ]
    with line.proxy.doing(Fault(Kind.DROP_REPLY, only="POST ")):
        assert line.store.complete(key, handle, marks, len(LARGE)).digest == Digest.compute(LARGE)
    assert line.versions(key) == 1
    assert line.proxy.hits == 1


def test_an_upload_goes_on_after_its_line_was_cut_in_every_part(line: Line) -> None:
    key = line.key()
    handle = line.store.begin(key)
    marks = []
    for number, start in enumerate(range(0, len(LARGE), 5 * MIB), 1):
        part = LARGE[start : start + 5 * MIB]
        with (
            line.proxy.doing(Fault(Kind.RESET, at=len(part) // 2)),
            pytest.raises(StoreUnavailableError),
        ):
            line.store.add_part(key, handle, number, start, part)
        marks.append(line.store.add_part(key, handle, number, start, part))
    assert line.store.complete(key, handle, marks, len(LARGE)).digest == Digest.compute(LARGE)


def test_bytes_damaged_on_the_way_up_are_refused_by_the_server(line: Line) -> None:
    key = line.key()
    with (
        line.proxy.doing(Fault(Kind.FLIP_UP, at=17, only=f"{key}")),
        pytest.raises(StoreUnavailableError),
    ):
        line.store.put(key, [SMALL])
    assert line.versions(key) == 0


def test_bytes_always_damaged_on_the_way_down_are_not_taken_for_stored(line: Line) -> None:
    key = line.key()
    with (
        line.proxy.doing(Fault(Kind.FLIP_DOWN, at=17, only=f"{key}?versionId")),
        pytest.raises(FixityError),
    ):
        line.store.put(key, [SMALL])
    assert line.store.put(key, [SMALL]).digest == Digest.compute(SMALL)


def test_bytes_damaged_once_on_the_way_down_are_read_again(line: Line) -> None:
    key = line.key()
    with line.proxy.doing(Fault(Kind.FLIP_DOWN, at=17, only=f"{key}?versionId", times=1)):
        assert line.store.put(key, [SMALL]).digest == Digest.compute(SMALL)
    assert (line.proxy.hits, line.versions(key)) == (1, 1)


def test_a_locked_object_survives_a_damaged_reading(line: Line) -> None:
    """The damage is the line's: what was acknowledged before must not go."""
    key = line.key()
    line.direct.put(key, [SMALL])
    line.direct.lock(key, UNTIL)
    with (
        line.proxy.doing(Fault(Kind.FLIP_DOWN, at=17, only=f"{key}?versionId")),
        pytest.raises(ObjectConflictError),
    ):
        line.store.put(key, [SMALL])
    assert line.direct.digest(key) == Digest.compute(SMALL)


def test_a_range_cut_short_is_never_handed_on(line: Line) -> None:
    key = line.key()
    line.direct.put(key, [LARGE])
    with line.proxy.doing(Fault(Kind.TRUNCATE, at=1000)), pytest.raises(StoreUnavailableError):
        line.store.read(key, 0, MIB)
    with line.proxy.doing(Fault(Kind.TRUNCATE, at=1000)), pytest.raises(StoreUnavailableError):
        line.store.digest(key)
    assert line.store.read(key, 5, MIB) == LARGE[5 : MIB + 5]


def test_a_gateway_killed_amid_a_put_loses_nothing(tmp_path: Path, s3_server: S3Server) -> None:
    if s3_server.own is None:
        pytest.skip("only a server of our own is killed")
    with ceph.running(tmp_path) as server:
        address = S3Address(server.endpoint, "liuhen-killed", secure=False)
        key_pair = replace(s3_server.key, access=server.access_key, secret=server.secret_key)
        store = S3Objects(address, key_pair, os.urandom, utc_now, timeout_s=5)
        store.create_bucket()
        key = key_of(new_recording_id(datetime.now(UTC), os.urandom(10)), PAYLOAD)

        def blocks() -> Iterator[bytes]:
            for number in range(32):
                if number == 20:
                    server.kill_gateway()
                yield LARGE[:MIB]

        with pytest.raises(StoreUnavailableError):
            store.put(key, blocks())
        server.start_gateway()
        assert list(store.keys()) == []
        assert store.put(key, [LARGE]).digest == Digest.compute(LARGE)
        assert store.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1


# Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A private authority's certificate, and a server's context under it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "objects.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "public.pem", folder / "private.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


@pytest.fixture
def secured(
    s3_server: S3Server, certificates: tuple[Path, ssl.SSLContext]
) -> Iterator[tuple[FaultProxy, S3Address]]:
    """The server behind TLS, and its address with the authority that it needs."""
    public, context = certificates
    host, port = s3_server.address.host.rsplit(":", 1)
    with FaultProxy(host, int(port), tls=context) as proxy:
        yield proxy, replace(s3_server.bucket(), host=proxy.endpoint, secure=True, ca=public)


def test_over_tls_with_a_private_authority_objects_are_kept(
    secured: tuple[FaultProxy, S3Address], s3_server: S3Server
) -> None:
    proxy, address = secured
    store = S3Objects(address, s3_server.key, os.urandom, utc_now, timeout_s=5)
    store.create_bucket()
    key = key_of(new_recording_id(datetime.now(UTC), os.urandom(10)), PAYLOAD)
    # Over TLS, too, the body's SHA-256 is signed: what damages it behind TLS is refused.
    with proxy.doing(Fault(Kind.FLIP_UP, at=17, only=key)), pytest.raises(StoreUnavailableError):
        store.put(key, [SMALL])
    assert store.put(key, [LARGE]).digest == Digest.compute(LARGE)
    other = store.begin(key)
    with proxy.doing(Fault(Kind.FLIP_UP, at=17, only=key)), pytest.raises(StoreUnavailableError):
        store.add_part(key, other, 1, 0, SMALL)


def test_a_foreign_certificate_is_refused_and_plain_http_never_tried(
    secured: tuple[FaultProxy, S3Address], s3_server: S3Server
) -> None:
    _proxy, address = secured
    with pytest.raises(StoreSetupError) as caught:
        S3Objects.open(replace(address, ca=None), s3_server.key, os.urandom, utc_now, timeout_s=5)
    assert caught.value.facts["problem"] == "certificate"
    assert not caught.value.retryable
    with pytest.raises(StoreUnavailableError):
        S3Objects.open(
            replace(address, secure=False), s3_server.key, os.urandom, utc_now, timeout_s=2
        )
