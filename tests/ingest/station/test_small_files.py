"""Small files of one card, a few under way at once: the same results as one after the other."""

import random
import threading
from pathlib import Path

import pytest

from ingest.bays.bay import FileReport, Outcome
from ingest.bays.settle import Patience
from ingest.bays.submission import Submission
from ingest.sources.profile import SourceFacts
from ingest.station.small_files import SMALL, take_each
from ingest.station.stopping import StoppingError
from storage.errors import StorageFullError
from tests.ingest import cards
from tests.office import Desk
from tests.sampling import sample

LIMIT_S = 20


def submission(number: int, size: int) -> Submission:
    facts = SourceFacts(profile="generic", kind="recorder")
    return Submission("R-1", "bay-1", Path("/card"), b"%05d" % number, size, 1, facts)


def result(one: Submission) -> FileReport:
    return FileReport(one.path.decode(), Outcome.ACCESSIONED)


def none_known(_submission: Submission) -> None:
    return None


def test_small_files_are_under_way_at_once():
    """Each waits for the two others: one after the other they would wait in vain."""
    all_here = threading.Barrier(3)
    pending, results = [submission(number, 10 + number) for number in range(9)], []

    def take(one: Submission) -> FileReport:
        all_here.wait(LIMIT_S)
        return result(one)

    take_each(pending, results, find_settled=none_known, take=take, at_once=3)
    assert pending == []
    assert [one.path for one in results] == [f"{number:05}" for number in range(9)]


@pytest.mark.parametrize("seed", range(5))
def test_no_two_of_one_size_and_none_beside_a_large_one_and_all_begin_in_their_order(seed):
    chance = random.Random(seed)
    sizes = [chance.choice((1, 2, 3, SMALL, SMALL + 1)) for _ in range(300)]
    files = [submission(number, size) for number, size in enumerate(sizes)]
    lock, under_way, begun, most = threading.Lock(), [], [], [0]

    def take(one: Submission) -> FileReport:
        with lock:
            sizes_now = [other.size for other in under_way]
            assert one.size not in sizes_now
            assert not sizes_now or max(*sizes_now, one.size) <= SMALL
            under_way.append(one)
            begun.append(one.path)
            most[0] = max(most[0], len(under_way))
        data = b"%d" % one.size * 10_000
        assert data.count(b"%d" % one.size)
        with lock:
            under_way.remove(one)
        return result(one)

    results: list[FileReport] = []
    take_each(list(files), results, find_settled=none_known, take=take, at_once=4)
    assert [one.path for one in results] == [one.path.decode() for one in files]
    assert most[0] <= 4
    same = {size: [one.path for one in files if one.size == size] for size in sizes}
    for paths in same.values():
        assert [path for path in begun if path in set(paths)] == paths


@pytest.mark.parametrize("error", [StorageFullError(where="catalogue"), StoppingError()])
def test_what_ends_a_look_leaves_each_file_with_a_result_or_pending(error):
    """The third fails while the first and second are under way; they keep what they got."""
    files = [submission(number, number) for number in range(8)]
    pending, results, failed = list(files), [], threading.Event()

    def take(one: Submission) -> FileReport:
        if one is files[2]:
            failed.set()
            raise error
        assert failed.wait(LIMIT_S)
        return result(one)

    with pytest.raises(type(error)):
        take_each(pending, results, find_settled=none_known, take=take, at_once=3)
    assert [one.path for one in results][:2] == ["00000", "00001"]
    assert files[2] in pending
    taken = {one.path for one in results}
    assert [one for one in files if one.path.decode() not in taken] == pending
    assert files[-1] in pending


def test_what_is_known_is_not_taken():
    files = [submission(number, number) for number in range(4)]
    known = {files[1].path: result(files[1]), files[3].path: result(files[3])}
    asked, results = [], []

    def take(one: Submission) -> FileReport:
        asked.append(one)
        return result(one)

    take_each(
        list(files), results, find_settled=lambda one: known.get(one.path), take=take, at_once=1
    )
    assert asked == [files[0], files[2]]
    assert results == [result(one) for one in files]


def fill(card: Path, seed: int) -> None:
    """Odd files, and footage in copies under better and worse names, and of equal sizes."""
    for part in range(3):
        cards.make(seed * 10 + part, card)
    chance = random.Random(seed)
    for number in range(4):
        data = chance.randbytes(600 + number // 2)  # two and two of one size
        film = b"DSJ-A7_0000012@000123_202611201000%02d_%04d.MP4" % (number, number)
        for name in (film, b"copy of %d.MP4" % number):
            cards.put(card, b"DCIM", name, data, 1_795_000_000)


def taken(folder: Path, seed: int, at_once: int) -> list[tuple[object, ...]]:
    """Take a card; return of each file what became of it, and whose recording it is."""
    desk = Desk.set_up(folder)
    try:
        fill(desk.bay("bay-1"), seed)
        station = desk.office.build_station(patience=Patience(0, 1000))
        station.at_once = at_once
        (bay, _other) = desk.office.list_bays()
        for _ in range(2):
            results = station.sweep_bay(bay)
        first = {one.recording: one.path for one in results if one.outcome is Outcome.ACCESSIONED}
        return [
            (one.path, one.outcome, one.reason, one.sha256, first.get(one.recording))
            for one in results
        ]
    finally:
        desk.office.close()


@pytest.mark.parametrize("seed", sample(range(20), always=[], drawn=1))
def test_files_side_by_side_end_as_they_do_one_after_the_other(tmp_path, seed):
    folders = [tmp_path / "one", tmp_path / "four"]
    for folder in folders:
        folder.mkdir()
    alone, beside = (taken(at, seed, n) for at, n in zip(folders, (1, 4), strict=True))
    assert beside == alone
    assert {one[1] for one in alone} >= {Outcome.ACCESSIONED, Outcome.DUPLICATE}


def test_told_to_stop_amid_several_files_all_of_them_are_taken_later(tmp_path):
    desk = Desk.set_up(tmp_path)
    for number in range(6):
        (desk.bay("bay-1") / f"{number}.bin").write_bytes(bytes(100 + number))
    station = desk.office.build_station(patience=Patience(0, 1000))
    (bay, _other) = desk.office.list_bays()
    station.sweep_bay(bay)
    three = threading.Barrier(3, action=station.stopping.set)

    def stop_amid(step: str) -> None:
        if step == "sealing" and not station.stopping.is_set():
            three.wait(LIMIT_S)

    station.on_step = stop_amid
    with pytest.raises(StoppingError):
        station.sweep_bay(bay)

    results = desk.sweep()
    assert [one.outcome for one in results] == [Outcome.ACCESSIONED] * 6
    desk.office.close()
