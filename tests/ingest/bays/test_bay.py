"""The states of a bay: which may follow which, and what an operator sees on the way."""

import itertools
import sqlite3

import pytest

from ingest.bays.bay import GREEN, MOVES, BayState, FileReport, Outcome, Progress, derive_bay_state
from ingest.bays.settle import Patience
from ingest.station.clear import When
from storage.errors import ConflictError
from tests.office import FIRST, SECOND, Desk, dock, segment

ALLOWED = [(was, wanted) for was in BayState for wanted in BayState if wanted in MOVES[was]]
REFUSED = [
    pair
    for pair in itertools.product(BayState, BayState)
    if pair not in ALLOWED and pair[0] is not pair[1]
]


@pytest.mark.parametrize(("was", "wanted"), ALLOWED)
def test_an_allowed_move_is_shown(was, wanted):
    told = []
    progress = Progress("bay-1", lambda one: told.append(one.state), was)
    progress.show_changes(state=wanted)
    assert told == [wanted]


@pytest.mark.parametrize(("was", "wanted"), REFUSED)
def test_any_other_move_is_refused_and_nothing_is_shown(was, wanted):
    told = []
    progress = Progress("bay-1", told.append, was)
    with pytest.raises(ConflictError) as refused:
        progress.show_changes(state=wanted, source="R-1")
    assert refused.value.facts == {"subject": "bay", "bay": "bay-1", "was": was, "wanted": wanted}
    assert (progress.state, progress.source, told) == (was, None, [])


def test_green_is_reached_only_through_what_was_accessioned():
    before = {state: {was for was, wanted in ALLOWED if wanted is state} for state in BayState}
    assert before[BayState.SAFE] == {BayState.ACCESSIONED, BayState.CLEARED}
    assert before[BayState.CLEARED] == {BayState.ACCESSIONED}
    assert before[BayState.SEALING] == {BayState.SCANNING}
    nobody_looked = {BayState.UNKNOWN, BayState.EMPTY, BayState.MOUNTING}
    assert before[BayState.ACCESSIONED].isdisjoint(nobody_looked)
    assert before[BayState.UNKNOWN] == set()


def test_a_bay_may_be_emptied_or_ask_for_a_person_at_any_time():
    for state in BayState:
        assert {BayState.EMPTY, BayState.ATTENTION} <= MOVES[state] | {state}


@pytest.mark.parametrize("size", range(len(Outcome) + 1))
def test_a_look_is_accessioned_only_when_every_file_is(size):
    for outcomes in itertools.combinations(Outcome, size):
        good = set(outcomes) <= {Outcome.ACCESSIONED, Outcome.DUPLICATE, Outcome.IGNORED}
        results = [FileReport("a.mp4", outcome) for outcome in outcomes]
        assert (derive_bay_state(results) is BayState.ACCESSIONED) == good


class Watched:
    """A desk whose station is never started anew, and the states that its first bay showed."""

    def __init__(self, desk):
        self.desk = desk
        self.states = []
        self.station = desk.office.build_station(self._hear, patience=Patience(0, 1000))

    def _hear(self, progress):
        if progress.bay == "bay-1" and self.states[-1:] != [progress.state]:
            self.states.append(progress.state)

    def look(self, times=1):
        """Look so many times; return what was shown meanwhile, one state after another."""
        self.states.clear()
        for _ in range(times):
            for bay in self.desk.office.list_bays():
                self.station.sweep_bay(bay)
        return [state.value for state in self.states]


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


def test_what_is_docked_turns_green_after_a_last_look_and_rests_in_silence(desk):
    watched = Watched(desk)
    assert watched.look() == ["empty"]
    dock(desk, "bay-1", FIRST, segment(0, 1), segment(5, 1))
    assert watched.look() == ["mounting", "scanning", "waiting"]
    assert watched.look() == ["waiting", "scanning", "sealing", "accessioned"][1:]
    assert watched.look() == ["scanning", "accessioned"]  # once a docking it is read once more
    assert watched.look() == ["safe"]
    assert watched.look(3) == ["safe"]


def test_a_file_that_appears_on_a_green_recorder_takes_the_green_away(desk):
    watched = Watched(desk)
    dock(desk, "bay-1", FIRST, segment(0, 1))
    assert watched.look(4)[-1] == "safe"
    dock(desk, "bay-1", FIRST, segment(5, 1))
    assert watched.look() == ["waiting"]
    assert watched.look(3)[-1] == "safe"


def test_another_recorder_in_a_green_bay_begins_anew_and_the_first_may_go_elsewhere(desk):
    watched = Watched(desk)
    dock(desk, "bay-1", FIRST, segment(0, 1))
    assert watched.look(4)[-1] == "safe"
    for left in list(desk.bay("bay-1").iterdir()):
        left.rename(desk.bay("bay-2") / left.name)
    dock(desk, "bay-1", SECOND, segment(0, 1))
    assert watched.look() == ["mounting", "scanning", "waiting"]
    watched.look(4)
    rows = {row.name: (row.state, row.source) for row in desk.office.journal.list_bays()}
    assert rows == {"bay-1": ("safe", "0000034"), "bay-2": ("safe", "0000012")}


def test_a_cleared_recorder_is_cleared_then_safe_and_empty_only_when_it_is_gone(tmp_path):
    desk = Desk.set_up(tmp_path, clear=When.AT_ONCE)
    watched = Watched(desk)
    folder = desk.bay("bay-1") / "DCIM"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    (folder / "b.txt").write_text("two")
    watched.look()
    assert watched.look() == ["scanning", "sealing", "accessioned", "cleared"]
    assert list(folder.iterdir()) == []
    assert watched.look(2) == ["safe"]
    folder.rmdir()
    assert watched.look() == ["empty"]
    desk.office.close()


def test_nothing_is_cleared_before_the_whole_bay_was_looked_at(tmp_path):
    desk = Desk.set_up(tmp_path, clear=When.AT_ONCE)
    for name in ("a.txt", "b.txt", "c.txt"):
        (desk.bay("bay-1") / name).write_text(name)
    steps = []
    desk.office.on_step = steps.append
    desk.sweep()
    assert steps.count("clearing") == steps.count("cleared") == 3
    assert "accessioned" not in steps[steps.index("clearing") :]
    desk.office.close()


def test_after_a_start_no_old_colour_is_shown(desk):
    watched = Watched(desk)
    dock(desk, "bay-1", FIRST, segment(0, 1))
    watched.look(4)
    again = Watched(desk)
    (row, _other) = desk.office.journal.list_bays()
    assert (row.state, row.source, row.files_total) == ("unknown", None, 0)
    assert again.look() == ["mounting", "scanning", "accessioned"]
    assert again.look() == ["safe"]
    assert GREEN.isdisjoint(again.states[:-1])


# The journal as stations of the first release made it, and every word their bays could show.
OLD = """
CREATE TABLE bay (name VARCHAR(100) NOT NULL, state VARCHAR(20) NOT NULL, source VARCHAR(200),
 files_total INTEGER NOT NULL, files_done INTEGER NOT NULL, bytes_total BIGINT NOT NULL,
 bytes_done BIGINT NOT NULL, current VARCHAR(1200), reason VARCHAR(60), facts JSON NOT NULL,
 changed VARCHAR(32) NOT NULL, PRIMARY KEY (name));
"""
OLD_WORDS = ["empty", "scanning", "sealing", "waiting", "delivering", "safe", "attention"]


def test_the_journal_of_an_older_station_is_read_and_its_bays_are_looked_at_anew(desk):
    path = desk.office.settings.home / "station.db"
    (desk.bay("bay-1") / "a.txt").write_text("one")
    desk.sweep()
    before = [(entry.path, entry.state) for entry in desk.office.journal.of_source("unknown:bay-1")]
    with sqlite3.connect(path) as base:
        base.execute("DROP TABLE bay")
        base.executescript(OLD)
        base.executemany(
            "INSERT INTO bay VALUES (?, ?, 'R-1', 2, 2, 9, 9, 'a', NULL, '{}', '2026-01-01')",
            [(f"bay-{number}", word) for number, word in enumerate(OLD_WORDS, 1)],
        )
    base.close()
    watched = Watched(desk)
    assert {row.state for row in desk.office.journal.list_bays()} == {"unknown"}
    assert [
        (entry.path, entry.state) for entry in desk.office.journal.of_source("unknown:bay-1")
    ] == before
    assert watched.look(2)[-1] == "safe"
