"""Forged, borrowed and damaged receipts, changed files: nothing is cleared. Promise 1."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from api.problems import reason_zh
from ingest.bays.bay import BayState
from ingest.bays.submission import Submission
from ingest.sources.profile import Siblings
from ingest.sources.profile import read_source_facts as read_profile
from ingest.station.clear import When, clear_file
from ingest.station.journal import State
from storage.errors import CustodyError, SignatureError
from storage.record import Receipt
from storage.signed.signing import SigningKey
from tests.faults.conftest import OpenDesk, kept, shown
from tests.office import FIRST, Desk, dock, segment


class Forger:
    """A recording with a true receipt, and the source file still there."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        (self.path,) = dock(self.desk, "bay-1", FIRST, segment(0, 1))
        self.desk.sweep()
        (self.row,) = [row for row in kept(self.desk) if row.name == self.path.name]
        ring = self.desk.office.ring
        self.centre, self.log = ring.get_verify_key("centre"), ring.get_verify_key("log")
        assert self.row.receipt_text is not None
        self.text = self.row.receipt_text.encode()
        self.receipt = Receipt.verify(self.text, self.centre, self.log)
        status = self.path.stat()
        bay = self.desk.bay("bay-1")
        parts = tuple(map(os.fsencode, self.path.relative_to(bay).parts))
        facts = read_profile(parts, Siblings([parts[-1]]), self.desk.office.clock())
        self.submission = Submission(
            FIRST.serial, "bay-1", bay, b"/".join(parts), status.st_size, status.st_mtime_ns, facts
        )

    def try_to_clear(self, receipt: bytes) -> Receipt:
        return clear_file(self.submission, receipt, self.centre, self.log)


@pytest.fixture
def forger(open_desk: OpenDesk, tmp_path: Path) -> Iterator[Forger]:
    desk = open_desk(tmp_path, clear=When.NEVER)
    yield Forger(desk)
    desk.office.close()


def test_the_true_receipt_clears(forger: Forger) -> None:
    forger.try_to_clear(forger.text)
    assert not forger.path.exists()


def test_a_receipt_of_another_centre_never_clears(
    forger: Forger, entropy: Callable[[int], bytes]
) -> None:
    stranger = SigningKey.from_seeds("centre", entropy(64))
    with pytest.raises(SignatureError):
        forger.try_to_clear(forger.receipt.sign(stranger))
    assert forger.path.exists()


@pytest.mark.parametrize("signer", ["log", "station-station-1"])
def test_a_receipt_signed_by_another_key_of_the_office_never_clears(
    forger: Forger, signer: str
) -> None:
    with pytest.raises(SignatureError):
        forger.try_to_clear(forger.receipt.sign(forger.desk.office.ring.get_signing_key(signer)))
    assert forger.path.exists()


def test_a_sealed_record_is_no_receipt(forger: Forger) -> None:
    with pytest.raises(SignatureError):
        forger.try_to_clear(forger.row.record_text.encode())
    assert forger.path.exists()


@pytest.mark.parametrize("nothing", [b"", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_document_never_clears(forger: Forger, nothing: bytes) -> None:
    with pytest.raises(SignatureError):
        forger.try_to_clear(nothing)
    assert forger.path.exists()


def test_a_receipt_for_other_bytes_never_clears(forger: Forger) -> None:
    key = forger.desk.office.ring.get_signing_key("centre")
    other = hashlib.sha256(b"other bytes").hexdigest()
    for changed in (
        replace(forger.receipt, original=f"sha-256:{other}"),
        replace(forger.receipt, size=forger.receipt.size + 1),
    ):
        with pytest.raises(SignatureError):
            forger.try_to_clear(changed.sign(key))
    assert forger.path.exists()


def test_a_receipt_without_its_place_in_the_log_never_clears(forger: Forger) -> None:
    key = forger.desk.office.ring.get_signing_key("centre")
    leaf = forger.receipt.leaf.replace('"outcome":"success"', '"outcome":"refused"')
    proof = forger.receipt.proof.replace("index ", "index 1", 1)
    other_id = f"{forger.row.id[:-1]}{'1' if forger.row.id.endswith('0') else '0'}"
    for changed in (
        replace(forger.receipt, leaf=leaf),
        replace(forger.receipt, proof=proof),
        replace(forger.receipt, proof=""),
        replace(forger.receipt, recording=other_id),
    ):
        with pytest.raises((SignatureError, CustodyError)):
            forger.try_to_clear(changed.sign(key))
    assert forger.path.exists()


def test_a_file_that_changed_since_never_clears(forger: Forger) -> None:
    data = bytearray(forger.path.read_bytes())
    data[10] ^= 1
    stamp = forger.path.stat().st_mtime_ns
    forger.path.write_bytes(data)
    os.utime(forger.path, ns=(stamp, stamp))
    with pytest.raises(SignatureError):
        forger.try_to_clear(forger.text)
    assert forger.path.exists()


class Journal:
    """The station's own file of what it has in hand, in a stranger's hands."""

    def __init__(self, desk: Desk) -> None:
        self.path = desk.office.settings.home / "station.db"

    def receipts(self) -> dict[bytes, bytes]:
        with closing(sqlite3.connect(self.path)) as connection:
            return dict(connection.execute("SELECT path, receipt FROM submission").fetchall())

    def put(self, receipts: dict[bytes, bytes | None]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for path, receipt in receipts.items():
                connection.execute(
                    "UPDATE submission SET receipt = ? WHERE path = ?", (receipt, path)
                )


def swapped(true: dict[bytes, bytes]) -> dict[bytes, bytes | None]:
    (one, first), (other, second) = true.items()
    return {one: second, other: first}


def cut(true: dict[bytes, bytes]) -> dict[bytes, bytes | None]:
    return {path: receipt[:-1] for path, receipt in true.items()}


def lost(true: dict[bytes, bytes]) -> dict[bytes, bytes | None]:
    return dict.fromkeys(true)


@pytest.mark.parametrize("tamper", [swapped, cut, lost])
def test_a_station_whose_journal_was_tampered_with_clears_nothing_and_asks_for_a_person(
    open_desk: OpenDesk,
    tmp_path: Path,
    tamper: Callable[[dict[bytes, bytes]], dict[bytes, bytes | None]],
) -> None:
    """Both receipts are true, each for the other's bytes; or they are cut; or they are gone."""
    desk = open_desk(tmp_path, clear=When.NEVER)
    for name in ("a.txt", "b.txt"):
        (desk.bay("bay-1") / name).write_text(name)
    desk.sweep()
    assert len(kept(desk)) == 2
    desk.office.close()
    journal = Journal(desk)
    true = journal.receipts()
    journal.put(tamper(true))
    desk = open_desk(tmp_path, clear=When.AT_ONCE)
    desk.sweep(3)
    assert sorted(path.name for path in desk.bay("bay-1").iterdir()) == ["a.txt", "b.txt"]
    bay = shown(desk)
    assert bay.state == BayState.ATTENTION
    assert bay.reason
    assert reason_zh(bay.reason) != bay.reason
    desk.office.close()
    journal.put(dict(true))
    desk = open_desk(tmp_path, clear=When.AT_ONCE)
    desk.sweep(2)
    assert list(desk.bay("bay-1").iterdir()) == []
    assert desk.office.journal.in_state(State.CLEARED)
    desk.office.close()


def test_nothing_is_cleared_before_its_days_have_passed(
    open_desk: OpenDesk, tmp_path: Path
) -> None:
    desk = open_desk(tmp_path, clear=When.AFTER_DAYS, clear_days=3)
    note = desk.bay("bay-1") / "note.txt"
    note.write_text("x")
    now = [desk.office.clock()]
    desk.office.clock = desk.office.journal._clock = lambda: now[0]
    desk.sweep()
    assert len(kept(desk)) == 1
    now[0] += timedelta(days=2, hours=23)
    desk.sweep()
    assert note.exists()
    now[0] += timedelta(hours=2)
    desk.sweep()
    assert not note.exists()
    desk.office.close()
