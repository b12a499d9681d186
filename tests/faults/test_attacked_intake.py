"""What a hostile reviewer did to the intake: each trial as it was made, and what must come of it."""

import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.office.evidence.integrity_check import whole_check
from ingest.bays.bay import Bay, BayState
from ingest.bays.docking import Dockings
from ingest.bays.settle import Patience
from ingest.station import clear, named_path
from ingest.station.clear import Clearing, When
from ingest.station.journal import State
from ingest.station.station import Station
from ingest.station.sweep import file_walk
from ingest.station.sweep.docked_files import DockedFiles
from storage.errors import CatalogueBusyError, SubmissionError
from storage.recording import new_recording_id
from storage.vault.folder.lock_notes import LockNotes
from tests.faults.test_nothing_quiet import (
    Clock,
    CutError,
    at_bay,
    cut_at,
    desk,
    events,
    kept,
    office,
    shown,
)
from tests.office import FIRST, Desk, dock, segment

T = 1_700_000_000
__all__ = ["desk"]


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    os.utime(path, (T, T))
    return path


def started(desk: Desk, **more: object) -> Station:
    return desk.office.build_station(patience=Patience(0, 1000), **more)  # type: ignore[arg-type]


def recordings_named(desk: Desk, name: str) -> int:
    return len({row.sha256 for row in kept(desk) if row.name == name})


@pytest.mark.parametrize("away", [0, 3], ids=["between-two-looks", "after-looks-without-it"])
def test_other_bytes_of_the_same_name_size_and_time_are_read_in_the_same_docking(
    desk: Desk, away: int
) -> None:
    card = desk.bay("bay-1")
    put(card / "stays.txt", b"stays")
    put(card / "a.txt", b"one")
    station = started(desk)
    at_bay(desk, 4, station)
    (card / "a.txt").unlink()
    at_bay(desk, away, station)
    put(card / "a.txt", b"two")
    at_bay(desk, 4, station)
    assert recordings_named(desk, "a.txt") == 2


def test_a_file_put_back_after_its_clearing_is_taken_in_the_same_docking(tmp_path: Path) -> None:
    clock = Clock()
    with office(tmp_path, clock, clear=When.AFTER_DAYS, clear_days=2) as desk:
        path = put(desk.bay("bay-1") / "a.txt", b"one")
        station = started(desk)
        at_bay(desk, 4, station)
        for _ in range(3):
            clock.live(days=1)
            at_bay(desk, 1, station)
        assert not path.exists()
        put(path, b"two")
        assert at_bay(desk, 4, station)["a.txt"].outcome == "accessioned"
        assert recordings_named(desk, "a.txt") == 2


def test_an_unnamed_card_after_a_named_one_is_not_taken_for_it(desk: Desk) -> None:
    card = desk.bay("bay-1")
    dock(desk, "bay-1", FIRST, segment(0, 1))
    station = started(desk)
    at_bay(desk, 4, station)
    for item in list(card.iterdir()):
        shutil.rmtree(item) if item.is_dir() else item.unlink()
    put(card / "IMG_1.JPG", b"\xff\xd8\xff\xe0 another officer's card")
    at_bay(desk, 4, station)
    (row,) = [row for row in kept(desk) if row.name == "IMG_1.JPG"]
    assert row.source_serial != FIRST.serial


def test_a_request_that_cannot_be_looked_at_keeps_no_other_waiting(desk: Desk) -> None:
    station, journal = started(desk), desk.office.journal
    film = put(desk.bay("bay-1").parent / "x.txt", b"x")
    impossible = journal.add_request(b"/tmp/" + b"n" * 300)
    possible = journal.add_request(bytes(film))
    assert named_path.answer_requests(station, journal) == 2
    (answer,) = journal.answer_to(impossible) or []
    assert (answer.outcome, answer.reason) == ("failed", "unreadable")
    (answer,) = journal.answer_to(possible) or []
    assert answer.outcome == "accessioned"


@pytest.mark.parametrize("how", ["docked", "by-hand"])
def test_other_bytes_in_the_place_of_what_was_about_to_be_cleared_are_read(
    tmp_path: Path, how: str
) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        card = desk.bay("bay-1")
        put(card / "a.txt", b"one")
        cut_at(desk, "clearing")
        with pytest.raises(CutError):
            at_bay(desk)
        put(card / "a.txt", b"two")
        station = started(desk, clearing=Clearing())
        if how == "docked":
            at_bay(desk, 5, station)
        else:
            named_path.take_path(station, card)
        assert recordings_named(desk, "a.txt") == 2


def test_what_was_about_to_be_cleared_stays_when_the_office_lost_it(tmp_path: Path) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        path = put(desk.bay("bay-1") / "a.txt", b"one")
        cut_at(desk, "clearing")
        with pytest.raises(CutError):
            at_bay(desk)
        payload = desk.office.settings.home / "objects" / kept(desk)[0].id / "payload"
        payload.chmod(0o600)
        payload.unlink()
        result = at_bay(desk, 4)["a.txt"]
        assert (result.outcome, result.reason) == ("quarantined", "fixity")
        assert path.read_bytes() == b"one"
        assert shown(desk).state == BayState.ATTENTION


def test_another_card_in_the_slot_proves_no_clearing(tmp_path: Path) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        card = desk.bay("bay-1")
        put(card / "a.txt", b"one")
        cut_at(desk, "clearing")
        with pytest.raises(CutError):
            at_bay(desk)
        card.rename(tmp_path / "the first card")
        card.mkdir()
        put(card / "other.txt", b"another card")
        at_bay(desk, 1)
        assert events(desk, "source.clear") == []


def test_a_removal_that_the_medium_does_not_confirm_is_noted_when_it_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path, clear=When.AT_ONCE) as desk:
        card = desk.bay("bay-1")
        (card / "liuhen-source.json").write_text('{"serial":"SER-001"}')
        path = put(card / "a.txt", b"one")
        sync = os.fsync

        def failing(handle: int) -> None:
            if os.readlink(f"/proc/self/fd/{handle}") == str(card):
                raise OSError(5, "EIO")
            sync(handle)

        monkeypatch.setattr(clear.os, "fsync", failing)
        result = at_bay(desk, 2)["a.txt"]
        assert (result.outcome, result.reason) == ("waiting", "clear-unsure")
        assert not path.exists()
        assert events(desk, "source.clear") == []
        monkeypatch.undo()
        at_bay(desk, 1)
        (event,) = events(desk, "source.clear")
        assert event.details["noticed"] == "gone after a restart"


def test_a_second_fault_while_the_first_is_written_down_stops_no_other_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        put(desk.bay("bay-1") / f"{name}.txt", name.encode())
    probe, undo = file_walk.probe_file, DockedFiles.undo_attempt

    def defective(source, size, *args, **more):  # type: ignore[no-untyped-def]
        if os.pread(source.fileno(), 1, 0) == b"a":
            raise RuntimeError("a defect of ours")
        return probe(source, size, *args, **more)

    def failing(self, submission):  # type: ignore[no-untyped-def]
        if submission.path == b"a.txt":
            raise SubmissionError(reason="changed")
        return undo(self, submission)

    monkeypatch.setattr(file_walk, "probe_file", defective)
    monkeypatch.setattr(DockedFiles, "undo_attempt", failing)
    results = at_bay(desk, 3)
    assert {path: one.outcome for path, one in results.items()} == {
        "a.txt": "failed",
        "b.txt": "accessioned",
        "c.txt": "accessioned",
    }
    assert shown(desk).state == BayState.ATTENTION


def test_a_refusal_whose_note_failed_is_noted_at_the_next_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.bay("bay-1") / "link").symlink_to("/etc/passwd")
    kind = type(desk.office.centre)
    note, tries = kind.note_act, []

    def busy_once(self, *args, **more):  # type: ignore[no-untyped-def]
        tries.append(args)
        if len(tries) == 1:
            raise CatalogueBusyError
        note(self, *args, **more)

    monkeypatch.setattr(kind, "note_act", busy_once)
    at_bay(desk, 4)
    assert len(events(desk, "submission.refuse")) == 1


def test_a_late_word_of_an_attempt_that_was_given_up_moves_no_other(desk: Desk) -> None:
    put(desk.bay("bay-1") / "a.txt", b"one")
    cut_at(desk, "sealed")
    with pytest.raises(CutError):
        at_bay(desk)
    journal = desk.office.journal
    (first,) = journal.in_state(State.SEALED)
    entry = journal.move_entry(first, State.WAITING, recording=None, record=None, sha256=None)
    fresh = new_recording_id(desk.office.clock(), os.urandom(10))
    entry = journal.move_entry(entry, State.SEALING, recording=fresh)
    journal.move_entry(entry, State.SEALED, sha256="22" * 32, record=b"B", envelope=b"B")
    with pytest.raises(SubmissionError):
        journal.move_entry(first, State.ACCESSIONED, receipt=b"of the first attempt")


def test_a_card_named_by_hand_while_its_bay_seals_it_is_taken_once(desk: Desk) -> None:
    card = desk.bay("bay-1")
    (card / "liuhen-source.json").write_text('{"serial":"SER-001"}')
    for name in ("a.txt", "b.txt"):
        put(card / name, name.encode())
    station = started(desk)
    station.sweep_bay(desk.office.list_bays()[0])
    here, go_on = threading.Event(), threading.Event()

    def step(name: str) -> None:
        if name == "payload-delivered" and not here.is_set():  # the first of the bay's files
            here.set()
            go_on.wait(20)

    station.on_step = step
    bay = threading.Thread(target=station.sweep_bay, args=(desk.office.list_bays()[0],))
    bay.start()
    assert here.wait(20)
    named_path.take_path(station, card)
    go_on.set()
    bay.join()
    results = at_bay(desk, 3, station)
    assert {one.outcome for one in results.values()} <= {"accessioned", "duplicate", "ignored"}
    assert len(kept(desk)) == 2


def test_bays_may_be_forgotten_while_others_are_looked_at() -> None:
    dockings, stop = Dockings(lambda: datetime.now(UTC)), threading.Event()
    first, second, third = (Bay(f"bay-{number}", Path("/")) for number in (1, 2, 3))
    stays = dockings.keep_docking(first, dockings.find_or_begin(first))
    for number in range(3000):
        stays.enumerator._verdicts[b"%d" % number, 1, 1] = True

    def look() -> None:
        number = 0
        while not stop.is_set():
            for _ in range(100):
                docking = dockings.keep_docking(second, dockings.find_or_begin(second))
                docking.enumerator._verdicts[b"%d" % number, 1, 1] = True
                number = (number + 1) % 20_000
            dockings.forget_docking(second)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(300):
            dockings.keep_docking(third, dockings.find_or_begin(third))
            dockings.note_delivery(number)
            dockings.forget_docking(third)
    finally:
        stop.set()
        looking.join()
    assert dockings.find_docking(first) is stays
    assert len(stays.enumerator._verdicts) == 3000
    assert stays.delivered == set(range(300))


@pytest.mark.parametrize("lock", [1, 2, 3])
def test_a_crash_amid_a_lock_keeps_no_file_from_its_receipt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lock: int
) -> None:
    """The mark of a lock is there, its note is not: that is a lost lock, until it is set again."""
    put(desk.bay("bay-1") / "a.txt", b"one")
    note, notes = LockNotes.write_note, []

    def cut(self, facts):  # type: ignore[no-untyped-def]
        notes.append(facts)
        if len(notes) == lock:
            raise CutError
        note(self, facts)

    monkeypatch.setattr(LockNotes, "write_note", cut)
    with pytest.raises(CutError):
        at_bay(desk)
    monkeypatch.undo()
    assert at_bay(desk, 3)["a.txt"].outcome == "accessioned"
    (row,) = kept(desk)
    assert row.receipt_text is not None
    assert list(whole_check(desk.office)) == []
