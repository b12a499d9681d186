"""Footage links itself: codes filmed at the scene set the clock right and name the action."""

from datetime import timedelta

import pytest

from api.office.samples.sample_volume import Recorder, film_codes, write_segments
from ingest.centre.self_linking import self_link
from ingest.station.clear import When
from policies.facts.stages import ActionKind
from policies.identifiers import Subject
from policies.scene_code import Kind
from storage.catalogue.cases import cases
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings import clocks, recordings
from storage.digest import Algorithm, Digest
from storage.errors import VaultError
from tests.office import SEIZED_AT, Desk, dock, segment
from tests.township import County, Township, sweep

AHEAD = 437.25  # seconds: a recorder that nobody has set for months
WRONG = Recorder("0000012", "000123", ahead_s=AHEAD)


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path, clear=When.NEVER)
    yield desk
    desk.office.close()


def codes(desk, action, kind, at_s, seconds=3, key=None):
    key = key or desk.office.ring.scene_key
    return film_codes(action, kind, key, SEIZED_AT + timedelta(seconds=at_s), seconds)


def rows(desk):
    with desk.office.catalogue.read() as session:
        return sorted(recordings.iterate_recordings(session), key=lambda row: row.name)


def films(desk):
    return [row for row in rows(desk) if row.kind == "video"]


def linked(desk, action):
    with desk.office.catalogue.read() as session:
        return {
            one.recording_id: (one.state, one.how)
            for one in case_queries.list_exhibits(session, action)
        }


def test_a_clock_that_is_wrong_is_measured_and_the_footage_links_itself(desk):
    _case, action = desk.seizure(20)
    start, stop = codes(desk, action, Kind.START, -3), codes(desk, action, Kind.STOP, 21)
    dock(
        desk,
        "bay-1",
        WRONG,
        segment(-5, 15, codes=start),
        segment(10, 5),  # in between: no code in it
        segment(15, 12, codes=stop),
        segment(300, 4),  # long after: not this action's
    )
    desk.sweep()
    found = films(desk)
    assert len(found) == 4
    for row, begun, filmed_one in zip(
        found, (-5, 10, 15, 300), (True, False, True, False), strict=True
    ):
        true = SEIZED_AT + timedelta(seconds=begun)
        # a code in the file tells to two frames; a neighbour's, to the second that names tell
        assert row.clock_uncertainty_s <= (0.2 if filmed_one else 1.3)
        assert abs((row.start_at - true).total_seconds()) <= row.clock_uncertainty_s + 0.064
        assert abs(row.clock_offset_s + AHEAD) < 1.3
    assert linked(desk, action) == {row.id: ("confirmed", "scene-code") for row in found[:3]}
    assert desk.close(action).allowed


def test_a_stop_code_ends_an_action_that_nobody_ended(desk):
    case, _closed = desk.seizure(20)
    with desk.office.catalogue.write() as uow:
        action = cases.add_action(
            uow,
            case_id=case,
            kind=ActionKind.INSPECTION,
            place="村东仓库",
            start_at=SEIZED_AT,
            officers=[desk.persons["zhang"]],
            actor="system",
        ).id
    stop = codes(desk, action, Kind.STOP, 21)
    dock(desk, "bay-1", WRONG, segment(-5, 30, codes=(*codes(desk, action, Kind.START, -3), *stop)))
    desk.sweep()
    with desk.office.catalogue.read() as session:
        ended = case_queries.get_action(session, action).end_at
    assert ended == SEIZED_AT + timedelta(seconds=24)


def test_a_forged_code_links_nothing_and_is_a_finding(desk):
    _case, action = desk.seizure(20)
    forged = codes(desk, action, Kind.START, -3, key=bytes(32))
    dock(desk, "bay-1", WRONG, segment(-5, 30, codes=forged))
    desk.sweep()
    (row,) = films(desk)
    assert row.troubles == ["forged"]
    assert row.clock_uncertainty_s is None
    assert linked(desk, action) == {}
    with desk.office.catalogue.read() as session:
        events = LogReader(session).events_of(Subject.of_recording(row.id))
    assert [e.outcome for e in events if e.act == "scene-code.refuse"] == ["refused"]


def test_a_picture_of_a_code_is_taken_for_a_replay(desk):
    _case, action = desk.seizure(20)
    ((at, text), *_rest) = codes(desk, action, Kind.START, -3)
    still = tuple((at + timedelta(seconds=n), text) for n in range(4))
    dock(desk, "bay-1", WRONG, segment(-5, 30, codes=still))
    desk.sweep()
    (row,) = films(desk)
    assert row.troubles == ["replayed"]
    assert linked(desk, action) == {}


def test_a_code_of_no_action_is_named(desk):
    _case, action = desk.seizure(20)
    other = codes(desk, "019c0000-0000-7000-8000-000000000000", Kind.START, -3)
    dock(desk, "bay-1", WRONG, segment(-5, 30, codes=other))
    desk.sweep()
    (row,) = films(desk)
    assert row.troubles == ["unknown-action"]
    assert row.clock_uncertainty_s is not None  # the office made it: its time is good
    assert linked(desk, action) == {}


def test_a_stations_code_sets_the_clock_and_names_no_action(desk):
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", WRONG, segment(-5, 15, codes=codes(desk, "clock", Kind.TIME, -3)))
    desk.sweep()
    (row,) = films(desk)
    assert (row.troubles or []) == []
    assert row.clock_uncertainty_s is not None
    assert linked(desk, action) == {}


def test_a_code_from_the_future_is_named(desk):
    _case, action = desk.seizure(20)
    ahead = film_codes(
        action, Kind.START, desk.office.ring.scene_key, desk.office.clock() + timedelta(hours=1)
    )
    shown = tuple(
        (SEIZED_AT + timedelta(seconds=n - 3), text) for n, (_at, text) in enumerate(ahead)
    )
    dock(desk, "bay-1", WRONG, segment(-5, 30, codes=shown))
    desk.sweep()
    (row,) = films(desk)
    assert row.troubles == ["future"]


def test_footage_that_a_person_rejected_is_not_linked_again(desk):
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", WRONG, segment(-5, 15, codes=codes(desk, action, Kind.START, -3)))
    desk.sweep()
    (row,) = films(desk)
    with desk.office.catalogue.read() as session:
        (exhibit,) = case_queries.list_exhibits(session, action)
    with desk.office.catalogue.write() as uow:
        cases.reject_exhibit(uow, exhibit.id, actor="person:x")
    assert self_link(desk.office.centre, row, desk.office.ring.scene_key) == []
    assert linked(desk, action)[row.id][0] == "rejected"


def test_told_again_nothing_is_done_twice(desk):
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", WRONG, segment(-5, 15, codes=codes(desk, action, Kind.START, -3)))
    desk.sweep()
    (row,) = films(desk)
    with desk.office.catalogue.read() as session:
        before = LogReader(session).size
    assert self_link(desk.office.centre, row, desk.office.ring.scene_key) == []
    with desk.office.catalogue.read() as session:
        assert LogReader(session).size == before
        assert clocks.reading_of(session, row.id) is not None


@pytest.mark.parametrize("codes_told", [7, "x", {"text": "x"}, [7, "x", None, []]])
def test_what_a_station_calls_codes_and_are_none_costs_no_receipt(desk, codes_told):
    dock(desk, "bay-1", WRONG, segment(-5, 1))
    desk.sweep()
    (row,) = films(desk)
    row.media = row.media | {"codes": codes_told}
    assert self_link(desk.office.centre, row, desk.office.ring.scene_key) == []


class PowerCutError(BaseException):
    """The power goes."""


def test_a_power_cut_between_receipt_and_link_loses_no_link(desk):
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", WRONG, segment(-5, 15, codes=codes(desk, action, Kind.START, -3)))

    def cut(step):
        if step == "receipt-kept":
            raise PowerCutError

    desk.office.centre.on_step = cut
    with pytest.raises(PowerCutError):
        desk.sweep()
    assert linked(desk, action) == {}
    desk.office.centre.on_step = lambda _step: None
    desk.office.build_station()  # a start recovers what was sealed
    desk.sweep()
    (row,) = films(desk)
    assert linked(desk, action) == {row.id: ("confirmed", "scene-code")}


@pytest.fixture
def county(tmp_path):
    county = County.found(tmp_path / "county")
    yield county
    county.desk.office.close()


def test_a_stations_repeat_links_what_failed_after_the_receipt(county, tmp_path):
    desk, township = county.desk, Township(tmp_path, "s-1")
    _case, action = desk.seizure(20)

    def fail(step):
        if step == "receipt-kept":
            raise VaultError(problem="the store did not answer")

    with county.serve():
        township.enrol(county)
        start = codes(desk, action, Kind.START, -3)
        write_segments(township.bay("bay-1"), WRONG, [segment(-5, 15, codes=start)])
        with township.open() as home:
            sweep(home)
            desk.office.centre.on_step = fail
            home.deliver()
            assert linked(desk, action) == {}
            assert all(row.receipt_text is not None for row in rows(desk))
            desk.office.centre.on_step = lambda _step: None
            home.delivery._refused.clear()
            assert home.deliver().waiting == 0
    (row,) = films(desk)
    assert linked(desk, action) == {row.id: ("confirmed", "scene-code")}


def test_footage_docked_anew_is_linked_with_its_earlier_receipt(desk):
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", WRONG, segment(-5, 15, codes=codes(desk, action, Kind.START, -3)))

    def fail(step):
        if step == "receipt-kept":
            raise VaultError(problem="the store did not answer")

    desk.office.centre.on_step = fail
    desk.sweep()
    (row,) = films(desk)
    assert linked(desk, action) == {}
    desk.office.centre.on_step = lambda _step: None
    original = Digest(Algorithm.SHA256, bytes.fromhex(row.sha256))
    assert desk.office.centre.receipt_for(row.source_serial, original) is not None
    assert linked(desk, action) == {row.id: ("confirmed", "scene-code")}


def test_what_links_itself_is_kept_as_long_as_the_action_demands(desk):
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", WRONG, segment(-5, 15, codes=codes(desk, action, Kind.START, -3)))
    desk.sweep()
    (row,) = films(desk)
    assert row.retain_until - row.accessioned_at > timedelta(days=36_000)
