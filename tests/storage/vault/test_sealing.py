"""Seal, open by range, and what happens when any of it is wrong."""

import hashlib
import io
import json
import os
import zlib
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.digest import Algorithm, Digest
from storage.errors import EnvelopeError, FixityError, KeyRingError
from storage.recording import new_recording_id
from storage.vault.keys import KeyRing, OpenKey, Use
from storage.vault.ranges import CHUNK, PlainReader, payload_size, plain_size
from storage.vault.sealing import (
    BLOCK,
    Sealer,
    context_of,
    open_envelope,
    recipients_of,
    seal_envelope,
)


def seal(data: bytes, key: bytes, context: bytes, **more) -> tuple[bytes, Sealer]:
    sealer = Sealer(io.BytesIO(data), data_key=key, context=context, **more)
    return b"".join(bytes(block) for block in sealer), sealer


def reader(payload: bytes, key: bytes, context: bytes) -> PlainReader:
    return PlainReader(lambda at, n: payload[at : at + n], len(payload), key, context)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * BLOCK + 7])
def test_sealed_bytes_open_with_the_library_and_by_range(size):
    data, key = os.urandom(size), os.urandom(32)
    payload, sealer = seal(data, key, b"ctx", algorithms=(Algorithm.SHA256, Algorithm.SM3))
    assert len(payload) == payload_size(size)
    assert plain_size(len(payload)) == size == sealer.size
    assert sealer.digests[Algorithm.SHA256].octets == hashlib.sha256(data).digest()
    assert sealer.digests[Algorithm.SM3] == Digest.compute(data, Algorithm.SM3)
    opened = Cobblestone256Decryptor(key, b"ctx")
    assert opened.update(payload) + opened.finalize() == data
    assert b"".join(reader(payload, key, b"ctx").read(0, size)) == data


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_range_equals_the_slice(data):
    size = data.draw(st.integers(0, 5 * CHUNK))
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    plain, key = os.urandom(size), bytes(32)
    payload, _ = seal(plain, key, b"c")
    assert b"".join(reader(payload, key, b"c").read(start, stop)) == plain[start:stop]


def test_a_small_range_reads_little_ciphertext():
    plain, key = os.urandom(40 * CHUNK), os.urandom(32)
    payload, _ = seal(plain, key, b"c")
    asked = []

    def read_at(offset: int, length: int) -> bytes:
        asked.append(length)
        return payload[offset : offset + length]

    opened = PlainReader(read_at, len(payload), key, b"c")
    assert b"".join(opened.read(10_000, 75_536)) == plain[10_000:75_536]
    assert sum(asked) <= 100 * 1024


def test_a_payload_moved_to_another_context_does_not_open():
    payload, _ = seal(b"x" * 100, bytes(32), b"one")
    with pytest.raises(FixityError, match="commitment"):
        reader(payload, bytes(32), b"two")


def test_truncation_at_a_chunk_edge_is_refused_at_the_end():
    plain = os.urandom(2 * CHUNK + 5)
    payload, _ = seal(plain, bytes(32), b"c")
    cut = payload[: -(5 + 16)]
    with pytest.raises(FixityError):
        b"".join(reader(cut, bytes(32), b"c").read(0, plain_size(len(cut))))


def test_two_swapped_chunks_are_refused():
    plain = os.urandom(3 * CHUNK)
    payload, _ = seal(plain, bytes(32), b"c")
    stored = CHUNK + 16
    swapped = (
        payload[:56]
        + payload[56 + stored : 56 + 2 * stored]
        + payload[56 : 56 + stored]
        + payload[56 + 2 * stored :]
    )
    with pytest.raises(FixityError, match="chunk=0"):
        b"".join(reader(swapped, bytes(32), b"c").read(0, 10))


def test_an_error_in_the_middle_of_the_file_propagates():
    class Torn(io.BytesIO):
        def readinto(self, buffer) -> int:
            if self.tell() >= BLOCK:
                raise OSError(5, "read error")
            return super().readinto(buffer)

    with pytest.raises(OSError, match="read error"):
        list(Sealer(Torn(bytes(3 * BLOCK)), data_key=bytes(32), context=b""))


@pytest.fixture
def ring(tmp_path, entropy) -> KeyRing:
    return KeyRing.create(
        tmp_path / "keys",
        station="s1",
        origin="county.test/log",
        recovery_out=tmp_path / "off/recovery",
        entropy=entropy,
    )


def test_both_recipients_open_the_envelope_and_nobody_else(ring, tmp_path, now):
    recording = new_recording_id(now, os.urandom(10))
    envelope = seal_envelope(b"k" * 32, recording, "s1", ring.recipients)
    recovery = OpenKey.load(tmp_path / "off/recovery")
    for key in (ring.open_key(recipients_of(envelope, recording)), recovery):
        opened = open_envelope(envelope, key, recording)
        assert opened.data_key == b"k" * 32
        assert opened.context == context_of(recording, "s1")
    with pytest.raises(EnvelopeError, match="not a recipient"):
        open_envelope(envelope, OpenKey(Use.VAULT, os.urandom(32)), recording)


def test_an_envelope_of_another_recording_is_refused(ring, now):
    one, two = (new_recording_id(now, os.urandom(10)) for _ in range(2))
    envelope = seal_envelope(b"k" * 32, one, "s1", ring.recipients)
    with pytest.raises(EnvelopeError, match="another recording"):
        open_envelope(envelope, ring.opening[0], two)


def test_one_recipient_is_not_enough(ring, now):
    with pytest.raises(KeyRingError):
        seal_envelope(b"k" * 32, new_recording_id(now, bytes(10)), "s1", ring.recipients[:1])


def test_a_flipped_envelope_never_opens_to_another_key(ring, now):
    """What the vault's key cannot see (the other recipient's copy) the record's digest catches."""
    recording = new_recording_id(now, os.urandom(10))
    envelope = seal_envelope(b"k" * 32, recording, "s1", ring.recipients)
    refused = 0
    for index in range(len(envelope)):
        flipped = bytearray(envelope)
        flipped[index] ^= 1
        try:
            opened = open_envelope(bytes(flipped), ring.opening[0], recording)
        except EnvelopeError:
            refused += 1
        else:
            assert opened.data_key == b"k" * 32
    assert refused > len(envelope) // 2


def test_a_key_file_that_others_can_read_is_refused(ring, tmp_path):
    (tmp_path / "keys/vault.key").chmod(0o644)
    with pytest.raises(KeyRingError, match="others can read"):
        KeyRing.load(tmp_path / "keys")


def test_keys_are_never_overwritten(ring, tmp_path, entropy):
    with pytest.raises(KeyRingError, match="not empty"):
        KeyRing.create(
            tmp_path / "keys",
            station="s1",
            origin="county.test/log",
            recovery_out=tmp_path / "r2",
            entropy=entropy,
        )


def test_the_private_recovery_key_is_not_in_the_ring(ring, tmp_path):
    seed = json.loads((tmp_path / "off/recovery").read_bytes())["seed"]
    for path in (tmp_path / "keys").iterdir():
        assert seed not in path.read_text()
    assert [key.use for key in ring.opening] == [Use.VAULT]


def test_a_station_with_public_keys_alone_can_seal_and_not_open(ring, tmp_path, now):
    station = tmp_path / "station"
    station.mkdir()
    for name in ("vault.pub", "recovery.pub", "station-s1.sign", "station-s1.verify"):
        data = (tmp_path / "keys" / name).read_bytes()
        (station / name).touch(0o600)
        (station / name).write_bytes(data)
    own = KeyRing.load(station)
    recording = new_recording_id(now, bytes(10))
    envelope = seal_envelope(b"k" * 32, recording, "s1", own.recipients)
    with pytest.raises(KeyRingError):
        own.open_key(recipients_of(envelope, recording))


def test_wycheproof_vectors_for_chunked_encryption():
    folder = os.environ.get("LIUHEN_VECTORS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LIUHEN_VECTORS is not set: Wycheproof's vectors were not run")
    name = "wyche_c2sp_chunked_encryption_aes_256_gcm_test.json"
    document = json.loads((Path(folder) / name).read_text())
    ran = 0
    for group in document["testGroups"]:
        for case in group["tests"]:
            key, context, packed = (bytes.fromhex(case[field]) for field in ("key", "ctx", "ct"))
            sealed = zlib.decompress(packed)
            try:
                opened = reader(sealed, key, context)
                plain = b"".join(opened.read(0, opened.size))
                verdict = (
                    case["result"] != "valid"
                    or hashlib.sha512(plain).hexdigest() == case["msgSha512"]
                )
            except (FixityError, ValueError):
                verdict = False
            assert verdict == (case["result"] == "valid"), case["tcId"]
            ran += 1
    assert ran >= 30
