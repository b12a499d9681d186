"""The census: over many odd cards, nothing on one goes without a word, and green never lies."""

import os
import shutil
from collections import Counter
from datetime import UTC, datetime

import pytest

from ingest.bays import census
from ingest.bays.bay import GREEN, Bay, BayState, Outcome
from ingest.bays.census import Enumerator, display_path
from ingest.bays.settle import Patience
from ingest.bays.watch import MAX_DEPTH
from ingest.station.journal import Journal
from ingest.station.sweep import file_walk, source_clearing
from storage.catalogue.recordings import recordings
from tests.ingest import cards
from tests.office import Desk
from tests.sampling import sample

CARDS = 200
GROUPS = 8
TAKEN = {Outcome.ACCESSIONED, Outcome.DUPLICATE}
NAMED = {Outcome.IGNORED, Outcome.QUARANTINED, Outcome.WAITING, Outcome.FAILED}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("census"))
    yield desk
    desk.office.close()


def shown(desk):
    return BayState(
        next(row.state for row in desk.office.journal.list_bays() if row.name == "bay-1")
    )


def too_deep(path):
    """The folder at which a look stops: what lies below has the folder's name as its own."""
    return b"/".join(path.split(b"/")[:MAX_DEPTH])


def digests(desk):
    with desk.office.catalogue.read() as session:
        return {row.sha256 for row in recordings.iterate_recordings(session)}


@pytest.mark.parametrize("group", sample(range(GROUPS), always=[], drawn=2))
def test_every_entry_of_a_card_is_taken_or_named_and_green_never_hides_one(desk, group):
    """`CARDS` cards in all: each entry ends in one result; all taken or ignored, or no green."""
    card = desk.bay("bay-1")
    station = desk.office.build_station(patience=Patience(0, 1000))
    (bay, _other) = desk.office.list_bays()
    outcomes: Counter = Counter()
    for seed in range(group, CARDS, GROUPS):
        shutil.rmtree(card)
        cards.make(seed, card)
        there = {
            path if path.count(b"/") < MAX_DEPTH else too_deep(path) for path in cards.entries(card)
        }
        for _ in range(4):
            results = station.sweep_bay(bay)
        ends = Counter(result.path for result in results)
        assert ends == Counter(map(display_path, there)), seed
        assert all(result.reason for result in results if result.outcome in NAMED), seed
        hidden = [one.path for one in results if one.outcome not in TAKEN | {Outcome.IGNORED}]
        assert (shown(desk) in GREEN) == (not hidden), (seed, hidden)
        ours = digests(desk)
        assert {one.sha256 for one in results if one.outcome in TAKEN} <= ours
        outcomes.update(result.outcome for result in results)
        shutil.rmtree(card)
        card.mkdir()
        station.sweep_bay(bay)  # undocked
    assert min(outcomes[one] for one in (*TAKEN, Outcome.IGNORED, Outcome.QUARANTINED)) > 0


def census_of(folder):
    bay = Bay("bay-1", folder)
    return Enumerator().take_census(bay, lambda _file, facts: facts, datetime.now(UTC))


@pytest.mark.parametrize("head", list(cards.HEADS[:4]))
def test_footage_that_is_called_like_a_system_file_is_offered(tmp_path, head):
    for folder, name in (
        (b"", b"index.db"),
        (b"System Volume Information", b"0001"),
        (b"", b"._x.mp4"),
    ):
        cards.put(tmp_path, folder, name, head + b"x" * 600, 0)
    taken = census_of(tmp_path)
    assert len(taken.offers) == 3
    assert taken.ignored == ()


def test_a_system_file_of_the_size_of_footage_is_offered(tmp_path):
    with (tmp_path / "store.db").open("wb") as file:
        file.truncate(17 << 20)
    assert len(census_of(tmp_path).offers) == 1


def test_an_ignored_file_whose_bytes_change_is_looked_at_again(tmp_path):
    enumerator, bay = Enumerator(), Bay("bay-1", tmp_path)
    path = tmp_path / "index.db"
    path.write_bytes(b"no film")

    def look():
        return enumerator.take_census(bay, lambda _file, facts: facts, datetime.now(UTC))

    assert len(look().ignored) == 1
    path.write_bytes(cards.HEADS[0] + b"film")
    assert len(look().offers) == 1
    os.unlink(path)
    assert look().is_empty


def test_a_look_at_what_is_settled_asks_nobody_and_reads_nothing(tmp_path, monkeypatch):
    """However many files lie in a bay that was looked at: only their names and times are seen."""
    desk = Desk.set_up(tmp_path)
    for number in range(30):
        cards.put(desk.bay("bay-1"), b"DCIM", b"%04d.txt" % number, b"%d" % number, 1_700_000_000)
    station = desk.office.build_station(patience=Patience(0, 1000))
    (bay, _other) = desk.office.list_bays()
    before = [station.sweep_bay(bay) for _ in range(4)][-1]
    asked = []
    for name in ("find_or_add_entry", "by_id", "with_receipt", "sources_of"):
        monkeypatch.setattr(Journal, name, lambda *_args, _name=name, **_more: asked.append(_name))
    for name in ("read_profile", "open_beneath"):
        monkeypatch.setattr(census, name, lambda *_args, _name=name: asked.append(_name))
    for module in (file_walk, source_clearing):
        monkeypatch.setattr(module, "digest_source", lambda *_args: asked.append("digest"))
    assert station.sweep_bay(bay) == before
    assert asked == []
    assert shown(desk) is BayState.SAFE
    monkeypatch.undo()
    cards.put(desk.bay("bay-1"), b"DCIM", b"new.txt", b"one more", 1_700_000_000)
    assert [station.sweep_bay(bay) for _ in range(3)][-1] != before
    desk.office.close()
