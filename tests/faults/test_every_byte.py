"""Flip each byte of everything that is kept of one recording: every flip is found and named."""

import base64
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.office.evidence.integrity_check import whole_check
from api.office.wiring import Office
from ingest.station.clear import When
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.log.discrepancy import Discrepancy
from storage.catalogue.tables import RecordingRow
from storage.digest import Digest
from storage.errors import (
    CustodyError,
    EnvelopeError,
    FixityError,
    KeyRingError,
    LiuhenError,
    SignatureError,
)
from storage.record import Receipt, SealedRecord
from storage.signed import canonical
from storage.vault.keys import OpenKey, Use
from storage.vault.ranges import PlainReader
from storage.vault.sealing import open_envelope
from tests.faults.conftest import OpenDesk, kept
from tests.office import Desk

TEXT = b"09:43 arrived at the warehouse"


@pytest.fixture(scope="module")
def desk(open_desk: OpenDesk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = open_desk(tmp_path_factory.mktemp("office"), clear=When.NEVER)
    (desk.bay("bay-1") / "note.txt").write_bytes(TEXT)
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def row(desk: Desk) -> RecordingRow:
    (row,) = kept(desk)
    return row


@pytest.fixture(scope="module")
def sealed(desk: Desk, row: RecordingRow) -> SealedRecord:
    return SealedRecord.verify(row.record_text.encode(), desk.office.ring.stations)


@pytest.fixture
def folder(desk: Desk, row: RecordingRow) -> Path:
    return desk.office.settings.home / "objects" / row.id


def flips(data: bytes) -> Iterator[tuple[int | str, bytes]]:
    """Every byte flipped in its lowest and in its highest bit; one byte less; one more."""
    for position in range(len(data)):
        for bit in (0x01, 0x80):
            yield position, data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]
    yield "shorter", data[:-1]
    yield "longer", data + b"\x00"


def write_over(path: Path, mode: int, data: bytes) -> None:
    """Write over a locked file, and lock it again: another mode would be named by itself."""
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(mode)


def read_through(payload: bytes, key: bytes, context: bytes) -> bytes:
    def read_at(offset: int, length: int) -> bytes:
        return payload[offset : offset + length]

    reader = PlainReader(read_at, len(payload), key, context)
    return b"".join(reader.read(0, reader.size))


def test_each_byte_of_the_payload(desk: Desk, sealed: SealedRecord, folder: Path) -> None:
    payload = (folder / "payload").read_bytes()
    envelope = (folder / "envelope.json").read_bytes()
    opened = open_envelope(envelope, desk.office.ring.opening[0], sealed.id)
    assert read_through(payload, opened.data_key, opened.context) == TEXT
    for where, flipped in flips(payload):
        with pytest.raises(FixityError) as caught:
            read_through(flipped, opened.data_key, opened.context)
        assert caught.value.facts["part"] == "payload", where
        assert Digest.compute(flipped) != sealed.payload_digest


def test_each_byte_of_the_envelope(desk: Desk, sealed: SealedRecord, folder: Path) -> None:
    """Nothing opens; or, where only the other recipient's part was hit, the record names it."""
    envelope = (folder / "envelope.json").read_bytes()
    key = desk.office.ring.opening[0]
    opened = open_envelope(envelope, key, sealed.id)
    refused = 0
    for where, flipped in flips(envelope):
        assert Digest.compute(flipped) != sealed.envelope_digest, where
        try:
            found = open_envelope(flipped, key, sealed.id)
        except (EnvelopeError, KeyRingError):
            refused += 1
        else:
            assert found.data_key == opened.data_key, where
    assert refused > len(envelope)  # the greater half of 2 n + 2 flips


def test_each_byte_of_the_record(desk: Desk, folder: Path) -> None:
    record = (folder / "record.json").read_bytes()
    for _where, flipped in flips(record):
        with pytest.raises(SignatureError):
            SealedRecord.verify(flipped, desk.office.ring.stations)


def test_each_byte_of_the_receipt(desk: Desk, row: RecordingRow) -> None:
    ring = desk.office.ring
    assert row.receipt_text is not None
    receipt = row.receipt_text.encode()
    for _where, flipped in flips(receipt):
        with pytest.raises((SignatureError, CustodyError)):
            Receipt.verify(flipped, ring.get_verify_key("centre"), ring.get_verify_key("log"))


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def other_spellings(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same signed facts in other bytes, each canonical JSON with two good signatures in it."""
    body, (first, second) = document["body"], document["signatures"]
    for entry in (first, second):
        text = entry["sig"]
        last = len(text.rstrip("=")) - 1
        for char in ALPHABET:
            spelt = text[:last] + char + text[last + 1 :]
            if spelt != text and base64.b64decode(spelt) == base64.b64decode(text):
                both = [entry | {"sig": spelt} if one is entry else one for one in (first, second)]
                yield "spare bits of base64", {"body": body, "signatures": both}
    yield "order", {"body": body, "signatures": [second, first]}
    yield "a member that nobody signed", {"body": body, "signatures": [first | {"x": 1}, second]}
    yield "a third entry", {"body": body, "signatures": [first, second, first | {"alg": "none"}]}
    yield "a bad one first", {"body": body, "signatures": [first | {"sig": "AAAA"}, first, second]}


@pytest.mark.parametrize("document", ["record", "receipt"])
def test_a_signed_document_has_one_spelling(desk: Desk, row: RecordingRow, document: str) -> None:
    """What is flipped in a signature must be found too: bits that base64 ignores, bits beside."""
    ring = desk.office.ring
    text = row.record_text if document == "record" else row.receipt_text
    assert text is not None
    accepted = []
    for how, changed in other_spellings(canonical.decode(text.encode())):
        try:
            if document == "record":
                SealedRecord.verify(canonical.encode(changed), ring.stations)
            else:
                key, log = ring.get_verify_key("centre"), ring.get_verify_key("log")
                Receipt.verify(canonical.encode(changed), key, log)
        except (SignatureError, CustodyError):
            continue
        accepted.append(how)
    assert accepted == []


@pytest.mark.parametrize("part", ["payload", "record.json", "envelope.json"])
def test_a_flipped_object_is_named_by_the_check_of_everything(
    desk: Desk, row: RecordingRow, folder: Path, part: str
) -> None:
    path = folder / part
    data, mode = path.read_bytes(), path.stat().st_mode
    for where in (0, len(data) // 2, len(data) - 1):
        write_over(path, mode, data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])
        assert {(w.kind, w.subject) for w in whole_check(desk.office)} == {
            ("changed-object", f"{row.id}/{part}")
        }
    write_over(path, mode, data)
    assert list(whole_check(desk.office)) == []


COLUMNS = (
    ("log_leaf", "leaf", "edited-entry"),
    ("log_leaf", "hash", "edited-entry"),
    ("custody_event", "details", "edited-details"),
    ("custody_event", "salt", "edited-details"),
    ("log_checkpoint", "text", "edited-checkpoint"),
)


def audited(office: Office) -> Iterator[Discrepancy]:
    with office.catalogue.read() as session:
        folder = office.settings.home / "log"
        yield from audit_catalogue(
            session, office.signer.keys, signed=office.signer.read_last_checkpoint(), folder=folder
        )


@pytest.mark.parametrize(("table", "column", "what"), COLUMNS)
def test_each_byte_of_an_entry(
    desk: Desk, row: RecordingRow, table: str, column: str, what: str
) -> None:
    connection = sqlite3.connect(desk.office.settings.home / "catalogue.db")
    connection.execute("PRAGMA synchronous=OFF")  # the forger's connection: nothing to keep
    key = "size" if table == "log_checkpoint" else '"index"'
    order = f"SELECT {key}, {column} FROM {table} ORDER BY {key} DESC LIMIT 1"  # noqa: S608
    if table != "log_checkpoint":
        order = f"SELECT {key}, {column} FROM {table} WHERE {key} = {row.leaf_index}"  # noqa: S608
    index, value = connection.execute(order).fetchone()
    data = value if isinstance(value, bytes) else value.encode()
    step = 1 if len(data) < 600 else len(data) // 60

    def put(changed: bytes) -> None:
        kept: bytes | str = changed
        if not isinstance(value, bytes):
            try:
                kept = changed.decode()
            except UnicodeDecodeError:
                kept = changed  # bytes where a text should be: to be named as well
        with connection:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (kept, index))  # noqa: S608

    try:
        for position in range(0, len(data), step):
            put(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
            found = {wrong.kind.value for wrong in audited(desk.office)}
            assert found, (position, table)
            assert what in found or "damaged-database" in found, (position, found)
    finally:
        put(data)
        connection.close()
    assert list(whole_check(desk.office)) == []


def test_each_byte_of_the_published_log(desk: Desk) -> None:
    home = desk.office.settings.home
    for path in sorted(p for p in (home / "log").rglob("*") if p.is_file()):
        data = path.read_bytes()
        step = max(1, len(data) // 25)
        for position in range(0, len(data), step):
            path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
            assert list(whole_check(desk.office)), (path, position)
        path.write_bytes(data)
    assert list(whole_check(desk.office)) == []


def test_a_wrong_key_opens_nothing(
    sealed: SealedRecord, folder: Path, entropy: Callable[[int], bytes]
) -> None:
    envelope = (folder / "envelope.json").read_bytes()
    with pytest.raises(LiuhenError) as caught:
        open_envelope(envelope, OpenKey(Use.VAULT, entropy(32)), sealed.id)
    assert caught.value.code == "envelope"
    assert "not a recipient" in caught.value.facts["problem"]
    payload = (folder / "payload").read_bytes()
    with pytest.raises(FixityError):
        read_through(payload, entropy(32), b"liuhen/v1")
