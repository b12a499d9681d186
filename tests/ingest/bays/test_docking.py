"""A docking ends with its volume: nothing that was found out about one is believed of the next."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.bays import docking
from ingest.bays.bay import GREEN, BayState, Outcome
from ingest.bays.settle import Patience
from ingest.bays.watch import scan_root
from ingest.station.clear import Clearing, When
from ingest.station.journal import State
from tests.ingest import cards
from tests.office import Desk

T = 1_700_000_000


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


def put(path: Path, data: bytes) -> Path:
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    os.utime(path, (T, T))
    return path


def started(desk, clearing=None):
    return desk.office.build_station(patience=Patience(0, 1000), clearing=clearing)


@pytest.mark.parametrize("when", ["between two looks", "amid a census"])
def test_second_card_swapped_in_unseen_is_judged_by_its_own_bytes(desk, monkeypatch, when):
    """Footage called like a system file, of the size and time that the first card's one had."""
    mounts = ["36"]
    monkeypatch.setattr(docking, "mount_id", lambda _root: mounts[-1])
    (bay, _other) = desk.office.list_bays()
    film = cards.HEADS[0] + b"film"
    path = put(bay.root / "index.db", b"\x00" * len(film))
    put(bay.root / "a.txt", b"a")
    station = started(desk)
    first = [station.sweep_bay(bay) for _ in range(3)][-1]
    assert {one.outcome for one in first} == {Outcome.ACCESSIONED, Outcome.IGNORED}
    if when == "between two looks":
        put(path, film)
        mounts.append("37")
    else:

        def scan(root):
            put(path, film)
            mounts.append("37")
            return scan_root(root)

        monkeypatch.setattr("ingest.bays.census.scan_root", scan)
        station.sweep_bay(bay)
        monkeypatch.setattr("ingest.bays.census.scan_root", scan_root)
    for _ in range(2):
        reports = {one.path: one.outcome for one in station.sweep_bay(bay)}
    assert reports["index.db"] is Outcome.ACCESSIONED


def test_green_of_one_card_never_stands_over_the_next(desk, monkeypatch):
    """A card swapped in between two looks: its bay shows that something was put in, first of all."""
    mounts = ["36"]
    monkeypatch.setattr(docking, "mount_id", lambda _root: mounts[-1])
    (bay, _other) = desk.office.list_bays()
    put(bay.root / "a.txt", b"first")
    station = started(desk)
    for _ in range(4):
        station.sweep_bay(bay)
    (before,) = [row.state for row in desk.office.journal.list_bays() if row.name == bay.name]
    assert before == BayState.SAFE
    (bay.root / "a.txt").unlink()
    put(bay.root / "b.txt", b"second")
    mounts.append("37")
    states = []
    station.listen = lambda progress: states.append(progress.state)
    station.sweep_bay(bay)
    assert states[0] is BayState.MOUNTING
    assert not GREEN.intersection(states)


def test_docking_is_gone_with_its_volume(desk):
    (bay, _other) = desk.office.list_bays()
    path = put(bay.root / "a.txt", b"a")
    station = started(desk)
    for _ in range(3):
        station.sweep_bay(bay)
    assert station._dockings.find_docking(bay).settled
    path.unlink()
    station.sweep_bay(bay)
    assert station._dockings.find_docking(bay) is None


def test_receipt_of_another_docking_spares_no_question(desk):
    (first, second) = desk.office.list_bays()
    dockings = docking.Dockings(lambda: datetime.now(UTC))
    there = dockings.keep_docking(first, dockings.find_or_begin(first))
    dockings.note_delivery(7)
    dockings.forget_docking(first)
    again = dockings.keep_docking(first, dockings.find_or_begin(first))
    beside = dockings.keep_docking(second, dockings.find_or_begin(second))
    assert (there.delivered, again.delivered, beside.delivered) == ({7}, set(), set())


def test_bytes_cleared_once_and_put_back_beside_others_of_their_name_are_cleared_again(desk):
    """The entry of these bytes stands at CLEARED when a second entry's look finds it out."""
    (bay, _other) = desk.office.list_bays()
    path = put(bay.root / "a.txt", b"one")
    station = started(desk, Clearing())
    for content in (b"one", b"two"):
        put(path, content)
        for _ in range(3):
            station.sweep_bay(bay)
    for _ in range(2):
        station = started(desk, Clearing(When.AT_ONCE))
        put(path, b"one")
        for _ in range(4):
            station.sweep_bay(bay)
        assert not path.exists()
    assert desk.office.journal.in_state(State.QUARANTINED) == []
    assert len(desk.office.journal.in_state(State.CLEARED)) == 1
